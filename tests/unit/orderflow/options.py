"""Options to quote and trade: their definitions, and frames of their stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from tests.unit.orderflow.builders import Row, tick_frame

from tapeline.model.chains import Chain, Contracts, UnderlyingPrice
from tapeline.model.columns import F_LAST
from tapeline.model.frames import TickFrame
from tapeline.model.instruments import Instrument, Leg, Right

DAY: Final = "2026-11-23"
T0: Final = int(datetime(2026, 11, 23, 15, 0, tzinfo=UTC).timestamp()) * 10**9
"""A multiple of every window."""
THURSDAY: Final = int(datetime(2026, 11, 26, 21, 0, tzinfo=UTC).timestamp()) * 10**9
FRIDAY: Final = int(datetime(2026, 11, 27, 21, 0, tzinfo=UTC).timestamp()) * 10**9
STREAM: Final = "GLBX.MDP3/Q4D.OPT"
E9: Final = 10**9

C25000, P25000, C25100, P25100 = "Q4DX6 C25000", "Q4DX6 P25000", "Q4DX6 C25100", "Q4DX6 P25100"
THURSDAYS: Final = (C25000, P25000, C25100, P25100)
SPREAD: Final = "UD:1V: VT 1123456"

L1_ROW: Final = (
    *("ts_event", "action", "symbol", "bid_price", "bid_size", "ask_price", "ask_size"),
    *("side", "price", "size", "flags"),
)
STATISTIC_ROW: Final = ("ts_event", "symbol", "stat_type", "price", "quantity", "ts_ref", "update_action")


def option(symbol: str, *, expiry: int = THURSDAY, underlying: str = "NQZ6", **changes: Any) -> Instrument:
    """Define an option by its raw symbol, such as ``Q4DX6 C25000``."""
    series, _, name = symbol.partition(" ")
    plain = Instrument(
        source="databento",
        dataset="GLBX.MDP3",
        trading_day=DAY,
        instrument_id=int(name[1:]) * 2 + (name[0] == "P"),
        raw_symbol=symbol,
        instrument_class=name[0],
        asset=series[:-2],
        group=series[:-2],
        parent=f"{series[:-2]}.OPT",
        underlying=underlying,
        underlying_id=1,
        expiry=expiry,
        activation=None,
        strike=int(name[1:]) * E9,
        style="european",
        tick=None,
        multiplier=20 * E9,
        currency="USD",
        user_defined=False,
        legs=None,
        update_action="A",
        ts_recv=T0 - 60 * E9,
    )
    return replace(plain, **changes)


def spread(symbol: str = SPREAD, legs: Sequence[str] = (C25000, C25100), **changes: Any) -> Instrument:
    """Define a user-defined spread of options."""
    made = tuple(Leg(i, leg, leg.partition(" ")[2][0], "B", 1, 1, None, None) for i, leg in enumerate(legs))
    fields = {"raw_symbol": symbol, "instrument_class": "T", "user_defined": True, "legs": made, "strike": None}
    return option(legs[0], **(fields | {"underlying": None, "expiry": None} | changes))


def quotes(rows: Sequence[Row], symbols: Sequence[str] = THURSDAYS, **header: Any) -> TickFrame:
    """Return an l1 frame of rows in the order of `L1_ROW`; a price of None is an empty side. It ends with its row."""
    full = [(*row, *(None, "N", 0, 0, 0, "N", 0, 0, F_LAST)[len(row) - 2 :]) for row in rows]
    return option_frame("l1", L1_ROW, full, symbols, **header)


def prints(rows: Sequence[Row], symbols: Sequence[str] = THURSDAYS, **header: Any) -> TickFrame:
    """Return a trade frame of rows (ts_event, symbol, side, price, size)."""
    return option_frame("trade", ("ts_event", "symbol", "side", "price", "size"), rows, symbols, **header)


def statistics(rows: Sequence[Row], symbols: Sequence[str] = THURSDAYS, **header: Any) -> TickFrame:
    """Return a statistics frame of rows in the order of `STATISTIC_ROW`."""
    return option_frame("statistics", STATISTIC_ROW, rows, symbols, **header)


def statuses(rows: Sequence[Row], symbols: Sequence[str] = THURSDAYS, **header: Any) -> TickFrame:
    """Return a status frame of rows (ts_event, symbol, is_trading)."""
    return option_frame("status", ("ts_event", "symbol", "is_trading"), rows, symbols, **header)


def option_frame(
    kind: Any, fields: Sequence[str], rows: Sequence[Row], symbols: Sequence[str], **header: Any
) -> TickFrame:
    """Return a frame of options, spreads and futures, as their raw symbols have it."""
    made = tick_frame(
        kind,
        fields,
        rows,
        symbols=symbols,
        classes=header.pop("classes", "".join(_letter(symbol) for symbol in symbols)),
        **{"stream": STREAM, "source": "databento", "origin": "live", "trading_day": DAY, **header},
    )
    if "ts_ref" not in fields:
        return made
    shifted = {**made.columns, "ts_ref": made.columns["ts_ref"] - made.ts_base}
    for row in made.undefined.get("ts_ref", ()):
        shifted["ts_ref"][row] = 0
    return replace(made, columns=shifted)


def valued_chain(
    as_of: int,
    greeks: dict[str, tuple[float, float]],
    *,
    underlying: str = "NQZ6",
    expiry: int = THURSDAY,
    price: int | None = 25_040 * E9,
) -> Chain:
    """Return a chain of options named by their raw symbols, with delta and vega."""
    defined = [option(symbol, expiry=expiry, underlying=underlying) for symbol in greeks]
    right: Right = "call"
    return Chain(
        source="databento",
        vendor="databento",
        underlying=underlying,
        expiry=expiry,
        series="Q4D",
        vendor_series="Q4DX6",
        style="european",
        settlement_method=None,
        multiplier=20 * E9,
        currency="USD",
        mode="live",
        as_of=as_of,
        fetched_at=as_of,
        published_at=as_of,
        delay_s=0.0,
        underlying_price=None if price is None else UnderlyingPrice(price, "quote", as_of),
        expected=len(greeks),
        expected_from="definitions",
        complete=True,
        contracts=Contracts(
            strike=np.array([each.strike for each in defined], dtype=np.int64),
            is_call=np.array([each.right == right for each in defined]),
            vendor_symbols=tuple(greeks),
            columns={
                "delta": np.array([delta for delta, _ in greeks.values()]),
                "vega": np.array([vega for _, vega in greeks.values()]),
            },
            flags=np.zeros(len(greeks), dtype=np.uint32),
        ),
    )


def _letter(symbol: str) -> str:
    name = symbol.partition(" ")[2]
    return "T" if symbol.startswith("UD:") else name[0] if name else "F"
