"""Records every track of a channel to a file of its own: WAV for sound, MP4 for pictures.

    python record.py --url ws://127.0.0.1:5000/signaling --channel hello --folder recordings

Needs numpy, and opencv-python-headless for pictures.
"""

from __future__ import annotations

import argparse
import asyncio
import time
import wave
from pathlib import Path

from sora_sdk import aio

FRAME_RATE, SAMPLE_RATE, CHANNELS = 30, 48_000, 2


async def record_sound(track: aio.Track, path: Path) -> None:
    frames = track.audio(limit=1000, sample_rate=SAMPLE_RATE, channels=CHANNELS)
    with wave.open(str(path), "wb") as file:
        file.setparams((CHANNELS, 2, SAMPLE_RATE, 0, "NONE", "not compressed"))
        async for frame in frames:
            file.writeframes(frame.data().tobytes())


async def record_pictures(track: aio.Track, path: Path) -> None:
    import cv2

    file, written, started, size = None, 0, 0.0, (0, 0)
    try:
        async for frame in track.video(limit=30):
            picture = frame.data()
            if file is None:
                size, started = (picture.shape[1], picture.shape[0]), time.monotonic()
                file = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), FRAME_RATE, size)
            # The file has one size and one frame rate; pictures come in their own, and are repeated or left out.
            due = int((time.monotonic() - started) * FRAME_RATE) + 1
            scaled = picture if (picture.shape[1], picture.shape[0]) == size else cv2.resize(picture, size)
            for _ in range(due - written):
                file.write(scaled)
            written = max(due, written)
    finally:
        if file is not None:
            file.release()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--channel", required=True)
    parser.add_argument("--folder", type=Path, default=Path("recordings"))
    parser.add_argument("--seconds", type=float, help="end after so long")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)

    recording: list[asyncio.Task[None]] = []

    async def each_track(connection: aio.Connection) -> None:
        async for track in connection.tracks():
            name = f"{time.strftime('%Y%m%d-%H%M%S')}-{track.stream_id}-{len(recording)}"
            video = track.kind == "video"
            path = args.folder / f"{name}.{'mp4' if video else 'wav'}"
            print(f"recording {path}", flush=True)
            recording.append(
                asyncio.ensure_future(record_pictures(track, path) if video else record_sound(track, path))
            )

    try:
        async with aio.Connection(args.url, args.channel, "recvonly") as connection:
            print("connected; Ctrl+C ends", flush=True)
            try:
                await asyncio.wait_for(each_track(connection), args.seconds)
            except asyncio.TimeoutError:
                pass
    finally:
        # The streams have ended with the connection: what is left in them is written, and the files are closed.
        await asyncio.gather(*recording, return_exceptions=True)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
