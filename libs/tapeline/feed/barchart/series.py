"""Which options a Barchart series is: underlying future, expiry, style and the exchange's name for it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tapeline.model.chains import SettlementMethod
from tapeline.model.instruments import Style


@dataclass(frozen=True, slots=True)
class VendorSeries:
    """One series of options, as Barchart lists it.

    `vendor_series` is its name with a two-digit year (``MC2M25``), `label` what the page calls it, ``""`` where there
    was no page; `underlying` the future's raw symbol (``NQM5``), `series` the exchange's product code (``Q2C``) where
    it is known; `expiry` ns since the epoch; `multiplier` (exponent -9) money per point. `is_from_page`: the vendor's
    own list says so; otherwise it was derived from the name alone.
    """

    vendor_series: str
    label: str
    underlying: str
    series: str | None
    expiry: int
    style: Style
    settlement_method: SettlementMethod
    multiplier: int
    is_from_page: bool


def series_from_page(label: str, vendor_series: str, vendor_underlying: str | None, at_ns: int) -> VendorSeries:
    """Return the series that a page lists as `label` under `vendor_underlying` (``NQM25``), at `at_ns`.

    Raises BadData where label and name contradict each other, or name a day on which nothing expires.
    """
    raise NotImplementedError


def series_from_code(vendor_series: str, at_ns: int) -> VendorSeries:
    """Return the series that a name (``MC2M25``, ``MC6N5``, ``NQM25``) stands for, for data of `at_ns`.

    Raises BadData where the table of names does not tell.
    """
    raise NotImplementedError
