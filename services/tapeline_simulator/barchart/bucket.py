"""How many calls the site takes: a bucket that calls fill and that leaks. Pure."""

from __future__ import annotations

from typing import Final

_MINUTE_S: Final = 60.0


class LeakyBucket:
    """Takes `calls_per_minute` at once, and then as many a minute as leak out."""

    def __init__(self, calls_per_minute: float) -> None:
        self._capacity = calls_per_minute
        self._leak_per_s = calls_per_minute / _MINUTE_S
        self._level = 0.0
        self._at_s: float | None = None

    def wait_s(self, now_s: float) -> float:
        """Take a call at `now_s` of a clock that never goes back: 0, or the seconds until there is room for one."""
        passed_s = 0.0 if self._at_s is None else now_s - self._at_s
        self._at_s = now_s
        self._level = max(0.0, self._level - passed_s * self._leak_per_s)
        if self._level + 1 > self._capacity:
            return (self._level + 1 - self._capacity) / self._leak_per_s
        self._level += 1
        return 0.0
