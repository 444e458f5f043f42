"""A gateway over a small tape, and the official protocol class against it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import databento_dbn as dbn
import numpy as np
import numpy.typing as npt
from databento.live.protocol import DatabentoLiveProtocol
from tests.unit.simulator.databento.records import SECOND, START, records_of

from tapeline_simulator.databento.gateway import Gateway
from tapeline_simulator.databento.service import GatewaySettings
from tapeline_simulator.databento.tape import VendorTape
from tapeline_simulator.listings import Listing

DATASET = "GLBX.MDP3"
KEY = "db-" + "k" * 29
NOW = START + 3_600 * SECOND
DEADLINE_S = 30.0
QUICK = GatewaySettings(heartbeat_interval_s=0.05, least_heartbeat_interval_s=1.0, slow_after_s=0.2)
SYMBOLS = {1: "NQZ6", 2: "NQH7", 3: "ESZ6"}


def listing(number: int, symbol: str, *, parent: str = "", expires_ns: int = 2**62) -> Listing:
    return Listing(number, symbol, parent or f"{symbol[:2]}.FUT", "F", 0, expires_ns, b"")


def small_tape(folder: Path, *, schemas: Sequence[str] = ("mbo", "trades"), records: int = 600) -> VendorTape:
    """So many records of each schema in the ten minutes from START, of NQZ6 (1), NQH7 (2) and ESZ6 (3) in turns."""
    folder.mkdir(parents=True, exist_ok=True)
    tape = VendorTape(DATASET, folder)
    for number, symbol in SYMBOLS.items():
        tape.listings.add(listing(number, symbol, expires_ns=NOW + number * 10**15))
    for schema in schemas:
        tape.append(schema, minute_of(schema, 0, records))
    return tape


def minute_of(schema: str, first: int, count: int) -> npt.NDArray[Any]:
    """`count` records from number `first` on, one a second."""
    begin = START + first * SECOND
    out = records_of(schema, range(begin, begin + count * SECOND, SECOND))
    out["instrument_id"] = 1 + np.arange(first, first + count) % 3
    if "order_id" in (out.dtype.names or ()):
        out["order_id"] = np.arange(first, first + count)
    return out


@asynccontextmanager
async def serving(tape: VendorTape, *, settings: GatewaySettings = QUICK, **options: Any) -> AsyncIterator[Gateway]:
    options.setdefault("clock_ns", lambda: NOW)
    async with Gateway(tape, keys=[KEY], settings=settings, **options) as gateway:
        yield gateway


class Client(DatabentoLiveProtocol):
    """Keeps all that comes. `until` waits for it."""

    def __init__(self, key: str = KEY, dataset: str = DATASET, **options: Any) -> None:
        super().__init__(key, dataset, **options)
        self.records: list[Any] = []
        self.lost: Exception | None = None
        """How the connection ended, whatever was told before."""
        self._came = asyncio.Event()
        self.disconnected.add_done_callback(lambda future: future.exception())

    def received_record(self, record: Any) -> None:
        self.records.append(record)
        self._came.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = exc
        super().connection_lost(exc)
        self._came.set()

    async def until(self, wanted: Callable[[], Any]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not wanted():
                self._came.clear()
                await self._came.wait()

    async def closed(self) -> BaseException | None:
        """Wait for the end of the connection; return its error, None for a clean end."""
        async with asyncio.timeout(DEADLINE_S):
            await asyncio.wait([self.disconnected])
        return self.disconnected.exception()

    def of(self, kind: type) -> list[Any]:
        return [record for record in self.records if isinstance(record, kind)]

    def data(self) -> list[Any]:
        notices = (dbn.SystemMsg, dbn.ErrorMsg, dbn.SymbolMappingMsg)
        return [record for record in self.records if not isinstance(record, notices)]

    def bytes_of(self, kind: type) -> bytes:
        return b"".join(bytes(record) for record in self.of(kind))

    @property
    def notices(self) -> list[str]:
        """What system records say, without heartbeats."""
        return [record.msg for record in self.of(dbn.SystemMsg) if not record.is_heartbeat()]

    @property
    def errors(self) -> list[tuple[int, str]]:
        return [(int(record.code), record.err) for record in self.of(dbn.ErrorMsg)]

    @property
    def heartbeats(self) -> int:
        return sum(record.is_heartbeat() for record in self.of(dbn.SystemMsg))


async def connected(gateway: Gateway, **options: Any) -> Client:
    """A client whose connection stands; it may not be authenticated yet."""
    _, client = await asyncio.get_running_loop().create_connection(
        lambda: Client(**options), gateway.host, gateway.port
    )
    return client


async def authenticated(gateway: Gateway, **options: Any) -> Client:
    client = await connected(gateway, **options)
    async with asyncio.timeout(DEADLINE_S):
        await client.authenticated
    return client


async def started(gateway: Gateway, *subscriptions: dict[str, Any], **options: Any) -> Client:
    """A client with these subscriptions, the metadata of whose session have come."""
    client = await authenticated(gateway, **options)
    for number, subscription in enumerate(subscriptions, 1):
        client.subscribe(**({"symbols": ["NQ.FUT"], "stype_in": "parent", "subscription_id": number} | subscription))
    client.start()
    async with asyncio.timeout(DEADLINE_S):
        await client.metadata_received
    return client


async def eventually(wanted: Callable[[], Any]) -> None:
    """Wait until something holds that no event tells of."""
    async with asyncio.timeout(DEADLINE_S):
        while not wanted():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
