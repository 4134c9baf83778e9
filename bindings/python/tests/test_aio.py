"""sora_sdk.aio: connections, streams and sources in an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import threading
import time
import weakref
from collections.abc import Coroutine
from typing import Any

import numpy as np
import pytest
from conftest import DEADLINE_S, picture, tone

from sora_sdk import (
    SoraAudioFrame,
    SoraClosedError,
    SoraConnectionError,
    SoraError,
    SoraHandshakeError,
    SoraSendError,
    SoraSignalingErrorCode,
    SoraTimeoutError,
    SoraVideoFrame,
    aio,
)

CHANNELS = [{"label": "#chat", "direction": "sendrecv"}]


def run(main: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        await asyncio.wait_for(main, DEADLINE_S)

    asyncio.run(limited(), debug=True)


def test_pictures_and_sound_from_one_to_the_other(url: str, channel: str) -> None:
    async def main() -> None:
        camera, microphone = aio.VideoSource(frame_rate=30), aio.AudioSource(channels=1, sample_rate=48_000)

        async def send() -> None:
            async def pictures() -> None:
                for number in range(1000):
                    await camera.send(picture(number))

            async def sound() -> None:
                for number in range(1000):
                    await microphone.send(tone(number * 960, 960))

            await asyncio.gather(pictures(), sound())

        seen: dict[str, Any] = {}

        async def watch(track: aio.Track) -> None:
            assert track.stream_id == sender.connection_id
            async for frame in track:
                seen[track.kind] = frame
                if track.kind == "video" or np.abs(frame.data()).max() > 4000:
                    return

        async with aio.Connection(url, channel, "recvonly") as receiver:
            options = {"audio_source": microphone, "video_source": camera}
            async with aio.Connection([url], channel, "sendonly", **options) as sender:  # type: ignore[arg-type]
                sending = asyncio.ensure_future(send())
                watching = []
                async for track in receiver.tracks():
                    watching.append(asyncio.ensure_future(watch(track)))
                    if len(watching) == 2:
                        break
                await asyncio.gather(*watching)
                stats = await sender.stats()
                assert {"outbound-rtp", "transport"} <= {one["type"] for one in stats}
                sending.cancel()
        assert isinstance(seen["video"], SoraVideoFrame) and isinstance(seen["audio"], SoraAudioFrame)
        assert seen["video"].data().shape == (240, 320, 3)
        assert await sender.ended() == (SoraSignalingErrorCode.CLOSE_SUCCEEDED, (await sender.ended()).reason)

    run(main())


def test_messages_and_notifications(url: str, channel: str) -> None:
    async def main() -> None:
        options: Any = {"audio": False, "video": False, "data_channels": CHANNELS, "data_channel_signaling": True}
        async with aio.Connection(url, channel, **options) as one, aio.Connection(url, channel, **options) as other:
            await asyncio.gather(one.data_channel("#chat"), other.data_channel("#chat"))
            for number in range(20):
                await one.send("#chat", b"%d" % number)
            # None of those that came before anybody asked is missing.
            messages = other.messages()
            assert [(await messages.__anext__()).data for _ in range(20)] == [b"%d" % n for n in range(20)]
            async for notification in one.notifications():
                if notification["event_type"] == "connection.created":
                    assert notification["connection_id"] == one.connection_id
                    break
            with pytest.raises(SoraTimeoutError, match="#other"):
                await one.data_channel("#other", timeout=0.05)
            with pytest.raises(SoraSendError):
                one._open("#other")
                await one.send("#other", b"nowhere")
        with pytest.raises(SoraClosedError):
            await one.send("#chat", b"too late")
        # Streams of a connection that was left end without an error.
        assert [message async for message in messages] == []

    run(main())


def test_who_is_not_let_in_gets_an_exception() -> None:
    async def main() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
            with pytest.raises(SoraHandshakeError) as raised:
                async with aio.Connection(f"ws://127.0.0.1:{port}/signaling", "nobody"):
                    pytest.fail("there is no server")
        assert raised.value.code == SoraSignalingErrorCode.WEBSOCKET_HANDSHAKE_FAILED
        assert isinstance(raised.value, (SoraError, ConnectionError)) and raised.value.reason in str(raised.value)

    run(main())


@pytest.fixture
def silent() -> Any:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"ws://127.0.0.1:{server.getsockname()[1]}/signaling"


def test_a_server_that_says_nothing_is_a_timeout(silent: str) -> None:
    async def main() -> None:
        started = time.monotonic()
        with pytest.raises(SoraTimeoutError, match="0.2 s"):
            async with aio.Connection(silent, "nobody", timeout=0.2):
                pytest.fail("it never answered")
        assert time.monotonic() - started < 5

    run(main())


def test_cancelling_cleans_up(url: str, silent: str, channel: str) -> None:
    async def main() -> None:
        async def enter(where: str, entered: asyncio.Event) -> None:
            async with aio.Connection(where, channel) as connection:
                entered.set()
                async for _ in connection.messages():
                    pytest.fail("nobody sends")

        waiting = asyncio.ensure_future(enter(silent, asyncio.Event()))
        await asyncio.sleep(0)
        entered = asyncio.Event()
        inside = asyncio.ensure_future(enter(url, entered))
        await entered.wait()
        for task in (waiting, inside):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        async with aio.Connection(url, channel) as after:
            async for notification in after.notifications():
                if notification["event_type"] == "connection.created":
                    assert notification["channel_connections"] == 1
                    return

    run(main())


def test_a_connection_that_breaks_ends_its_streams_with_an_error(url: str, channel: str) -> None:
    async def main() -> None:
        async with aio.Connection(url, channel) as connection:
            waiting = asyncio.ensure_future(connection.messages().__anext__())
            await asyncio.sleep(0)
            # What the native half would report.
            connection._on_disconnect(SoraSignalingErrorCode.PEER_CONNECTION_STATE_FAILED, "gone")
            with pytest.raises(SoraConnectionError, match="gone"):
                await waiting
            with pytest.raises(SoraConnectionError, match="gone"):
                await connection.pushes().__anext__()
            assert (await connection.ended()).reason == "gone"

    run(main())


def test_a_slow_reader_misses_the_oldest() -> None:
    async def main() -> None:
        stream: aio.Stream[int] = aio.Stream(3)
        for number in range(10):
            stream._put(number)
        stream.close()
        assert [number async for number in stream] == [7, 8, 9]
        assert stream.dropped == 7
        with pytest.raises(ValueError, match="at least 1"):
            aio.Stream(0)

    run(main())


def test_items_from_threads_reach_every_waiting_task_once() -> None:
    async def main() -> None:
        stream: aio.Stream[int] = aio.Stream(100_000)
        taken: list[int] = []

        async def take() -> None:
            async for number in stream:
                taken.append(number)
                await asyncio.sleep(0)

        tasks = [asyncio.ensure_future(take()) for _ in range(5)]
        cancelled = [asyncio.ensure_future(take()) for _ in range(5)]
        threads = [
            threading.Thread(target=lambda n=n: [stream._put(n * 1000 + i) for i in range(1000)]) for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for task in cancelled:
            await asyncio.sleep(0.001)
            task.cancel()
        for thread in threads:
            await asyncio.get_running_loop().run_in_executor(None, thread.join)
        stream.close()
        await asyncio.gather(*tasks)
        assert sorted(taken) == list(range(4000)) and stream.dropped == 0

    run(main())


def test_the_pace_is_kept() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        camera, microphone = aio.VideoSource(frame_rate=50), aio.AudioSource(2, 16_000, lead=0.1)
        started = loop.time()
        for _ in range(10):
            await camera.send(picture())
        assert 0.19 <= loop.time() - started
        started = loop.time()
        for _ in range(30):
            await microphone.send(np.zeros((160, 2), np.int16))
        assert 0.19 <= loop.time() - started
        free = aio.VideoSource(frame_rate=None)
        await free.send(picture(), timestamp=1.0)
        for wrong in (0, -1, 2000):
            with pytest.raises(ValueError, match="pictures per second"):
                aio.VideoSource(frame_rate=wrong)

    run(main())


def test_nothing_is_left_of_a_connection(url: str, channel: str) -> None:
    async def main() -> weakref.ref[aio.Connection]:
        async with aio.Connection(url, channel, "recvonly") as connection:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(connection.tracks().__anext__(), 0.01)
        return weakref.ref(connection)

    left = asyncio.run(main())
    gc.collect()
    assert left() is None
