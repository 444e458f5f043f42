"""A Barchart chain from its contracts and what is known of its series, whichever answer they come from. Pure."""

from __future__ import annotations

from typing import Final

from tapeline.feed.barchart.marks import ghost_strikes
from tapeline.feed.barchart.series import VendorSeries
from tapeline.model.chains import Chain, Contracts, Mode, UnderlyingPrice

VENDOR: Final = "barchart"
_CURRENCY: Final = "USD"


def chain_of(
    series: VendorSeries,
    contracts: Contracts,
    *,
    source: str,
    mode: Mode,
    as_of: int,
    fetched_at: int,
    published_at: int,
    delay_s: float,
    underlying_price: UnderlyingPrice | None,
    expected: int | None,
    complete: bool | None,
    flags: tuple[str, ...] = (),
) -> Chain:
    """Return the chain of `series`, with the flags that follow from it before `flags`; `expected` is the vendor's."""
    price = None if underlying_price is None else underlying_price.value
    marks = {
        "series_from_code": not series.is_from_page,
        "expired": as_of >= series.expiry,
        "ghost_strikes": ghost_strikes(contracts.strike, price) > 0,
    }
    return Chain(
        source=source,
        vendor=VENDOR,
        underlying=series.underlying,
        expiry=series.expiry,
        series=series.series,
        vendor_series=series.vendor_series,
        style=series.style,
        settlement_method=series.settlement_method,
        multiplier=series.multiplier,
        currency=_CURRENCY,
        mode=mode,
        as_of=as_of,
        fetched_at=fetched_at,
        published_at=published_at,
        delay_s=delay_s,
        underlying_price=underlying_price,
        expected=expected,
        expected_from=None if expected is None else "vendor_total",
        complete=complete,
        contracts=contracts,
        flags=(*(name for name, holds in marks.items() if holds), *flags),
    )
