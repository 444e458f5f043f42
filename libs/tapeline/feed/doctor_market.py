"""Whether a market trades, by its calendar: until when, on which trading day, and what is unusual about it. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from tapeline.errors import BadData
from tapeline.feed.calendar import Calendar
from tapeline.feed.doctor import Check

NAME: Final = "market"
EXCHANGE_ZONE: Final = ZoneInfo("America/Chicago")

_HOUR_NS: Final = 3_600_000_000_000
_SHORT_BREAK_NS: Final = 2 * _HOUR_NS
_NEIGHBOURS: Final = 30
"""So many sessions before and after one say how long a session usually is."""
_AHEAD: Final = 5
"""So many sessions ahead are looked at for holidays and early closes."""


def market_check(calendar: Calendar, at_ns: int) -> Check:
    """Return whether the market trades at `at_ns` (ns since the epoch), and what comes next; a closed one is no fault.

    Red only where the calendar does not know the moment.
    """
    try:
        trading_day, is_open = calendar.trading_day(at_ns), calendar.is_open(at_ns)
        index = int(np.searchsorted(calendar.closes, at_ns, side="right"))
    except BadData as error:
        return Check(NAME, "red", str(error), "set this computer's clock, for example: timedatectl set-ntp true")
    if is_open:
        last = _end_of_stretch(calendar, index)
        if last is None:
            return Check(NAME, "ok", f"{calendar.name}; trading day {trading_day} (UTC)")
        state = f"open until {_moment(int(calendar.closes[last]))}"
    else:
        state = f"closed ({_why_closed(calendar, index)}) until {_moment(int(calendar.opens[index]))}"
    said = [f"{calendar.name}: {state}", f"trading day {trading_day}"]
    if is_open and (short_h := _hours_short(calendar, index)):
        said.append(f"a short one: it closes {short_h} h early")
    said += _ahead(calendar, index)
    return Check(NAME, "ok", "; ".join(said))


def _end_of_stretch(calendar: Calendar, index: int) -> int | None:
    """Return the session that ends with a break, from `index` on; None where there is no break any more."""
    breaks = np.flatnonzero(calendar.opens[index + 1 :] > calendar.closes[index:-1])
    return index + int(breaks[0]) if len(breaks) else None


def _why_closed(calendar: Calendar, index: int) -> str:
    if not index:
        return "before the calendar's first session"
    missed = _holidays(calendar, index)
    if missed:
        return f"holiday {', '.join(missed)}"
    pause_ns = int(calendar.opens[index] - calendar.closes[index - 1])
    if pause_ns <= _SHORT_BREAK_NS:
        return "daily break"
    is_weekend = int((calendar.days[index] - calendar.days[index - 1]).astype(int)) > 1
    return "weekend" if is_weekend else "after an early close"


def _holidays(calendar: Calendar, index: int) -> list[str]:
    """Return the weekdays without a session between that of `index` and the one before it."""
    between = np.arange(calendar.days[index - 1] + 1, calendar.days[index])
    return [str(day) for day in between if np.is_busday(day)]


def _hours_short(calendar: Calendar, index: int) -> int:
    """Return by how many whole hours a session is shorter than those around it usually are."""
    around = slice(max(0, index - _NEIGHBOURS), index + _NEIGHBOURS)
    usual_ns = float(np.median(calendar.closes[around] - calendar.opens[around]))
    return max(0, int((usual_ns - int(calendar.closes[index] - calendar.opens[index])) // _HOUR_NS))


def _ahead(calendar: Calendar, index: int) -> list[str]:
    coming = range(index + 1, min(index + 1 + _AHEAD, len(calendar.days)))
    said = [f"holiday {_day(day)}" for each in coming for day in _holidays(calendar, each)]
    said += [f"early close {_day(str(calendar.days[each]))}" for each in coming if _hours_short(calendar, each)]
    return [f"coming: {', '.join(said)}"] if said else []


def _day(day: str) -> str:
    return f"{date.fromisoformat(day):%a %Y-%m-%d}"


def _moment(at_ns: int) -> str:
    at = datetime.fromtimestamp(at_ns / 1e9, UTC)
    return f"{at:%a %Y-%m-%d %H:%M} UTC ({at.astimezone(EXCHANGE_ZONE):%a %H:%M} US/Central)"
