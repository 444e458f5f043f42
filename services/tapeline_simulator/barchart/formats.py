"""How Barchart writes numbers: the text of every field, and the raw value beside it. Pure.

Of what it has not, the text is ``N/A``; the raw value is null for counts and times, and 0 for prices. Raw numbers are
whole where they can be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from tapeline_simulator.barchart.market import POINT_VALUE, FutureRow, OptionRow, Quote

Cell = tuple[Any, Any]
"""The text of a field and its raw value."""

NOTHING: Final = "N/A"
_UNCHANGED: Final = "unch"
_SETTLED: Final = "s"
_OPTION_CODE, _OPTION_TYPE = "FUTOPT", 12
_FUTURE_CODE, _FUTURE_TYPE = "FUT", 2


def price(value: Decimal | None, *, mark: str = "") -> Cell:
    """Return a price: ``6,820.00``, with `mark` behind it."""
    if value is None:
        return NOTHING, 0
    return f"{value:,.2f}{mark}", number(value)


def change(value: Decimal | None) -> Cell:
    """Return a change: ``+9.00``, ``-0.25``, ``unch``."""
    if value is None:
        return NOTHING, 0
    if not value:
        return _UNCHANGED, 0
    return f"{value:+,.2f}", number(value)


def count(value: int | None) -> Cell:
    """Return a number of contracts: ``1,204``."""
    return (NOTHING, None) if value is None else (f"{value:,}", value)


def number(value: Decimal) -> int | float:
    """Return a number as it is in JSON: whole where it can be."""
    return int(value) if value == value.to_integral_value() else float(value)


def _premium(quote: Quote) -> Cell:
    dollars = (quote.last or Decimal(0)) * POINT_VALUE
    return f"{dollars:,.2f}", number(dollars)


def _same(value: str | int) -> Cell:
    return value, value


_OF_QUOTE: Final[Mapping[str, Callable[[Quote], Cell]]] = {
    "openPrice": lambda quote: price(quote.open),
    "highPrice": lambda quote: price(quote.high),
    "lowPrice": lambda quote: price(quote.low),
    "lastPrice": lambda quote: price(quote.last, mark=_SETTLED if quote.is_settlement else ""),
    "priceChange": lambda quote: change(quote.change),
    "bidPrice": lambda quote: price(quote.bid),
    "askPrice": lambda quote: price(quote.ask),
    "volume": lambda quote: count(quote.volume),
    "openInterest": lambda quote: count(quote.open_interest),
    "premium": _premium,
    "tradeTime": lambda quote: (quote.trade_time or NOTHING, quote.traded_s),
}

_OF_OPTION: Final[Mapping[str, Callable[[OptionRow], Cell]]] = {
    "strike": lambda row: (f"{row.strike_points:,.2f}{'C' if row.is_call else 'P'}", row.strike_points),
    "strikePrice": lambda row: (f"{row.strike_points:,.2f}", row.strike_points),
    "longSymbol": lambda row: _same(row.symbol),
    "optionType": lambda row: _same("Call" if row.is_call else "Put"),
    "symbol": lambda row: _same(row.symbol),
    "symbolCode": lambda row: _same(_OPTION_CODE),
    "symbolType": lambda row: _same(_OPTION_TYPE),
}

_OF_FUTURE: Final[Mapping[str, Callable[[FutureRow], Cell]]] = {
    "symbol": lambda row: _same(row.symbol),
    "symbolName": lambda row: _same(row.name),
    "symbolCode": lambda row: _same(_FUTURE_CODE),
    "symbolType": lambda row: _same(_FUTURE_TYPE),
}

OPTION_FIELDS: Final = (*_OF_OPTION, *_OF_QUOTE)
FUTURE_FIELDS: Final = (*_OF_FUTURE, *(name for name in _OF_QUOTE if name not in ("premium", "openInterest")))
"""The vendor's answer about a future leaves its open interest out; its page has it."""


def option_cell(row: OptionRow, field: str) -> Cell:
    """Return one of OPTION_FIELDS of a contract."""
    return _OF_OPTION[field](row) if field in _OF_OPTION else _OF_QUOTE[field](row.quote)


def future_cell(row: FutureRow, field: str) -> Cell:
    """Return a field of a future: of FUTURE_FIELDS, or ``openInterest``."""
    return _OF_FUTURE[field](row) if field in _OF_FUTURE else _OF_QUOTE[field](row.quote)


@dataclass(frozen=True, slots=True)
class FieldText:
    """What an answer says about a field where its `meta` is asked for."""

    short_name: str
    description: str
    type: str


FIELD_TEXTS: Final[Mapping[str, FieldText]] = {
    "strike": FieldText("Strike", "The price at which the option may be exercised.", "strikePrice"),
    "strikePrice": FieldText("Strike", "The price at which the option may be exercised.", "strikePrice"),
    "openPrice": FieldText("Open", "The day's first price.", "price"),
    "highPrice": FieldText("High", "The day's highest price.", "price"),
    "lowPrice": FieldText("Low", "The day's lowest price.", "price"),
    "lastPrice": FieldText("Last", "The price of the last trade.", "price"),
    "priceChange": FieldText("Change", "What the price differs from the last settlement.", "priceChange"),
    "bidPrice": FieldText("Bid", "The bid.", "price"),
    "askPrice": FieldText("Ask", "The ask.", "price"),
    "volume": FieldText("Volume", "What was traded today.", "integer"),
    "openInterest": FieldText("Open Int", "Contracts that were open at the end of yesterday.", "integer"),
    # The vendor's own words are as wrong: it is the last price times the value of a point.
    "premium": FieldText("Premium", "What the contract costs. (Option Last Price * Option Volume)", "float"),
    "tradeTime": FieldText("Time", "When it traded last.", "time"),
    "longSymbol": FieldText("Long Symbol", "", "string"),
    "optionType": FieldText("Type", "Put or Call.", "string"),
    "symbol": FieldText("Symbol", "", "string"),
    "symbolName": FieldText("Name", "", "string"),
    "symbolCode": FieldText("Symbol Code", "", "string"),
    "symbolType": FieldText("Type", "", "string"),
}
