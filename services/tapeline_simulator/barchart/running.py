"""The simulated site as a process of its own, or beside another vendor over one market."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tapeline_simulator.barchart.captured import CapturedMarket
from tapeline_simulator.barchart.control import SiteControl
from tapeline_simulator.barchart.delayed import DelayedMarket
from tapeline_simulator.barchart.market import ChainMarket
from tapeline_simulator.barchart.on_demand import PREFIX
from tapeline_simulator.barchart.settings import SiteSettings
from tapeline_simulator.barchart.site import BarchartSite
from tapeline_simulator.barchart.synthetic import synthetic_venue
from tapeline_simulator.barchart.venue_market import VenueMarket
from tapeline_simulator.databento.player import MarketClock, drive
from tapeline_simulator.stopping import run_until, stop_signals

_KEEP_EVERY_S: Final = 0.05
"""So often it is looked at whether a delayed market has another moment to keep."""


@dataclass(frozen=True, slots=True)
class SitePlan:
    """How the site is to be served: `port` 0 is any free one; it shows the market of `behind_s` ago."""

    port: int
    settings: SiteSettings = field(default_factory=SiteSettings)
    behind_s: float = 0.0


@dataclass(frozen=True, slots=True)
class SitePlanAlone:
    """A site of its own: captured chains of `folder`, or a synthetic market."""

    site: SitePlan
    control_port: int
    folder: Path | None
    seed: int
    records_per_s: float
    speed: float


@dataclass(frozen=True, slots=True)
class SiteAddresses:
    """Where everything listens."""

    url: str
    on_demand_url: str
    control_port: int


def addresses_of(site: BarchartSite, control_port: int) -> SiteAddresses:
    """Return where a site listens that is controlled on that port."""
    return SiteAddresses(site.url, site.url + PREFIX, control_port)


@contextlib.asynccontextmanager
async def serving(market: ChainMarket, plan: SitePlan) -> AsyncIterator[BarchartSite]:
    """Serve a market for as long as the block lasts. Raises Misconfigured where the port is taken."""
    async with contextlib.AsyncExitStack() as stack:
        if plan.behind_s:
            delayed = DelayedMarket(market, plan.behind_s)
            keeping = asyncio.get_running_loop().create_task(_keep(delayed))
            stack.callback(keeping.cancel)
            market = delayed
        yield await stack.enter_async_context(BarchartSite(market, settings=plan.settings, port=plan.port))


async def simulate_site(plan: SitePlanAlone, started: Callable[[SiteAddresses], None]) -> None:
    """Run until SIGINT or SIGTERM; `started` is called once everything listens.

    Raises Misconfigured or BadData where the plan cannot be carried out.
    """
    stopped = stop_signals()
    start_ns, venue, market = time.time_ns(), None, _captured(plan.folder)
    if market is None:
        venue = synthetic_venue(start_ns=start_ns, seed=plan.seed, records_per_s=plan.records_per_s)
        market = VenueMarket(venue)
    async with serving(market, plan.site) as site, SiteControl(site, port=plan.control_port) as control:
        started(addresses_of(site, control.port))
        if venue is None:
            await stopped.wait()
        else:
            await run_until(stopped, drive(venue, MarketClock(start_ns, plan.speed, time.monotonic_ns)))


def _captured(folder: Path | None) -> ChainMarket | None:
    return None if folder is None else CapturedMarket(folder)


async def _keep(market: DelayedMarket) -> None:
    while True:
        market.keep()
        await asyncio.sleep(_KEEP_EVERY_S)
