"""The vendor of the chaos matrix: a synthetic venue that trades in real time, its gateway and its history."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from tapeline.feed.dbn_records import Array
from tapeline_simulator.databento.certificates import loopback_certificates
from tapeline_simulator.databento.gateway import Gateway
from tapeline_simulator.databento.history.methods import Holdings
from tapeline_simulator.databento.history.server import HistoryServer
from tapeline_simulator.databento.tape import VendorTape
from tapeline_simulator.expiries import next_futures
from tapeline_simulator.listings import Listing
from tapeline_simulator.venue import Venue

KEY = "db-0123456789abcdefghijklmnopqrs"
FUTURES = "NQ.FUT"
_TURN_S = 0.01


@dataclass
class Clock:
    """The vendor's clock: this machine's, and `ahead_ns` more."""

    ahead_ns: int = 0

    def __call__(self) -> int:
        """Return ns since the epoch."""
        return time.time_ns() + self.ahead_ns


@dataclass
class Vendor:
    """What the vendor captured of `dataset`, and the addresses of its two APIs."""

    dataset: str
    clock: Clock
    tape: VendorTape
    venue: Venue
    gateway: Gateway
    history: HistoryServer
    ca: Path
    _market: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def stream(self) -> str:
        """The stream that every fault is about."""
        return f"{self.dataset}/{FUTURES}"

    def open(self) -> None:
        """Let the venue trade as time goes by."""
        self._market = asyncio.create_task(self._trade())

    async def close(self) -> None:
        """Let the venue trade no more; what it has captured stays."""
        if self._market is not None:
            self._market.cancel()
            with suppress(asyncio.CancelledError):
                await self._market

    def listed(self) -> list[Listing]:
        """Return the futures, the one that trades most first."""
        return self.tape.listings.resolve("parent", FUTURES, self.clock())

    def orders(self) -> Array:
        """Return every order record that was captured, in order of capture."""
        ids = np.array([listing.instrument_id for listing in self.listed()], dtype=np.uint32)
        parts = list(self.tape.select("mbo", ids, 0, None, "ts_recv"))
        return np.concatenate(parts)

    def environment(self) -> dict[str, str]:
        """Return the settings that lead services here."""
        values = {
            "api_key": KEY,
            "dataset": self.dataset,
            "gateway": "127.0.0.1",
            "port": self.gateway.port,
            "subscriptions": f"mbo={FUTURES}",
            "history_gateway": self.history.url,
            "history_embargo_s": 0,
            "backfill_pad_s": 1,
        }
        named = {f"TAPELINE_DATABENTO_{name.upper()}": str(value) for name, value in values.items()}
        return named | {"REQUESTS_CA_BUNDLE": str(self.ca)}

    async def _trade(self) -> None:
        while True:
            self.venue.advance(self.clock())
            await asyncio.sleep(_TURN_S)


@asynccontextmanager
async def vendor(folder: Path, *, dataset: str, records_per_s: float, ahead_ns: int = 0) -> AsyncIterator[Vendor]:
    """Set the vendor up with an open market, and take it down again."""
    records = folder / "vendor"
    records.mkdir()
    clock = Clock(ahead_ns)
    tape, start_ns = VendorTape(dataset, records), clock()
    futures = [future.symbol for future in next_futures(start_ns, 2)]
    venue = Venue(tape, seed=1, start_ns=start_ns, records_per_s=records_per_s, futures=futures, options=None)
    holdings = Holdings({dataset: tape}, clock, embargo_ns=0)
    context = loopback_certificates(folder / "tls", datetime.now(UTC)).server_context()
    async with (
        Gateway(tape, keys=(KEY,), books=venue, clock_ns=clock) as gateway,
        HistoryServer(holdings, keys=(KEY,), context=context) as history,
    ):
        found = Vendor(dataset, clock, tape, venue, gateway, history, folder / "tls" / "ca.pem")
        found.open()
        try:
            yield found
        finally:
            await found.close()
    tape.close()
