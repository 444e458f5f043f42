"""What is known of the products whose options Barchart lists: names, multipliers, price steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from tapeline.errors import BadData

MONTHS: Final = "FGHJKMNQUVXZ"
"""Month letters of futures and options, January first."""
QUARTERLY_MONTHS: Final = "HMUZ"


@dataclass(frozen=True, slots=True)
class Product:
    """A future with weekly options on CME.

    `multiplier` (exponent -9) is money per point. `weekdays` and `fridays` are the exchange's codes of weekly options
    with ``{week}`` for the week of the month and ``{letter}`` for A to D, Monday to Thursday; `month_end` that of the
    last business day. `small_step` holds for prices up to `small_up_to`, `step` above it (exponent -9, all 0 where
    they are not known for certain).
    """

    root: str
    multiplier: int
    weekdays: str
    fridays: str
    month_end: str
    small_step: int = 0
    small_up_to: int = 0
    step: int = 0


PRODUCTS: Final[Mapping[str, Product]] = MappingProxyType(
    {
        "NQ": Product("NQ", 20 * 10**9, "Q{week}{letter}", "QN{week}", "QNE", 50_000_000, 5 * 10**9, 250_000_000),
        "ES": Product("ES", 50 * 10**9, "E{week}{letter}", "EW{week}", "EW"),
    }
)
"""NQ's price steps: 0.05 up to 5 points, 0.25 above (cmegroup.com)."""


def product_of(root: str) -> Product:
    """Return the product of a future's root. Raises BadData where it is not known."""
    product = PRODUCTS.get(root)
    if product is None:
        raise BadData("root", f"must be one of {', '.join(PRODUCTS)}, is {root!r}")
    return product
