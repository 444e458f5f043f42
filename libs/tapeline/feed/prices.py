"""What bytes cost: the sizes that a vendor bills, its unit prices, and money in whole micro-dollars. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any, Final

from tapeline.errors import BadData
from tapeline.feed.dbn_records import layouts
from tapeline.model.columns import INT64_MAX

GIB: Final = 2**30
"""What the vendor's price list calls a gigabyte."""

MICRO_USD: Final = 1_000_000

_NOT_SOLD: Final = ("error", "system", "symbol-mapping", "ohlcv")
_BYTES: Final = {each.name: each.record.itemsize for each in layouts(3, ts_out=False).values()}
RECORD_BYTES: Final[Mapping[str, int]] = MappingProxyType(
    {name: size for name, size in _BYTES.items() if name not in _NOT_SOLD} | {"tbbo": _BYTES["mbp-1"]}
)
"""Bytes per record that are billed, by schema: those of the newest DBN version, whatever the file's, not compressed."""


@dataclass(frozen=True, slots=True)
class UnitPrices:
    """A vendor's list prices of one dataset: feed mode → schema → micro-dollars per GiB."""

    by_mode: Mapping[str, Mapping[str, int]]

    def price(self, mode: str, schema: str) -> int | None:
        """Return micro-dollars per GiB; None where the list names no price."""
        return self.by_mode.get(mode, {}).get(schema)


def unit_prices(document: object) -> UnitPrices:
    """Return the prices in a list of ``{"mode": …, "unit_prices": {schema: USD per GiB}}``, as the vendor answers.

    Raises BadData where it is none.
    """
    if not isinstance(document, list):
        raise BadData("unit_prices", "must be a list, one entry per feed mode")
    by_mode = {}
    for entry in document:
        prices = entry.get("unit_prices") if isinstance(entry, dict) else None
        if not isinstance(prices, dict):
            raise BadData("unit_prices", "must hold entries with a mode and unit_prices")
        by_mode[str(entry.get("mode"))] = {str(schema): micro_usd(price) for schema, price in prices.items()}
    return UnitPrices(by_mode)


def record_bytes(schema: str) -> int:
    """Return the billed bytes of one record. Raises BadData that lists the schemas where there is none of that name."""
    size = RECORD_BYTES.get(schema)
    if size is None:
        raise BadData("schema", f"must be one of {', '.join(sorted(RECORD_BYTES))}, is {schema!r}")
    return size


def cost_of(bytes_: int, price_micro_usd_per_gib: int) -> int:
    """Return what `bytes_` cost, in micro-dollars, rounded up."""
    return -(-bytes_ * price_micro_usd_per_gib // GIB)


def micro_usd(usd: object) -> int:
    """Return an amount in USD, a number or its text, as micro-dollars, rounded up.

    A float counts as the shortest decimal that reads as the same float: as its author wrote it. Raises BadData where
    it is no amount.
    """
    try:
        amount = Decimal(str(usd)) if not isinstance(usd, bool) else Decimal("NaN")
        micro = int((amount * MICRO_USD).to_integral_value(rounding=ROUND_CEILING))
    except (InvalidOperation, ValueError, OverflowError):
        raise BadData("amount", f"must be a number of US dollars, is {usd!r}") from None
    if not 0 <= micro <= INT64_MAX:
        raise BadData("amount", f"must be at least 0 and fit 64 bits, is {usd!r}")
    return micro


def usd_text(micro: int) -> str:
    """Return micro-dollars as an exact decimal number of USD, for programs: ``12.300000``."""
    return f"{Decimal(micro).scaleb(-6):.6f}"


def dollars(micro: int) -> str:
    """Return micro-dollars for people: with two decimals, and below one dollar as many as there are."""
    if micro >= MICRO_USD:
        return f"${Decimal(micro).scaleb(-6):,.2f}"
    whole, _, parts = usd_text(micro).partition(".")
    return f"${whole}.{parts.rstrip('0').ljust(2, '0')}"


def price_document(prices: UnitPrices) -> list[dict[str, Any]]:
    """Return the prices as `unit_prices` reads them, so that they can be kept."""
    return [
        {"mode": mode, "unit_prices": {schema: usd_text(price) for schema, price in schemas.items()}}
        for mode, schemas in prices.by_mode.items()
    ]
