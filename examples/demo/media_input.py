"""What the demo sends: pictures and sound that can be made again from a frame number alone.

Every picture carries its number as a row of black and white blocks along the top edge, so that a receiver can tell
which picture it got after any codec and any loss.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]

NUMBER_BITS = 16
CHECK_BITS = 4
BLOCKS = NUMBER_BITS + CHECK_BITS
SAMPLE_RATE = 48_000
BLOCK_SAMPLES = 480


def _code(number: int) -> list[bool]:
    number %= 1 << NUMBER_BITS
    check = (number ^ (number >> 4) ^ (number >> 8) ^ (number >> 12) ^ 0b1010) & 0xF
    value = number << CHECK_BITS | check
    return [bool(value >> bit & 1) for bit in reversed(range(BLOCKS))]


def write_number(picture: Picture, number: int) -> None:
    """Draws `number` (modulo 65536) along the top edge of a BGR picture, in place."""
    block = picture.shape[1] // BLOCKS
    for position, bit in enumerate(_code(number)):
        picture[:block, position * block : (position + 1) * block] = 235 if bit else 16


def read_number(picture: Picture) -> int | None:
    """Reads the number back, or None if the blocks do not add up."""
    block = picture.shape[1] // BLOCKS
    margin = max(1, block // 4)
    value = 0
    for position in range(BLOCKS):
        left = position * block
        area = picture[margin : block - margin, left + margin : left + block - margin]
        value = value << 1 | int(area.mean() > 125)
    number = value >> CHECK_BITS
    bits = _code(number)
    return number if value == int("".join("01"[bit] for bit in bits), 2) else None


#: Size of the pictures that every received picture is checked with.
THUMBNAIL = (80, 45)


def thumbnail(picture: Picture) -> Picture:
    """A picture of any size as a small one, the average of its blocks."""
    import cv2

    return cv2.resize(picture, THUMBNAIL, interpolation=cv2.INTER_AREA)


class VideoInput(Protocol):
    """Pictures by number."""

    def frame(self, number: int) -> Picture:
        """The BGR picture with this number, its number drawn in."""
        ...


class TestCard:
    """A textured background that pans, a moving disc, colour bars."""

    def __init__(self, width: int, height: int) -> None:
        self._width, self._height = width, height
        rng = np.random.default_rng(7)
        rows, columns = height + 128, width + 256
        y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
        texture = np.zeros((rows, columns), np.float32)
        for _ in range(24):
            fx, fy, phase = rng.uniform(-0.06, 0.06), rng.uniform(-0.06, 0.06), rng.uniform(0, 6.28)
            texture += np.sin(x * fx + y * fy + phase) * rng.uniform(4, 12)
        grain = rng.normal(0, 1.5, (rows, columns)).astype(np.float32)
        base = np.clip(120 + texture + grain, 0, 255)
        tint = np.stack([base, base * 0.9 + 12, base * 0.8 + 30], axis=2)
        self._background: Picture = np.clip(tint, 0, 255).astype(np.uint8)
        bars = [
            (235, 235, 235),
            (16, 235, 235),
            (235, 235, 16),
            (16, 235, 16),
            (235, 16, 235),
            (16, 16, 235),
            (235, 16, 16),
        ]
        strip = np.zeros((max(height // 12, 2), width, 3), np.uint8)
        for index, colour in enumerate(bars):
            strip[:, index * width // 7 : (index + 1) * width // 7] = colour
        self._bars = strip
        radius = max(height // 8, 4)
        dy, dx = np.mgrid[-radius:radius, -radius:radius]
        self._disc = dy * dy + dx * dx < radius * radius
        self._radius = radius

    def frame(self, number: int) -> Picture:
        """The BGR picture with this number."""
        width, height, radius = self._width, self._height, self._radius
        left = int(128 + 120 * np.sin(number / 90))
        top = int(64 + 60 * np.cos(number / 130))
        picture = self._background[top : top + height, left : left + width].copy()
        picture[-self._bars.shape[0] :] = self._bars
        cx = int(width / 2 + (width / 2 - radius - 2) * np.sin(number / 40))
        cy = int(height / 2 + (height / 4 - radius / 2) * np.cos(number / 23))
        area = picture[cy - radius : cy + radius, cx - radius : cx + radius]
        area[self._disc] = (40, 90, 230)
        write_number(picture, number)
        return picture


class VideoFile:
    """A video file, scaled to the demo's size and played in a loop."""

    def __init__(self, path: Path, width: int, height: int) -> None:
        import cv2

        self._cv2 = cv2
        self._path, self._size = path, (width, height)
        self._capture = cv2.VideoCapture(str(path))
        count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        if not self._capture.isOpened() or count < 1:
            raise SystemExit(f"{path}: OpenCV cannot read a video from this file")
        self._count, self._next = count, 0

    def frame(self, number: int) -> Picture:
        """The BGR picture with this number."""
        wanted = number % self._count
        if wanted < self._next:
            self._capture.release()
            self._capture = self._cv2.VideoCapture(str(self._path))
            self._next = 0
        while self._next < wanted:
            self._capture.grab()
            self._next += 1
        ok, picture = self._capture.read()
        self._next += 1
        if not ok:
            # Containers over-report their length by a frame or two.
            self._count = max(wanted, 1)
            return self.frame(number)
        scaled = self._cv2.resize(picture, self._size, interpolation=self._cv2.INTER_AREA)
        result: Picture = np.ascontiguousarray(scaled, dtype=np.uint8)
        write_number(result, number)
        return result


def open_video(path: Path | None, width: int, height: int) -> VideoInput:
    """The demo's picture source."""
    return TestCard(width, height) if path is None else VideoFile(path, width, height)


def melody(seconds: float) -> npt.NDArray[np.int16]:
    """Notes of a pentatonic scale, each with a sharp attack that fades: 48 kHz mono."""
    rng = np.random.default_rng(3)
    scale = 440.0 * 2.0 ** (np.array([0, 3, 5, 7, 10, 12]) / 12)
    total = int(seconds * SAMPLE_RATE)
    sound = np.zeros(total, np.float64)
    position = 0
    while position < total:
        length = int(SAMPLE_RATE * rng.choice([0.17, 0.23, 0.31]))
        t = np.arange(min(length, total - position)) / SAMPLE_RATE
        pitch = rng.choice(scale)
        note = np.sin(2 * np.pi * pitch * t) + 0.3 * np.sin(4 * np.pi * pitch * t)
        sound[position : position + t.size] = note * np.exp(-t * 9) * np.minimum(t * 400, 1)
        position += length
    return (sound * 9000).astype(np.int16)


def open_audio(path: Path | None, seconds: float) -> npt.NDArray[np.int16]:
    """The demo's sound: 48 kHz mono int16, at least `seconds` long (a file is looped)."""
    if path is None:
        return melody(seconds)
    import soundfile

    data, rate = soundfile.read(str(path), dtype="float64", always_2d=True)
    mono = data.mean(axis=1)
    if rate != SAMPLE_RATE:
        positions = np.arange(0, mono.size, rate / SAMPLE_RATE)
        mono = np.interp(positions, np.arange(mono.size), mono)
    if mono.size == 0:
        raise SystemExit(f"{path}: no sound in this file")
    total = int(seconds * SAMPLE_RATE)
    return (np.resize(mono, max(total, mono.size)) * 32767).astype(np.int16)
