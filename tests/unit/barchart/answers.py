"""Answers of the site's own API to a series, made for tests."""

from __future__ import annotations

from typing import Any

import orjson
from tests.unit.barchart.test_hybrid import TUESDAY_NS, S

from tapeline.feed.barchart.series import series_from_code
from tapeline.model.chains import UnderlyingPrice
from tapeline_barchart.kept import KeptChain

SERIES = series_from_code("MC2M25", TUESDAY_NS)
FETCHED_NS = TUESDAY_NS - 60 * S


def row(strike: int, side: str, *, bid: str = "49.00", ask: str = "51.00") -> dict[str, Any]:
    """Return a contract's row; `bid` and `ask` as the vendor writes them, N/A for none."""
    symbol = f"MC2M5|{strike}{side[0]}"
    shown = {"strike": f"{strike:,}.00{side[0]}", "bidPrice": bid, "askPrice": ask, "lastPrice": "50.00s"}
    raw = {
        "strike": strike,
        "lastPrice": 50,
        **{k: 0 if v == "N/A" else float(v) for k, v in shown.items() if "dP" in k or "kP" in k},
    }
    same = {"optionType": side, "symbol": symbol, "premium": "1,000.00", "tradeTime": "06/09/25", "longSymbol": symbol}
    return {**shown, **same, "raw": {**raw, "premium": 1000, "tradeTime": 1_749_427_200}}


def answer(calls: list[dict[str, Any]], puts: list[dict[str, Any]], total: int | None = None) -> bytes:
    """Return an answer with these rows."""
    return orjson.dumps(
        {"count": 2, "total": len(calls) + len(puts) if total is None else total, "data": {"Call": calls, "Put": puts}}
    )


def good(strikes: tuple[int, ...] = (21_600, 21_700)) -> bytes:
    """Return a whole chain."""
    return answer([row(each, "Call") for each in strikes], [row(each, "Put") for each in strikes])


def kept(payload: bytes, fetched_at: int = FETCHED_NS) -> KeptChain:
    """Return an answer as it is kept."""
    price = UnderlyingPrice(21_700_250_000_000, "trade", fetched_at - S)
    return KeptChain(SERIES, "core-api", payload, fetched_at, price, "Tue, 10 Jun 2025 13:59:00 GMT")
