"""What of one stream and kind came as it happened, by trading day: heartbeats tell, gaps are not looked at. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tapeline.errors import BadData
from tapeline.feed.calendar import Calendar
from tapeline.model.events import FeedEvent
from tapeline_watchdog.connection import END_OF_DATA
from tapeline_watchdog.spans import Span, by_day, merged

_LONGEST_ABSENCE_NS: Final = 7 * 86_400_000_000_000
"""No vendor replays more than a week: a session after that does not go on where the one before it ended."""

_AHEAD_NS: Final = 3_600_000_000_000
"""Clocks differ by minutes: a venue time that is further ahead of the producer's clock is none."""


class Covered:
    """Spans by trading day: `covered` is what the stream's sessions vouch for, `empty` where the vendor has nothing.

    A session goes on where the one before it ended, as its producer opens a gap wherever it cannot; but for a file that
    was played to its end, after which anything may come. Records of the newest moment may be missing still, so that it
    is not covered itself.
    """

    def __init__(self, calendar: Calendar) -> None:
        self.covered: dict[str, list[Span]] = {}
        self.empty: dict[str, list[Span]] = {}
        self.first_day = ""
        """The days before it are forgotten."""
        self._calendar = calendar
        self._session = ""
        self.newest: int | None = None
        """Up to where heartbeats have told of it, ns since the epoch."""
        self._day, self._day_end = "", 0
        self._has_ended = False

    def restore(self, day: str, covered: Iterable[Span], empty: Iterable[Span]) -> None:
        """Take what was known of a day before."""
        self.covered[day], self.empty[day] = merged(covered), merged(empty)
        if self.covered[day]:
            self.newest = max(self.newest or 0, self.covered[day][-1][1])

    def beat(self, event: FeedEvent, connected_at: int | None) -> list[str]:
        """Take a heartbeat of a session that connected at `connected_at` (None: not known); return the days that grew.

        Raises BadData where its times are outside the calendar, or still to come.
        """
        newest = event.ts_event
        if newest is None:
            return []
        if newest > event.at + _AHEAD_NS:
            raise BadData("ts_event", f"must not be more than an hour ahead of at ({event.at}), is {newest}")
        if event.session != self._session:
            begin = self._begin(newest, connected_at)
            days = self.add(begin, newest)
            self._session, self._has_ended = event.session, False
        else:
            begin = newest if self.newest is None else self.newest
            days = self.add(begin, newest)
        self.newest = max(begin, newest)
        return days

    def end(self, reason: str) -> None:
        """Take note of why a session ended."""
        self._has_ended = reason == END_OF_DATA

    def add(self, begin: int, end: int) -> list[str]:
        """Cover [begin, end); return the trading days of it. Raises BadData where it is outside the calendar."""
        spans = self.covered.get(self._day)
        if spans and spans[-1][0] <= begin <= spans[-1][1] <= end <= self._day_end:
            grown = spans[-1][1] < end
            spans[-1] = (spans[-1][0], end)
            return [self._day] if grown else []
        return self._add(self.covered, begin, end)

    def add_empty(self, begin: int, end: int) -> None:
        """Take note that the vendor has nothing within [begin, end)."""
        self._add(self.empty, begin, end)

    def forget(self, before: str) -> None:
        """Forget the trading days before that one."""
        self.first_day = before
        for days in (self.covered, self.empty):
            for day in [day for day in days if day < before]:
                del days[day]

    def _add(self, days: dict[str, list[Span]], begin: int, end: int) -> list[str]:
        parts = list(by_day(self._calendar, begin, end))
        for day, span in parts:
            days[day] = merged([*days.get(day, ()), span])
        if parts:
            self._day, self._day_end = parts[-1][0], self._calendar.day_end(end - 1)
        return [day for day, _ in parts]

    def _begin(self, newest: int, connected_at: int | None) -> int:
        self._calendar.trading_day(newest)
        before = self.newest
        if before is not None and not self._has_ended and 0 <= newest - before <= _LONGEST_ABSENCE_NS:
            return before
        if connected_at is not None and 0 <= newest - connected_at <= _LONGEST_ABSENCE_NS:
            return connected_at
        return newest
