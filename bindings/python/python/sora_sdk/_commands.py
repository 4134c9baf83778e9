"""send, recv and stats of the command line."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
import wave
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Literal

from . import Sora, SoraTrackInterface, aio
from ._errors import SoraConnectionError
from ._media import BLOCK, SAMPLE_RATE, Feeder, MissingError, open_audio, open_video, optional


def _connection(
    options: argparse.Namespace, role: Literal["sendonly", "recvonly"], sora: Sora, **more: Any
) -> aio.Connection:
    ca_cert = None if options.ca_cert is None else Path(options.ca_cert)
    return aio.Connection(
        options.url,
        options.channel,
        role,
        sora=sora,
        metadata=options.metadata,
        client_id=options.client_id,
        insecure=options.insecure or None,
        ca_cert=ca_cert,
        **more,
    )


def _say(text: str) -> None:
    print(text, flush=True)


def _run(work: Coroutine[Any, Any, None], seconds: float | None) -> int:
    async def limited() -> None:
        try:
            await asyncio.wait_for(work, seconds)
        except asyncio.TimeoutError:
            pass

    asyncio.run(limited())
    return 0


async def _until_it_ends(connection: aio.Connection) -> None:
    ended = await connection.ended()
    raise SoraConnectionError(ended.code, ended.reason)


async def _with_end(connection: aio.Connection, *work: Coroutine[Any, Any, None]) -> None:
    """Runs until the connection ends or one of the others does."""
    tasks = [asyncio.ensure_future(one) for one in (_until_it_ends(connection), *work)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def send(options: argparse.Namespace) -> int:
    """python -m sora_sdk send"""
    sora, feeders = Sora(openh264=options.openh264), dict[str, Feeder]()
    sources: dict[str, SoraTrackInterface] = {}
    if options.video != "none":
        pictures, rate = open_video(options.video, options.size, options.frame_rate)
        camera = sora.create_video_source()
        sources["video_source"] = camera
        feeders["pictures"] = Feeder(pictures, rate, camera.on_captured)
    if options.audio != "none":
        sound, rate = open_audio(options.audio)
        first = next(sound)
        microphone = sora.create_audio_source(first.shape[1], SAMPLE_RATE)
        sources["audio_source"] = microphone
        feeders["blocks of sound"] = Feeder(sound, rate, microphone.on_data)
    if not feeders:
        raise MissingError("--video none and --audio none leave nothing to send")

    async def report(connection: aio.Connection) -> None:
        while True:
            await asyncio.sleep(1)
            for feeder in feeders.values():
                if feeder.error is not None:
                    raise feeder.error
            sent = [one for one in await connection.stats() if one["type"] == "outbound-rtp"]
            kilobytes = sum(one.get("bytesSent", 0) for one in sent) / 1000
            given = ", ".join(f"{feeder.count} {name}" for name, feeder in feeders.items())
            _say(f"given: {given}; sent: {kilobytes:.0f} kB")

    async def work() -> None:
        more: dict[str, Any] = {"simulcast": options.simulcast or None, "video_bit_rate": options.bit_rate, **sources}
        if "video_source" in sources:
            more["video_codec_type"] = options.codec
        else:
            more["video"] = False
        if "audio_source" not in sources:
            more["audio"] = False
        async with _connection(options, "sendonly", sora, **more) as connection:
            _say(f"connected as {connection.connection_id}")
            for feeder in feeders.values():
                feeder.start()
            await _with_end(connection, report(connection))

    try:
        status = _run(work(), options.seconds)
    finally:
        for feeder in feeders.values():
            feeder.stop()
    for error in (feeder.error for feeder in feeders.values() if feeder.error is not None):
        raise error
    return status


def free_path(path: Path) -> Path:
    """The path, or one with a number if there is such a file: an earlier recording."""
    number, free = 2, path
    while free.exists():
        free, number = path.with_stem(f"{path.stem}-{number}"), number + 1
    return free


class _Video:
    """What is done with the pictures of a track."""

    def __init__(self, options: argparse.Namespace, name: str) -> None:
        self._cv2 = optional("cv2", "opencv-python", "--show") if options.show else None
        self._folder = None if options.record is None else Path(options.record)
        self._name, self._size = name, (0, 0)
        self._writer: Any = None
        if self._folder is not None:
            self._cv2 = optional("cv2", "opencv-python-headless", "--record of pictures")

    def take(self, frame: Any) -> None:
        picture = frame.data()
        if self._folder is not None:
            self._write(picture)
        elif self._cv2 is not None:
            self._cv2.imshow(self._name, picture)
            self._cv2.waitKey(1)

    def _write(self, picture: Any) -> None:
        assert self._cv2 is not None and self._folder is not None
        if self._writer is None:
            # A video file has one size and one frame rate.
            self._size = picture.shape[1], picture.shape[0]
            four = self._cv2.VideoWriter_fourcc(*"mp4v")
            file = free_path(self._folder / f"{self._name}.mp4")
            self._writer = self._cv2.VideoWriter(str(file), four, 30.0, self._size)
        if (picture.shape[1], picture.shape[0]) != self._size:
            picture = self._cv2.resize(picture, self._size)
        self._writer.write(picture)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.release()


class _Audio:
    """What is done with the sound of a track: 48 kHz, stereo."""

    def __init__(self, options: argparse.Namespace, name: str) -> None:
        self._file, self._speaker = None, None
        if options.record is not None:
            self._file = wave.open(str(free_path(Path(options.record) / f"{name}.wav")), "wb")
            self._file.setparams((2, 2, SAMPLE_RATE, 0, "NONE", "not compressed"))
        if options.play:
            sounddevice = optional("sounddevice", "sounddevice", "--play")
            self._speaker = sounddevice.OutputStream(SAMPLE_RATE, BLOCK, channels=2, dtype="int16")
            self._speaker.start()

    def take(self, frame: Any) -> None:
        samples = frame.data()
        if self._file is not None:
            self._file.writeframes(samples.astype("<i2").tobytes())
        if self._speaker is not None and self._speaker.write_available >= len(samples):
            self._speaker.write(samples)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        if self._speaker is not None:
            self._speaker.close()


def receive(options: argparse.Namespace) -> int:
    """python -m sora_sdk recv"""
    if options.record is not None:
        Path(options.record).mkdir(parents=True, exist_ok=True)
    counts: dict[str, int] = {}
    failed: list[asyncio.Task[None]] = []

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            print(f"sora_sdk: {error}", file=sys.stderr)
            failed.append(task)

    async def take(track: aio.Track, number: int) -> None:
        name = f"{track.stream_id}-{number}-{track.kind}"
        if track.kind == "video":
            sink: Any = _Video(options, name)
            frames: aio.Stream[Any] = track.video(limit=30 if options.record else 2)
        else:
            sink = _Audio(options, name)
            frames = track.audio(sample_rate=SAMPLE_RATE, channels=2)
        try:
            async for frame in frames:
                counts[name] = counts.get(name, 0) + 1
                sink.take(frame)
        finally:
            frames.close()
            sink.close()

    async def report() -> None:
        while True:
            await asyncio.sleep(1)
            _say("received: " + (", ".join(f"{n}: {count}" for n, count in counts.items()) or "nothing yet"))

    async def tracks(connection: aio.Connection) -> None:
        taking: list[asyncio.Task[None]] = []
        try:
            async for track in connection.tracks():
                _say(f"track: {track.kind} of {track.stream_id}")
                taking.append(asyncio.ensure_future(take(track, len(taking))))
                taking[-1].add_done_callback(ended)
        finally:
            for task in taking:
                task.cancel()
            await asyncio.gather(*taking, return_exceptions=True)

    async def work() -> None:
        async with _connection(options, "recvonly", Sora(openh264=options.openh264)) as connection:
            _say(f"connected as {connection.connection_id}")
            await _with_end(connection, tracks(connection), report())

    status = _run(work(), options.seconds)
    return 1 if failed else status


def stats(options: argparse.Namespace) -> int:
    """python -m sora_sdk stats"""

    def line(now: dict[str, dict[str, Any]], before: dict[str, dict[str, Any]], seconds: float) -> str:
        words: list[str] = []
        for key, one in now.items():
            if one["type"] != "inbound-rtp":
                continue
            bits = (one.get("bytesReceived", 0) - before.get(key, {}).get("bytesReceived", 0)) * 8 / seconds
            size = f" {one['frameWidth']}x{one['frameHeight']}" if one.get("frameWidth") else ""
            lost = one.get("packetsLost", 0)
            words.append(f"{one.get('kind')} {one.get('ssrc')}{size} {bits / 1000:.0f} kbit/s, {lost} lost")
        pairs = [one for one in now.values() if one["type"] == "candidate-pair" and one.get("nominated")]
        trip = pairs[0].get("currentRoundTripTime") if pairs else None
        words.append("round trip unknown" if trip is None else f"round trip {trip * 1000:.1f} ms")
        return "; ".join(words)

    async def watch(connection: aio.Connection) -> None:
        before: dict[str, dict[str, Any]] = {}
        last = time.monotonic()
        while True:
            await asyncio.sleep(options.interval)
            reports = await connection.stats()
            now, at = {one["id"]: one for one in reports}, time.monotonic()
            _say(json.dumps(reports) if options.json else line(now, before, at - last))
            before, last = now, at

    async def work() -> None:
        async with _connection(options, "recvonly", Sora(openh264=options.openh264)) as connection:
            await _with_end(connection, watch(connection))

    return _run(work(), options.seconds)
