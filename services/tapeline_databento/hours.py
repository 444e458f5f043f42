"""When to be connected: by the market's calendar, with margins. Pure."""

from __future__ import annotations

from tapeline.feed.calendar import Calendar
from tapeline_databento.settings import DatabentoSettings


class Hours:
    """The hours of one market, as the settings want them used. All moments are ns since the epoch."""

    def __init__(self, calendar: Calendar, settings: DatabentoSettings) -> None:
        self._calendar = calendar
        self._is_limited = settings.market_hours_only
        self._before_ns = round(settings.before_open_s * 1e9)
        self._after_ns = round(settings.after_close_s * 1e9)

    def is_open(self, at_ns: int) -> bool:
        """Return whether the market trades."""
        return self._calendar.is_open(at_ns)

    def wait_ns(self, at_ns: int) -> int:
        """Return how long to wait until a session may begin, 0 where it may now."""
        if not self._is_limited or at_ns - self._calendar.last_close(at_ns) < self._after_ns:
            return 0
        return max(0, self._calendar.next_open(at_ns) - self._before_ns - at_ns)

    def may_stream(self, at_ns: int) -> bool:
        """Return whether a session may begin or go on."""
        return self.wait_ns(at_ns) == 0
