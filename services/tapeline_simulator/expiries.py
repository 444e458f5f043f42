"""When NQ futures and options expire, and under which names they are listed. Pure.

Rules of CME: quarterlies stop trading at 8:30 Chicago time on the third Friday of March, June, September and December,
or on the business day before. Weeklies stop at 15:00 on their day; the number is that of the weekday in its month, the
letters A to D are Monday to Thursday, Fridays are ``QN1`` to ``QN4``. The last business day of a month has ``QNE``
instead of a weekly, and the day of a quarterly no Friday option. What falls on a holiday is not listed.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo

from tapeline.errors import Misconfigured
from tapeline.feed.calendar import cme_globex_equity

ROOT: Final = "NQ"
MONTHS: Final = "FGHJKMNQUVXZ"
_CHICAGO: Final = ZoneInfo("America/Chicago")
_QUARTERLY_STOP: Final = time(8, 30)
_WEEKLY_STOP: Final = time(15, 0)
_HOLIDAY_CLOSE: Final = time(12, 0)
"""A session that ends by noon is a holiday's: the index is not published, and nothing is settled."""
_WEEKDAYS: Final = "ABCD"


@dataclass(frozen=True, slots=True, order=True)
class Series:
    """The options of one expiry: `expires_ns`, `root` (``NQ``, ``Q2D``, ``QN1``, ``QNE``) and `code` (``NQZ6``)."""

    expires_ns: int
    root: str
    code: str
    underlying: str

    @property
    def parent(self) -> str:
        """What a subscription to the whole series names."""
        return f"{self.root}.OPT"

    @property
    def is_american(self) -> bool:
        """Whether it may be exercised before expiry, as quarterlies may."""
        return self.root == ROOT


@dataclass(frozen=True, slots=True)
class Future:
    """A quarterly future: its raw symbol, and when it expires."""

    symbol: str
    expires_ns: int


def next_series(at_ns: int, count: int) -> list[Series]:
    """Return the `count` series that expire next after `at_ns`, and the next quarterly if it is not among them."""
    found: list[Series] = []
    for day in _business_days(_day_of(at_ns)):
        found += [
            series for series in _series_of(day) if series.expires_ns > at_ns and _is_wanted(series, found, count)
        ]
        if len(found) >= count and any(series.is_american for series in found):
            return sorted(found)
    raise Misconfigured(f"the calendar of expiries ends before {count} series after {at_ns} ns")


def _is_wanted(series: Series, found: list[Series], count: int) -> bool:
    return len(found) < count or (series.is_american and not any(other.is_american for other in found))


def next_futures(at_ns: int, count: int) -> list[Future]:
    """Return the `count` quarterly futures that expire next after `at_ns`."""
    return list(islice(_futures_after(at_ns), count))


def future_of(symbol: str, at_ns: int) -> Future:
    """Return the quarterly NQ future that `symbol` means at `at_ns`: the next to expire with that month and year digit.

    Raises Misconfigured where it is not the raw symbol of one.
    """
    if not re.fullmatch(rf"{ROOT}[HMUZ]\d", symbol):
        raise Misconfigured(f"{symbol!r} must be a quarterly NQ future, such as {next_futures(at_ns, 1)[0].symbol}")
    return next(future for future in _futures_after(at_ns) if future.symbol == symbol)


def _futures_after(at_ns: int) -> Iterator[Future]:
    day = _day_of(at_ns)
    year, month = day.year, (day.month + 2) // 3 * 3
    while True:
        future = Future(f"{ROOT}{MONTHS[month - 1]}{year % 10}", _instant(_quarterly_day(year, month), _QUARTERLY_STOP))
        if future.expires_ns > at_ns:
            yield future
        year, month = (year + 1, 3) if month == 12 else (year, month + 3)


def _series_of(day: date) -> Iterator[Series]:
    """Yield what expires on a business day, the quarterly first."""
    month = f"{MONTHS[day.month - 1]}{day.year % 10}"
    is_quarterly = day.month % 3 == 0 and day == _quarterly_day(day.year, day.month)
    if is_quarterly:
        expires_ns = _instant(day, _QUARTERLY_STOP)
        yield Series(expires_ns, ROOT, ROOT + month, ROOT + month)
    weekday, number = day.weekday(), (day.day - 1) // 7 + 1
    if _is_last_business_day(day):
        root = "QNE"
    elif weekday < len(_WEEKDAYS):
        root = f"Q{number}{_WEEKDAYS[weekday]}"
    elif is_quarterly:
        return
    else:
        root = f"QN{number}"
    expires_ns = min(_instant(day, _WEEKLY_STOP), _closes()[day])
    yield Series(expires_ns, root, root + month, next_futures(expires_ns, 1)[0].symbol)


@cache
def _quarterly_day(year: int, month: int) -> date:
    fridays = [week[calendar.FRIDAY] for week in calendar.monthcalendar(year, month) if week[calendar.FRIDAY]]
    day = date(year, month, fridays[2])
    known = list(_closes())
    if not known[0] <= day <= known[-1]:
        raise Misconfigured(f"the calendar knows no expiries in {year}, only from {known[0]} to {known[-1]}")
    while not _is_business_day(day):
        day -= timedelta(days=1)
    return day


@cache
def _closes() -> dict[date, int]:
    """Return when each session of the calendar ends (ns), by its day; holidays have none."""
    sessions = cme_globex_equity()
    closes = {}
    for day, close_ns in zip(sessions.days.tolist(), sessions.closes.tolist(), strict=True):
        close = datetime.fromtimestamp(close_ns // 10**9, UTC).astimezone(_CHICAGO)
        if close.time() > _HOLIDAY_CLOSE:
            closes[day] = close_ns
    return closes


def _is_business_day(day: date) -> bool:
    return day in _closes()


def _is_last_business_day(day: date) -> bool:
    following = day + timedelta(days=1)
    while following.month == day.month:
        if _is_business_day(following):
            return False
        following += timedelta(days=1)
    return True


def _business_days(first: date) -> Iterator[date]:
    return (day for day in _closes() if day >= first)


def _day_of(at_ns: int) -> date:
    return datetime.fromtimestamp(at_ns // 10**9, UTC).astimezone(_CHICAGO).date()


def _instant(day: date, at: time) -> int:
    return int(datetime.combine(day, at, _CHICAGO).timestamp()) * 10**9
