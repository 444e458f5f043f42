"""Hands saved ticks on at the pace at which they were received."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing
from typing import Final

import numpy as np

from tapeline.feed.framer import Ticks
from tapeline.feed.reading import ReadAhead
from tapeline.feed.source import Item, VendorClock
from tapeline.model.frames import Array

_CLOCK_EVERY_S: Final = 0.25
_SLICE_S: Final = 0.002
"""Paced ticks are handed on in slices of this length, so that one sleep serves many."""


class TickPace:
    """Hands ticks on when their time of receipt has come, `speed` times as fast as they were received."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._began_s: float | None = None
        self._first_ns = 0

    async def slices(self, ticks: Ticks) -> AsyncIterator[Item]:
        """Yield `ticks` in parts as their time comes, with clocks where it is long in coming."""
        times = np.maximum.accumulate(received(ticks.columns))
        if self._began_s is None:
            self._began_s = time.monotonic()
            self._first_ns = int(times[0])
        done = 0
        while done < len(ticks):
            now_ns = self._now_ns(self._began_s)
            due = int(np.searchsorted(times, now_ns, side="right"))
            if due > done:
                yield ticks.cut(done, due)
                done = due
                continue
            following_ns = int(times[done])
            wait_s = (following_ns - now_ns) / 1e9 / self._speed
            if wait_s > _CLOCK_EVERY_S:
                await asyncio.sleep(_CLOCK_EVERY_S)
                yield VendorClock(ticks.stream, min(self._now_ns(self._began_s), following_ns))
            else:
                await asyncio.sleep(max(wait_s, _SLICE_S))

    def _now_ns(self, began_s: float) -> int:
        return self._first_ns + round((time.monotonic() - began_s) * self._speed * 1e9)


async def paced(read: Callable[[], Iterator[Ticks]], speed: float) -> AsyncIterator[Item]:
    """Yield what `read` yields, in a thread of its own, at `speed`; 0: as fast as possible. Raises what it raises."""
    pace = TickPace(speed)
    async with aclosing(aiter(ReadAhead(read))) as coming:
        async for ticks in coming:
            if speed:
                async for item in pace.slices(ticks):
                    yield item
            else:
                yield ticks


def received(columns: Mapping[str, Array]) -> Array:
    """Return when records were received (int64 ns), by `ts_event` where that is not defined."""
    received: Array = np.where(columns["ts_recv"] == 0, columns["ts_event"], columns["ts_recv"])
    return received
