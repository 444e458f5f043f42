"""What the vendor itself answers: let in, the page read, the series found, one chain fetched and read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Final

import numpy as np

from tapeline.errors import BadData, Misconfigured, TapelineError
from tapeline.feed.barchart.page import ListedSeries
from tapeline.feed.doctor import Check, skipped
from tapeline.model.chains import Chain
from tapeline_barchart.errors import (
    Challenged,
    FetchFailed,
    HeldOff,
    KeyRefused,
    LoginRefused,
    SeriesUnknown,
    SessionInvalid,
    Throttled,
    captures_of,
)
from tapeline_barchart.following import followed, parse_follow, unlisted
from tapeline_barchart.kept import KeptChain
from tapeline_barchart.normalize import read_chain
from tapeline_barchart.settings import BarchartSettings
from tapeline_barchart.vendor import Listing, Vendor

SESSION: Final = "session"
PAGE: Final = "page"
SERIES: Final = "series"
CHAIN: Final = "chain"
CHECKS: Final = (SESSION, PAGE, SERIES, CHAIN)

_WAIT: Final = "wait for as long as it says; if it comes back, set TAPELINE_BARCHART_CALLS_PER_MINUTE lower"
_REMEDIES: Final[tuple[tuple[type[TapelineError], str], ...]] = (
    (LoginRefused, "log in with them in your own browser, and correct e-mail address and password"),
    (KeyRefused, "see in your OnDemand account whether the key is good, and may have futures options"),
    (HeldOff, _WAIT),
    (Throttled, _WAIT),
    (
        Challenged,
        "look with a real browser: `tapeline doctor barchart --live`, TAPELINE_BARCHART_AUTHENTICATION=browser",
    ),
    (SessionInvalid, "try another way in: TAPELINE_BARCHART_AUTHENTICATION=browser, or login with an account"),
    (SeriesUnknown, "see in your own browser whether the product has options, and correct TAPELINE_BARCHART_PRODUCTS"),
    (FetchFailed, "see in your own browser whether the site answers; try again in a minute"),
    (BadData, "the site has changed: see whether there is a newer Tapeline, and report what is said here"),
    (Misconfigured, "mend what is named there"),
)


async def vendor_checks(
    vendor: Vendor, settings: BarchartSettings, clock_ns: Callable[[], int]
) -> AsyncIterator[Check]:
    """Ask for the list of the first product, and for the chain that expires next; yield a check of each step."""
    product = settings.product_list[0]
    try:
        listing = await vendor.listing(product)
    except TapelineError as error:
        for check in _not_listed(error, settings):
            yield check
        return
    yield Check(SESSION, "ok", _let_in(settings))
    yield page_check(product, listing)
    series, check = series_check(listing, settings.series, clock_ns())
    yield check
    if series is None:
        for each in skipped((CHAIN,), "there is no series to ask for"):
            yield each
        return
    yield await _chain_check(vendor, series, settings.delay_s, clock_ns)


def page_check(product: str, listing: Listing) -> Check:
    """Return what the page lists; series that cannot be told for certain are a warning. Pure."""
    detail = f"{len(listing.series)} series of {product} are listed"
    if listing.unresolved:
        return Check(
            PAGE,
            "warning",
            f"{detail}; not told for certain, and not followed: {'; '.join(listing.unresolved)}",
            "see in your own browser what the page says of them, and report it",
        )
    return Check(PAGE, "ok", detail)


def series_check(listing: Listing, wanted: str, now_ns: int) -> tuple[ListedSeries | None, Check]:
    """Return the series that expires next of those followed, and a check of all of them. Pure."""
    follow = parse_follow(wanted)
    found = followed(listing.series, follow, now_ns)
    missing = unlisted(listing.series, follow)
    said = [f"{_expiry(each, now_ns)}" for each in found]
    correct = "correct TAPELINE_BARCHART_SERIES: next:N, all, or names of the vendor's own list"
    if not found:
        why = f"not listed: {', '.join(missing)}" if missing else "all that is listed has expired"
        return None, Check(SERIES, "red", f"{wanted} is no series now; {why}", correct)
    if missing:
        return found[0], Check(SERIES, "warning", f"{', '.join(said)}; not listed: {', '.join(missing)}", correct)
    return found[0], Check(SERIES, "ok", ", ".join(said))


def chain_check(chain: Chain, name: str, now_ns: int) -> Check:
    """Return what a chain has: contracts, how many of them are quoted on one side or on none, and its age. Pure."""
    contracts = chain.contracts
    count = len(contracts)
    sides = np.zeros(count, dtype=np.int64)
    for side in {"bid", "ask"} & contracts.columns.keys():
        sides += contracts.known(side)
    one_sided, unquoted = (int(np.count_nonzero(sides == number)) for number in (1, 0))
    age_s = (now_ns - chain.as_of) / 1e9
    detail = (
        f"{name}: {count} contracts, complete, {one_sided} quoted on one side only, {unquoted} on none;"
        f" as of {age_s:,.0f} s ago; the vendor's delay is taken to be {chain.delay_s:,.0f} s"
    )
    return Check(CHAIN, "ok", detail)


async def _chain_check(vendor: Vendor, listed: ListedSeries, delay_s: float, clock_ns: Callable[[], int]) -> Check:
    name = listed.series.vendor_series
    try:
        answer = await vendor.chain(listed)
        kept = KeptChain(listed.series, vendor.form, answer.body, answer.received_ns, None, "")
        chain = read_chain(kept, "live", clock_ns(), delay_s)
    except TapelineError as error:
        return Check(CHAIN, "red", f"{name}: {_said(error)}", _remedy(error))
    return chain_check(chain, name, clock_ns())


def _not_listed(error: TapelineError, settings: BarchartSettings) -> list[Check]:
    """Return the checks after a list that did not come: which step it was, and that the others are skipped."""
    if isinstance(error, SeriesUnknown | BadData):
        let_in = Check(SESSION, "ok", _let_in(settings))
        return [let_in, Check(PAGE, "red", _said(error), _remedy(error)), *skipped((SERIES, CHAIN), "no list was read")]
    refused = Check(SESSION, "red", _said(error), _remedy(error))
    return [refused, *skipped((PAGE, SERIES, CHAIN), "it takes an answer of the vendor")]


def _let_in(settings: BarchartSettings) -> str:
    place = settings.on_demand if settings.authentication == "on-demand" else settings.site
    return f"{place} lets us in (authentication={settings.authentication})"


def _said(error: TapelineError) -> str:
    captures = captures_of(error)
    return f"{error} (captured: {', '.join(captures)})" if captures else str(error)


def _remedy(error: TapelineError) -> str:
    return next(
        (remedy for kind, remedy in _REMEDIES if isinstance(error, kind)), "try again; if it comes back, report it"
    )


def _expiry(listed: ListedSeries, now_ns: int) -> str:
    hours = (listed.series.expiry - now_ns) / 3_600e9
    rest = f"{hours:,.0f} h" if hours < 48 else f"{hours / 24:,.0f} days"
    return f"{listed.series.vendor_series} on {listed.series.underlying} (expires in {rest})"
