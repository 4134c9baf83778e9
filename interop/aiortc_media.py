"""Media of the aiortc server: tracks it sends, and tallies of what it decodes."""

from __future__ import annotations

import asyncio
import fractions
import time

import av
import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

import peer_media as media

FRAME_RATE = 15
SOUND_SAMPLES = 960


class _Paced(MediaStreamTrack):
    """Hands out frame n at n / rate seconds after the first."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self._rate, self._begin = rate, 0.0
        self.count = 0

    async def _next(self) -> int:
        if self.readyState != "live":
            raise MediaStreamError
        if self.count == 0:
            self._begin = time.monotonic()
        delay = self._begin + self.count / self._rate - time.monotonic()
        if delay > 0:
            await asyncio.sleep(delay)
        self.count += 1
        return self.count - 1


class Pictures(_Paced):
    """The numbered moving picture."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__(FRAME_RATE)

    async def recv(self) -> av.VideoFrame:
        """The next picture."""
        number = await self._next()
        frame = av.VideoFrame.from_ndarray(media.moving_picture(number), format="bgr24")
        frame.pts, frame.time_base = number * 90_000 // FRAME_RATE, fractions.Fraction(1, 90_000)
        return frame


class Tone(_Paced):
    """The 440 Hz tone, 20 ms at a time."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__(media.SAMPLE_RATE / SOUND_SAMPLES)

    async def recv(self) -> av.AudioFrame:
        """The next 20 ms."""
        number = await self._next()
        sound = np.concatenate([media.tone(number * 2, 2), media.tone(number * 2 + 1, 2)])
        frame = av.AudioFrame.from_ndarray(sound.reshape(1, -1), format="s16", layout="stereo")
        frame.sample_rate = media.SAMPLE_RATE
        frame.pts, frame.time_base = number * SOUND_SAMPLES, fractions.Fraction(1, media.SAMPLE_RATE)
        return frame


class Taken:
    """What the server has decoded of one connection."""

    def __init__(self) -> None:
        self.video = media.VideoTally()
        self.sound: list[np.ndarray] = []

    async def drain(self, track: MediaStreamTrack) -> None:
        """Decodes a track until it ends."""
        try:
            while True:
                frame = await track.recv()
                if isinstance(frame, av.VideoFrame):
                    self.video.add(frame.to_ndarray(format="bgr24").astype(np.uint8, copy=False), time.monotonic())
                elif isinstance(frame, av.AudioFrame):
                    channels = len(frame.layout.channels)
                    self.sound.append(frame.to_ndarray().reshape(-1, channels)[:, 0].astype(np.int16))
        except MediaStreamError:
            return

    def result(self) -> dict[str, object]:
        """The figures, ready for JSON."""
        sound = np.concatenate(self.sound)[-2 * media.SAMPLE_RATE :] if self.sound else np.zeros(0, np.int16)
        return {**self.video.result(), "audio_hz": media.dominant_hz(sound), "audio_frames": len(self.sound)}
