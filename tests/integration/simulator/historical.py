"""A Historical API over a small tape, and the official client against it."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import databento
import numpy as np
from tests.unit.simulator.databento.records import SECOND, START, records_of

from tapeline_simulator.databento.certificates import loopback_certificates
from tapeline_simulator.databento.history.methods import Holdings
from tapeline_simulator.databento.history.server import HistoryServer
from tapeline_simulator.databento.tape import VendorTape
from tapeline_simulator.listings import Listing

Answer = TypeVar("Answer")

DATASET = "GLBX.MDP3"
KEY = "db-" + "k" * 29
DAY_NS = 86_400 * SECOND
MIDNIGHT = START // DAY_NS * DAY_NS + DAY_NS  # 2026-09-22T00:00:00Z
NOW = MIDNIGHT + 5 * DAY_NS
EVER_NS = 2**62


def future(number: int, symbol: str, *, listed_ns: int = 0, expires_ns: int = EVER_NS) -> Listing:
    return Listing(number, symbol, f"{symbol[:2]}.FUT", "F", listed_ns, expires_ns, b"")


def small_tape(folder: Path) -> VendorTape:
    """1,000 records of each of three schemas, two minutes around a midnight, of NQZ6 (1), NQH7 (2) and ESZ6 (3)."""
    folder.mkdir(parents=True, exist_ok=True)
    tape = VendorTape(DATASET, folder)
    tape.listings.add(future(1, "NQZ6", expires_ns=NOW + 30 * DAY_NS))
    tape.listings.add(future(2, "NQH7"))
    tape.listings.add(future(3, "ESZ6"))
    times = range(MIDNIGHT - 60 * SECOND, MIDNIGHT + 60 * SECOND, SECOND * 120 // 1_000)
    for schema in ("mbo", "trades", "definition"):
        tape.append(schema, records_of(schema, times, instrument_ids=(1, 2, 3)))
    return tape


@asynccontextmanager
async def historical_api(
    tmp_path: Path,
    tapes: Sequence[VendorTape],
    *,
    keys: Sequence[str] = (KEY,),
    requests_per_s: dict[str, int] | None = None,
    **holdings: Any,
) -> AsyncIterator[HistoryServer]:
    """Serve `tapes` at NOW; the environment that makes the official client trust it is the test's."""
    context = loopback_certificates(tmp_path / "tls", datetime.now(UTC)).server_context()
    holdings.setdefault("now_ns", lambda: NOW)
    async with HistoryServer(
        Holdings({tape.dataset: tape for tape in tapes}, **holdings),
        keys=keys,
        context=context,
        requests_per_s=requests_per_s or {},
    ) as server:
        yield server


def client(server: HistoryServer, key: str = KEY) -> databento.Historical:
    return databento.Historical(key, gateway=server.url)


async def ask(call: Callable[..., Answer], *args: Any, **kwargs: Any) -> Answer:
    """Call the blocking client on a thread, with warnings as errors."""

    def run() -> Answer:
        with warnings.catch_warnings():
            warnings.simplefilter("error", databento.common.error.BentoWarning)
            return call(*args, **kwargs)

    return await asyncio.to_thread(run)


def records_in(store: databento.DBNStore) -> bytes:
    """Return the bytes of all records of a store, as they came."""
    return b"".join(bytes(record) for record in store)


def captured(tape: VendorTape, schema: str, from_ns: int, until_ns: int, ids: Sequence[int] | None = None) -> bytes:
    wanted = None if ids is None else np.array(ids, dtype=np.uint32)
    return b"".join(array.tobytes() for array in tape.select(schema, wanted, from_ns, until_ns, "ts_recv"))
