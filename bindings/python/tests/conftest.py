"""A development server for the whole run, and what the tests share."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import sora_sdk
from sora_sdk import Sora, SoraConnection, SoraMediaTrack

# Whoever started the tests may ignore it, and what is ignored is ignored by children; what is caught is not.
signal.signal(signal.SIGINT, signal.default_int_handler)

DEADLINE_S = 15.0


@pytest.fixture(scope="session")
def server_urls() -> Iterator[dict[str, str]]:
    """URLs of a development server."""
    binary = os.environ.get("SORA_DEVSERVER")
    if binary is None:
        pytest.fail("SORA_DEVSERVER names no server binary; run the tests with `cargo xtask test`")
    server = subprocess.Popen(
        [binary, "--listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    yield json.loads(server.stdout.readline())
    server.terminate()
    assert server.wait(DEADLINE_S) == 0
    server.stdout.close()


@pytest.fixture(scope="session")
def url(server_urls: dict[str, str]) -> str:
    """Signaling URL of the development server."""
    return server_urls["signaling_url"]


@pytest.fixture
def channel(request: pytest.FixtureRequest) -> str:
    """A channel of the test's own."""
    return f"{request.node.name}-{os.getpid()}"[:200]


def wait_until(condition: Callable[[], object], what: str = "the condition", limit: float = DEADLINE_S) -> None:
    """Waits until the condition holds, or fails."""
    deadline = time.monotonic() + limit
    gate = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come about in {limit} s"
        gate.wait(0.005)


@dataclass
class Client:
    """A connection that remembers everything it is told."""

    connection: SoraConnection
    events: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)
    tracks: list[SoraMediaTrack] = field(default_factory=list)
    connection_id: str = ""

    NAMES = (
        "on_set_offer on_disconnect on_notify on_push on_message on_switched on_track on_data_channel "
        "on_ws_close on_signaling_message"
    ).split()

    def listen(self) -> None:
        for name in self.NAMES:
            setattr(self.connection, name, self._recorder(name))

    def _recorder(self, name: str) -> Callable[..., None]:
        def record(*args: Any) -> None:
            if name == "on_set_offer":
                self.connection_id = json.loads(args[0])["connection_id"]
            if name == "on_track":
                self.tracks.append(args[0])
            self.events.append((name, args))

        return record

    def named(self, name: str) -> list[tuple[Any, ...]]:
        return [args for event, args in list(self.events) if event == name]

    def notified(self, event_type: str) -> list[dict[str, Any]]:
        messages = [json.loads(text) for (text,) in self.named("on_notify")]
        return [message for message in messages if message["event_type"] == event_type]

    def is_connected(self) -> bool:
        return any(m["connection_id"] == self.connection_id for m in self.notified("connection.created"))

    def connect(self) -> Client:
        self.connection.connect()
        wait_until(lambda: self.is_connected() or self.named("on_disconnect"), "the connection")
        assert not self.named("on_disconnect"), self.named("on_disconnect")
        return self


@pytest.fixture
def make_client(url: str, channel: str) -> Iterator[Callable[..., Client]]:
    """Makes clients of the test's channel; they are disconnected at the end."""
    clients: list[Client] = []

    def make(role: str = "sendrecv", sora: Sora | None = None, **options: Any) -> Client:
        options.setdefault("signaling_urls", [url])
        options.setdefault("channel_id", channel)
        connection = (sora or Sora()).create_connection(role=role, **options)
        client = Client(connection)
        client.listen()
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.connection.disconnect()


def picture(number: int = 0, width: int = 320, height: int = 240) -> npt.NDArray[np.uint8]:
    """A smooth picture that moves with its number."""
    x = np.arange(width)[None, :] + number * 3
    y = np.arange(height)[:, None]
    wave = (128 + 90 * np.sin(x * 0.03 + y * 0.02)).astype(np.uint8)
    return np.ascontiguousarray(np.stack([wave, wave // 2 + 60, 255 - wave], axis=2))


def tone(start: int, samples: int, rate: int = 48_000, frequency: float = 440.0) -> npt.NDArray[np.int16]:
    """A sine, one channel."""
    t = (np.arange(samples) + start) / rate
    return (np.sin(2 * np.pi * frequency * t) * 8000).astype(np.int16)[:, None]


class Feeder:
    """Feeds a video and an audio source until it is stopped."""

    def __init__(
        self,
        video: sora_sdk.SoraVideoSource | None,
        audio: sora_sdk.SoraAudioSource | None,
        size: tuple[int, int] = (320, 240),
    ) -> None:
        self._video, self._audio, self._size = video, audio, size
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.frames = 0

    def _run(self) -> None:
        pictures = [picture(n, *self._size) for n in range(30)]
        while not self._stop.wait(0.02):
            if self._video is not None:
                self._video.on_captured(pictures[self.frames % 30])
            if self._audio is not None:
                self._audio.on_data(tone(self.frames * 960, 960))
            self.frames += 1

    def __enter__(self) -> Feeder:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def run_script(script: str, *arguments: str, limit: float = 30.0) -> subprocess.CompletedProcess[str]:
    """Runs a script in an interpreter of its own."""
    return subprocess.run(
        [sys.executable, "-X", "dev", "-c", script, *arguments], capture_output=True, text=True, timeout=limit
    )
