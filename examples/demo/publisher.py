"""Publishes the demo's pictures and sound with the public sora_sdk API."""

from __future__ import annotations

import argparse
import json
import resource
import sys
import threading
import time
from pathlib import Path

import numpy as np
from media_input import BLOCK_SAMPLES, SAMPLE_RATE, open_audio, open_video

from sora_sdk import Sora, SoraSignalingErrorCode

CONNECT_DEADLINE_S = 15
FRAME_RATE = 30


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def say(**event: object) -> None:
    print(json.dumps(event), flush=True)


class Pacer:
    """Calls at a steady rate on an absolute schedule: a late call does not push the ones behind it back."""

    def __init__(self, interval: float) -> None:
        self._next, self._interval = time.monotonic(), interval

    def wait(self) -> None:
        self._next += self._interval
        delay = self._next - time.monotonic()
        if delay > 0:
            time.sleep(delay)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--channel", required=True)
    parser.add_argument("--codec", default="VP9")
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--bit-rate", type=int, default=2500)
    parser.add_argument("--video", type=Path)
    parser.add_argument("--audio", type=Path)
    parser.add_argument("--openh264")
    parser.add_argument("--simulcast", action="store_true")
    parser.add_argument("--report", type=Path, required=True)
    args = parser.parse_args()
    width, height = (int(n) for n in args.size.split("x"))
    pictures = open_video(args.video, width, height)
    sound = open_audio(args.audio, args.seconds + 2)

    sora = Sora(openh264=args.openh264)
    video_source = sora.create_video_source()
    audio_source = sora.create_audio_source(channels=1, sample_rate=SAMPLE_RATE)
    connection = sora.create_connection(
        signaling_urls=[args.url],
        role="sendonly",
        channel_id=args.channel,
        audio_source=audio_source,
        video_source=video_source,
        video_codec_type=args.codec,
        video_bit_rate=args.bit_rate,
        simulcast=args.simulcast or None,
    )
    connected, subscriber_there = threading.Event(), threading.Event()
    ended: list[str] = []
    connection_id: list[str] = []

    def on_set_offer(text: str) -> None:
        connection_id.append(json.loads(text)["connection_id"])

    def on_notify(text: str) -> None:
        message = json.loads(text)
        if message["event_type"] != "connection.created":
            return
        if message["connection_id"] == connection_id[0]:
            connected.set()
        if message["channel_connections"] >= 2:
            subscriber_there.set()

    def on_disconnect(code: SoraSignalingErrorCode, text: str) -> None:
        ended.append(f"{code}: {text}")
        connected.set()
        subscriber_there.set()

    connection.on_set_offer = on_set_offer
    connection.on_notify = on_notify
    connection.on_disconnect = on_disconnect
    started = time.monotonic()
    connection.connect()
    if not connected.wait(CONNECT_DEADLINE_S) or ended:
        print(f"publisher: not connected: {ended or 'no connection.created'}", file=sys.stderr)
        return 1
    connect_ms = (time.monotonic() - started) * 1000
    if not subscriber_there.wait(CONNECT_DEADLINE_S) or ended:
        print(f"publisher: no subscriber came: {ended}", file=sys.stderr)
        return 1

    sound_times: list[float] = []
    stop = threading.Event()

    def send_sound() -> None:
        pacer = Pacer(BLOCK_SAMPLES / SAMPLE_RATE)
        position = 0
        while not stop.is_set() and position + BLOCK_SAMPLES <= sound.size:
            block = sound[position : position + BLOCK_SAMPLES].reshape(-1, 1)
            sound_times.append(time.monotonic())
            audio_source.on_data(np.ascontiguousarray(block))
            position += BLOCK_SAMPLES
            pacer.wait()

    speaker = threading.Thread(target=send_sound, name="sound")
    cpu_before, begin = cpu_seconds(), time.monotonic()
    speaker.start()
    frame_times: list[float] = []
    pacer = Pacer(1 / FRAME_RATE)
    total = int(args.seconds * FRAME_RATE)
    for number in range(total):
        picture = pictures.frame(number)
        frame_times.append(time.monotonic())
        video_source.on_captured(picture)
        if number % FRAME_RATE == FRAME_RATE - 1:
            say(event="progress", sent=number + 1)
        pacer.wait()
        if ended:
            break
    elapsed = time.monotonic() - begin
    cpu = (cpu_seconds() - cpu_before) / elapsed * 60
    # What is still on its way arrives before the goodbye.
    subscriber_there.clear()
    threading.Event().wait(0.4)
    stop.set()
    speaker.join()
    stats = json.loads(connection.get_stats())
    connection.disconnect()
    report = {
        "connect_ms": connect_ms,
        "sent_frames": len(frame_times),
        "frame_times": frame_times,
        "sound_times": sound_times,
        "cpu_s_per_min": cpu,
        "outbound": [s for s in stats if s["type"] == "outbound-rtp"],
        "ended": ended,
    }
    args.report.write_text(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
