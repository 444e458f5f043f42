"""What a gap leads to: the request that asks for it, or why there is none; and what became of requests. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, cast

from tapeline.feed.calendar import Calendar
from tapeline.model.backfill import WHOLE_STREAM, BackfillEvent, BackfillRequest, EventType, request_id
from tapeline.model.columns import TickKind
from tapeline.model.control import Interval
from tapeline.model.coverage import GapStage
from tapeline_watchdog.feeds import FeedKey

_GIVEN_UP: Final[frozenset[EventType]] = frozenset({"rejected", "dead_lettered", "cancelled"})
_FILLED: Final[frozenset[EventType]] = frozenset({"completed", "proven", "recomputed"})
_OF_SESSIONS: Final = ("mbo", "l1", "trade")
"""Kinds that come while the market trades; statistics and states come at other times too."""


@dataclass(frozen=True, slots=True)
class Asking:
    """What is asked for: gaps of `sources` that ended `settle_ns` ago, for at most `cap_micro_usd` each.

    Orders come from `pre_open_ns` before an open on.
    """

    sources: frozenset[str] = frozenset()
    settle_ns: int = 0
    pre_open_ns: int = 0
    cap_micro_usd: int | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """A request, and the last that was heard of it; None before the backfill service said anything."""

    request: BackfillRequest
    event: BackfillEvent | None = None

    def after(self, event: BackfillEvent) -> Standing:
        """Return the standing after one more event."""
        return replace(self, event=event)

    def asked_again(self, request: BackfillRequest) -> Standing:
        """Return the standing after it was asked for once more."""
        return replace(self, request=request) if request.requested_at > self.request.requested_at else self

    @property
    def stage(self) -> GapStage:
        """What the gap that it covers is in."""
        event = self.event
        if event is None:
            return "requested"
        if event.type in _GIVEN_UP:
            # One that is made again after that is taken up again.
            return "requested" if self.request.requested_at > event.at else "given_up"
        if event.type not in _FILLED:
            return "requested"
        agrees = event.proven_empty or (event.counted is not None and event.counted == event.read)
        return "proven" if event.type == "proven" or (event.type == "recomputed" and agrees) else "filled"

    @property
    def has_it(self) -> bool:
        """Whether what it asks for is on the tape, or nothing is to be had."""
        return self.stage in ("filled", "proven")

    @property
    def is_over(self) -> bool:
        """Whether nothing more is done for it, unless it is made again or proven later."""
        return self.has_it or self.stage == "given_up"

    @property
    def is_empty(self) -> bool:
        """Whether the vendor has nothing there."""
        return self.event is not None and self.event.proven_empty

    def covers(self, symbols: tuple[str, ...], window: Interval) -> bool:
        """Return whether what it asks for holds that."""
        mine = self.request.window
        has_symbols = self.request.symbols == WHOLE_STREAM or set(symbols) <= set(self.request.symbols)
        begins, ends = mine.ts_event_from <= window.ts_event_from, window.ts_event_until <= mine.ts_event_until
        return has_symbols and begins and ends


@dataclass(frozen=True, slots=True)
class KnownGap:
    """A gap of one kind: venue times [`ts_event_from`, `ts_event_until`), None where they are not known.

    `reason` says why there is one, `given_up` why it stays. `opened_at` is the producer's time; `bounded_ns` when its
    end was heard of, None where that was before the watchdog began. Times are ns since the epoch.
    """

    key: FeedKey
    id: str
    symbols: tuple[str, ...]
    reason: str
    opened_at: int
    ts_event_from: int | None = None
    ts_event_until: int | None = None
    is_bounded: bool = False
    bounded_ns: int | None = field(default=None, compare=False)
    stage: GapStage = "open"
    given_up: str = ""
    is_empty: bool = False
    """Whether there is nothing to be had there."""
    standing: Standing | None = None

    @property
    def window(self) -> Interval | None:
        """Return what a request asks for; None where the bounds do not tell."""
        begin, end = self.ts_event_from, self.ts_event_until
        if begin is None or end is None or begin >= end:
            return None
        return Interval(ts_event_from=begin, ts_event_until=end)

    @property
    def begin(self) -> int:
        """Where it begins; where that is not known, when it was opened."""
        return self.opened_at if self.ts_event_from is None else self.ts_event_from

    @property
    def is_missing(self) -> bool:
        """Whether it is still missing on the tape."""
        return self.stage not in ("filled", "proven")

    @property
    def is_settled(self) -> bool:
        """Whether nothing more is awaited."""
        return self.stage in ("proven", "given_up")


class Verdict(NamedTuple):
    """The stage of a gap and why it is given up, whether nothing is there, and the request that it is by."""

    stage: GapStage
    given_up: str = ""
    is_empty: bool = False
    standing: Standing | None = None


def judged(gap: KnownGap, standings: list[Standing], calendar: Calendar, asking: Asking) -> KnownGap:
    """Return the gap in its stage, by the requests of its stream and kind."""
    stage, given_up, is_empty, standing = _verdict(gap, standings, calendar, asking)
    return replace(gap, stage=stage, given_up=given_up, is_empty=is_empty, standing=standing)


def request_of(gap: KnownGap, window: Interval, asking: Asking, requested_by: str, now_ns: int) -> BackfillRequest:
    """Return the request that asks for a gap's window; whoever asks for the same gives it the same id."""
    source, stream, kind = gap.key
    dataset = stream.partition("/")[0]
    return BackfillRequest(
        id=request_id(source, dataset, stream, kind, gap.symbols, window),
        source=source,
        dataset=dataset,
        stream=stream,
        kind=cast(TickKind, kind),
        symbols=tuple(sorted(gap.symbols)),
        window=window,
        gap_id=gap.id,
        cost_cap_micro_usd=asking.cap_micro_usd,
        requested_by=requested_by,
        requested_at=now_ns,
        reason=gap.reason,
    )


def _verdict(gap: KnownGap, standings: list[Standing], calendar: Calendar, asking: Asking) -> Verdict:
    if not gap.is_bounded:
        return Verdict("open")
    window = gap.window
    if window is None:
        begins, ends = gap.ts_event_from, gap.ts_event_until
        unknown = "begins" if begins is None else "ends" if ends is None else ""
        why = f"it is not known where it {unknown}" if unknown else "it ends before it begins"
        return Verdict("given_up", f"cannot be asked for: {why}")
    covering = {standing.stage: standing for standing in standings if standing.covers(gap.symbols, window)}
    stages: tuple[GapStage, ...] = ("proven", "filled", "requested")
    for stage in stages:
        if stage in covering:
            return Verdict(stage, is_empty=covering[stage].is_empty, standing=covering[stage])
    if "given_up" in covering:
        event = covering["given_up"].event
        said = "" if event is None else f"{event.type}: {event.reason}"
        return Verdict("given_up", said, standing=covering["given_up"])
    end = window.ts_event_until + asking.pre_open_ns
    if gap.key.kind in _OF_SESSIONS and not calendar.open_ns(window.ts_event_from, end):
        return Verdict("proven", is_empty=True)
    if gap.key.source not in asking.sources:
        return Verdict("given_up", f"gaps of {gap.key.source} are not asked for: it cannot be backfilled")
    return Verdict("bounded")
