"""The ledger of gaps and coverage: per source, stream, kind and trading day, from what the log says alone. Pure.

A gap is open, then bounded, requested, filled and proven; or given up, with the reason. The coverage that is told is
read back at the next start, so that the log of feed events need not be read from its beginning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tapeline.feed.calendar import Calendar
from tapeline.model.backfill import BackfillEvent, BackfillRequest
from tapeline.model.columns import TICK_KINDS
from tapeline.model.coverage import Coverage
from tapeline.model.events import FeedEvent
from tapeline_watchdog.feeds import FeedKey
from tapeline_watchdog.gap_lane import Lane
from tapeline_watchdog.gap_requests import Asking, KnownGap, Standing, request_of

_GROWS_SLOWER: Final = 12
_SESSIONS: Final = 16
"""Sessions of a stream whose connection is remembered: those whose first heartbeat has yet to come are a few."""

DayKey = tuple[FeedKey, str]
"""A trading day of one stream and kind."""


@dataclass(frozen=True, slots=True)
class GapReport:
    """Every gap that is remembered, with how much open market (ns) it leaves missing; what was told of each day."""

    at_ns: int
    gaps: tuple[tuple[KnownGap, int], ...]
    coverage: tuple[Coverage, ...]


@dataclass(slots=True)
class _Stream:
    """The newest epoch of a stream, and when its last sessions connected."""

    epoch: int = 0
    connected: dict[str, int] = field(default_factory=dict)


class GapLedger:
    """All gaps and coverage. `calendar_of` gives a stream's calendar; times are ns since the epoch.

    `restore` what was told before, then take in requests and events, each topic in its own order, and call `restored`
    before the first feed event. Of a day no more is told than once in `interval_ns`, where it only grew twelve times
    that.
    """

    def __init__(self, calendar_of: Callable[[str], Calendar], asking: Asking, interval_ns: int = 0) -> None:
        self._calendar_of = calendar_of
        self._asking = asking
        self._interval_ns = interval_ns
        self._lanes: dict[FeedKey, Lane] = {}
        self._streams: dict[tuple[str, str], _Stream] = {}
        self._grown: set[DayKey] = set()
        self._changed: set[DayKey] = set()
        self.told: dict[DayKey, Coverage] = {}
        """What was last told of each day."""

    def restore(self, told: Coverage) -> None:
        """Take in what a watchdog before has told of a day, ahead of all else. Raises BadData as the calendar does."""
        key = FeedKey(told.source, told.stream, told.kind)
        self._lane(key).restore(told)
        self.told[key, told.trading_day] = told

    def restored(self) -> None:
        """Take note that no more is to be restored."""
        for lane in self._lanes.values():
            lane.rejudge()

    def take(self, event: FeedEvent, heard_ns: int) -> None:
        """Take in a feed event that was heard at `heard_ns`; one of a producer that was taken over from is passed over.

        Raises BadData where its times are outside the calendar.
        """
        stream = self._streams.setdefault((event.source, event.stream), _Stream())
        if event.epoch < stream.epoch:
            return
        stream.epoch = event.epoch
        if event.type == "connected":
            stream.connected[event.session] = event.at
            if len(stream.connected) > _SESSIONS:
                del stream.connected[next(iter(stream.connected))]
        elif event.type in ("disconnected", "stopped"):
            for kind in TICK_KINDS:
                lane = self._lanes.get(FeedKey(event.source, event.stream, kind))
                if lane is not None:
                    lane.covered.end(event.reason)
        elif event.kind is not None and event.kind != "chain":
            key = FeedKey(event.source, event.stream, event.kind)
            for day in self._lane(key).covered.beat(event, stream.connected.get(event.session)):
                self._grown.add((key, day))
        elif event.gap is not None:
            for gap_kind in event.gap.kinds:
                lane = self._lane(FeedKey(event.source, event.stream, gap_kind))
                lane.take_gap(event.gap, event.at, heard_ns)

    def take_request(self, request: BackfillRequest) -> None:
        """Take in a request, by whomever it was made. Raises BadData where its window is outside the calendar."""
        if request.command == "backfill":
            lane = self._lane(_key_of(request))
            known = lane.standings.get(request.id)
            lane.stand(Standing(request) if known is None else known.asked_again(request))

    def take_backfill(self, event: BackfillEvent) -> None:
        """Take in what became of a request. Raises BadData where its window is outside the calendar."""
        lane = self._lane(_key_of(event.request))
        known = lane.standings.get(event.key)
        lane.stand((Standing(event.request) if known is None else known).after(event))

    def due_requests(self, requested_by: str, now_ns: int) -> list[BackfillRequest]:
        """Return the requests for gaps that ended long enough ago and were not asked for yet.

        Whoever publishes one takes it in as well.
        """
        found: dict[str, BackfillRequest] = {}
        before_ns = now_ns - self._asking.settle_ns
        for gap in [gap for lane in self._lanes.values() for gap in lane.gaps.values() if gap.stage == "bounded"]:
            window = gap.window
            if window is not None and (gap.bounded_ns or 0) <= before_ns:
                request = request_of(gap, window, self._asking, requested_by, now_ns)
                found.setdefault(request.id, request)
        return list(found.values())

    def due_coverage(self, now_ns: int) -> list[Coverage]:
        """Return what is to be told of days now; it counts as told."""
        for lane in self._lanes.values():
            # What was told of a day that is forgotten stays.
            self._changed.update(of for day in lane.changed if self._is_kept(of := (lane.key, day)))
            lane.changed.clear()
        due = []
        slower_ns = self._interval_ns * _GROWS_SLOWER
        for waiting, interval_ns in ((self._changed, self._interval_ns), (self._grown, slower_ns)):
            for of in list(waiting):
                before = self.told.get(of)
                if before is not None and 0 <= now_ns - before.at < interval_ns:
                    continue
                waiting.discard(of)
                key, day = of
                now = self._lanes[key].coverage(day, now_ns)
                if before is None or now != before.model_copy(update={"at": now_ns}):
                    self.told[of] = now
                    due.append(now)
        return due

    def report(self, now_ns: int) -> GapReport:
        """Return how everything is."""
        lanes = self._lanes.values()
        gaps = tuple((gap, lane.missing_ns(gap, now_ns)) for lane in lanes for gap in lane.gaps.values())
        return GapReport(now_ns, gaps, tuple(self.told.values()))

    def forget(self, before_ns: int) -> None:
        """Forget the trading days before that of `before_ns`, and the gaps of those for which nothing is awaited."""
        for lane in self._lanes.values():
            lane.forget(before_ns)
        self._grown = {of for of in self._grown if self._is_kept(of)}
        self._changed = {of for of in self._changed if self._is_kept(of)}
        self.told = {of: told for of, told in self.told.items() if self._is_kept(of)}

    def _is_kept(self, of: DayKey) -> bool:
        return of[1] >= self._lanes[of[0]].covered.first_day

    def _lane(self, key: FeedKey) -> Lane:
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(key, self._calendar_of(key.stream), self._asking)
        return lane


def _key_of(request: BackfillRequest) -> FeedKey:
    return FeedKey(request.source, request.stream, request.kind)
