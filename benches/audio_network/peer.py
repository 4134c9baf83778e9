"""One side of a call, under our package or the reference: says what is in a file, or writes down what it hears.

Only numpy is needed.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from typing import Any

import numpy as np
from sora_sdk import Sora, SoraAudioStreamSink

RATE, BLOCK = 16_000, 320
KEEP: list[Any] = []
"""What has to live as long as the connection: its Sora and its source."""


def connect(url: str, role: str, source: Any) -> tuple[Any, threading.Event, list[Any]]:
    """A connected connection, an event for its end, and its tracks."""
    sora = Sora()
    audio = sora.create_audio_source(1, RATE) if source is not None else None
    connection = sora.create_connection(
        signaling_urls=[url], role=role, channel_id="network", audio=True, video=False, audio_source=audio
    )
    connected, ended, tracks = threading.Event(), threading.Event(), []

    def on_notify(text: str) -> None:
        if json.loads(text).get("event_type") == "connection.created":
            connected.set()

    connection.on_notify = on_notify
    connection.on_disconnect = lambda *_: ended.set()
    connection.on_track = tracks.append
    connection.connect()
    if not connected.wait(20):
        sys.exit("not connected")
    KEEP.extend([sora, audio])
    print("connected", flush=True)
    return connection, ended, tracks


def per_minute(begin: float, used: float) -> float:
    """Seconds of processor time for a minute of the call, this program's own share included."""
    return 60 * (time.process_time() - used) / (time.monotonic() - begin)


def talk(url: str, path: str) -> None:
    """Says what is in the file at the pace it was spoken, once a line has come on standard input."""
    speech = np.fromfile(path, np.int16)
    connection, ended, _ = connect(url, "sendonly", speech)
    source = KEEP[1]
    sys.stdin.readline()
    begin, used = time.monotonic(), time.process_time()
    for block in range(len(speech) // BLOCK):
        wait = begin + block * BLOCK / RATE - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        source.on_data(speech[block * BLOCK : (block + 1) * BLOCK, None])
    print(json.dumps({"cpu": per_minute(begin, used)}), flush=True)
    connection.disconnect()
    ended.wait(10)


def listen(url: str, path: str) -> None:
    """Writes down everything until standard input ends; prints what the statistics say of it."""
    connection, ended, tracks = connect(url, "recvonly", None)
    heard: list[Any] = []
    sinks = []
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    statistics: dict[str, Any] = {}
    begin, used = 0.0, 0.0
    while not stop.wait(0.05):
        while tracks:
            track = tracks.pop()
            sink = SoraAudioStreamSink(track, RATE, 1)
            sink.on_frame = lambda frame: heard.append(frame.data()[:, 0].copy())
            sinks.append((track, sink))
            print("track", flush=True)
            begin, used = time.monotonic(), time.process_time()
        if sinks:
            for entry in json.loads(connection.get_stats()):
                if entry["type"] == "inbound-rtp" and entry.get("kind") == "audio":
                    statistics = entry
            stop.wait(1)
    statistics["cpu"] = per_minute(begin, used)
    np.concatenate(heard or [np.zeros(0, np.int16)]).tofile(path)
    print(json.dumps(statistics), flush=True)
    connection.disconnect()
    ended.wait(10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["talk", "listen"])
    parser.add_argument("url")
    parser.add_argument("path")
    arguments = parser.parse_args()
    (talk if arguments.what == "talk" else listen)(arguments.url, arguments.path)


if __name__ == "__main__":
    main()
