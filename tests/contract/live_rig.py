"""A live source's vendor on loopback, whose sessions end after some of the market."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tapeline_databento.settings import DatabentoSettings
from tapeline_simulator.databento.gateway import Gateway
from tapeline_simulator.databento.session import Session
from tapeline_simulator.databento.tape import VendorTape
from tapeline_simulator.venue import Venue

KEY = "db-0123456789abcdefghijklmnopqrs"
DATASET = "TAPELINE.SIM"
START_NS = 1_790_000_000_000_000_000  # 2026-09-21T14:13:20Z, a Monday
_STEP_NS = 2_000_000_000
_TURN_S = 0.01


class LiveRig:
    """The settings that lead to the vendor, and what it has sent."""

    def __init__(self, settings: DatabentoSettings, gateway: Gateway) -> None:
        self.settings = settings
        self._gateway = gateway

    def sent(self) -> int:
        """Return the number of whole records of the market that the vendor has sent, without snapshots."""
        return sum(_sent(session) for session in self._gateway.sessions)


@asynccontextmanager
async def live_rig(folder: Path, subscriptions: str, fault: str) -> AsyncIterator[LiveRig]:
    """Serve the synthetic market; each session gets some of it, and ends by `fault`."""
    tape_folder = folder / "vendor"
    tape_folder.mkdir()
    vendor, clock_ns = VendorTape(DATASET, tape_folder), START_NS
    venue = Venue(vendor, seed=1, start_ns=START_NS, records_per_s=2_000, futures=["NQZ6", "NQH7"], options=None)
    settings = {"api_key": KEY, "dataset": DATASET, "gateway": "127.0.0.1", "subscriptions": subscriptions}
    async with Gateway(vendor, keys=(KEY,), books=venue, clock_ns=lambda: clock_ns) as gateway:

        async def trade() -> None:
            nonlocal clock_ns
            served = 0
            while True:
                await asyncio.sleep(_TURN_S)
                waiting = [session for session in gateway.sessions[served:] if session.state == "streaming"]
                for session in waiting:
                    served += 1
                    while not _sent(session):
                        clock_ns += _STEP_NS
                        venue.advance(clock_ns)
                        await asyncio.sleep(_TURN_S)
                    gateway.faults.start(fault)

        trading = asyncio.create_task(trade())
        try:
            yield LiveRig(DatabentoSettings.model_validate({**settings, "port": gateway.port}), gateway)
        finally:
            trading.cancel()
            with suppress(asyncio.CancelledError):
                await trading
    vendor.close()


def _sent(session: Session) -> int:
    return sum(sum(of_schema.values()) for of_schema in session.ledger.counts().values())
