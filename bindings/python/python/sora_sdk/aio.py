"""asyncio: connections with `async with`, frames and messages with `async for`.

The objects underneath are those of `sora_sdk`; each wrapper has its as `native`. Nothing here blocks the event loop:
what may take long runs in its default executor. Everything is used from the loop it was made in.

    from sora_sdk import aio

    async with aio.Connection("wss://sora.example.com/signaling", "channel", role="recvonly") as connection:
        async for track in connection.tracks():
            if track.kind == "video":
                async for frame in track:
                    show(frame.data())
"""

from __future__ import annotations

import asyncio
import json
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from ._enums import SoraSignalingErrorCode, SoraTrackState
from ._errors import SoraClosedError, SoraConnectionError, SoraHandshakeError, SoraSendError, SoraTimeoutError
from ._stream import Broadcast, Stream
from .sora_sdk_ext import (
    Sora,
    SoraAudioFrame,
    SoraAudioSource,
    SoraAudioStreamSink,
    SoraConnection,
    SoraMediaTrack,
    SoraTrackInterface,
    SoraVideoFrame,
    SoraVideoSink,
    SoraVideoSource,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from typing_extensions import Unpack

    from ._options import ConnectionOptions

__all__ = ["AudioSource", "Connection", "Ended", "Message", "Stream", "Track", "VideoSource"]

#: Messages, notifications and pushes that wait for whoever reads them.
_EVENTS = 1024
#: Video frames that wait: the one that is shown next, and one more.
_PICTURES = 2
#: Audio frames of 10 ms that wait.
_SOUNDS = 100


class Message(NamedTuple):
    """A message of a data channel."""

    label: str
    data: bytes


class Ended(NamedTuple):
    """How a connection ended."""

    code: SoraSignalingErrorCode
    reason: str


class Track:
    """A received track. `async for frame in track` gives its frames; a slow loop misses the oldest."""

    def __init__(self, native: SoraMediaTrack, ends_with: Callable[[Stream[Any]], None]) -> None:
        self.native = native
        self._ends_with = ends_with

    @property
    def kind(self) -> Literal["audio", "video"]:
        """audio or video."""
        return self.native.kind

    @property
    def id(self) -> str:
        """The track's id."""
        return self.native.id

    @property
    def stream_id(self) -> str:
        """The id of its stream, which is the sender's connection id."""
        return self.native.stream_id

    @property
    def state(self) -> SoraTrackState:
        """Whether it is live."""
        return self.native.state

    def __repr__(self) -> str:
        return f"<{self.kind} track of {self.stream_id}>"

    def __aiter__(self) -> AsyncIterator[Any]:
        return self.video() if self.kind == "video" else self.audio()

    def video(self, limit: int = _PICTURES) -> Stream[SoraVideoFrame]:
        """Its pictures, of which at most `limit` wait. TypeError if it is an audio track."""
        sink = SoraVideoSink(self.native)

        def close() -> None:
            sink.on_frame = None

        stream: Stream[SoraVideoFrame] = Stream(limit, close)
        sink.on_frame = stream._put
        self._ends_with(stream)
        return stream

    def audio(self, limit: int = _SOUNDS, sample_rate: int = -1, channels: int = 0) -> Stream[SoraAudioFrame]:
        """Its sound in frames of 10 ms, of which at most `limit` wait. TypeError if it is a video track.

        sample_rate in Hz, -1 for that of the track; channels, 0 for those of the track.
        """
        sink = SoraAudioStreamSink(self.native, sample_rate, channels)

        def close() -> None:
            sink.on_frame = None

        stream: Stream[SoraAudioFrame] = Stream(limit, close)
        sink.on_frame = stream._put
        self._ends_with(stream)
        return stream


class _Pace:
    """Holds a sender back to real time. Who is late does not catch up by a burst."""

    def __init__(self, lead: float) -> None:
        self._lead = lead
        self._due: float | None = None

    async def sent(self, seconds: float) -> None:
        now = asyncio.get_running_loop().time()
        self._due = (now if self._due is None or self._due < now else self._due) + seconds
        await asyncio.sleep(max(0.0, self._due - now - self._lead))


class VideoSource:
    """Pictures from the program. send() comes back when the next picture is due.

    frame_rate in pictures per second; None leaves the pace to the program.
    """

    def __init__(self, frame_rate: float | None = 30.0, *, sora: Sora | None = None) -> None:
        if frame_rate is not None and not 0 < frame_rate <= 1000:
            raise ValueError(f"expected more than 0 and at most 1000 pictures per second, got {frame_rate}")
        self.native: SoraVideoSource = (sora or Sora()).create_video_source()
        self._interval = None if frame_rate is None else 1 / frame_rate
        self._pace = _Pace(lead=0.0)

    async def send(self, picture: npt.NDArray[np.uint8], timestamp: float | None = None) -> None:
        """Sends a BGR picture, an array of shape (height, width, 3). timestamp is its capture time in seconds.

        The picture has been copied when this returns, whether it returns or is cancelled.
        """
        self.native.on_captured(picture, timestamp)
        if self._interval is not None:
            await self._pace.sent(self._interval)
        else:
            await asyncio.sleep(0)


class AudioSource:
    """Sound from the program. send() comes back when the next block is due, up to `lead` seconds before the sound is over.

    channels from 1 to 8, sample_rate from 8000 to 192000 Hz.
    """

    def __init__(
        self, channels: int = 1, sample_rate: int = 48_000, *, lead: float = 0.04, sora: Sora | None = None
    ) -> None:
        if not 0 <= lead <= 1:
            raise ValueError(f"lead must be from 0 to 1 second, got {lead}")
        self.native: SoraAudioSource = (sora or Sora()).create_audio_source(channels, sample_rate)
        self._sample_rate = sample_rate
        self._pace = _Pace(lead)

    async def send(self, samples: npt.NDArray[np.int16]) -> None:
        """Sends sound, an int16 array of shape (samples per channel, channels), of any length."""
        self.native.on_data(samples)
        await self._pace.sent(len(samples) / self._sample_rate)


def _native(source: VideoSource | AudioSource | SoraTrackInterface | None) -> SoraTrackInterface | None:
    return source.native if isinstance(source, (VideoSource, AudioSource)) else source


def _complete(future: asyncio.Future[Any], result: Any) -> None:
    if not future.done():
        future.set_result(result)


class Connection:
    """A connection to a channel of Sora, open inside of `async with`.

    Entering waits until the server says that the connection is there, and raises SoraConnectionError (of which
    SoraHandshakeError is one) or SoraTimeoutError if that does not happen. Leaving disconnects, also when cancelled.

    signaling_urls is one URL or several to try; the other arguments are those of `Sora.create_connection`, and sources
    may be those of this module. timeout is how long to wait for the connection, in seconds.
    """

    def __init__(
        self,
        signaling_urls: str | Sequence[str],
        channel_id: str,
        role: Literal["sendrecv", "sendonly", "recvonly"] = "sendrecv",
        *,
        sora: Sora | None = None,
        audio_source: AudioSource | SoraTrackInterface | None = None,
        video_source: VideoSource | SoraTrackInterface | None = None,
        timeout: float = 30.0,
        **options: Unpack[ConnectionOptions],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeout = timeout
        urls = [signaling_urls] if isinstance(signaling_urls, str) else list(signaling_urls)
        self.native: SoraConnection = (sora or Sora()).create_connection(
            signaling_urls=urls,
            role=role,
            channel_id=channel_id,
            audio_source=_native(audio_source),
            video_source=_native(video_source),
            **options,
        )
        self._connected: asyncio.Future[bool] = self._loop.create_future()
        self._ended: asyncio.Future[Ended] = self._loop.create_future()
        self._lock = threading.Lock()
        self._connection_id: str | None = None
        self._opened: dict[str, asyncio.Event] = {}
        self._leaving = False
        self._tracks: Broadcast[Track] = Broadcast(_EVENTS, keep=True)
        self._messages: Broadcast[Message] = Broadcast(_EVENTS)
        self._notifications: Broadcast[dict[str, Any]] = Broadcast(_EVENTS)
        self._pushes: Broadcast[dict[str, Any]] = Broadcast(_EVENTS)
        self._streams: weakref.WeakSet[Stream[Any]] = weakref.WeakSet()
        self._listen()

    def _listen(self) -> None:
        native = self.native
        native.on_set_offer = self._on_set_offer
        native.on_notify = self._on_notify
        native.on_push = self._on_push
        native.on_switched = lambda text: self._soon(_complete, self._connected, True)
        native.on_message = lambda label, data: self._messages.put(Message(label, data))
        native.on_data_channel = lambda label: self._soon(self._open, label)
        native.on_track = self._on_track
        native.on_disconnect = self._on_disconnect

    def _soon(self, call: Callable[..., object], *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:
            # The loop has been closed: there is nobody to tell.
            pass

    # Callbacks, on a native thread.

    def _on_set_offer(self, text: str) -> None:
        self._connection_id = json.loads(text).get("connection_id")

    def _on_notify(self, text: str) -> None:
        message = json.loads(text)
        created = message.get("event_type") == "connection.created"
        if created and message.get("connection_id") == self._connection_id:
            self._soon(_complete, self._connected, True)
        self._notifications.put(message)

    def _on_push(self, text: str) -> None:
        self._pushes.put(json.loads(text))

    def _on_track(self, native: SoraMediaTrack) -> None:
        self._tracks.put(Track(native, self._end_with_me))

    def _on_disconnect(self, code: SoraSignalingErrorCode, reason: str) -> None:
        ended = Ended(code, reason)
        orderly = self._leaving or code == SoraSignalingErrorCode.CLOSE_SUCCEEDED
        error = None if orderly else SoraConnectionError(code, reason)
        with self._lock:
            streams, self._streams = list(self._streams), weakref.WeakSet()
        for stream in streams:
            stream._end(error)
        for broadcast in (self._tracks, self._messages, self._notifications, self._pushes):
            broadcast.end(error)
        self._soon(self._finish, ended)

    def _finish(self, ended: Ended) -> None:
        _complete(self._ended, ended)
        _complete(self._connected, False)
        for event in self._opened.values():
            event.set()

    def _open(self, label: str) -> None:
        self._opened.setdefault(label, asyncio.Event()).set()

    def _end_with_me(self, stream: Stream[Any]) -> None:
        with self._lock:
            if not self._ended.done():
                self._streams.add(stream)
                return
        stream._end(None)

    # For the program.

    async def __aenter__(self) -> Connection:
        try:
            self.native.connect()
            await self.connected(self._timeout)
        except BaseException:
            await self.disconnect()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.disconnect()

    async def connected(self, timeout: float | None = None) -> None:
        """Waits until the connection is there."""
        try:
            there = await asyncio.wait_for(asyncio.shield(self._connected), timeout)
        except asyncio.TimeoutError:
            raise SoraTimeoutError(f"not connected within {timeout} s") from None
        if there:
            self._check_open()
        else:
            code, reason = self._ended.result()
            refused = code in (
                SoraSignalingErrorCode.INVALID_PARAMETER,
                SoraSignalingErrorCode.WEBSOCKET_HANDSHAKE_FAILED,
                SoraSignalingErrorCode.WEBSOCKET_ONCLOSE,
            )
            raise (SoraHandshakeError if refused else SoraConnectionError)(code, reason)

    async def ended(self) -> Ended:
        """Waits until the connection has ended, and tells how."""
        return await asyncio.shield(self._ended)

    async def disconnect(self) -> None:
        """Ends the connection. Every stream ends; it does not matter if it has ended already."""
        self._leaving = True
        leaving = self._loop.run_in_executor(None, self.native.disconnect)
        try:
            await asyncio.shield(leaving)
        except asyncio.CancelledError:
            # It does not take long and nobody else would do it.
            await leaving
            raise
        finally:
            if not self._ended.done():
                self._on_disconnect(SoraSignalingErrorCode.CLOSE_SUCCEEDED, "disconnected")

    @property
    def connection_id(self) -> str | None:
        """The id the server gave this connection."""
        return self._connection_id

    def tracks(self) -> Stream[Track]:
        """The received tracks: those that are there and those that come."""
        return self._tracks.stream()

    def messages(self, limit: int = _EVENTS) -> Stream[Message]:
        """Messages of all data channels. What came before the first call is kept for it, up to 1024 of them."""
        return self._messages.stream(limit)

    def notifications(self, limit: int = _EVENTS) -> Stream[dict[str, Any]]:
        """What the server notifies of, as dicts: who came, who left, who speaks."""
        return self._notifications.stream(limit)

    def pushes(self, limit: int = _EVENTS) -> Stream[dict[str, Any]]:
        """What is pushed through the server's API, as dicts."""
        return self._pushes.stream(limit)

    async def data_channel(self, label: str, timeout: float | None = 10.0) -> None:
        """Waits until the data channel with this label is open."""
        event = self._opened.setdefault(label, asyncio.Event())
        try:
            if not self._ended.done():
                await asyncio.wait_for(event.wait(), timeout)
        except asyncio.TimeoutError:
            raise SoraTimeoutError(f"the server has not opened the data channel {label!r} within {timeout} s") from None
        self._check_open()

    async def send(self, label: str, data: bytes) -> None:
        """Sends a message on a data channel, once that is open."""
        if not self._opened.setdefault(label, asyncio.Event()).is_set():
            await self.data_channel(label)
        self._check_open()
        if not self.native.send_data_channel(label, data):
            raise SoraSendError(f"{len(data)} bytes on the data channel {label!r} were not taken")

    def _check_open(self) -> None:
        if self._ended.done():
            raise SoraClosedError("the connection has ended: {}: {}".format(*self._ended.result()))

    async def stats(self) -> list[dict[str, Any]]:
        """The statistics of the peer connection, as in W3C webrtc-stats."""
        text = await self._loop.run_in_executor(None, self.native.get_stats)
        return cast("list[dict[str, Any]]", json.loads(text))
