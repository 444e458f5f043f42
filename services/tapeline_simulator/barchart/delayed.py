"""A market as it was a while ago, which is all that the site's visitors get for nothing."""

from __future__ import annotations

import bisect
from collections import deque
from typing import Final

from tapeline_simulator.barchart.market import ChainMarket, MarketView

_KEPT: Final = 60
"""Moments that are kept over the delay; what is shown is older than it by up to one part in so many."""


class DelayedMarket:
    """Shows `market` as it was `delay_s` ago by its own time; what began later shows its beginning until then.

    `keep` must be called more often than every delay_s / 60, or what is shown is older.
    """

    def __init__(self, market: ChainMarket, delay_s: float) -> None:
        self._market = market
        self._delay_ns = int(delay_s * 1e9)
        self._kept: deque[MarketView] = deque([market.view()])

    def keep(self) -> None:
        """Keep this moment, if the last one that was kept is old enough."""
        now = self._market.view()
        if now.at_ns - self._kept[-1].at_ns >= self._delay_ns // _KEPT:
            self._kept.append(now)
        while len(self._kept) > 1 and self._kept[1].at_ns <= now.at_ns - self._delay_ns:
            self._kept.popleft()

    def view(self) -> MarketView:
        """Return the newest moment that is at least as old as the delay, or else the oldest that there is."""
        self.keep()
        wanted_ns = self._market.view().at_ns - self._delay_ns
        newer = bisect.bisect_right(self._kept, wanted_ns, key=lambda view: view.at_ns)
        return self._kept[max(newer - 1, 0)]
