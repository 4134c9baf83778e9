"""Receives pictures, blurs the faces in them and sends them to another channel.

    python face_blur.py --url ws://127.0.0.1:5000/signaling --channel hello --to hello-blurred
    python face_blur.py ... --model face_detection_yunet_2023mar.onnx      # OpenCV Zoo's face detector

Needs numpy and opencv-python-headless. Without a model everything of the colour of skin counts as a face: enough to try.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Iterable, Sequence

import cv2
import numpy as np

from sora_sdk import aio

Faces = Iterable[Sequence[int]]


def skin(picture: np.ndarray) -> Faces:
    """Boxes around what has the colour of skin."""
    mask = cv2.inRange(cv2.cvtColor(picture, cv2.COLOR_BGR2YCrCb), np.array([40, 135, 85]), np.array([255, 180, 135]))
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((7, 7), np.uint8))
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return [cv2.boundingRect(outline) for outline in outlines if cv2.contourArea(outline) > 1600]


def detector(model: str | None) -> Callable[[np.ndarray], Faces]:
    """What finds faces in a BGR picture: boxes of left, top, width, height."""
    if model is None:
        return skin
    yunet = cv2.FaceDetectorYN.create(model, "", (320, 320), score_threshold=0.7)

    def detect(picture: np.ndarray) -> Faces:
        yunet.setInputSize((picture.shape[1], picture.shape[0]))
        _, faces = yunet.detect(picture)
        return [] if faces is None else faces[:, :4].clip(0).astype(int).tolist()

    return detect


def blur(picture: np.ndarray, detect: Callable[[np.ndarray], Faces]) -> np.ndarray:
    """Blurs the faces of a BGR picture, in its place."""
    for left, top, width, height in detect(picture):
        face = picture[top : top + height, left : left + width]
        face[:] = cv2.GaussianBlur(face, (0, 0), max(width / 6, 1))
    return picture


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--channel", required=True)
    parser.add_argument("--to", required=True, metavar="CHANNEL")
    parser.add_argument("--model", metavar="FILE", help="YuNet face detector, ONNX")
    args = parser.parse_args()

    blurred = aio.VideoSource(frame_rate=None)
    loop, detect = asyncio.get_running_loop(), detector(args.model)
    async with (
        aio.Connection(args.url, args.channel, "recvonly", audio=False) as receiver,
        aio.Connection(args.url, args.to, "sendonly", audio=False, video_source=blurred),
    ):
        print("connected; Ctrl+C ends", flush=True)
        async for track in receiver.tracks():
            # While one picture is worked on, only the newest waits: the delay does not grow.
            async for frame in track.video(limit=1):
                await blurred.send(await loop.run_in_executor(None, blur, frame.data(), detect))


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
