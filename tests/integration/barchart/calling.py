"""Calls the site as fast as it may, until it is stopped: a process for the test of what all processes may call."""

from __future__ import annotations

import asyncio
import sys

from tests.integration.barchart.producer import QUICK, ShiftedClock
from tests.integration.barchart.steady_market import WEDNESDAY

from tapeline_barchart.limits import call_limit
from tapeline_barchart.settings import BarchartSettings
from tapeline_barchart.site import Site


async def _call(address: str, calls_per_minute: str) -> None:
    clock = ShiftedClock()
    given = {**QUICK, "site": address, "calls_per_minute": calls_per_minute}
    settings = BarchartSettings.model_validate(given)
    site = Site(settings, call_limit(settings, clock), clock)
    listing = await site.listing("NQ")
    series = next(each for each in listing.series if each.series.vendor_series == WEDNESDAY)
    while True:
        await site.chain(series)
        sys.stdout.write("called\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_call(*sys.argv[1:]))
