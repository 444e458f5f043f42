"""One stream and kind of one source: what came, what is missing, and what was asked for of it. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from tapeline.feed.calendar import Calendar
from tapeline.model.backfill import WHOLE_STREAM
from tapeline.model.columns import INT64_MAX, TickKind
from tapeline.model.control import Interval
from tapeline.model.coverage import Coverage, MissingInterval
from tapeline.model.frames import Gap
from tapeline_watchdog.coverage import Covered
from tapeline_watchdog.feeds import FeedKey
from tapeline_watchdog.gap_requests import Asking, KnownGap, Standing, judged
from tapeline_watchdog.spans import Span, by_day, merged, without


class Lane:
    """The gaps by id, the requests by id, and what came. `changed` are trading days whose gaps or spans changed."""

    def __init__(self, key: FeedKey, calendar: Calendar, asking: Asking) -> None:
        self.key = key
        self.calendar = calendar
        self.covered = Covered(calendar)
        self.gaps: dict[str, KnownGap] = {}
        self.standings: dict[str, Standing] = {}
        self.changed: set[str] = set()
        self._asking = asking

    def restore(self, told: Coverage) -> None:
        """Take in what was told of a day before; gaps are judged by `rejudge` once all is restored.

        Raises BadData where a gap is outside the calendar.
        """
        # What requests alone stand for is as they are now.
        covered = without(_spans(told.covered), _spans(told.backfilled))
        self.covered.restore(told.trading_day, covered, _spans(told.proven_empty))
        if told.backfilled:
            self.changed.add(told.trading_day)
        for part in told.missing:
            gap = self.gaps.get(part.gap_id)
            begin, end = part.ts_event_from, part.ts_event_until
            if gap is not None:
                # The parts of several days are one gap.
                begin = None if begin is None or gap.ts_event_from is None else min(begin, gap.ts_event_from)
                end = None if end is None or gap.ts_event_until is None else max(end, gap.ts_event_until)
            restored = KnownGap(
                key=self.key,
                id=part.gap_id,
                symbols=part.symbols,
                reason=part.reason,
                opened_at=part.opened_at or told.at,
                ts_event_from=begin,
                ts_event_until=end,
                is_bounded=part.stage != "open" and (gap is None or gap.is_bounded),
            )
            # One that has no place in the calendar would be met again with every look at the ledger.
            self._parts(restored)
            self.gaps[part.gap_id] = restored

    def rejudge(self) -> None:
        """Judge every gap."""
        for gap in list(self.gaps.values()):
            self.gaps[gap.id] = self._judged(gap)

    def take_gap(self, gap: Gap, at: int, heard_ns: int) -> None:
        """Take in a gap, open or bounded, as its producer tells of it at `at`. Raises BadData as the calendar does."""
        known = self.gaps.get(gap.id)
        is_bounded = gap.state == "bounded"
        if known is not None and known.is_bounded and not is_bounded:
            return
        now = KnownGap(
            key=self.key,
            id=gap.id,
            symbols=gap.symbols,
            reason=gap.reason,
            opened_at=at if known is None else min(at, known.opened_at),
            ts_event_from=gap.ts_event_from,
            ts_event_until=None if gap.ts_event_to is None else min(gap.ts_event_to + 1, INT64_MAX),
            is_bounded=is_bounded,
            bounded_ns=heard_ns if is_bounded else None,
        )
        self._put(now)

    def stand(self, standing: Standing) -> None:
        """Take in how a request stands. Raises BadData where its window is outside the calendar."""
        request = standing.request
        begin, end = request.window.ts_event_from, request.window.ts_event_until
        days = {day for day, _ in by_day(self.calendar, begin, end)}
        before = self.standings.get(request.id)
        self.standings[request.id] = standing
        if request.symbols == WHOLE_STREAM and standing.stage != ("requested" if before is None else before.stage):
            self.changed |= days
            if standing.has_it and standing.is_empty:
                self.covered.add_empty(begin, end)
        if request.gap_id is not None and request.gap_id not in self.gaps:
            # One that is older than what the events tell.
            self.gaps[request.gap_id] = KnownGap(
                key=self.key,
                id=request.gap_id,
                symbols=request.symbols,
                reason=request.reason,
                opened_at=request.requested_at,
                ts_event_from=begin,
                ts_event_until=end,
                is_bounded=True,
            )
        for gap in list(self.gaps.values()):
            if gap.window is not None and standing.covers(gap.symbols, gap.window):
                self._put(gap)

    def missing_ns(self, gap: KnownGap, now_ns: int) -> int:
        """Return for how long (ns) the market traded in what a gap leaves missing on the tape, until now."""
        if not gap.is_missing:
            return 0
        end = now_ns if gap.ts_event_until is None else gap.ts_event_until
        return self.calendar.open_ns(gap.begin, max(gap.begin, end))

    def coverage(self, day: str, now_ns: int) -> Coverage:
        """Return what there is to be told of a day."""
        parts = [(gap, part) for gap in self.gaps.values() for on, part in self._parts(gap) if on == day]
        unfilled = [part for gap, part in parts if gap.is_missing]
        empty = self.covered.empty.get(day, [])
        came, asked = self.covered.covered.get(day, []), self._asked(day)
        covered = without(merged([*came, *asked]), [*unfilled, *empty])
        missing = [_missing(gap, part) for gap, part in sorted(parts, key=_order) if gap.stage != "proven"]
        return Coverage(
            source=self.key.source,
            stream=self.key.stream,
            kind=cast(TickKind, self.key.kind),
            trading_day=day,
            covered=_intervals(covered),
            backfilled=_intervals(without(asked, [*came, *unfilled, *empty])),
            missing=tuple(missing),
            proven_empty=_intervals(empty),
            at=now_ns,
        )

    def forget(self, before_ns: int) -> None:
        """Forget the trading days before that of `before_ns`, and what of those nothing is awaited for."""
        first_day = self.calendar.trading_day(before_ns)
        self.covered.forget(first_day)
        for gap in list(self.gaps.values()):
            if gap.is_settled and max(gap.opened_at, gap.ts_event_until or 0) < before_ns:
                del self.gaps[gap.id]
        of_gaps = {gap.standing.request.id for gap in self.gaps.values() if gap.standing is not None}
        for name, standing in list(self.standings.items()):
            last_day = self.calendar.trading_day(standing.request.window.ts_event_until - 1)
            if name not in of_gaps and standing.is_over and last_day < first_day:
                del self.standings[name]

    def _put(self, gap: KnownGap) -> None:
        before = self.gaps.get(gap.id)
        gap = self._judged(gap)
        days = [day for each in (before, gap) if each is not None for day, _ in self._parts(each)]
        self.gaps[gap.id] = gap
        if before is None or replace(gap, standing=None) != replace(before, standing=None):
            self.changed.update(days)

    def _judged(self, gap: KnownGap) -> KnownGap:
        gap = judged(gap, list(self.standings.values()), self.calendar, self._asking)
        window = gap.window
        if window is not None and not gap.is_missing:
            # That a symbol has nothing does not say so of the others.
            is_empty = gap.is_empty and gap.symbols == WHOLE_STREAM
            if is_empty:
                self.covered.add_empty(window.ts_event_from, window.ts_event_until)
            else:
                self.covered.add(window.ts_event_from, window.ts_event_until)
        return gap

    def _asked(self, day: str) -> list[Span]:
        """Return what requests for the whole stream have put on the tape of a day, as far as is known now."""
        windows = [
            standing.request.window
            for standing in self.standings.values()
            if standing.has_it and not standing.is_empty and standing.request.symbols == WHOLE_STREAM
        ]
        parts = [part for each in windows for part in by_day(self.calendar, each.ts_event_from, each.ts_event_until)]
        return merged(span for on, span in parts if on == day)

    def _parts(self, gap: KnownGap) -> list[tuple[str, Span]]:
        """Return what a gap takes of each trading day; one without an end, up to that of the newest that came."""
        begin, end = gap.begin, gap.ts_event_until
        if end is None:
            end = self.calendar.day_end(max(begin, self.covered.newest or begin))
        return list(by_day(self.calendar, min(begin, end - 1), end))


def _order(part: tuple[KnownGap, Span]) -> tuple[Span, str]:
    return part[1], part[0].id


def _missing(gap: KnownGap, part: Span) -> MissingInterval:
    return MissingInterval(
        gap_id=gap.id,
        stage=gap.stage,
        symbols=gap.symbols,
        reason=gap.reason,
        ts_event_from=None if gap.ts_event_from is None else part[0],
        ts_event_until=None if gap.ts_event_until is None else part[1],
        request_id=None if gap.standing is None else gap.standing.request.id,
        opened_at=gap.opened_at,
        given_up=gap.given_up,
    )


def _spans(intervals: tuple[Interval, ...]) -> list[Span]:
    return merged((interval.ts_event_from, interval.ts_event_until) for interval in intervals)


def _intervals(spans: list[Span]) -> tuple[Interval, ...]:
    return tuple(Interval(ts_event_from=begin, ts_event_until=end) for begin, end in spans)
