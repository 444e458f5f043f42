"""The answer of ``core-api/v1/quotes/get`` to an option chain: exact numbers from its formatted texts. Pure.

What is decided here, where the vendor leaves it open:

- A last price with an ``s`` is a settlement: it is `settlement`, of `settlement_at`, and stays `last` as well, marked
  by `last_is_settlement`; `premium` is of it. Where the last price is a trade, no settlement is told.
- `as_of`: the vendor says of no quote when it held, only that it delays them, by 900 s unless another delay is agreed.
  It is that much before `fetched_at`, or the newest trade where that is later, and never after `fetched_at`.
- A time of trade whose text is a date only is midnight UTC of that date, with precision ``day``: its raw number is
  midnight in UTC, midnight in Chicago or the last trade, and does not say which.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np

from tapeline.errors import BadData
from tapeline.feed.barchart import texts
from tapeline.feed.barchart.answers import answer_object
from tapeline.feed.barchart.chain import chain_of
from tapeline.feed.barchart.marks import contract_flags, stale_volumes
from tapeline.feed.barchart.names import parse_name
from tapeline.feed.barchart.rows import Integers, Rows, rows_in
from tapeline.feed.barchart.series import VendorSeries
from tapeline.feed.barchart.trade_times import SECOND, trade_times
from tapeline.feed.calendar import cme_globex_equity
from tapeline.model.chains import (
    ABSENT,
    NULL,
    NULL_CODE,
    Chain,
    Contracts,
    Mode,
    UnderlyingPrice,
    decimal_text,
)
from tapeline.model.frames import Array

DELAY_S: Final = 900.0
"""The vendor delays futures options by at least so much."""

_PRICES: Final = (("open", "openPrice"), ("high", "highPrice"), ("low", "lowPrice"), ("change", "priceChange"))
_COUNTS: Final = (("volume", "volume"), ("open_interest", "openInterest"))
_GREEKS: Final = ("delta", "gamma", "theta", "vega")
_VOLATILITY: Final = "optImpliedVolatility"
_RIGHTS: Final = {"Call": "C", "Put": "P"}
_digits = lru_cache(16_384)(decimal_text)


def parse_chain(
    payload: bytes,
    series: VendorSeries,
    *,
    source: str,
    mode: Mode,
    fetched_at: int,
    published_at: int,
    underlying_price: UnderlyingPrice | None = None,
    delay_s: float = DELAY_S,
) -> Chain:
    """Return the chain of `series` in `payload`, which the vendor gave at `fetched_at` (ns), delayed by `delay_s`.

    Raises BadData, which names row and field, where it is anything else: no JSON, an error, another series, numbers
    that contradict themselves, a format that has changed. Fields that are not known are passed over.
    """
    document = answer_object(payload)
    total = document.get("total")
    rows = rows_in(document)
    if not isinstance(total, int) or isinstance(total, bool) or total < 1:
        raise BadData("total", f"must be the number of contracts, is {total!r}")
    symbols = _symbols(rows, series)
    strike, is_call = _strikes(rows, symbols)
    columns = _columns(rows, series)
    trade_at, precision = trade_times(rows)
    columns["trade_at"], columns["trade_precision"] = trade_at, precision
    columns["settlement_at"] = np.where(columns["last_is_settlement"] == 1, trade_at, ABSENT)
    newest_trade = int(trade_at[precision == SECOND].max(initial=0))
    as_of = min(max(fetched_at - int(delay_s * 1e9), newest_trade), fetched_at)
    columns["volume_is_stale"] = stale_volumes(
        columns.get("volume", np.full(len(rows), ABSENT)), trade_at, precision, as_of, cme_globex_equity()
    )
    flags = contract_flags(columns, series.product, is_expired=as_of >= series.expiry)
    return chain_of(
        series,
        Contracts(strike, is_call, tuple(symbols), columns, flags),
        source=source,
        mode=mode,
        as_of=as_of,
        fetched_at=fetched_at,
        published_at=published_at,
        delay_s=delay_s,
        underlying_price=underlying_price,
        expected=total,
        complete=len(rows) == total and is_paired(strike, is_call),
        flags=("trade_after_fetch",) if newest_trade > fetched_at else (),
    )


def parse_quote(payload: bytes, vendor_symbol: str) -> UnderlyingPrice:
    """Return the price of a future (``NQM25``) from the answer to ``quotes/get?symbols=NQM25&raw=1``.

    Raises BadData where it has none.
    """
    rows = rows_in(answer_object(payload))
    symbols = rows.read("symbol", str.strip)
    if vendor_symbol not in symbols:
        raise BadData("data.symbol", f"must be {vendor_symbol}, is {', '.join(symbols[:3])}")
    price = future_price(rows, symbols.index(vendor_symbol))
    if price is None:
        raise BadData(
            "data.lastPrice", f"must be a price of {vendor_symbol}, there is none", "ask again once it trades"
        )
    return price


def future_price(rows: Rows, index: int) -> UnderlyingPrice | None:
    """Return the price in a row of futures, None where it has none; a date is not told as its time. Raises BadData."""
    last, is_settled = _last_prices(rows)
    trade_at, precision = trade_times(rows)
    value = int(last[index])
    if value == NULL:
        return None
    at = int(trade_at[index]) if precision[index] == SECOND else None
    return UnderlyingPrice(value, "settlement" if is_settled[index] else "trade", at)


def _symbols(rows: Rows, series: VendorSeries) -> list[str]:
    symbols = rows.read("symbol", str.strip)
    heads = parse_name(series.vendor_series).row_heads(int(series.vendor_series[-2:]))
    if not {symbol.partition("|")[0] for symbol in symbols} <= heads:
        index = next(index for index, symbol in enumerate(symbols) if symbol.partition("|")[0] not in heads)
        raise rows.refusal(
            index,
            "symbol",
            f"must be of {series.vendor_series}, as was asked for",
            "the answer is another series': ask again",
        )
    return symbols


def _strikes(rows: Rows, symbols: list[str]) -> tuple[Integers, Array]:
    """Return strikes (exponent -9) and rights, which strike, type and symbol must agree on."""
    name = "strike" if rows.has("strike") else "strikePrice"
    read = rows.read(name, texts.strike)
    letters = rows.read("optionType", _right)
    for index, ((value, letter), right, symbol) in enumerate(zip(read, letters, symbols, strict=True)):
        if letter not in ("", right) or symbol.partition("|")[2] != f"{_digits(value)}{right}":
            raise rows.refusal(
                index, name, f"must agree with type and symbol, is {rows.rows[index][name]!r} of a {right}"
            )
    strike = np.array([value for value, _ in read], dtype=np.int64)
    rows.check_raw(name, strike, -9)
    return strike, np.array([letter == "C" for letter in letters], dtype=bool)


def _right(text: str) -> str:
    if text not in _RIGHTS:
        raise BadData("text", f"must be Call or Put, is {text!r}")
    return _RIGHTS[text]


def _columns(rows: Rows, series: VendorSeries) -> dict[str, Array]:
    last, is_settled = _last_prices(rows)
    columns: dict[str, Array] = {
        "bid": rows.integers("bidPrice", texts.quote, -9, is_required=True),
        "ask": rows.integers("askPrice", texts.quote, -9, is_required=True),
        "last": last,
        "settlement": np.where(is_settled, last, ABSENT),
        "last_is_settlement": np.where(last == NULL, NULL_CODE, is_settled).astype(np.int8),
    }
    columns |= {name: rows.integers(field, texts.price, -9) for name, field in _PRICES if rows.has(field)}
    columns |= {name: rows.integers(field, texts.count, 0) for name, field in _COUNTS if rows.has(field)}
    if rows.has("premium"):
        columns["premium"] = rows.integers("premium", texts.price, -9)
        _check_premium(rows, columns["premium"], last, series)
    if rows.has(_VOLATILITY):
        columns["vendor_iv"] = np.array(rows.read(_VOLATILITY, texts.volatility, np.nan), dtype=np.float64)
    for greek in _GREEKS:
        if rows.has(greek):
            columns[f"vendor_{greek}"] = np.array(rows.read(greek, texts.real, np.nan), dtype=np.float64)
    return columns


def _last_prices(rows: Rows) -> tuple[Integers, Array]:
    read = rows.read("lastPrice", texts.last_price)
    last = np.array([value for value, _ in read], dtype=np.int64)
    rows.check_raw("lastPrice", last, -9)
    return last, np.array([is_settled for _, is_settled in read], dtype=bool)


def _check_premium(rows: Rows, premium: Integers, last: Integers, series: VendorSeries) -> None:
    """Hold the premium, money per contract, against last price times multiplier; of no price it is 0 or missing."""
    points = series.multiplier // 10**9
    wrong = np.where(last == NULL, premium > 0, premium != last * points) & (premium != ABSENT)
    if wrong.any():
        index = int(wrong.argmax())
        raise rows.refusal(
            index,
            "premium",
            f"must be the last price {rows.rows[index]['lastPrice']} times {points}, is {rows.rows[index]['premium']}",
            f"the multiplier of {series.vendor_series} may be another",
        )


def is_paired(strike: Integers, is_call: Array) -> bool:
    """Return whether every strike has one call and one put."""
    calls, puts = np.sort(strike[is_call]), np.sort(strike[~is_call])
    return bool(np.array_equal(calls, puts)) and bool((np.diff(calls) > 0).all())
