"""How many requests a second the Historical API takes of one key. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final

REQUESTS_PER_S: Final = {"timeseries": 100, "symbology": 100, "metadata": 20}
"""Per family of methods, as documented."""

_WINDOW_NS: Final = 1_000_000_000


class RateLimit:
    """Remembers the requests of the last second per key and family."""

    def __init__(self, requests_per_s: Mapping[str, int]) -> None:
        self._limits = dict(requests_per_s)
        self._taken: dict[tuple[str, str], deque[int]] = {}

    def wait_s(self, key: str, family: str, now_ns: int) -> float:
        """Take a request at `now_ns` of a clock that never goes back: 0, or the seconds until the next is taken."""
        limit = self._limits.get(family)
        if limit is None:
            return 0.0
        taken = self._taken.setdefault((key, family), deque())
        while taken and taken[0] <= now_ns - _WINDOW_NS:
            taken.popleft()
        if len(taken) >= limit:
            return (taken[0] + _WINDOW_NS - now_ns) / _WINDOW_NS if taken else 1.0
        taken.append(now_ns)
        return 0.0
