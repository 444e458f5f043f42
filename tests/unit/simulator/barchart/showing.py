"""A venue and what Barchart shows of it, for the tests of the simulated site."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from tapeline_simulator.barchart.market import FutureRow, ListedSeries, OptionRow, Quote

SECOND = 10**9
START = int(datetime(2026, 11, 23, 15, 0, tzinfo=UTC).timestamp()) * SECOND
SERIES = (
    ListedSeries("MC9X26", "NQZ26", START + 6 * 3_600 * SECOND),
    ListedSeries("MM4X26", "NQZ26", START + 30 * 3_600 * SECOND),
)


def points(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def option(strike: int, right: str, bid: str | None = None, ask: str | None = None, **told: object) -> OptionRow:
    quote = Quote(bid=points(bid), ask=points(ask), **told)  # type: ignore[arg-type]
    return OptionRow(f"MC9X6|{strike}{right}", strike, right == "C", quote)


TRADED = option(
    25_000,
    "C",
    "486.25",
    "499.00",
    open=Decimal("480"),
    high=Decimal("501.5"),
    low=Decimal("480"),
    last=Decimal("486.75"),
    change=Decimal("9.00"),
    volume=1_204,
    open_interest=2,
    trade_time="08:59 CT",
    traded_s=START // SECOND - 60,
)
SETTLED = option(
    25_000,
    "P",
    None,
    "0.15",
    high=Decimal("0.05"),
    low=Decimal("0.05"),
    last=Decimal("0.05"),
    is_settlement=True,
    change=Decimal(0),
    trade_time="11/20/26",
    traded_s=1_795_132_800,
)
ROWS = [TRADED, option(25_100, "C", "400.00", "410.25"), SETTLED, option(25_100, "P")]


class StandingView:
    """A moment that a test has made up."""

    def __init__(self, rows: dict[str, list[OptionRow]], at_ns: int = START) -> None:
        self.at_ns = at_ns
        self.series = SERIES
        self.futures = [FutureRow("NQZ26", "Nasdaq 100 E-Mini Dec '26", START * 2, Quote(last=Decimal("25050.25")))]
        self._rows = rows

    def rows(self, series: str) -> list[OptionRow]:
        return list(self._rows.get(series, ()))


class StandingMarket:
    """A market that shows what a test has made up."""

    def __init__(self, shown: StandingView | None = None) -> None:
        self.shown = shown or StandingView({"MC9X26": ROWS, "MM4X26": ROWS[:2]})

    def view(self) -> StandingView:
        return self.shown
