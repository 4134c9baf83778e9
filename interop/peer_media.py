"""What a peer program sends, and how it judges what it gets: pictures that carry a number, a tone, messages.

Only numpy is needed, so the same file runs under our package and under the reference.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

WIDTH, HEIGHT, FRAME_RATE = 640, 480, 30
SAMPLE_RATE, BLOCK_SAMPLES, TONE_HZ = 48_000, 480, 440.0
BITS, CHECK = 12, 8
PAYLOAD_TAIL = bytes(range(256))

Picture = npt.NDArray[np.uint8]


def _bits(number: int) -> list[bool]:
    number %= 1 << BITS
    value = number << CHECK | (number * 167 + 59) % (1 << CHECK)
    return [bool(value >> bit & 1) for bit in range(BITS + CHECK)]


def moving_picture(number: int) -> Picture:
    """A BGR picture with a moving bar on a grey ramp and its number as a row of black and white blocks on top."""
    ramp = np.linspace(60, 180, WIDTH, dtype=np.uint8)
    picture = np.repeat(np.tile(ramp, (HEIGHT, 1))[:, :, None], 3, axis=2)
    left = number * 6 % (WIDTH - 80)
    picture[HEIGHT // 4 : HEIGHT - 40, left : left + 80] = (40, 90, 230)
    block = WIDTH // (BITS + CHECK)
    for position, bit in enumerate(_bits(number)):
        picture[:block, position * block : (position + 1) * block] = 235 if bit else 16
    return picture


def halves(number: int) -> Picture:
    """A BGR picture whose left half is red and right half blue, with a small moving square at the bottom."""
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    picture[:, : WIDTH // 2] = (0, 0, 255)
    picture[:, WIDTH // 2 :] = (255, 0, 0)
    left = number * 4 % (WIDTH - 32)
    picture[-32:, left : left + 32] = 255
    return picture


def read_number(picture: Picture) -> int | None:
    """The number drawn into a picture by moving_picture(), at any scale, or None if its check fails."""
    block = picture.shape[1] / (BITS + CHECK)
    rows = slice(int(block / 4), max(int(block * 3 / 4), int(block / 4) + 1))
    value = 0
    for position in range(BITS + CHECK):
        columns = slice(int((position + 0.25) * block), int((position + 0.75) * block) + 1)
        value |= int(picture[rows, columns].mean() > 125) << position
    number = value >> CHECK
    return number if value & ((1 << CHECK) - 1) == (number * 167 + 59) % (1 << CHECK) else None


def tone(block: int, channels: int = 1) -> npt.NDArray[np.int16]:
    """The 10 ms block with this index of a 440 Hz sine, int16 of shape (480, channels)."""
    positions = np.arange(BLOCK_SAMPLES) + block * BLOCK_SAMPLES
    wave = (np.sin(2 * np.pi * TONE_HZ * positions / SAMPLE_RATE) * 9000).astype(np.int16)
    return np.ascontiguousarray(np.repeat(wave[:, None], channels, axis=1))


def dominant_hz(sound: npt.NDArray[np.int16], rate: int = SAMPLE_RATE) -> float | None:
    """The strongest frequency of mono sound, or None for near silence."""
    wave = sound.astype(np.float64)
    if wave.size < rate // 4 or np.abs(wave).mean() < 50:
        return None
    size = 1 << (wave.size * 2).bit_length()
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(wave.size), size))
    spectrum[: int(50 * size / rate)] = 0
    return float(np.argmax(spectrum) * rate / size)


def payload(role: str, number: int) -> bytes:
    """A message that holds every byte value and says who sent it."""
    return f"{role}:{number}:".encode() + PAYLOAD_TAIL


class VideoTally:
    """Counts pictures and keeps what a test asks about them."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.numbers: set[int] = set()
        self.size: tuple[int, int] | None = None
        self.mean = 0.0
        self.change = 0.0
        self._previous: npt.NDArray[np.int16] | None = None

    def add(self, picture: Picture, now: float) -> None:
        """Takes one BGR picture that arrived at `now` seconds."""
        self.times.append(now)
        self.size = (int(picture.shape[1]), int(picture.shape[0]))
        number = read_number(picture)
        if number is not None:
            self.numbers.add(number)
        small = picture[::16, ::16].astype(np.int16)
        self.mean = max(self.mean, float(small.mean()))
        if self._previous is not None and self._previous.shape == small.shape:
            self.change = max(self.change, float(np.abs(small - self._previous).mean()))
        self._previous = small

    def result(self) -> dict[str, Any]:
        """The figures, ready for JSON."""
        span = self.times[-1] - self.times[0] if len(self.times) > 1 else 0.0
        return {
            "frames": len(self.times),
            "fps": round((len(self.times) - 1) / span, 2) if span else 0.0,
            "numbers": len(self.numbers),
            "size": self.size,
            "mean": round(self.mean, 1),
            "change": round(self.change, 2),
        }
