"""What a Barchart quote page or login page says in its HTML: tokens, the future, the list of option series. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tapeline.feed.barchart.series import VendorSeries


@dataclass(frozen=True, slots=True)
class ListedSeries:
    """A series of the page's list, and the site's path of its own page (``/futures/quotes/NQM25/options/MC2M25``)."""

    series: VendorSeries
    path: str


@dataclass(frozen=True, slots=True)
class QuotePage:
    """What a page says; None and empty for what it does not say, as a login page or a challenge do.

    `csrf_token` is that of its ``<meta>``, `login_token` the form's hidden ``_token``: both are secrets, and not in its
    repr. `current_series` (``MC7M25``) is the one that is shown, `underlying` the future's raw symbol (``NQM5``) and
    `vendor_underlying` the vendor's (``NQM25``), `point_value` (exponent -9) money per point. `unresolved` says of the
    series that could not be told for certain why.
    """

    csrf_token: str | None
    login_token: str | None
    current_series: str | None
    underlying: str | None
    vendor_underlying: str | None
    point_value: int | None
    series: tuple[ListedSeries, ...]
    unresolved: tuple[str, ...]


def parse_page(html: str, at_ns: int) -> QuotePage:
    """Return what a page says that was fetched at `at_ns`. Raises BadData where its configuration is no JSON."""
    raise NotImplementedError
