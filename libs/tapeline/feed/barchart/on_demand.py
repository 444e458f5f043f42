"""Barchart OnDemand, the licensed API: ``getFuturesOptions`` and ``getQuote`` in their envelope. Pure.

Fields are those of the vendor's client library. Numbers come as JSON numbers or as texts of them, and both are read
from their digits. The envelope says of no chain how many contracts there are: that none is missing is never proven.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from tapeline.errors import BadData
from tapeline.feed.barchart.chain import chain_of
from tapeline.feed.barchart.expiries import chicago_day
from tapeline.feed.barchart.marks import contract_flags
from tapeline.feed.barchart.names import parse_name
from tapeline.feed.barchart.on_demand_records import Record, count_of, price_of, records_in
from tapeline.feed.barchart.payload import DELAY_S, is_paired
from tapeline.feed.barchart.rows import Integers
from tapeline.feed.barchart.series import VendorSeries
from tapeline.feed.barchart.trade_times import DAY
from tapeline.model.chains import ABSENT, ABSENT_CODE, NULL, NULL_CODE, Chain, Contracts, Mode, UnderlyingPrice
from tapeline.model.frames import Array

_PRICES: Final = ("bid", "ask", "last", "open", "high", "low", "change", "settlement", "premium")
_COUNTS: Final = (("volume", "volume"), ("open_interest", "openInterest"))
_GREEKS: Final = ("delta", "gamma", "theta", "vega")
_VOLATILITY: Final = "impliedVolatility"
_PER_CENT: Final = 100


def parse_on_demand(
    payload: bytes,
    series: VendorSeries,
    *,
    source: str,
    mode: Mode,
    fetched_at: int,
    published_at: int,
    underlying_price: UnderlyingPrice | None = None,
    delay_s: float = DELAY_S,
    max_records: int | None = None,
) -> Chain:
    """Return the chain of `series` in the answer of ``getFuturesOptions``, given at `fetched_at` (ns).

    `complete` is False where a call or put is missing, or as many contracts came as `max_records` asked for; otherwise
    it is None, not known. Raises BadData, which names row and field, where it is anything else.
    """
    rows = records_in(payload)
    strike, is_call = _contracts(rows, series)
    columns: dict[str, Array] = {
        name: values for name in _PRICES if (values := _integers(rows, name, name, price_of)) is not None
    }
    columns |= {
        name: values for name, field in _COUNTS if (values := _integers(rows, name, field, count_of)) is not None
    }
    columns |= _vendor_values(rows)
    columns |= _trade_days(rows)
    as_of = fetched_at - int(delay_s * 1e9)
    flags = contract_flags(
        dict.fromkeys(("bid", "ask", "last", "volume_is_stale"), np.full(len(rows), ABSENT)) | columns,
        series.product,
        is_expired=as_of >= series.expiry,
    )
    is_cut = not is_paired(strike, is_call) or (max_records is not None and len(rows) >= max_records)
    return chain_of(
        series,
        Contracts(strike, is_call, tuple(str(row.cells["symbol"]) for row in rows), columns, flags),
        source=source,
        mode=mode,
        as_of=as_of,
        fetched_at=fetched_at,
        published_at=published_at,
        delay_s=delay_s,
        underlying_price=underlying_price,
        expected=None,
        complete=False if is_cut else None,
    )


def parse_on_demand_quote(payload: bytes, vendor_symbol: str) -> UnderlyingPrice:
    """Return the price of a future (``NQM25``) from the answer to ``getQuote``. Raises BadData where it has none."""
    name = parse_name(vendor_symbol)
    heads = name.row_heads(int(name.year_digits))
    for row in records_in(payload):
        if row.text("symbol") in heads and (value := row.read("lastPrice", price_of)) not in (NULL, ABSENT):
            is_settled = row.read("settlement", price_of) == value
            return UnderlyingPrice(value, "settlement" if is_settled else "trade", row.instant("tradeTimestamp"))
    raise BadData("results.lastPrice", f"must be a price of {vendor_symbol}, there is none", "ask again once it trades")


def _contracts(rows: Sequence[Record], series: VendorSeries) -> tuple[Integers, Array]:
    heads = parse_name(series.vendor_series).row_heads(int(series.vendor_series[-2:]))
    expires = str(chicago_day(series.expiry))
    strikes, calls = [], []
    for row in rows:
        if row.text("symbol").partition("|")[0] not in heads:
            raise row.refusal("symbol", f"must be of {series.vendor_series}, as was asked for")
        if row.text("expirationDate")[:10] != expires:
            raise row.refusal("expirationDate", f"must be {expires}, is {row.cells['expirationDate']!r}")
        if row.text("type") not in ("Call", "Put"):
            raise row.refusal("type", f"must be Call or Put, is {row.cells['type']!r}")
        strike = row.read("strike", price_of)
        if strike <= 0:
            raise row.refusal("strike", "must be a number above 0")
        is_call = row.cells["type"] == "Call"
        tail = row.text("symbol").partition("|")[2]
        if tail and tail[-1:] != ("C" if is_call else "P"):
            raise row.refusal("type", f"must agree with the symbol, is {row.cells['type']!r}")
        strikes.append(strike)
        calls.append(is_call)
    return np.array(strikes, dtype=np.int64), np.array(calls, dtype=bool)


def _integers(rows: Sequence[Record], name: str, field: str, reader: Callable[[str], int]) -> Integers | None:
    values = np.array([row.read(field, reader) for row in rows], dtype=np.int64)
    if name in ("bid", "ask"):
        # One of 0 is none.
        values[values == 0] = NULL
    return None if (values == ABSENT).all() else values


def _vendor_values(rows: Sequence[Record]) -> dict[str, Array]:
    """Return volatility (in per cent, 0 is none) and greeks of the vendor."""
    found: dict[str, Array] = {}
    volatility = _integers(rows, "vendor_iv", _VOLATILITY, price_of)
    if volatility is not None:
        found["vendor_iv"] = np.where(volatility > 0, volatility / 1e9 / _PER_CENT, np.nan)
    for greek in _GREEKS:
        values = _integers(rows, greek, greek, price_of)
        if values is not None:
            found[f"vendor_{greek}"] = np.where(values > ABSENT, values / 1e9, np.nan)
    return found


def _trade_days(rows: Sequence[Record]) -> dict[str, Array]:
    """Return the day that each record says it is of."""
    at = np.array([row.day("date") for row in rows], dtype=np.int64)
    precision = np.where(at > ABSENT, DAY, np.where(at == NULL, NULL_CODE, ABSENT_CODE)).astype(np.int8)
    return {} if (at == ABSENT).all() else {"trade_at": at, "trade_precision": precision}
