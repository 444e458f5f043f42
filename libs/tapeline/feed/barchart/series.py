"""Which options a Barchart series is: underlying future, expiry, style and the exchange's name for it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tapeline.errors import BadData
from tapeline.feed.barchart.expiries import (
    FRIDAY,
    chicago_day,
    month_end_day,
    quarterly_expiry,
    weekly_day,
    weekly_expiry,
)
from tapeline.feed.barchart.names import (
    SeriesName,
    Told,
    agreed,
    parse_name,
    told_by_label,
    told_by_name,
    year_of,
)
from tapeline.feed.barchart.products import MONTHS, PRODUCTS, QUARTERLY_MONTHS, Product, product_of
from tapeline.model.chains import SettlementMethod
from tapeline.model.instruments import Style, product_of_future


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

    @property
    def product(self) -> Product:
        """The product of the underlying future."""
        return product_of(product_of_future(self.underlying) or self.underlying)


def series_from_page(label: str, vendor_series: str, vendor_underlying: str | None, at_ns: int) -> VendorSeries:
    """Return the series that a page lists as `label`, at `at_ns`.

    `vendor_underlying` is the future that the page has it under (``NQM25``); None: the next quarterly that outlives it.
    Raises BadData where label and name contradict each other, name a day on which nothing expires, or leave it open.
    """
    name = parse_name(vendor_series)
    at_year = chicago_day(at_ns).year
    year = year_of(name, at_year)
    told = agreed(told_by_name(name, year), told_by_label(label), vendor_series, label)
    future = None if vendor_underlying is None else parse_name(vendor_underlying)
    return _series(name, told, year, future, at_year, label, is_from_page=True)


def series_from_code(vendor_series: str, at_ns: int) -> VendorSeries:
    """Return the series that a name (``MC2M25``, ``MC6N5``, ``NQM25``) stands for, for data of `at_ns`.

    Raises BadData where the table of names does not tell.
    """
    name = parse_name(vendor_series)
    at_year = chicago_day(at_ns).year
    year = year_of(name, at_year)
    return _series(name, told_by_name(name, year), year, None, at_year, "", is_from_page=False)


def future_symbol(vendor_symbol: str) -> str:
    """Return the exchange's raw symbol of a future (``NQM5`` of ``NQM25``). Raises BadData where it is no future."""
    name = parse_name(vendor_symbol)
    if not name.is_quarterly or MONTHS[name.month - 1] not in QUARTERLY_MONTHS:
        raise BadData("underlying", f"must be a quarterly future such as NQM25, is {vendor_symbol!r}")
    return _raw_symbol(name.root, name.month, int(name.year_digits))


def _series(
    name: SeriesName, told: Told, year: int, future: SeriesName | None, at_year: int, label: str, *, is_from_page: bool
) -> VendorSeries:
    product = _product(name, future)
    is_quarterly = told.kind == "quarterly"
    if is_quarterly:
        expiry, series, underlying = _quarterly(name, year), product.root, (year, name.month)
    else:
        expiry, series = _weekly(name, told, year, product)
        underlying = _next_quarterly(year, name.month, expiry)
    if future is not None:
        underlying = (year_of(future, at_year), future.month)
        _check_underlying(name, future, underlying, expiry)
    return VendorSeries(
        vendor_series=name.text(year),
        label=label,
        underlying=_raw_symbol(product.root, underlying[1], underlying[0]),
        series=series,
        expiry=expiry,
        style="american" if is_quarterly else "european",
        settlement_method="special_opening" if is_quarterly else "vwap_fixing",
        multiplier=product.multiplier,
        is_from_page=is_from_page,
    )


def _product(name: SeriesName, future: SeriesName | None) -> Product:
    if name.is_quarterly or future is not None:
        return product_of(name.root if future is None else future.root)
    # The table of names is NQ's.
    return PRODUCTS["NQ"]


def _quarterly(name: SeriesName, year: int) -> int:
    if MONTHS[name.month - 1] not in QUARTERLY_MONTHS:
        raise BadData(
            "vendor_series",
            f"must be quarterly, {name.text(year)} is of a month without a future: its expiry is unknown",
        )
    return quarterly_expiry(year, name.month)


def _weekly(name: SeriesName, told: Told, year: int, product: Product) -> tuple[int, str]:
    if told.kind == "month_end":
        return weekly_expiry(month_end_day(year, name.month)), product.month_end
    if told.weekday is None or told.week is None:
        raise BadData(
            "vendor_series",
            f"must tell its weekday and week, by its name or its label: {name.text(year)} is not in the table of names",
            "resolve it from the vendor's page",
        )
    day = weekly_day(year, name.month, told.weekday, told.week)
    form = product.fridays if told.weekday == FRIDAY else product.weekdays
    return weekly_expiry(day), form.format(week=told.week, letter="ABCDE"[told.weekday])


def _next_quarterly(year: int, month: int, expiry: int) -> tuple[int, int]:
    """Return year and month of the first quarterly future that is alive at `expiry`."""
    month = (month + 2) // 3 * 3
    while quarterly_expiry(year, month) < expiry:
        year, month = (year + 1, 3) if month == 12 else (year, month + 3)
    return year, month


def _check_underlying(name: SeriesName, future: SeriesName, underlying: tuple[int, int], expiry: int) -> None:
    year, month = underlying
    said = future.text(year)
    if not future.is_quarterly or MONTHS[month - 1] not in QUARTERLY_MONTHS:
        raise BadData("underlying", f"must be a quarterly future such as NQM25, is {said}")
    if quarterly_expiry(year, month) < expiry or (
        name.is_quarterly and (name.root, name.month) != (future.root, month)
    ):
        raise BadData("underlying", f"must be the future that {name.text(year)} is exercised into, {said} cannot be it")


def _raw_symbol(root: str, month: int, year: int) -> str:
    return f"{root}{MONTHS[month - 1]}{year % 10}"
