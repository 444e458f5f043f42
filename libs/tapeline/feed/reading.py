"""Bridges blocking reads into the event loop: a thread that reads ahead by a bounded number of items."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class ReadAhead(Generic[T]):
    """Iterate `open_items()` once, in a daemon thread, at most `limit` items ahead of the consumer.

    What it raises is raised after the items before it. The thread is a daemon because a read from a pipe cannot be
    interrupted: it must not hold up a shutdown.
    """

    def __init__(self, open_items: Callable[[], Iterator[T]], limit: int = 8) -> None:
        self._open_items = open_items
        self._items: deque[T] = deque()
        self._room = threading.Semaphore(limit)
        self._arrived = asyncio.Event()
        self._ended = False
        self._closed = False
        self._error: BaseException | None = None

    async def __aiter__(self) -> AsyncGenerator[T, None]:
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, args=(loop,), name="read-ahead", daemon=True).start()
        try:
            while True:
                while self._items:
                    item = self._items.popleft()
                    self._room.release()
                    yield item
                if self._ended and not self._items:
                    break
                self._arrived.clear()
                if not self._items and not self._ended:
                    await self._arrived.wait()
        finally:
            self._closed = True
            self._room.release()
        if self._error is not None:
            raise self._error

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            for item in self._open_items():
                self._room.acquire()
                if self._closed:
                    return
                self._items.append(item)
                self._wake(loop)
        except BaseException as error:
            self._error = error
        finally:
            self._ended = True
            self._wake(loop)

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        # A closed loop: the consumer is gone, and nobody is left to be told.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(self._arrived.set)


async def read_once(call: Callable[[], T]) -> T:
    """Return what `call`, which blocks, returns or raises: in a daemon thread, which holds up no shutdown."""
    async with aclosing(aiter(ReadAhead(lambda: iter((call(),))))) as read:
        return await anext(read)
