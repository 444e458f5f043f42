"""Who looks at the page: counted, and no more than a few."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from tapeline.ops.metrics import PAGE_CLIENTS


class Audience:
    """Counts the clients of the stream, of which `most` may be there.

    `is_there` may be read from any thread; it stays true for `linger_s` after the last has gone, who may come again.
    """

    def __init__(self, most: int, *, linger_s: float = 30.0) -> None:
        self._most = most
        self._linger_s = linger_s
        self.count = 0
        self._ended = asyncio.Event()
        self._came = asyncio.Event()
        self._leaving: asyncio.TimerHandle | None = None
        self.is_there = False

    @property
    def is_full(self) -> bool:
        """Whether no further client may come."""
        return self.count >= self._most

    @property
    def has_ended(self) -> bool:
        """Whether the stream is over for everybody."""
        return self._ended.is_set()

    @contextmanager
    def client(self) -> Iterator[None]:
        """Count a client for as long as the block lasts."""
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None
        self.count += 1
        PAGE_CLIENTS.set(self.count)
        if not self.has_ended:
            self.is_there = True
            self._came.set()
        try:
            yield
        finally:
            self.count -= 1
            PAGE_CLIENTS.set(self.count)
            if not self.count:
                self._leaving = asyncio.get_running_loop().call_later(self._linger_s, self._leave)

    def end(self) -> None:
        """Send everybody home, for good."""
        self.is_there = False
        self._ended.set()
        self._came.set()

    async def arrives(self) -> bool:
        """Wait until there is a client; return whether there is one: there is none after the end."""
        await self._came.wait()
        return not self.has_ended

    async def ends_within(self, seconds: float) -> bool:
        """Wait so long for the end, and return whether it came."""
        try:
            async with asyncio.timeout(seconds):
                await self._ended.wait()
        except TimeoutError:
            return False
        return True

    def _leave(self) -> None:
        self.is_there = False
        if not self.has_ended:
            self._came.clear()
