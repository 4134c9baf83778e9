"""Sends a camera and a microphone, or files, or a test picture and tone that need no device.

    python send.py --url ws://127.0.0.1:5000/signaling --channel hello
    python send.py --url ... --channel hello --video 0 --audio default      # OpenCV camera 0, microphone
    python send.py --url ... --channel hello --video holiday.mp4 --audio none

Needs numpy; opencv-python-headless for cameras and video files, sounddevice for microphones.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any

import numpy as np

from sora_sdk import Sora, SoraAudioSource, aio

SIZE, FRAME_RATE, SAMPLE_RATE = (1280, 720), 30, 48_000


def test_pictures() -> Iterator[np.ndarray]:
    """A bar that moves over a gradient."""
    width, height = SIZE
    gradient = np.linspace(0, 255, width, dtype=np.uint8)
    picture = np.empty((height, width, 3), np.uint8)
    for number in range(10**9):
        picture[:] = np.stack([gradient, gradient[::-1], np.full(width, 120, np.uint8)], axis=1)
        left = number * 8 % width
        picture[:, left : left + 40] = 255
        yield picture


def captured_pictures(what: str) -> Iterator[np.ndarray]:
    """What OpenCV reads from a camera (by its number) or a file, which is repeated."""
    import cv2

    while True:
        capture = cv2.VideoCapture(int(what) if what.isdigit() else what)
        taken, picture = capture.read()
        if not taken:
            raise SystemExit(f"OpenCV cannot read {what}")
        while taken:
            yield picture
            taken, picture = capture.read()


async def send_pictures(camera: aio.VideoSource, pictures: Iterator[np.ndarray]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        # A camera makes its reader wait, and nobody else shall.
        await camera.send(await loop.run_in_executor(None, next, pictures))


async def send_tone(microphone: aio.AudioSource) -> None:
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    tone = (6000 * np.sin(2 * np.pi * 440 * time)).astype(np.int16)[:, None]
    while True:
        for start in range(0, SAMPLE_RATE, 960):
            await microphone.send(tone[start : start + 960])


async def send_microphone(source: SoraAudioSource, device: str) -> None:
    import sounddevice

    chosen = None if device == "default" else int(device) if device.isdigit() else device
    # The callback is on a thread of PortAudio's; sources take sound from any thread.
    with sounddevice.InputStream(
        SAMPLE_RATE, device=chosen, channels=1, dtype="int16", callback=lambda data, *_: source.on_data(data)
    ):
        await asyncio.Event().wait()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--channel", required=True)
    parser.add_argument("--video", default="test", help="test, none, a file or the number of a camera")
    parser.add_argument("--audio", default="test", help="test, none, default or a microphone by name or number")
    parser.add_argument("--codec", default="VP9", choices=["VP8", "VP9", "AV1", "H264"])
    parser.add_argument("--openh264", help="OpenH264 library, for H264")
    args = parser.parse_args()

    sora = Sora(openh264=args.openh264)
    camera = None if args.video == "none" else aio.VideoSource(FRAME_RATE, sora=sora)
    microphone = None if args.audio == "none" else aio.AudioSource(1, SAMPLE_RATE, sora=sora)
    async with aio.Connection(
        args.url,
        args.channel,
        "sendonly",
        sora=sora,
        video_source=camera,
        audio_source=microphone,
        video=camera is not None,
        audio=microphone is not None,
        video_codec_type=args.codec if camera else None,
    ) as connection:
        print(f"connected as {connection.connection_id}; Ctrl+C ends", flush=True)
        work: list[Coroutine[Any, Any, object]] = [connection.ended()]
        if camera:
            pictures = test_pictures() if args.video == "test" else captured_pictures(args.video)
            work.append(send_pictures(camera, pictures))
        if microphone:
            tone = args.audio == "test"
            work.append(send_tone(microphone) if tone else send_microphone(microphone.native, args.audio))
        done, _ = await asyncio.wait([asyncio.ensure_future(one) for one in work], return_when=asyncio.FIRST_COMPLETED)
        print(*(task.result() for task in done))


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
