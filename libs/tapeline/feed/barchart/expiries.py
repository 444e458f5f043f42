"""On which day, and at which instant, options of equity-index futures on CME expire. Pure.

Quarterlies stop at 8:30 Chicago time on the third Friday of their month, or on the business day before; weeklies and
those of a month's end at 15:00 of their day, or when an early close ends it. On a holiday nothing expires: the days on
which trading ends by noon are such (Globex trades on some, the index is not published).
"""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

from tapeline.errors import BadData
from tapeline.feed.calendar import cme_globex_equity

CHICAGO: Final = ZoneInfo("America/Chicago")
FRIDAY: Final = 4

_QUARTERLY_STOP: Final = time(8, 30)
_WEEKLY_STOP: Final = time(15)
_NOON: Final = time(12)


def weekly_day(year: int, month: int, weekday: int, week: int) -> date:
    """Return the `week`-th `weekday` (0: Monday) of a month.

    Raises BadData where the month has no such day, or nothing expires on it.
    """
    first = date(year, month, 1)
    day = first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (week - 1))
    if day.month != month or week < 1:
        raise BadData("label", f"must be a week of its month: {year}-{month:02d} has no week {week} of that weekday")
    if not is_business_day(day):
        raise BadData("label", f"must be a day on which options expire: {day} is a holiday")
    return day


def month_end_day(year: int, month: int) -> date:
    """Return the last business day of a month."""
    return _on_or_before(date(year, month, monthrange(year, month)[1]))


def quarterly_day(year: int, month: int) -> date:
    """Return the third Friday of a month, or the business day before it."""
    first = date(year, month, 1)
    return _on_or_before(first + timedelta(days=(FRIDAY - first.weekday()) % 7 + 14))


def weekly_expiry(day: date) -> int:
    """Return when (ns since the epoch) an option stops that expires on business day `day`, but no quarterly."""
    return min(_instant(day, _WEEKLY_STOP), _closes()[day])


def quarterly_expiry(year: int, month: int) -> int:
    """Return when (ns since the epoch) the quarterly options and the future of a month stop."""
    return _instant(quarterly_day(year, month), _QUARTERLY_STOP)


def is_business_day(day: date) -> bool:
    """Return whether options may expire on `day`. Raises BadData outside the calendar."""
    closes = _closes()
    first, last = next(iter(closes)), next(reversed(closes))
    if not first <= day <= last:
        raise BadData("expiry", f"must be within the calendar, {first} to {last}, is {day}")
    return day in closes


def chicago_day(at_ns: int) -> date:
    """Return the date in Chicago at `at_ns`."""
    return datetime.fromtimestamp(at_ns // 10**9, UTC).astimezone(CHICAGO).date()


def _on_or_before(day: date) -> date:
    while not is_business_day(day):
        day -= timedelta(days=1)
    return day


@cache
def _closes() -> dict[date, int]:
    """Return when the session of each business day closes (ns)."""
    sessions = cme_globex_equity()
    return {
        day: close_ns
        for day, close_ns in zip(sessions.days.tolist(), sessions.closes.tolist(), strict=True)
        if datetime.fromtimestamp(close_ns // 10**9, UTC).astimezone(CHICAGO).time() > _NOON
    }


def _instant(day: date, at: time) -> int:
    return int(datetime.combine(day, at, CHICAGO).timestamp()) * 10**9
