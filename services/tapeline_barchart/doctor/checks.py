"""The order in which Barchart's doctor looks, and what is left out where there is no point in looking."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Final

from tapeline.feed.calendar import calendar_of
from tapeline.feed.doctor import Check, skipped
from tapeline.feed.doctor_broker import broker_check
from tapeline.feed.doctor_market import market_check
from tapeline_barchart.doctor import machine, setup
from tapeline_barchart.doctor.vendor import CHECKS, vendor_checks
from tapeline_barchart.limits import call_limit
from tapeline_barchart.on_demand import OnDemand
from tapeline_barchart.settings import BarchartSettings
from tapeline_barchart.site import Site

SERVICE: Final = "tapeline-barchart"
TIMEOUT_S: Final = 30.0
"""Longest time that one answer of the vendor, or a page in Chromium, may take."""
KAFKA_TIMEOUT_S: Final = 5.0

_BROWSER_WAYS: Final = ("browser", "login")


async def checks(*, live: bool, seconds: float) -> AsyncIterator[Check]:
    """Examine Barchart by the settings in force; `live`: the page is loaded in Chromium; `seconds` changes nothing.

    Every call that is made counts against the producer's limit. Raises Misconfigured where the settings cannot be read,
    but for whether it is turned on, and for its credentials.
    """
    async for check in examine(setup.DoctorSettings.load(), live=live, clock_ns=time.time_ns):
        yield check


async def examine(
    settings: BarchartSettings, *, live: bool, clock_ns: Callable[[], int], timeout_s: float = TIMEOUT_S
) -> AsyncIterator[Check]:
    """Yield each check once it is done, none with a secret in it. `clock_ns` is this computer's time."""
    hidden = setup.secrets_of(settings)
    async for check in _checks(settings, live, clock_ns, timeout_s):
        remedy = None if check.remedy is None else hidden.text(check.remedy)
        yield replace(check, detail=hidden.text(check.detail), remedy=remedy)


async def _checks(
    settings: BarchartSettings, live: bool, clock_ns: Callable[[], int], timeout_s: float
) -> AsyncIterator[Check]:
    way = way_in(settings, live=live)
    enabled, credentials = setup.enabled_check(settings), setup.credentials_check(settings)
    yield enabled
    yield credentials
    needs_chromium = {settings.authentication, way} & set(_BROWSER_WAYS)
    chromium = await asyncio.to_thread(machine.chromium_check, settings.chromium_path, is_needed=bool(needs_chromium))
    yield chromium
    limit = call_limit(settings, clock_ns)
    calls = await machine.calls_check(limit, settings.calls_per_minute, clock_ns())
    yield calls
    needed = [enabled, credentials, calls] + ([chromium] if way in _BROWSER_WAYS else [])
    if missing := [check.name for check in needed if check.status == "red"]:
        for check in skipped(CHECKS, f"nothing is asked of the vendor before this is mended: {', '.join(missing)}"):
            yield check
    else:
        short = {
            "authentication": way,
            "timeout_s": min(settings.timeout_s, timeout_s),
            "browser_timeout_s": min(settings.browser_timeout_s, timeout_s),
            "attempts": 1,
        }
        vendor = (OnDemand if way == "on-demand" else Site)(settings.model_copy(update=short), limit, clock_ns)
        try:
            async for check in vendor_checks(vendor, settings.model_copy(update=short), clock_ns):
                yield check
        finally:
            await vendor.close()
    yield await asyncio.to_thread(machine.cache_check, settings, clock_ns())
    yield market_check(calendar_of(settings.dataset), clock_ns())
    yield await broker_check(SERVICE, KAFKA_TIMEOUT_S)


def way_in(settings: BarchartSettings, *, live: bool) -> str:
    """Return how the doctor is let in: as the producer is, but in Chromium with `live` alone, and then in any case."""
    if settings.authentication == "on-demand":
        return "on-demand"
    if live:
        return settings.authentication if settings.authentication in _BROWSER_WAYS else "browser"
    return "session" if settings.authentication in _BROWSER_WAYS else settings.authentication
