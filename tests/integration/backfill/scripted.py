"""A vendor's past in a script: what it has, when it has it, what it counts, and how its calls go wrong."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
from tests.integration.feed.vendor import market

from tapeline.feed.back_ends import BackEnd
from tapeline.feed.cost import Estimate
from tapeline.feed.framer import Ticks
from tapeline.model.backfill import BackEnd as BackEndName
from tapeline.model.backfill import BackfillRequest
from tapeline.model.control import Interval
from tapeline.ops.settings import ServiceSettings

PIECE = 331
EVER = Interval(ts_event_from=0, ts_event_until=2**62)


def between(begin_ns: int, until_ns: int) -> Interval:
    return Interval(ts_event_from=begin_ns, ts_event_until=until_ns)


@dataclass
class Script:
    """One back end. `faults` are raised one per fetch, after half of a slice; `fetched` keeps what was asked for."""

    ticks: Ticks
    name: BackEndName = "historical"
    has: Callable[[int], Interval | None] = lambda _: EVER
    counts: Callable[[int], int | None] = lambda n: n
    micro_usd_per_record: int = 0
    faults: list[Exception] = field(default_factory=list)
    fetched: list[Interval] = field(default_factory=list)
    piece_s: float = 0.0
    """How long each piece takes to come."""

    def reach(self, request: BackfillRequest, now_ns: int) -> Interval | None:
        has, window = self.has(now_ns), request.window
        if has is None:
            return None
        begin = max(has.ts_event_from, window.ts_event_from)
        until = min(has.ts_event_until, window.ts_event_until)
        return between(begin, until) if begin < until else None

    def within(self, window: Interval) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        times = self.ticks.columns["ts_event"]
        return np.flatnonzero((times >= window.ts_event_from) & (times < window.ts_event_until))

    async def estimate(self, request: BackfillRequest, window: Interval) -> Estimate:
        n = len(self.within(window))
        return Estimate(n * self.micro_usd_per_record, n * 56, n)

    async def fetch(self, request: BackfillRequest, window: Interval) -> AsyncGenerator[Ticks]:
        self.fetched.append(window)
        rows = self.within(window)
        fault = self.faults.pop(0) if self.faults else None
        ends = (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (0, 0)
        for at in range(*ends, PIECE):
            if fault is not None and at + PIECE - ends[0] > len(rows) // 2:
                raise fault
            await asyncio.sleep(self.piece_s)
            yield replace(self.ticks.cut(at, min(at + PIECE, ends[1])), origin="backfill")

    async def count(self, request: BackfillRequest, window: Interval) -> int | None:
        return self.counts(len(self.within(window)))


class Scripted:
    """A source's back ends in a test: those of `ways`, or of SCRIPTED_RECORDS in a process of its own."""

    source: ClassVar[str] = "saved"
    ways: ClassVar[Sequence[BackEnd]] = ()

    class settings_class(ServiceSettings):  # noqa: N801 (the protocol's name)
        service: ClassVar[str] = "scripted"

    def __init__(self, settings: ServiceSettings) -> None:
        pass

    def back_ends(self) -> Sequence[BackEnd]:
        records = os.environ.get("SCRIPTED_RECORDS")
        return self.ways if records is None else [Script(market(int(records)))]
