"""From native threads into an event loop, through queues with a limit."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Generic, TypeVar

T = TypeVar("T")

__all__ = ["Broadcast", "Stream"]


class Stream(AsyncIterator[T], Generic[T]):
    """Items in their order. If they come faster than they are taken, the oldest are dropped.

    Several tasks may iterate over one stream: each item goes to one of them.
    """

    def __init__(self, limit: int, on_close: Callable[[], None] | None = None) -> None:
        if limit < 1:
            raise ValueError(f"the limit must be at least 1, got {limit}")
        self._loop = asyncio.get_running_loop()
        self._items: deque[T] = deque()
        self._limit = limit
        self._lock = threading.Lock()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._wake_is_due = False
        self._on_close = on_close
        self._error: Exception | None = None
        self._ended = False
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """How many items were dropped because nobody took them in time."""
        return self._dropped

    def __aiter__(self) -> Stream[T]:
        return self

    async def __anext__(self) -> T:
        while True:
            with self._lock:
                if self._items:
                    return self._items.popleft()
                if self._ended:
                    if self._error is not None:
                        raise self._error
                    raise StopAsyncIteration
                waiter = self._loop.create_future()
                self._waiting.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                with self._lock:
                    if waiter in self._waiting:
                        self._waiting.remove(waiter)
                    else:
                        # It was woken for an item that it will not take: the next one may.
                        self._schedule_wake()
                raise

    def close(self) -> None:
        """Ends the stream: what is in it can still be taken, nothing comes after."""
        self._end(None)

    async def aclose(self) -> None:
        """Like close(), for contextlib.aclosing()."""
        self.close()

    def _put(self, item: T) -> None:
        """Takes an item, on any thread."""
        with self._lock:
            if self._ended:
                return
            if len(self._items) >= self._limit:
                self._items.popleft()
                self._dropped += 1
            self._items.append(item)
            self._schedule_wake()

    def _end(self, error: Exception | None) -> None:
        """Ends the stream, on any thread. What is in it can still be taken."""
        with self._lock:
            if self._ended:
                return
            self._ended, self._error = True, error
            self._schedule_wake()
            on_close, self._on_close = self._on_close, None
        if on_close is not None:
            on_close()

    def _schedule_wake(self) -> None:
        if self._wake_is_due:
            return
        try:
            self._loop.call_soon_threadsafe(self._wake)
            self._wake_is_due = True
        except RuntimeError:
            # The loop is closed: nobody can be waiting.
            pass

    def _wake(self) -> None:
        with self._lock:
            self._wake_is_due = False
            count = len(self._waiting) if self._ended else len(self._items)
            woken = [self._waiting.popleft() for _ in range(min(count, len(self._waiting)))]
        for waiter in woken:
            if not waiter.done():
                waiter.set_result(None)


class Broadcast(Generic[T]):
    """The same items to any number of streams. What comes before the first of them is kept for it."""

    def __init__(self, limit: int, keep: bool = False) -> None:
        self._limit = limit
        self._keep = keep
        self._history: deque[T] = deque(maxlen=limit)
        self._streams: list[Stream[T]] = []
        self._lock = threading.Lock()
        self._end: tuple[Exception | None] | None = None

    def stream(self, limit: int | None = None) -> Stream[T]:
        """A stream of what comes from now on, and of what was kept."""
        stream: Stream[T] = Stream(limit or self._limit)
        stream._on_close = lambda: self._forget(stream)
        with self._lock:
            for item in self._history:
                stream._put(item)
            if not self._keep:
                self._history.clear()
            end = self._end
            if end is None:
                self._streams.append(stream)
        if end is not None:
            stream._end(end[0])
        return stream

    def _forget(self, stream: Stream[T]) -> None:
        with self._lock:
            if stream in self._streams:
                self._streams.remove(stream)

    def put(self, item: T) -> None:
        """Takes an item, on any thread."""
        with self._lock:
            if self._keep or not self._streams:
                self._history.append(item)
            streams = list(self._streams)
        for stream in streams:
            stream._put(item)

    def end(self, error: Exception | None) -> None:
        """Ends all streams, on any thread."""
        with self._lock:
            if self._end is not None:
                return
            self._end = (error,)
            streams, self._streams = self._streams, []
        for stream in streams:
            stream._end(error)
