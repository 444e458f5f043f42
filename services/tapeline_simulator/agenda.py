"""What is to happen when: the moments at which a venue does something by itself."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

Action = Callable[[int], None]
"""Is told the moment (ns) for which it was planned."""


class Agenda:
    """Actions by their moments (ns); those of one moment run in the order in which they were planned."""

    def __init__(self) -> None:
        self._planned: list[tuple[int, int, Action]] = []
        self._turns = count()

    def plan(self, at_ns: int, action: Action) -> None:
        """Have `action` run at `at_ns`."""
        heapq.heappush(self._planned, (at_ns, next(self._turns), action))

    def next_ns(self) -> int | None:
        """Return the next moment at which something is to happen, or None."""
        return self._planned[0][0] if self._planned else None

    def run(self, at_ns: int) -> None:
        """Run what is planned for `at_ns` or before; an action may plan others."""
        while self._planned and self._planned[0][0] <= at_ns:
            moment, _, action = heapq.heappop(self._planned)
            action(moment)
