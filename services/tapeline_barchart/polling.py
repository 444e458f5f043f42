"""When each series is asked for next. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tapeline.feed.calendar import Calendar


@dataclass(frozen=True, slots=True)
class Intervals:
    """Times (s) between two polls of a series: while the market trades, while it does not, and after a failure."""

    open_s: float
    closed_s: float
    failed_s: float

    def next_ns(
        self, began_ns: int, calendar: Calendar, *, valid_until_ns: int = 0, has_failed: bool = False, rest_s: float = 0
    ) -> int:
        """Return when (ns) to poll again after a poll that began at `began_ns`.

        A poll in a closed market waits no longer than until it opens; one that would come just before the kept chain
        ceases to be valid waits for that, as it would bring nothing new. `rest_s` is for how long nothing is called.
        """
        if has_failed:
            return began_ns + round(max(min(self.failed_s, self._interval_s(began_ns, calendar)), rest_s) * 1e9)
        interval_ns = round(self._interval_s(began_ns, calendar) * 1e9)
        next_ns = began_ns + interval_ns
        if not calendar.is_open(began_ns):
            next_ns = min(next_ns, calendar.next_open(began_ns))
        if next_ns < valid_until_ns <= next_ns + interval_ns // 2:
            return valid_until_ns
        return next_ns

    def _interval_s(self, at_ns: int, calendar: Calendar) -> float:
        return self.open_s if calendar.is_open(at_ns) else self.closed_s
