"""What the simulated site shows: a market of futures and their option series, at one moment. Protocols and values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Protocol

POINT_VALUE: Final = 20
"""Dollars per index point of NQ and of its options."""


@dataclass(frozen=True, slots=True)
class ListedSeries:
    """A series of options by the vendor's names (``MM7Z26`` on ``NQZ26``), and when it expires (ns)."""

    symbol: str
    future: str
    expires_ns: int


@dataclass(frozen=True, slots=True)
class Quote:
    """What the vendor shows of one instrument, in points; None is what it has not.

    `last` is a settlement where `is_settlement` says so; `change` is the last price less the settlement before it.
    `trade_time` is the text that is shown, a time of Chicago (``07:28 CT``) or a date (``06/09/25``), `traded_s`
    (seconds since the epoch) the number beside it: of a date the vendor gives midnight in UTC, in Chicago, or a moment.
    """

    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    last: Decimal | None = None
    is_settlement: bool = False
    change: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    volume: int | None = None
    open_interest: int | None = None
    trade_time: str | None = None
    traded_s: int | None = None


@dataclass(frozen=True, slots=True)
class OptionRow:
    """A contract of a series, and what the vendor shows of it."""

    symbol: str
    strike_points: int
    is_call: bool
    quote: Quote


@dataclass(frozen=True, slots=True)
class FutureRow:
    """A future, and what the vendor shows of it."""

    symbol: str
    name: str
    expires_ns: int
    quote: Quote


class MarketView(Protocol):
    """What a market shows at `at_ns` (ns since the epoch); nothing that happens later changes it."""

    @property
    def at_ns(self) -> int: ...

    @property
    def series(self) -> Sequence[ListedSeries]:
        """What is listed and has not expired, by expiry."""

    @property
    def futures(self) -> Sequence[FutureRow]:
        """The futures, nearest first."""

    def rows(self, series: str) -> list[OptionRow]:
        """Return the calls, then the puts of a series, by strike; none of a series that is not known."""


class ChainMarket(Protocol):
    """A market that the site shows."""

    def view(self) -> MarketView:
        """Return what it shows now."""


def find_series(view: MarketView, symbol: str) -> ListedSeries | None:
    """Return the series of that name, or None."""
    return next((series for series in view.series if series.symbol == symbol), None)
