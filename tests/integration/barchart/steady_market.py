"""A market of two weekly series on one future, with names and days that agree; nothing in it moves but its clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from tapeline_simulator.barchart.market import FutureRow, ListedSeries, OptionRow, Quote

CHICAGO = ZoneInfo("America/Chicago")


def chicago_ns(*moment: int) -> int:
    return round(datetime(*moment, tzinfo=CHICAGO).timestamp()) * 10**9  # type: ignore[arg-type, misc]


OPEN_NS = chicago_ns(2025, 6, 10, 9)
"""A Tuesday on which the market trades."""
FUTURE, UNDERLYING = "NQM25", "NQM5"
FUTURE_PRICE = Decimal("21700.25")
WEDNESDAY, THURSDAY = "MC2M25", "MM7M25"
EXPIRIES = {WEDNESDAY: chicago_ns(2025, 6, 11, 15), THURSDAY: chicago_ns(2025, 6, 12, 15)}
STRIKES = range(21_500, 21_901, 50)


class SteadyMarket:
    """Market and view in one."""

    def __init__(self, clock_ns: Callable[[], int]) -> None:
        self._clock_ns = clock_ns

    @property
    def at_ns(self) -> int:
        return self._clock_ns()

    def view(self) -> SteadyMarket:
        return self

    @property
    def series(self) -> Sequence[ListedSeries]:
        return [ListedSeries(name, FUTURE, at_ns) for name, at_ns in EXPIRIES.items() if at_ns > self.at_ns]

    @property
    def futures(self) -> Sequence[FutureRow]:
        return [
            FutureRow(FUTURE, "E-Mini Nasdaq 100 Jun '25", chicago_ns(2025, 6, 20, 8, 30), Quote(last=FUTURE_PRICE))
        ]

    def rows(self, series: str) -> list[OptionRow]:
        if series not in EXPIRIES:
            return []
        name = series[:-2] + series[-1]
        return [
            OptionRow(f"{name}|{strike}{'C' if is_call else 'P'}", strike, is_call, quote_of(strike, is_call=is_call))
            for is_call in (True, False)
            for strike in STRIKES
        ]


def quote_of(strike: int, *, is_call: bool) -> Quote:
    """Return what the market shows of every series' contract."""
    inner = max((FUTURE_PRICE - strike) * (1 if is_call else -1), Decimal(0)) // 1
    return Quote(last=inner + 50, bid=inner + 49, ask=inner + 51, open_interest=strike % 97)
