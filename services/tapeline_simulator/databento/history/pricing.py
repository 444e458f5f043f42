"""What history costs in the simulator: prices of its own, the vendor's formula. Pure.

The formula is the vendor's: bytes of uncompressed DBN × unit price per gigabyte, a gigabyte being 2^30 bytes (its
documentation has 99,219,648 bytes of trades at 28.00 cost 2.587353944778). The prices are not: they are made up, of the
order of real ones and with repeated digits, so that nobody takes them for a quotation. The real ones are what the real
`metadata.list_unit_prices` says.
"""

from __future__ import annotations

from typing import Any, Final

GIGABYTE_BYTES: Final = 2**30

USD_PER_GIGABYTE: Final = {
    "mbo": 1.11,
    "mbp-1": 2.22,
    "mbp-10": 0.44,
    "tbbo": 11.11,
    "trades": 22.22,
    "bbo-1s": 3.33,
    "bbo-1m": 3.33,
    "ohlcv-1s": 33.33,
    "ohlcv-1m": 66.66,
    "ohlcv-1h": 111.11,
    "ohlcv-1d": 222.22,
    "definition": 5.55,
    "statistics": 8.88,
    "status": 7.77,
    "imbalance": 9.99,
}
"""Per schema, for both historical modes."""

_LIVE_FACTOR: Final = 1.2
_COST_DIGITS: Final = 12
"""The real API answers with about so many."""


def unit_prices(schemas: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the answer of `metadata.list_unit_prices` for a dataset that has `schemas`, in USD per gigabyte."""
    historical = {schema: price for schema, price in USD_PER_GIGABYTE.items() if schema in schemas}
    live = {schema: round(price * _LIVE_FACTOR, 4) for schema, price in historical.items()}
    return [
        {"mode": "historical", "unit_prices": historical},
        {"mode": "historical-streaming", "unit_prices": dict(historical)},
        {"mode": "live", "unit_prices": live},
    ]


def cost_usd(schema: str, billable_bytes: int) -> float:
    """Return what `billable_bytes` of uncompressed DBN of `schema` cost as history."""
    return round(billable_bytes / GIGABYTE_BYTES * USD_PER_GIGABYTE[schema], _COST_DIGITS)
