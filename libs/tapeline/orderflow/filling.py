"""Say which gaps of a stream completed backfills have filled, and whose records belong to which. Pure.

What a request brings is not brought by those after it, even if it was given up half-way: its records are part of what
the others have filled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from tapeline.model.backfill import WHOLE_STREAM, BackfillRequest
from tapeline.model.columns import TickKind
from tapeline.model.frames import Gap, TickFrame
from tapeline.orderflow.mending import Fill

Frames = Callable[[BackfillRequest], Sequence[Iterable[TickFrame]]]
"""Returns what a request has put on the tape, in stretches whose frames are each in the order of their time."""


class Filling(NamedTuple):
    """The gaps that are filled and those that are not, by id, and the records that fill."""

    filled: Mapping[str, Gap]
    unfilled: Mapping[str, Gap]
    fills: Sequence[Fill]


def filling_of(
    kind: TickKind,
    gaps: Mapping[str, Gap],
    completed: Iterable[BackfillRequest],
    partial: Iterable[BackfillRequest],
    frames: Frames,
    watermark: int | None,
) -> Filling:
    """Return what fills the gaps that lie on the log of a stream's kind from some place on.

    `gaps` are those of the log, by id, as they were told last; `completed` the requests of the stream whose records are
    on the tape, `partial` the others of which some are. `watermark` (ns) is the one at that place: a request that
    belongs to no gap counts from there on only.
    """
    of_kind = {gap_id: gap for gap_id, gap in gaps.items() if kind in gap.kinds}
    whole = sorted((each for each in completed if each.kind == kind), key=lambda each: each.id)
    filled = {gap_id: gap for gap_id, gap in of_kind.items() if is_filled(gap, whole)}
    unfilled = {gap_id: gap for gap_id, gap in of_kind.items() if gap_id not in filled}
    begun = [each for each in partial if each.kind == kind and any(_meet(each, other) for other in whole)]
    fills: list[Fill] = []
    for request in sorted([*whole, *begun], key=lambda each: each.id):
        own = [gap for gap in filled.values() if _brings_some(request, gap)]
        is_apart = not any(_serves(request, gap) for gap in of_kind.values())
        if own or (is_apart and (watermark is None or watermark <= request.window.ts_event_from)):
            fills += [Fill(own, stretch) for stretch in frames(request)]
    return Filling(filled, unfilled, fills)


def is_filled(gap: Gap, requests: Iterable[BackfillRequest]) -> bool:
    """Say whether the windows of completed requests cover a gap; one without bounds must be named by a request."""
    serving = [request for request in requests if _serves(request, gap)]
    if gap.ts_event_from is None or gap.ts_event_to is None:
        return any(request.gap_id == gap.id for request in serving)
    covered_until = gap.ts_event_from
    for window in sorted((request.window for request in serving), key=lambda each: each.ts_event_from):
        if window.ts_event_from <= covered_until:
            covered_until = max(covered_until, window.ts_event_until)
    return covered_until > gap.ts_event_to


def _serves(request: BackfillRequest, gap: Gap) -> bool:
    """Say whether a request is one of a gap's symbols, all of them, and of its time, or some of it."""
    if request.symbols != WHOLE_STREAM and not set(request.symbols).issuperset(gap.symbols):
        return False
    if gap.ts_event_from is None or gap.ts_event_to is None:
        return request.gap_id == gap.id
    return request.window.ts_event_from <= gap.ts_event_to and gap.ts_event_from < request.window.ts_event_until


def _brings_some(request: BackfillRequest, gap: Gap) -> bool:
    """Say whether a request brings some of what a gap misses."""
    if gap.ts_event_from is None or gap.ts_event_to is None:
        return _serves(request, gap)
    window = request.window
    is_of_its_time = window.ts_event_from <= gap.ts_event_to and gap.ts_event_from < window.ts_event_until
    return is_of_its_time and _share(request.symbols, gap.symbols)


def _meet(one: BackfillRequest, other: BackfillRequest) -> bool:
    """Say whether two requests ask for some of the same."""
    begin = max(one.window.ts_event_from, other.window.ts_event_from)
    until = min(one.window.ts_event_until, other.window.ts_event_until)
    return begin < until and _share(one.symbols, other.symbols)


def _share(some: tuple[str, ...], others: tuple[str, ...]) -> bool:
    return WHOLE_STREAM in (some, others) or not set(some).isdisjoint(others)
