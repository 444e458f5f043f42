"""Which back end fetches which part of a window. Pure. Intervals are of venue times, ns since the epoch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from tapeline.feed.back_ends import BackEnd
from tapeline.model.backfill import BackfillRequest
from tapeline.model.control import Interval

_MINUTE_NS: Final = 60_000_000_000
_PROBES_MINUTES: Final = (0, 1, 5, 15, 30, *range(60, 4 * 24 * 60, 60))
"""How far ahead back ends are asked what they will have: after a weekend even the slowest history has it."""


class Part(NamedTuple):
    """What one back end fetches. `is_last`: it reaches to the end of what is wanted there."""

    way: BackEnd
    interval: Interval
    is_last: bool = True


def without(intervals: Iterable[Interval], taken: Iterable[Interval]) -> list[Interval]:
    """Return what of `intervals` is in none of `taken`, in order."""
    left = sorted(intervals, key=lambda each: each.ts_event_from)
    for hole in taken:
        left = [piece for each in left for piece in _cut(each, hole)]
    return left


def merged(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    """Return the intervals in order, those that touch as one."""
    out: list[Interval] = []
    for each in sorted(intervals, key=lambda each: each.ts_event_from):
        if out and each.ts_event_from <= out[-1].ts_event_until:
            until = max(out[-1].ts_event_until, each.ts_event_until)
            out[-1] = Interval(ts_event_from=out[-1].ts_event_from, ts_event_until=until)
        else:
            out.append(each)
    return tuple(out)


def parts(request: BackfillRequest, wanted: Sequence[Interval], ways: Iterable[BackEnd], now_ns: int) -> list[Part]:
    """Return who fetches what of `wanted`, what is to be fetched first being the first.

    A back end fetches all that it has and that none before it has: a replay forgets while it is asked, and so is the
    first. What no back end has at `now_ns` is in no part.
    """
    left = list(wanted)
    found: list[Part] = []
    for way in ways:
        reach = way.reach(request, now_ns)
        if reach is None:
            continue
        found += [
            Part(way, common, is_last=common.ts_event_until == each.ts_event_until)
            for each in left
            if (common := _common(each, reach)) is not None
        ]
        left = without(left, [reach])
    return found


def worth_fetching(
    request: BackfillRequest, wanted: Sequence[Interval], ways: Iterable[BackEnd], now_ns: int, least_ns: int
) -> list[Part]:
    """Return the parts that are to be fetched now: what ends short of what is wanted only if it is `least_ns` long.

    Each fetch is paid for with what is around it. To run after the end of a history that moves on would be to fetch
    seconds at a time.
    """
    found = parts(request, wanted, ways, now_ns)
    return [part for part in found if part.is_last or span_ns([part.interval]) >= least_ns]


def out_of_reach(
    request: BackfillRequest, wanted: Sequence[Interval], ways: Sequence[BackEnd], now_ns: int
) -> list[Interval]:
    """Return what of `wanted` no back end has at `now_ns` or will ever have."""
    left = list(wanted)
    for minutes in _PROBES_MINUTES:
        if not left:
            break
        left = without(left, _reaches(request, ways, now_ns + minutes * _MINUTE_NS))
    return left


def worth_waiting_until(
    request: BackfillRequest, wanted: Sequence[Interval], ways: Sequence[BackEnd], now_ns: int, least_ns: int
) -> int:
    """Return when (ns since the epoch) some of `wanted` will be worth fetching, if not sooner.

    That is `now_ns` where some is, or where it cannot be told.
    """
    times = (now_ns + minutes * _MINUTE_NS for minutes in _PROBES_MINUTES)
    return next((at_ns for at_ns in times if worth_fetching(request, wanted, ways, at_ns, least_ns)), now_ns)


def span_ns(intervals: Iterable[Interval]) -> int:
    """Return how long the intervals are together, ns."""
    return sum(each.ts_event_until - each.ts_event_from for each in intervals)


def told(intervals: Iterable[Interval]) -> str:
    """Return the intervals as people read them."""
    return ", ".join(f"{_time(each.ts_event_from)} to {_time(each.ts_event_until)}" for each in intervals)


def _reaches(request: BackfillRequest, ways: Iterable[BackEnd], at_ns: int) -> list[Interval]:
    return [reach for way in ways if (reach := way.reach(request, at_ns)) is not None]


def _common(one: Interval, other: Interval) -> Interval | None:
    begin, end = max(one.ts_event_from, other.ts_event_from), min(one.ts_event_until, other.ts_event_until)
    return Interval(ts_event_from=begin, ts_event_until=end) if begin < end else None


def _cut(each: Interval, hole: Interval) -> list[Interval]:
    before = (each.ts_event_from, min(each.ts_event_until, hole.ts_event_from))
    after = (max(each.ts_event_from, hole.ts_event_until), each.ts_event_until)
    return [Interval(ts_event_from=begin, ts_event_until=end) for begin, end in (before, after) if begin < end]


def _time(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns / 1e9, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
