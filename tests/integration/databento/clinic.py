"""A vendor whose venue trades, its two APIs, and the doctor who examines them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from tapeline.feed.doctor import Check
from tapeline_databento.doctor.checks import examine
from tapeline_databento.doctor.key import DoctorSettings
from tapeline_simulator.databento.certificates import loopback_certificates
from tapeline_simulator.databento.gateway import Gateway
from tapeline_simulator.databento.history.methods import Holdings
from tapeline_simulator.databento.history.server import HistoryServer
from tapeline_simulator.databento.tape import VendorTape
from tapeline_simulator.venue import Venue

KEY = "db-0123456789abcdefghijklmnopqrs"
DATASET = "GLBX.MDP3"
OPEN_NS = 1_794_841_200 * 10**9  # 2026-11-16T15:00:00Z, a Monday
CLOSED_NS = 1_794_657_600 * 10**9  # 2026-11-14T12:00:00Z, a Saturday
DEADLINE_S = 60.0
_TURN_S = 0.01
_RECORDS_PER_S = 1_500.0


@dataclass
class Clinic:
    """The vendor, at a time of its own; a patient's clock is `skew_s` ahead of the vendor's."""

    folder: Path
    gateway: Gateway
    history: HistoryServer
    venue: Venue
    started_ns: int
    unentitled: set[str]
    conditions: dict[date, str]
    skew_s: float = 0.0
    settings: dict[str, object] = field(default_factory=dict)
    _offset_ns: int = 0
    _market: asyncio.Task[None] | None = None

    def vendor_ns(self) -> int:
        """Return the vendor's time."""
        return time.time_ns() + self._offset_ns

    def patient_ns(self) -> int:
        """Return the time of the computer that is examined."""
        return self.vendor_ns() + round(self.skew_s * 1e9)

    def values(self, **settings: object) -> dict[str, object]:
        """Return settings that lead here."""
        return {
            "api_key": KEY,
            "dataset": self.gateway.tape.dataset,
            "gateway": "127.0.0.1",
            "port": self.gateway.port,
            "history_gateway": self.history.url,
            "subscriptions": "mbo=NQ.FUT",
            **self.settings,
            **settings,
        }

    def environment(self, **settings: object) -> dict[str, str]:
        """Return what a process reads these settings from."""
        return {f"TAPELINE_DATABENTO_{name.upper()}": str(value) for name, value in self.values(**settings).items()}

    async def examine(
        self, *, live: bool = True, seconds: float = 0.5, timeout_s: int = 10, **settings: object
    ) -> dict[str, Check]:
        """Return what the doctor finds, by name; whatever it is, no part of the key is in it."""
        values = self.values(**settings)
        loaded = DoctorSettings.load({}, dotenv=self.folder / "no.env", overrides=values)
        found: dict[str, Check] = {}
        async with asyncio.timeout(DEADLINE_S):
            async for check in examine(
                loaded, live=live, seconds=seconds, clock_ns=self.patient_ns, timeout_s=timeout_s
            ):
                assert check.name not in found
                found[check.name] = check
        key = str(values["api_key"])
        told = "".join(check.detail + (check.remedy or "") for check in found.values())
        assert not key or (key not in told and key[-5:] not in told)
        return found

    def open_market(self) -> None:
        """Let the venue trade as time goes by."""
        self._market = asyncio.create_task(self._trade())

    async def close_market(self) -> None:
        """Let the venue trade no more."""
        if self._market is not None:
            self._market.cancel()
            with suppress(asyncio.CancelledError):
                await self._market

    async def _trade(self) -> None:
        while True:
            self.venue.advance(self.vendor_ns())
            await asyncio.sleep(_TURN_S)


@asynccontextmanager
async def clinic(folder: Path, *, dataset: str = DATASET, at_ns: int | None = OPEN_NS) -> AsyncIterator[Clinic]:
    """Open a clinic at a moment of the vendor's time, None for now; the venue does not trade yet."""
    (folder / "vendor").mkdir()
    tape = VendorTape(dataset, folder / "vendor")
    offset_ns = 0 if at_ns is None else at_ns - time.time_ns()
    started_ns = time.time_ns() + offset_ns
    venue = Venue(
        tape, seed=1, start_ns=started_ns, records_per_s=_RECORDS_PER_S, futures=("NQZ6", "NQH7"), options=None
    )
    unentitled: set[str] = set()
    conditions: dict[date, str] = {}

    def vendor_ns() -> int:
        return time.time_ns() + offset_ns

    holdings = Holdings({dataset: tape}, now_ns=vendor_ns, unentitled=unentitled, conditions=conditions)
    context = loopback_certificates(folder / "tls", datetime.now(UTC)).server_context()
    async with (
        Gateway(tape, keys=(KEY,), books=venue, clock_ns=vendor_ns) as gateway,
        HistoryServer(holdings, keys=(KEY,), context=context) as history,
    ):
        rig = Clinic(folder, gateway, history, venue, started_ns, unentitled, conditions, _offset_ns=offset_ns)
        try:
            yield rig
        finally:
            await rig.close_market()
    tape.close()
