"""The simulated vendor as one process: a market or files, the gateway over it, history, and the control API."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from tapeline.errors import Misconfigured
from tapeline_simulator.barchart.control import SiteDesk
from tapeline_simulator.barchart.running import SiteAddresses, SitePlan, addresses_of, serving
from tapeline_simulator.barchart.venue_market import VenueMarket
from tapeline_simulator.databento.books import Books, TapeBooks, VenueBooks
from tapeline_simulator.databento.certificates import loopback_certificates
from tapeline_simulator.databento.control import ControlApi
from tapeline_simulator.databento.files import load_files
from tapeline_simulator.databento.gateway import Gateway
from tapeline_simulator.databento.history.methods import Holdings
from tapeline_simulator.databento.history.server import HistoryServer
from tapeline_simulator.databento.midnight import MidnightBooks
from tapeline_simulator.databento.player import FilePlayer, Market, MarketClock, drive
from tapeline_simulator.databento.tape import VendorTape
from tapeline_simulator.market import front_contracts, load_kernels
from tapeline_simulator.stopping import run_until, stop_signals
from tapeline_simulator.venue import OptionSettings, Venue

_FUTURES: Final = 2
_HOUR_NS: Final = 3_600_000_000_000


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be simulated. Ports of 0 are any free ones; `history_port` None: no history."""

    dataset: str
    keys: Sequence[str]
    files: Sequence[Path]
    times: Literal["now", "original"]
    speed: float
    seed: int
    records_per_s: float
    with_options: bool
    port: int
    control_port: int
    history_port: int | None
    history_embargo_hours: float
    """What is younger is not history."""
    certificates: Path
    """Folder of the authority that clients of history must trust."""
    site: SitePlan | None = None
    """How Barchart shows the same market; None: it does not."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where everything listens; `history_url` and `authority` are empty where there is no history."""

    host: str
    port: int
    control_port: int
    history_url: str
    authority: str
    site: SiteAddresses | None = None


@dataclass(frozen=True, slots=True)
class _Stage:
    tape: VendorTape
    books: Books
    market: Market
    clock: MarketClock
    midnights: VendorTape
    history: VendorTape
    history_now_ns: Callable[[], int]
    venue: Venue | None
    """None where files take its place."""


async def simulate_vendor(plan: Plan, started: Callable[[Addresses], None]) -> None:
    """Run until SIGINT or SIGTERM; `started` is called once everything listens.

    Raises Misconfigured or BadData where the plan cannot be carried out.
    """
    if plan.site is not None and (plan.files or not plan.with_options):
        raise Misconfigured("--barchart-port shows the options of the synthetic market: leave out --file, --no-options")
    stopped = stop_signals()
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tapeline-simulator-")))
        stage = _of_files(plan, folder) if plan.files else _of_synthetic_market(plan, folder)
        now_ns = stage.clock.now_ns
        gateway = await stack.enter_async_context(
            Gateway(stage.tape, keys=plan.keys, books=stage.books, port=plan.port, clock_ns=now_ns)
        )
        history, authority = None, ""
        if plan.history_port is not None:
            certificates = loopback_certificates(plan.certificates, datetime.now(UTC))
            holdings = Holdings(
                {plan.dataset: stage.history},
                now_ns=stage.history_now_ns,
                snapshots={plan.dataset: stage.midnights},
                embargo_ns=int(plan.history_embargo_hours * _HOUR_NS),
            )
            history = await stack.enter_async_context(
                HistoryServer(holdings, keys=plan.keys, context=certificates.server_context(), port=plan.history_port)
            )
            authority = str(certificates.authority.absolute())
        site = None
        if plan.site is not None and stage.venue is not None:
            site = await stack.enter_async_context(serving(VenueMarket(stage.venue), plan.site))
        control = await stack.enter_async_context(
            ControlApi(gateway, history, desks=[SiteDesk(site)] if site is not None else [], port=plan.control_port)
        )
        started(
            Addresses(
                gateway.host,
                gateway.port,
                control.port,
                history.url if history else "",
                authority,
                addresses_of(site, control.port) if site is not None else None,
            )
        )
        await run_until(stopped, drive(stage.market, stage.clock))


def _of_files(plan: Plan, folder: Path) -> _Stage:
    tape, midnights = _tape(plan, folder, "captured"), _tape(plan, folder, "midnights")
    recorded = _tape(plan, folder, "recorded")
    load_files(recorded, plan.files, shift_to_ns=time.time_ns() if plan.times == "now" else None)
    player = FilePlayer(recorded, tape)
    clock = _clock(player.start_ns, plan)
    # What files recorded long ago is history as it is; moved to now, it becomes that as it is played.
    history, history_now_ns = (tape, clock.now_ns) if plan.times == "now" else (recorded, time.time_ns)
    return _Stage(tape, TapeBooks(tape), player, clock, midnights, history, history_now_ns, None)


def _of_synthetic_market(plan: Plan, folder: Path) -> _Stage:
    tape, midnights = _tape(plan, folder, "captured"), _tape(plan, folder, "midnights")
    load_kernels()
    start_ns = time.time_ns()
    venue = Venue(
        tape,
        seed=plan.seed,
        start_ns=start_ns,
        records_per_s=plan.records_per_s,
        futures=front_contracts(start_ns, _FUTURES),
        options=OptionSettings() if plan.with_options else None,
    )
    market = MidnightBooks(venue, tape, midnights, start_ns=start_ns)
    clock = _clock(start_ns, plan)
    return _Stage(tape, VenueBooks(venue), market, clock, midnights, tape, clock.now_ns, venue)


def _tape(plan: Plan, folder: Path, name: str) -> VendorTape:
    (folder / name).mkdir()
    return VendorTape(plan.dataset, folder / name)


def _clock(start_ns: int, plan: Plan) -> MarketClock:
    return MarketClock(start_ns, plan.speed, time.monotonic_ns)
