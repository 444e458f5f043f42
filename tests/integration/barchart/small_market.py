"""A market of one future and one series of options, for tests that look at how the site is entered."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from tapeline_simulator.barchart.market import FutureRow, ListedSeries, OptionRow, Quote

AT_NS = 1_749_558_519_000_000_000
FUTURE, SERIES = "NQM25", "MC2M25"
PAGE_PATH = f"/futures/quotes/{FUTURE}/options/{SERIES}"
_EXPIRES_NS = AT_NS + 2 * 86_400 * 10**9


class SmallMarket:
    """Market and view in one, as nothing moves."""

    at_ns = AT_NS

    def view(self) -> SmallMarket:
        return self

    @property
    def series(self) -> Sequence[ListedSeries]:
        return [ListedSeries(SERIES, FUTURE, _EXPIRES_NS)]

    @property
    def futures(self) -> Sequence[FutureRow]:
        return [FutureRow(FUTURE, "E-Mini Nasdaq 100 Jun '25", _EXPIRES_NS, Quote(last=Decimal("21700.25")))]

    def rows(self, series: str) -> list[OptionRow]:
        sides = ((True, "C"), (False, "P"))
        quote = Quote(last=Decimal("100.25"), bid=Decimal(100), ask=Decimal(101))
        return [
            OptionRow(f"MC2M5|{strike}{letter}", strike, is_call, quote)
            for is_call, letter in sides
            for strike in (21_600, 21_700)
            if series == SERIES
        ]
