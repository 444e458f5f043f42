"""How long to wait before the next attempt: exponential with full jitter, so that clients do not come back at once.

Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

FIRST_S: Final = 0.5
LONGEST_S: Final = 60.0
GOOD_S: Final = 60.0
"""A session that delivered for so long makes the next attempt a first one again."""


def full_jitter(attempt: int, random: Callable[[], float]) -> float:
    """Return the wait (s) before attempt number `attempt`, the first being 0; `random` gives numbers in [0, 1)."""
    return random() * min(LONGEST_S, FIRST_S * 2.0 ** min(attempt, 60))


class Backoff:
    """The waits of one connection that is made again and again.

    They grow with the outage and not with the attempts: whoever has been away for a second is asked again within half
    a second, and is back on the tape within one.
    """

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._since_s: float | None = None

    def failed(self, now_s: float, delivered_s: float) -> float:
        """Return the wait (s) after a session that broke at `now_s`, having delivered data for `delivered_s`, 0: none.

        `now_s` is any steady clock.
        """
        if self._since_s is None or delivered_s >= GOOD_S:
            self._since_s = now_s
        return self._random() * min(LONGEST_S, max(FIRST_S, (now_s - self._since_s) / 2))
