"""A time-out that stands still while we wait for our own turn: what the site is not to blame for does not count."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType


class Deadline:
    """An async context in which at most `timeout_s` may pass, pauses aside. Raises TimeoutError after it."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._timeout = asyncio.timeout(timeout_s)
        self._pauses = 0
        self._rest_s = timeout_s
        self._is_open = False

    async def __aenter__(self) -> Deadline:
        """Begin to count."""
        await self._timeout.__aenter__()
        self._is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End; raises TimeoutError where the time was up."""
        self._is_open = False
        await self._timeout.__aexit__(kind, error, traceback)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let time pass that does not count. Pauses may overlap, and outlast the deadline."""
        now_s = asyncio.get_running_loop().time
        if not self._pauses and self._is_running():
            self._rest_s = (self._timeout.when() or now_s()) - now_s()
            self._timeout.reschedule(None)
        self._pauses += 1
        try:
            yield
        finally:
            self._pauses -= 1
            if not self._pauses and self._is_running():
                self._timeout.reschedule(now_s() + self._rest_s)

    def _is_running(self) -> bool:
        return self._is_open and not self._timeout.expired()
