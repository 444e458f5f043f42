"""A market of one future and one series of options, for tests that look at how the site is entered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from tapeline_simulator.barchart.market import FutureRow, ListedSeries, OptionRow, Quote

FUTURE, SERIES = "NQM25", "MC2M25"
PAGE_PATH = f"/futures/quotes/{FUTURE}/options/{SERIES}"
STRIKES = (21_600, 21_700)


def nanoseconds(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp()) * 10**9  # type: ignore[arg-type, misc]


AT_NS = nanoseconds(2025, 6, 10, 14, 30)


class SmallMarket:
    """Market and view in one, as nothing moves: a call without an ask, everything else quoted."""

    at_ns = AT_NS

    def view(self) -> SmallMarket:
        return self

    @property
    def series(self) -> Sequence[ListedSeries]:
        return [ListedSeries(SERIES, FUTURE, nanoseconds(2025, 6, 11, 20))]

    @property
    def futures(self) -> Sequence[FutureRow]:
        quote = Quote(last=Decimal("21700.25"))
        return [FutureRow(FUTURE, "E-Mini Nasdaq 100 Jun '25", nanoseconds(2025, 6, 20, 13, 30), quote)]

    def rows(self, series: str) -> list[OptionRow]:
        return [
            OptionRow(f"MC2M5|{strike}{'C' if is_call else 'P'}", strike, is_call, _quote(strike, is_call=is_call))
            for is_call in (True, False)
            for strike in STRIKES
            if series == SERIES
        ]


def _quote(strike: int, *, is_call: bool) -> Quote:
    is_one_sided = is_call and strike == STRIKES[0]
    return Quote(last=Decimal("100.25"), bid=Decimal(100), ask=None if is_one_sided else Decimal(101))
