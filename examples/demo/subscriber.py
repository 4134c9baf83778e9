"""Receives the demo's pictures and sound with the public sora_sdk API and writes down what came when."""

from __future__ import annotations

import argparse
import json
import resource
import signal
import sys
import threading
import time
import urllib.request
from pathlib import Path

import numpy as np
import numpy.typing as npt
from media_input import SAMPLE_RATE, read_number, thumbnail

from sora_sdk import (
    Sora,
    SoraAudioFrame,
    SoraAudioStreamSink,
    SoraMediaTrack,
    SoraSignalingErrorCode,
    SoraVideoFrame,
    SoraVideoSink,
)

KEEP_EVERY = 30
#: Simulcast layers to ask for, one after the other.
LAYERS = ("r0", "r1", "r2", "r0", "r2")


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def say(**event: object) -> None:
    print(json.dumps(event), flush=True)


def ask_for_layer(api: str, channel: str, connection_id: str, rid: str) -> None:
    body = json.dumps({"channel_id": channel, "connection_id": connection_id, "rid": rid}).encode()
    headers = {"x-sora-target": "Sora_20251217.RequestSimulcastRid", "content-type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(api, body, headers), timeout=5):
        say(event="layer", asked_for=rid)


class Subscriber:
    """Collects everything the callbacks deliver."""

    def __init__(self, simulcast: bool) -> None:
        self.simulcast = simulcast
        self.frames: list[tuple[int | None, float]] = []
        self.kept: dict[int, npt.NDArray[np.uint8]] = {}
        self.last: npt.NDArray[np.uint8] | None = None
        self.sound: list[npt.NDArray[np.int16]] = []
        self.sound_times: list[float] = []
        self.sinks: list[object] = []
        self.ended: list[str] = []
        self.over = threading.Event()
        self.created = threading.Event()
        self.cpu_at_first_frame: float | None = None
        self.connection_id = ""
        self.sizes: list[tuple[int, int]] = []
        self.switches: list[tuple[str, float]] = []
        self.thumbnails: list[npt.NDArray[np.uint8]] = []

    def on_set_offer(self, text: str) -> None:
        self.connection_id = json.loads(text)["connection_id"]

    def on_track(self, track: SoraMediaTrack) -> None:
        if track.kind == "video":
            video = SoraVideoSink(track)
            video.on_frame = self.on_video
            self.sinks.append(video)
        else:
            audio = SoraAudioStreamSink(track, SAMPLE_RATE, 1)
            audio.on_frame = self.on_audio
            self.sinks.append(audio)

    def on_video(self, frame: SoraVideoFrame) -> None:
        now = time.monotonic()
        if self.cpu_at_first_frame is None:
            self.cpu_at_first_frame = cpu_seconds()
        picture = frame.data()
        number = read_number(picture)
        self.frames.append((number, now))
        self.sizes.append((picture.shape[1], picture.shape[0]))
        if self.simulcast:
            self.thumbnails.append(thumbnail(picture))
        self.last = picture
        if not self.simulcast and number is not None and number % KEEP_EVERY == KEEP_EVERY // 2:
            self.kept[number] = picture

    def on_audio(self, frame: SoraAudioFrame) -> None:
        self.sound_times.append(time.monotonic())
        self.sound.append(frame.data()[:, 0].copy())

    def on_notify(self, text: str) -> None:
        message = json.loads(text)
        if message["event_type"] == "connection.created":
            self.created.set()
        if message["event_type"] == "simulcast.switched":
            self.switches.append((message["current_rid"], time.monotonic()))
        if message["event_type"] == "connection.destroyed":
            self.over.set()

    def on_disconnect(self, code: SoraSignalingErrorCode, text: str) -> None:
        self.ended.append(f"{code}: {text}")
        self.over.set()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--channel", required=True)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--openh264")
    parser.add_argument("--simulcast-api", help="HTTP API of the server: ask for one layer after the other")
    parser.add_argument("--report", type=Path, required=True)
    args = parser.parse_args()

    subscriber = Subscriber(simulcast=bool(args.simulcast_api))
    signal.signal(signal.SIGTERM, lambda *_: subscriber.over.set())
    sora = Sora(openh264=args.openh264)
    connection = sora.create_connection(
        signaling_urls=[args.url],
        role="recvonly",
        channel_id=args.channel,
        simulcast_request_rid=LAYERS[0] if args.simulcast_api else None,
    )
    connection.on_set_offer = subscriber.on_set_offer
    connection.on_track = subscriber.on_track
    connection.on_notify = subscriber.on_notify
    connection.on_disconnect = subscriber.on_disconnect
    started = time.monotonic()
    connection.connect()
    deadline = started + args.seconds + 30
    reported = time.monotonic()
    turns = list(LAYERS[1:]) if args.simulcast_api else []
    while not subscriber.over.wait(0.25) and time.monotonic() < deadline:
        turn = (len(LAYERS) - len(turns)) * args.seconds / len(LAYERS)
        if turns and subscriber.frames and time.monotonic() - subscriber.frames[0][1] >= turn:
            ask_for_layer(args.simulcast_api, args.channel, subscriber.connection_id, turns.pop(0))
        if time.monotonic() - reported >= 1:
            reported = time.monotonic()
            say(event="progress", received=len(subscriber.frames))
    cpu_end, end = cpu_seconds(), time.monotonic()
    connection.disconnect()
    if not subscriber.frames:
        print(f"subscriber: nothing arrived: {subscriber.ended}", file=sys.stderr)
        return 1
    first = subscriber.frames[0][1]
    cpu = (cpu_end - (subscriber.cpu_at_first_frame or 0.0)) / max(end - first, 0.1) * 60
    sound = np.concatenate(subscriber.sound) if subscriber.sound else np.zeros(0, np.int16)
    np.savez(
        args.report.with_suffix(".npz"),
        sound=sound,
        last=subscriber.last,
        kept_numbers=np.array(list(subscriber.kept)),
        kept=np.array(list(subscriber.kept.values())),
        thumbnails=np.array(subscriber.thumbnails),
    )
    report = {
        "first_frame_ms": (first - started) * 1000,
        "started": started,
        "frames": subscriber.frames,
        "sizes": subscriber.sizes,
        "switches": subscriber.switches,
        "sound_times": subscriber.sound_times,
        "cpu_s_per_min": cpu,
        "ended": subscriber.ended,
    }
    args.report.write_text(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
