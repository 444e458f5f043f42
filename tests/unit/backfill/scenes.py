"""Requests, events and back ends for the tests of the backfill service's pure parts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any

from tapeline.feed.cost import Estimate
from tapeline.feed.framer import Ticks
from tapeline.model.backfill import BackEnd as BackEndName
from tapeline.model.backfill import BackfillEvent, BackfillRequest, EventType, request_id
from tapeline.model.control import Interval

MINUTE_NS = 60_000_000_000


def of(begin_ns: int, until_ns: int) -> Interval:
    return Interval(ts_event_from=begin_ns, ts_event_until=until_ns)


def bounds(*intervals: Interval) -> list[tuple[int, int]]:
    return [(each.ts_event_from, each.ts_event_until) for each in intervals]


def a_request(window: Interval | None = None, *, at: int = 1, **fields: Any) -> BackfillRequest:
    window = window or of(100, 200)
    name = request_id("saved", "GLBX.MDP3", "GLBX.MDP3/NQ.FUT", "mbo", ("*",), window)
    return BackfillRequest(
        id=name,
        source="saved",
        dataset="GLBX.MDP3",
        stream="GLBX.MDP3/NQ.FUT",
        kind="mbo",
        window=window,
        requested_by="test",
        requested_at=at,
        **fields,
    )


def an_event(type_: EventType, request: BackfillRequest | None = None, *, at: int = 10, **fields: Any) -> BackfillEvent:
    return BackfillEvent(type=type_, request=request or a_request(), at=at, **{"worker": "one", **fields})


@dataclass
class Way:
    """A back end of which only the reach matters."""

    name: BackEndName
    has: Callable[[int], Interval | None]

    def reach(self, request: BackfillRequest, now_ns: int) -> Interval | None:
        return self.has(now_ns)

    async def estimate(self, request: BackfillRequest, window: Interval) -> Estimate:
        raise NotImplementedError

    async def fetch(self, request: BackfillRequest, window: Interval) -> AsyncGenerator[Ticks]:
        raise NotImplementedError
        yield

    async def count(self, request: BackfillRequest, window: Interval) -> int | None:
        raise NotImplementedError
