"""Silences that were strange and ended by themselves: what goes on for hours is how a stream is now. Pure."""

from __future__ import annotations

from typing import Final

_HOURS_NS: Final = 3 * 3_600_000_000_000
_KEPT_NS: Final = 4 * 86_400_000_000_000
"""Longer than a weekend with a holiday, so that the next sessions are learned from their first silence on."""


class StrangeSilences:
    """Strange silences of one stream and kind, over a connection that lived all the while.

    One of them is a fault, and must not become usual. But a vendor that is asked more rarely from now on is silent each
    time, and would be told of for ever.
    """

    def __init__(self) -> None:
        self._first_ns: int | None = None
        """When the first one of those ended that came within hours of each other."""
        self._last_ns = 0
        self._usual_until_ns = 0

    def end(self, at_ns: int) -> None:
        """Take note that a tick ended one at `at_ns` (ns since the epoch)."""
        if self._first_ns is None or at_ns - self._last_ns > _HOURS_NS:
            self._first_ns = at_ns
        self._last_ns = at_ns
        if at_ns - self._first_ns >= _HOURS_NS:
            self._usual_until_ns = at_ns + _KEPT_NS

    def are_usual(self, at_ns: int) -> bool:
        """Return whether they have come for so long that they are to be learned."""
        return at_ns < self._usual_until_ns
