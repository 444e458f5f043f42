"""Some days of history at a simulated vendor, and what fetches them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import SecretStr
from tests.integration.simulator.historical import DATASET, DAY_NS, KEY, MIDNIGHT, NOW, future, historical_api
from tests.unit.simulator.databento.records import records_of

from tapeline.feed.cache import FileCache
from tapeline.feed.cost import CostMeter, Plan
from tapeline.feed.ledger import UsageLedger
from tapeline_databento.history.client import HistoryClient
from tapeline_databento.history.fetch import FetchedFile, HistoryFetcher, Limits
from tapeline_databento.history.query import HistoryQuery
from tapeline_simulator.databento.history.server import HistoryServer
from tapeline_simulator.databento.tape import VendorTape

T = TypeVar("T")

PER_DAY = 4_000
DAYS = 3
LAST_DAY = MIDNIGHT + DAYS * DAY_NS
"""The end of what the vendor has: `NOW` is two days later."""


def orders(first_ns: int, count: int, step_ns: int) -> Any:
    """Orders that are added, one after another, with ids that do not compress away."""
    records = records_of("mbo", range(first_ns, first_ns + count * step_ns, step_ns), latency_ns=0)
    records["order_id"] = np.arange(count, dtype="u8") * 2_654_435_761 + first_ns % 1_000_003
    records["action"], records["side"], records["flags"] = ord("A"), ord("B"), 128
    records["price"], records["size"] = 25_000_000_000_000, 1
    return records


def days_of_orders(folder: Path) -> tuple[VendorTape, VendorTape]:
    """Return `DAYS` days of NQZ6, each of `PER_DAY` orders, and the snapshots of their midnights."""
    tapes = []
    for name in ("tape", "snapshots"):
        (folder / name).mkdir(parents=True)
        tapes.append(VendorTape(DATASET, folder / name))
    tape, snapshots = tapes
    tape.listings.add(future(1, "NQZ6"))
    for day in range(DAYS):
        midnight = MIDNIGHT + day * DAY_NS
        tape.append("mbo", orders(midnight + 10**9, PER_DAY, 10**9))
        book = orders(midnight, 5, 1)
        book["ts_recv"], book["flags"] = midnight, 40
        snapshots.append("mbo", book)
    return tape, snapshots


@asynccontextmanager
async def vendor(tmp_path: Path, **holdings: Any) -> AsyncIterator[HistoryServer]:
    """Serve those days."""
    tape, snapshots = days_of_orders(tmp_path / "vendor")
    async with historical_api(tmp_path, [tape], snapshots={DATASET: snapshots}, **holdings) as server:
        yield server


class User:
    """Who fetches: a cache, an account and limits of his own; never sleeps, but notes for how long he should have."""

    def __init__(self, folder: Path, server: HistoryServer, *, key: str = KEY, cap: int = 10**9, budget: int = 10**9):
        self.ledger = UsageLedger(folder / "usage.sqlite3")
        self.cache = FileCache(folder / "cache", self.ledger, lambda: NOW, max_bytes=10**9, max_age_s=3600.0)
        self.waits_s: list[float] = []
        self.meter = CostMeter("databento", DATASET, self.ledger, Plan())
        self.fetcher = HistoryFetcher(
            HistoryClient(SecretStr(key), server.url),
            self.cache,
            self.ledger,
            Limits(cap, budget),
            now_ns=lambda: NOW,
            sleep=self.waits_s.append,
            random=random.Random(1).random,
        )

    async def fetch(self, query: HistoryQuery) -> list[FetchedFile]:
        plan = await blocking(self.fetcher.plan, query)
        return await blocking(self.fetcher.run, plan, self.meter, lambda request, path: None)


async def blocking(call: Callable[..., T], *args: Any) -> T:
    """Call what blocks on a thread, as the vendor is served by this loop."""
    return await asyncio.to_thread(call, *args)


def query(days: int = 1, *, start_ns: int = MIDNIGHT, end_ns: int | None = None, schema: str = "mbo") -> HistoryQuery:
    """Ask for so many whole days of NQZ6."""
    return HistoryQuery(DATASET, schema, ("NQZ6",), "raw_symbol", start_ns, end_ns or start_ns + days * DAY_NS)


def asked(server: HistoryServer, method: str) -> int:
    """Return how often a method was asked for."""
    return sum(request.method == method for request in server.requests)
