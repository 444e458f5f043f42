"""A vendor whose venue traded over a midnight of UTC, and who both replays that and has it as history."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tapeline.feed.dbn_records import to_columns
from tapeline.feed.framer import Ticks
from tapeline.model.backfill import BackfillRequest, request_id
from tapeline.model.columns import F_SNAPSHOT, TickKind
from tapeline.model.control import Interval
from tapeline.model.ids import Rows
from tapeline_databento.backfill.historical import HistoricalBackEnd
from tapeline_databento.backfill.replay import ReplayBackEnd
from tapeline_databento.settings import DatabentoSettings
from tapeline_simulator.databento.certificates import loopback_certificates
from tapeline_simulator.databento.gateway import Gateway
from tapeline_simulator.databento.history.methods import Holdings
from tapeline_simulator.databento.history.server import HistoryServer
from tapeline_simulator.databento.midnight import MidnightBooks
from tapeline_simulator.databento.tape import VendorTape
from tapeline_simulator.venue import OptionSettings, Venue

KEY = "db-0123456789abcdefghijklmnopqrs"
DATASET = "GLBX.MDP3"
MIDNIGHT = 1_763_424_000 * 10**9  # 2025-11-18T00:00:00Z, the evening of a Monday in Chicago
SECOND = 10**9
BEGIN = MIDNIGHT - 6 * SECOND
LAST = MIDNIGHT + 10 * SECOND
NOW = LAST + 5 * SECOND
PAD_S = 1.0
HOLE = Interval(ts_event_from=MIDNIGHT - 3 * SECOND, ts_event_until=MIDNIGHT + 3 * SECOND)
TO_THE_END = Interval(ts_event_from=MIDNIGHT - 3 * SECOND, ts_event_until=LAST)
"""Only the end of the replay tells that nothing more comes of it."""
DEADLINE_S = 30.0

Hashes = npt.NDArray[np.uint64]
Way = ReplayBackEnd | HistoricalBackEnd


@dataclass
class Past:
    """What the vendor captured, its two APIs, and the back ends that are set up with them."""

    tape: VendorTape
    snapshots: VendorTape
    gateway: Gateway
    history: HistoryServer
    folder: Path

    def values(self, **settings: object) -> dict[str, object]:
        """Return settings that lead here."""
        return {
            "api_key": KEY,
            "dataset": DATASET,
            "gateway": "127.0.0.1",
            "port": self.gateway.port,
            "history_gateway": self.history.url,
            "backfill_pad_s": PAD_S,
            "history_embargo_s": 0,
            **settings,
        }

    def loaded(self, **settings: object) -> DatabentoSettings:
        """Return these settings."""
        return DatabentoSettings.load({}, dotenv=self.folder / "no.env", overrides=self.values(**settings))

    def replay(self, **settings: object) -> ReplayBackEnd:
        """Return the replay."""
        return ReplayBackEnd(self.loaded(**settings))

    def historical(self, **settings: object) -> HistoricalBackEnd:
        """Return history."""
        return HistoricalBackEnd(self.loaded(**settings), lambda: NOW)

    def captured(self, schema: str, kind: TickKind, parent: str, window: Interval = HOLE) -> Hashes:
        """Return the event ids, in the order of capture, of what the vendor captured of a parent in the window."""
        listed = self.tape.listings.resolve("parent", parent, BEGIN)
        ids = np.array([listing.instrument_id for listing in listed], dtype=np.uint32)
        parts = []
        for records in self.tape.select(schema, ids, window.ts_event_from, window.ts_event_until, "ts_event"):
            columns, undefined = to_columns(records, kind)
            numbers = records["instrument_id"].astype(np.int64)
            rows = Rows(kind, int(records["publisher_id"][0]), numbers, columns, undefined)
            parts.append(rows.hashes()[rows.have_ids()])
        return np.concatenate(parts)


def request(
    stream: str = "NQ.FUT",
    kind: TickKind = "mbo",
    window: Interval = HOLE,
    symbols: tuple[str, ...] = ("*",),
    cap: int | None = None,
) -> BackfillRequest:
    """Return a request for a hole."""
    stream = f"{DATASET}/{stream}"
    return BackfillRequest(
        id=request_id("databento", DATASET, stream, kind, symbols, window),
        source="databento",
        dataset=DATASET,
        stream=stream,
        kind=kind,
        symbols=symbols,
        window=window,
        cost_cap_micro_usd=cap,
        requested_by="test",
        requested_at=NOW,
    )


async def fetched(way: Way, asked: BackfillRequest, window: Interval | None = None) -> list[Ticks]:
    """Return what a back end yields."""
    async with asyncio.timeout(DEADLINE_S), aclosing(way.fetch(asked, window or asked.window)) as coming:
        return [ticks async for ticks in coming]


def ids_of(ticks: list[Ticks]) -> Hashes:
    """Return the event ids of ticks in their order; every one has one."""
    parts = []
    for each in ticks:
        rows = Rows(each.kind, each.publisher_id, each.instrument_ids, each.columns, each.undefined)
        assert rows.have_ids().all()
        assert "flags" not in each.columns or not (each.columns["flags"] & F_SNAPSHOT).any()
        parts.append(rows.hashes())
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.uint64)


@asynccontextmanager
async def past(folder: Path, *, options: OptionSettings | None = None, embargo_s: int = 0) -> AsyncIterator[Past]:
    """Set the vendor up, some seconds after that midnight, when nothing more happens; history lags by its embargo."""
    tapes = []
    for name in ("tape", "snapshots"):
        (folder / name).mkdir(parents=True)
        tapes.append(VendorTape(DATASET, folder / name))
    tape, snapshots = tapes
    venue = Venue(tape, seed=3, start_ns=BEGIN, records_per_s=600.0, futures=("NQZ5", "NQH6"), options=options)
    MidnightBooks(venue, tape, snapshots, start_ns=BEGIN).advance(LAST)
    holdings = Holdings({DATASET: tape}, lambda: NOW, snapshots={DATASET: snapshots}, embargo_ns=embargo_s * SECOND)
    context = loopback_certificates(folder / "tls", datetime.now(UTC)).server_context()
    async with (
        Gateway(tape, keys=(KEY,), books=venue, clock_ns=lambda: NOW) as gateway,
        HistoryServer(holdings, keys=(KEY,), context=context) as history,
    ):
        yield Past(tape, snapshots, gateway, history, folder)
    tape.close()
    snapshots.close()
