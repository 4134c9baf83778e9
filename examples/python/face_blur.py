"""Receives pictures, blurs the faces in them and sends them to another channel.

    python face_blur.py --url ws://127.0.0.1:5000/signaling --channel hello --to hello-blurred

Needs numpy and opencv-python-headless, whose face detector is quick and simple; put a better one in blur().
"""

from __future__ import annotations

import argparse
import asyncio

import cv2
import numpy as np

from sora_sdk import aio

DETECTOR = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")


def blur(picture: np.ndarray) -> np.ndarray:
    """Blurs the faces of a BGR picture, in its place."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    for x, y, width, height in DETECTOR.detectMultiScale(grey, 1.2, 5, minSize=(40, 40)):
        face = picture[y : y + height, x : x + width]
        face[:] = cv2.GaussianBlur(face, (0, 0), width / 6)
    return picture


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--channel", required=True)
    parser.add_argument("--to", required=True, metavar="CHANNEL")
    args = parser.parse_args()

    blurred = aio.VideoSource(frame_rate=None)
    loop = asyncio.get_running_loop()
    async with (
        aio.Connection(args.url, args.channel, "recvonly", audio=False) as receiver,
        aio.Connection(args.url, args.to, "sendonly", audio=False, video_source=blurred),
    ):
        print("connected; Ctrl+C ends", flush=True)
        async for track in receiver.tracks():
            # While one picture is worked on, only the newest waits: the delay does not grow.
            async for frame in track.video(limit=1):
                await blurred.send(await loop.run_in_executor(None, blur, frame.data()))


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
