"""The vendor's names of futures, which have two digits for the year. Pure."""

from __future__ import annotations

from tapeline.feed.barchart.expiries import chicago_day, quarterly_expiry
from tapeline.feed.barchart.products import MONTHS, QUARTERLY_MONTHS


def next_future(product: str, at_ns: int) -> str:
    """Return the vendor's name of the next quarterly future of a product (``NQZ26``): whose page lists its options."""
    year = chicago_day(at_ns).year
    quarters = ((each, letter) for each in (year, year + 1) for letter in QUARTERLY_MONTHS)
    return next(
        f"{product}{letter}{each % 100:02}"
        for each, letter in quarters
        if quarterly_expiry(each, MONTHS.index(letter) + 1) > at_ns
    )


def vendor_future(raw_symbol: str, at_ns: int) -> str:
    """Return the vendor's name (``NQH27``) of a future by its raw symbol (``NQH7``), the next one from `at_ns` on."""
    year = chicago_day(at_ns).year
    year += (int(raw_symbol[-1]) - year) % 10
    return f"{raw_symbol[:-1]}{year % 100:02}"
