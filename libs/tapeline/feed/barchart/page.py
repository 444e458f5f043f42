"""What a Barchart quote page or login page says in its HTML: tokens, the future, the list of option series. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from tapeline.errors import BadData
from tapeline.feed.barchart.expiries import chicago_day
from tapeline.feed.barchart.markup import Markup, read_markup
from tapeline.feed.barchart.names import parse_name, year_of
from tapeline.feed.barchart.payload import future_price
from tapeline.feed.barchart.rows import Rows
from tapeline.feed.barchart.series import VendorSeries, future_symbol, series_from_page
from tapeline.model.chains import UnderlyingPrice

_PATH: Final = re.compile(r"/futures/quotes/([A-Z0-9]+)/options(?:/([A-Z0-9]+))?(?=[/?#]|$)", re.ASCII)
_NAME: Final = re.compile(r"[A-Z]{2,3}?\d{0,2}[FGHJKMNQUVXZ]\d{1,2}", re.ASCII)
_EXPIRES: Final = re.compile(r"to expiration on (\d\d)/(\d\d)/(\d\d)\b", re.ASCII)


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

    csrf_token: str | None = field(repr=False)
    login_token: str | None = field(repr=False)
    current_series: str | None
    underlying: str | None
    vendor_underlying: str | None
    point_value: int | None
    underlying_price: UnderlyingPrice | None
    series: tuple[ListedSeries, ...]
    unresolved: tuple[str, ...]


def parse_page(html: str, at_ns: int) -> QuotePage:
    """Return what a page says that was fetched at `at_ns` (ns).

    Raises BadData where its configuration is no JSON, or names a future or a point value that cannot be.
    """
    markup = read_markup(html)
    configuration = _configuration(markup)
    symbol = _mapping(configuration, "currentSymbol")
    raw = _mapping(symbol, "raw")
    current, vendor_underlying = _text(configuration, "optionContract"), _text(symbol, "symbol")
    if vendor_underlying is not None and not _NAME.fullmatch(vendor_underlying):
        raise BadData("currentSymbol.symbol", f"must be a future such as NQM25, is {vendor_underlying!r}")
    listed, unresolved = _listed(markup, current, vendor_underlying, at_ns)
    point_value = _point_value(raw.get("pointValue", symbol.get("pointValue")), listed)
    return QuotePage(
        csrf_token=markup.csrf_token,
        login_token=markup.login_token,
        current_series=current,
        underlying=None if vendor_underlying is None else future_symbol(vendor_underlying),
        vendor_underlying=vendor_underlying,
        point_value=point_value,
        underlying_price=_price(symbol, raw),
        series=tuple(listed),
        unresolved=tuple(unresolved),
    )


def _configuration(markup: Markup) -> dict[str, Any]:
    if markup.configuration is None:
        return {}
    try:
        document = orjson.loads(markup.configuration)
    except orjson.JSONDecodeError as error:
        raise BadData("bc-dynamic-config", f"must be JSON: {error}", "the page was cut off: load it again") from None
    return document if isinstance(document, dict) else {}


def _listed(
    markup: Markup, current: str | None, vendor_underlying: str | None, at_ns: int
) -> tuple[list[ListedSeries], list[str]]:
    listed: dict[str, ListedSeries] = {}
    unresolved: list[str] = []
    for value, label in markup.options:
        path = _PATH.search(value)
        name = path[2] or path[1] if path else value if _NAME.fullmatch(value) else None
        if name is None:
            continue
        try:
            series = series_from_page(label, name, path[1] if path else None, at_ns)
            if current is not None and _same_series(name, current, at_ns):
                _check_expiry(series, markup.words)
        except BadData as error:
            unresolved.append(f"{name} ({label}): {error}")
        else:
            where = path[0] if path else f"/futures/quotes/{vendor_underlying or name}/options/{name}"
            listed.setdefault(series.vendor_series, ListedSeries(series, where))
    return list(listed.values()), unresolved


def _same_series(name: str, other: str, at_ns: int) -> bool:
    at_year = chicago_day(at_ns).year
    one, two = parse_name(name), parse_name(other)
    return one.text(year_of(one, at_year)) == two.text(year_of(two, at_year))


def _check_expiry(series: VendorSeries, words: str) -> None:
    """Hold the series that a page shows against the day on which it says that it expires."""
    said = _EXPIRES.search(words)
    if said is None:
        return
    day, expected = f"20{said[3]}-{said[1]}-{said[2]}", str(chicago_day(series.expiry))
    if day != expected:
        raise BadData(
            "expiry", f"must be {expected} by its name and label, the page says {day}", "the names may have changed"
        )


def _point_value(told: object, listed: list[ListedSeries]) -> int | None:
    if isinstance(told, str):
        told = told.replace(",", "")
        told = int(told) if told.isdecimal() else told
    if told is None:
        return None
    if not isinstance(told, int | float) or isinstance(told, bool) or told <= 0:
        raise BadData("pointValue", f"must be an amount of money, is {told!r}")
    point_value = round(told * 10**9)
    if any(each.series.multiplier != point_value for each in listed):
        multiplier = listed[0].series.multiplier / 1e9
        raise BadData("pointValue", f"must be the multiplier that is known, {multiplier:g}, is {told!r}")
    return point_value


def _price(symbol: dict[str, Any], raw: dict[str, Any]) -> UnderlyingPrice | None:
    """Return the future's price where the page tells it in the form of an answer; there are other ways to learn it."""
    try:
        return future_price(Rows([symbol], ["currentSymbol"], [raw]), 0)
    except BadData:
        return None


def _mapping(document: dict[str, Any], name: str) -> dict[str, Any]:
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def _text(document: dict[str, Any], name: str) -> str | None:
    value = document.get(name)
    return value if isinstance(value, str) and value else None
