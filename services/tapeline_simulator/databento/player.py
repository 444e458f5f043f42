"""A market's own time, and files that are captured as it passes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import numpy as np

from tapeline.errors import Misconfigured
from tapeline.feed.dbn_records import Array
from tapeline_simulator.databento.schemas import capture_times
from tapeline_simulator.databento.tape import CHUNK_RECORDS, VendorTape

DRIVE_S: Final = 0.005
"""So often what was captured meanwhile is put on the tape."""


class Market(Protocol):
    """What can be captured as time passes."""

    def advance(self, until_ns: int) -> None:
        """Put on the tape what was captured up to then."""


class MarketClock:
    """A clock that shows `start_ns` now, and of which `speed` seconds pass in one of `monotonic_ns`."""

    def __init__(self, start_ns: int, speed: float, monotonic_ns: Callable[[], int]) -> None:
        self._start_ns = start_ns
        self._speed = speed
        self._monotonic_ns = monotonic_ns
        self._began_ns = monotonic_ns()

    def now_ns(self) -> int:
        """Return the time (ns since the epoch)."""
        return self._start_ns + int((self._monotonic_ns() - self._began_ns) * self._speed)


async def drive(market: Market, clock: MarketClock) -> None:
    """Advance `market` by `clock`, for ever."""
    while True:
        market.advance(clock.now_ns())
        await asyncio.sleep(DRIVE_S)


class FilePlayer:
    """Captures the records of `recorded`, which is whole, on `tape` once more, each at its `ts_recv`.

    `tape` has the listings of `recorded` from the beginning. Raises Misconfigured where there is nothing to capture.
    """

    def __init__(self, recorded: VendorTape, tape: VendorTape) -> None:
        self._recorded = recorded
        self._tape = tape
        self._positions = dict.fromkeys(recorded.schemas, 0)
        if not self._positions:
            raise Misconfigured("the files have no records to serve")
        self.start_ns = min(int(capture_times(recorded.read(schema, 0, 1))[0]) for schema in recorded.schemas)
        tape.listings = recorded.listings

    def advance(self, until_ns: int) -> None:
        """Capture what has a `ts_recv` of up to `until_ns`; within a schema nothing overtakes what came before it."""
        for schema, position in self._positions.items():
            while len(records := self._due(schema, position, until_ns)):
                self._tape.append(schema, records)
                position += len(records)
                self._positions[schema] = position

    def _due(self, schema: str, position: int, until_ns: int) -> Array:
        end = min(self._recorded.end(schema), position + CHUNK_RECORDS)
        records = self._recorded.read(schema, position, end)
        late = np.flatnonzero(capture_times(records).view(np.uint64) > np.uint64(until_ns))
        return records[: int(late[0])] if len(late) else records
