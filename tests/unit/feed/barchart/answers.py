"""Answers of the shape that Barchart gives, made up: one series of NQ, a Wednesday's of June 2025."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import orjson

from tapeline.feed.barchart.payload import parse_chain
from tapeline.feed.barchart.series import VendorSeries, series_from_code
from tapeline.model.chains import Chain

# 11:00 in Chicago on a Tuesday
FETCHED_AT = int(datetime(2025, 6, 10, 16, tzinfo=UTC).timestamp()) * 10**9
SERIES = series_from_code("MC2M25", FETCHED_AT)
TRADED_S = FETCHED_AT // 10**9 - 3_600

Row = dict[str, Any]
_TEXTS: dict[str, tuple[str, float | int | None]] = {
    "openPrice": ("N/A", 0),
    "highPrice": ("131.75", 131.75),
    "lowPrice": ("120.00", 120),
    "lastPrice": ("125.00", 125),
    "priceChange": ("+5.25", 5.25),
    "bidPrice": ("124.50", 124.5),
    "askPrice": ("126.00", 126),
    "volume": ("1,204", 1204),
    "openInterest": ("35", 35),
    "premium": ("2,500.00", 2500),
    "tradeTime": ("10:00 CT", TRADED_S),
}


def row(strike: int, right: str, **cells: tuple[Any, Any]) -> Row:
    """Return a row; `cells` are text and raw number by field."""
    said = _TEXTS | cells
    symbol = f"MC2M5|{strike}{right[0]}"
    words = {"longSymbol": symbol, "optionType": right, "symbol": symbol, "symbolCode": "FUTOPT", "symbolType": 12}
    return {
        "strike": f"{strike:,}.00{right[0]}",
        **{name: text for name, (text, _) in said.items()},
        **words,
        "raw": {"strike": strike, **{name: raw for name, (_, raw) in said.items()}, **words},
    }


def pair(strike: int) -> list[Row]:
    """Return call and put of a strike."""
    return [row(strike, "Call"), row(strike, "Put")]


def answer(rows: Iterable[Row], **replaced: Any) -> bytes:
    """Return the answer with `rows` grouped by type."""
    groups: dict[str, list[Row]] = {}
    count = 0
    for each in rows:
        groups.setdefault(each["optionType"], []).append(each)
        count += 1
    return orjson.dumps({"count": len(groups), "total": count, "data": groups, "meta": {}} | replaced)


def parsed(payload: bytes, series: VendorSeries = SERIES, **said: Any) -> Chain:
    """Return the chain in an answer, fetched live at FETCHED_AT."""
    times: dict[str, Any] = {"fetched_at": FETCHED_AT, "published_at": FETCHED_AT + 1}
    return parse_chain(payload, series, source="barchart", mode="live", **(times | said))
