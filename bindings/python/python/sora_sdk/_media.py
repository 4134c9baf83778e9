"""Pictures and sound for the command line: test card, files, devices."""

from __future__ import annotations

import importlib
import threading
import time
import wave
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
Sound = npt.NDArray[np.int16]

SAMPLE_RATE = 48_000
#: 20 ms.
BLOCK = SAMPLE_RATE // 50
#: Bits of the number in a test card, and the side of the square each is drawn in.
_BITS, _SQUARE = 16, 16


class MissingError(Exception):
    """Something that is asked for is not on this machine; says what to do."""


def optional(module: str, package: str, purpose: str) -> Any:
    """A package that not everybody needs."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingError(f"{purpose} needs {package}: pip install {package} ({error})") from error
    except OSError as error:
        raise MissingError(f"{purpose} needs a library that {package} did not find: {error}") from error


def write_number(picture: Picture, number: int) -> None:
    """Draws a number in the top left corner: white squares for ones."""
    for bit in range(_BITS):
        picture[:_SQUARE, bit * _SQUARE : (bit + 1) * _SQUARE] = 235 if number >> bit & 1 else 16


def read_number(picture: Picture) -> int:
    """The number that write_number drew."""
    middle = picture[_SQUARE // 2, _SQUARE // 2 : _BITS * _SQUARE : _SQUARE].mean(axis=1)
    return sum(1 << bit for bit, level in enumerate(middle) if level > 128)


def test_card(width: int, height: int) -> Iterator[Picture]:
    """Coloured waves that move, numbered."""
    if width < _BITS * _SQUARE or height < _SQUARE:
        raise MissingError(f"the test card needs at least {_BITS * _SQUARE}x{_SQUARE} pixels")
    y, x = np.mgrid[0:height, 0 : width + 256].astype(np.float32)
    channels = [120 + 90 * np.sin(x * a + np.sin(y * b) * 2) for a, b in ((0.024, 0.02), (0.031, 0.013), (0.017, 0.03))]
    wide: Picture = np.stack(channels, axis=2).astype(np.uint8)
    number = 0
    while True:
        left = int(128 + 127 * np.sin(number / 45))
        picture = np.ascontiguousarray(wide[:, left : left + width])
        write_number(picture, number)
        yield picture
        number = (number + 1) % (1 << _BITS)


def camera(device: int | str, width: int, height: int, frame_rate: float) -> Iterator[Picture]:
    """Pictures of a camera, as fast as it gives them."""
    cv2 = optional("cv2", "opencv-python-headless", "a camera")
    capture = cv2.VideoCapture(device)
    if not capture.isOpened():
        raise MissingError(f"OpenCV cannot open the camera {device!r}; `python -m sora_sdk doctor` lists the cameras")
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
    capture.set(cv2.CAP_PROP_FPS, frame_rate)
    try:
        while True:
            taken, picture = capture.read()
            if not taken:
                raise MissingError(f"the camera {device!r} gives no more pictures")
            yield picture
    finally:
        capture.release()


def video_file(path: Path) -> Iterator[Picture]:
    """Pictures of a file, over and over."""
    cv2 = optional("cv2", "opencv-python-headless", "a video file")
    while True:
        capture = cv2.VideoCapture(str(path))
        taken, picture = capture.read()
        if not taken:
            raise MissingError(f"{path}: OpenCV cannot read a video from this file")
        while taken:
            yield picture
            taken, picture = capture.read()
        capture.release()


def melody() -> Iterator[Sound]:
    """Notes that fade, mono."""
    scale, position = 440.0 * 2.0 ** (np.array([0, 3, 5, 7, 10, 12]) / 12), 0
    length = SAMPLE_RATE // 4
    while True:
        t = (np.arange(BLOCK) + position % length) / SAMPLE_RATE
        pitch = scale[position // length * 5 % len(scale)]
        note = 9000 * np.sin(2 * np.pi * pitch * t) * np.exp(-t * 9) * np.minimum(t * 400, 1)
        yield note.astype(np.int16)[:, None]
        position += BLOCK


def sound_file(path: Path) -> Iterator[Sound]:
    """Sound of a file in blocks of 20 ms, over and over; WAV files need no other package."""
    rate, samples = _read_sound(path)
    if rate != SAMPLE_RATE:
        at = np.arange(0, len(samples) - 1, rate / SAMPLE_RATE)
        columns = [np.interp(at, np.arange(len(samples)), samples[:, n]) for n in range(samples.shape[1])]
        samples = np.stack(columns, axis=1).astype(np.int16)
    if not len(samples):
        raise MissingError(f"{path}: no sound in this file")
    position = 0
    while True:
        yield np.take(samples, range(position, position + BLOCK), axis=0, mode="wrap")
        position = (position + BLOCK) % len(samples)


def _read_sound(path: Path) -> tuple[int, Sound]:
    try:
        with wave.open(str(path)) as file:
            if file.getsampwidth() == 2:
                data = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)
                return file.getframerate(), data.reshape(-1, file.getnchannels())
    except (OSError, EOFError) as error:
        raise MissingError(f"{path}: {error}") from error
    except wave.Error:
        pass
    soundfile = optional("soundfile", "soundfile", "a sound file that is not 16 bit WAV")
    try:
        data, rate = soundfile.read(str(path), dtype="int16", always_2d=True)
    except RuntimeError as error:
        raise MissingError(f"{path}: {error}") from error
    return rate, data


def microphone(device: int | str | None) -> Iterator[Sound]:
    """Sound of a microphone in blocks of 20 ms, mono."""
    sounddevice = optional("sounddevice", "sounddevice", "a microphone")
    try:
        stream = sounddevice.InputStream(SAMPLE_RATE, BLOCK, device, channels=1, dtype="int16")
    except (sounddevice.PortAudioError, ValueError) as error:
        raise MissingError(f"no microphone: {error}; `python -m sora_sdk doctor` lists the devices") from error
    with stream:
        while True:
            yield stream.read(BLOCK)[0]


def device(text: str) -> int | str:
    """A device as it was named: numbers are positions in the system's list."""
    return int(text) if text.isdigit() else text


def open_video(what: str, size: tuple[int, int], frame_rate: float) -> tuple[Iterator[Picture], float | None]:
    """Pictures, and the frame rate to send them at if they do not keep one themselves."""
    width, height = size
    if what == "test":
        return test_card(width, height), frame_rate
    if what.startswith("camera"):
        return camera(device(what.removeprefix("camera").lstrip(":") or "0"), width, height, frame_rate), None
    if what.startswith("/dev/"):
        return camera(what, width, height, frame_rate), None
    return video_file(Path(what)), frame_rate


def open_audio(what: str) -> tuple[Iterator[Sound], float | None]:
    """Blocks of 20 ms, and their number per second if they do not come at their own pace."""
    if what == "test":
        return melody(), 50.0
    if what.startswith("microphone"):
        name = what.removeprefix("microphone").lstrip(":")
        return microphone(device(name) if name else None), None
    return sound_file(Path(what)), 50.0


class Feeder:
    """Gives a source what comes from an iterator, on a thread of its own, evenly."""

    def __init__(self, items: Iterable[Any], rate: float | None, give: Callable[[Any], object]) -> None:
        self._items, self._rate, self._give = items, rate, give
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)
        self.count = 0
        self.error: Exception | None = None

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Ends, and waits for it."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(2)

    def _run(self) -> None:
        due = time.monotonic()
        try:
            for item in self._items:
                if self._stop.is_set():
                    return
                self._give(item)
                self.count += 1
                if self._rate is not None:
                    due = max(due + 1 / self._rate, time.monotonic() - 0.2)
                    self._stop.wait(max(0.0, due - time.monotonic()))
        except Exception as error:
            self.error = error
