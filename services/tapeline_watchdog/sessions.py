"""The session that a moment belongs to, and the five-minute slot within it. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from tapeline.feed.calendar import Calendar

SLOT_NS: Final = 300_000_000_000
_NEVER_CLOSES_NS: Final = 86_400_000_000_000
_SHORT: Final = 0.95


@dataclass(frozen=True, slots=True)
class MarketSession:
    """A session [open_ns, close_ns), ns since the epoch; a short one is that of a holiday or of the day before one."""

    open_ns: int
    close_ns: int
    is_short: bool

    def is_open(self, at_ns: int) -> bool:
        """Return whether the market trades at `at_ns`."""
        return self.open_ns <= at_ns < self.close_ns

    def slot(self, at_ns: int) -> int:
        """Return the slot of a moment within the session, from 0.

        Sessions open at one hour of local time, so that a slot is a time of day whatever the clocks are set to.
        """
        return (at_ns - self.open_ns) // SLOT_NS


class Sessions:
    """The sessions of a calendar; the one that was asked for last is at hand, as a calendar is dear to ask."""

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        lengths_ns = calendar.closes - calendar.opens
        self._usual_ns = int(np.median(lengths_ns))
        self.slots: Final = math.ceil(int(lengths_ns.max()) / SLOT_NS)
        """Slots of the longest session."""
        self.never_close: Final = self._usual_ns == _NEVER_CLOSES_NS
        self._begin_ns = 0
        """When the session before the last one that was asked for closed."""
        self._last = MarketSession(0, 0, is_short=False)

    def at(self, at_ns: int) -> MarketSession:
        """Return the session that holds `at_ns`, else the next one. Raises BadData outside the calendar's table."""
        if not self._begin_ns <= at_ns < self._last.close_ns:
            close_ns = self._calendar.day_end(at_ns)
            self._begin_ns = self._calendar.last_close(at_ns)
            open_ns = self._calendar.next_open(self._begin_ns)
            self._last = MarketSession(open_ns, close_ns, close_ns - open_ns < _SHORT * self._usual_ns)
        return self._last

    def open_ns(self, begin_ns: int, end_ns: int) -> int:
        """Return for how long (ns) the market trades within [begin_ns, end_ns)."""
        session = self.at(end_ns)
        if begin_ns >= self._begin_ns:
            return max(0, end_ns - max(begin_ns, session.open_ns))
        return self._calendar.open_ns(begin_ns, end_ns)
