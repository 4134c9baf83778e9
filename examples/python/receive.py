"""Shows received pictures in windows and plays received sound.

    python receive.py --url ws://127.0.0.1:5000/signaling --channel hello
    python receive.py --url ... --channel hello --no-window --speaker none      # only counts

Needs numpy, opencv-python for the windows, sounddevice for the speaker.
"""

from __future__ import annotations

import argparse
import asyncio
from collections import Counter
from collections.abc import Callable

import numpy as np

from sora_sdk import SoraAudioSink, aio

SAMPLE_RATE, CHANNELS = 48_000, 2


def open_window(title: str) -> Callable[[np.ndarray], None]:
    import cv2

    def draw(picture: np.ndarray) -> None:
        cv2.imshow(title, picture)
        cv2.waitKey(1)

    return draw


async def show(track: aio.Track, window: bool, counts: Counter[str]) -> None:
    draw = open_window(track.stream_id) if window else None
    async for frame in track:
        counts[f"pictures of {track.stream_id}"] += 1
        if draw is not None:
            draw(frame.data())


async def play(track: aio.Track, speaker: str, counts: Counter[str]) -> None:
    if speaker == "none":
        async for _ in track:
            counts[f"10 ms of sound of {track.stream_id}"] += 1
        return
    import sounddevice

    # The sink keeps what the speaker has not asked for yet; where there is nothing, it is silent.
    sink = SoraAudioSink(track.native, SAMPLE_RATE, CHANNELS)

    def wanted(out: np.ndarray, frames: int, *_: object) -> None:
        there, samples = sink.read(frames, timeout=0)
        out[:] = samples if there else 0
        counts[f"blocks played of {track.stream_id}"] += there

    chosen = None if speaker == "default" else int(speaker) if speaker.isdigit() else speaker
    with sounddevice.OutputStream(SAMPLE_RATE, device=chosen, channels=CHANNELS, dtype="int16", callback=wanted):
        async for _ in track:
            counts[f"10 ms of sound of {track.stream_id}"] += 1


async def report(counts: Counter[str]) -> None:
    while True:
        await asyncio.sleep(1)
        print(", ".join(f"{count} {what}" for what, count in counts.items()) or "nothing yet", flush=True)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--channel", required=True)
    parser.add_argument("--no-window", action="store_true", help="do not show pictures")
    parser.add_argument("--speaker", default="default", help="default, none or a speaker by name or number")
    args = parser.parse_args()

    counts: Counter[str] = Counter()
    async with aio.Connection(args.url, args.channel, "recvonly") as connection:
        print(f"connected as {connection.connection_id}; Ctrl+C ends", flush=True)
        tasks = [asyncio.ensure_future(report(counts))]
        async for track in connection.tracks():
            video = track.kind == "video"
            work = show(track, not args.no_window, counts) if video else play(track, args.speaker, counts)
            tasks.append(asyncio.ensure_future(work))


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
