"""A whole installation for one fault: a vendor, and producer, processor, watchdog and backfill as processes."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.chaos.service import DEADLINE_S, Service
from tests.chaos.vendor import Vendor, vendor
from tests.chaos.verdict import KIND, TICKS_TOPIC, Tape

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.log import Log
from tapeline.bus.partitioner import partition_of
from tapeline.bus.topics import apply_topics, load_topics
from tapeline.errors import Retryable
from tapeline.model.backfill import BackfillEvent
from tapeline_cli.local_broker import LocalBroker, any_free_port

DATASET: Final = "TAPELINE.SIM"  # whose market never closes, whatever day this runs
_LOOK_S: Final = 0.25

QUICK: Final[Mapping[str, Mapping[str, object]]] = {
    # What takes minutes for people takes seconds here; what is judged, and by which rules, is the same.
    "databento": {"health_port": 0},
    "processor": {
        "topics": "md.ticks.databento.v1",
        "health_port": 0,
        "session_timeout_s": 6,
        "checkpoint_interval_s": 2,
    },
    "backfill": {
        "worker": "one",
        "health_port": 0,
        "poll_s": 0.1,
        "slice_s": 10,
        "retry_first_s": 0.2,
        "proof_interval_s": 0.5,
        "lag_interval_s": 0.5,
    },
    "watchdog": {
        "health_port": 0,
        "interval_s": 0.5,
        "window": 12,
        "minimum_window_s": 5,
        "timeout_s": 2,
        "heartbeat_timeout_s": 3,
        "backfill_settle_s": 0.5,
        "coverage_interval_s": 0.5,
        "incident_disconnected_s": 1,
        "incident_restart_s": 10,
        "incident_degraded_s": 15,
        "incident_gap_s": 30,
        "incident_lag_s": 5,
        "incident_lag_hold_s": 20,
        "incident_broker_s": 4,
        "incident_dead_letters_s": 5,
        "incident_well_s": 3,
    },
}


@dataclass
class Desk:
    """What a fault is done to. `settings` are those of services that differ from `QUICK`; `broker` is None where it is
    not to be harmed."""

    servers: str
    vendor: Vendor
    folder: Path
    environment: dict[str, str]
    settings: Mapping[str, Mapping[str, object]]
    broker: LocalBroker | None = None
    services: dict[str, Service] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tape = Tape(self.servers)

    @property
    def producer(self) -> Service:
        """The live producer."""
        return self.services["databento"]

    @property
    def processor(self) -> Service:
        """The processor."""
        return self.services["processor"]

    @property
    def backfill(self) -> Service:
        """The backfill service."""
        return self.services["backfill"]

    @property
    def watchdog(self) -> Service:
        """The watchdog."""
        return self.services["watchdog"]

    def add(self, service: str, name: str = "", **settings: object) -> Service:
        """Return one more service, not begun."""
        values = {**QUICK[service], **self.settings.get(service, {}), **settings}
        named = {f"TAPELINE_{service.upper()}_{key.upper()}": str(value) for key, value in values.items()}
        # A service's own settings come last: of the vendor's, some are those of the producer.
        found = Service(f"tapeline_{service}", name or service, self.folder, self.environment | named)
        self.services[name or service] = found
        return found

    async def begin(self) -> None:
        """Begin all services, and wait until they all work on the live feed."""
        port = any_free_port()
        self.add("processor", health_port=port)
        self.add("watchdog", processor_urls=f"http://127.0.0.1:{port}")
        self.add("backfill")
        self.add("databento")
        for service in self.services.values():
            await service.start()
        for service in self.services.values():
            await service.ready()
        await self.until_ticks(1_000)
        await self.until("the watchdog knows the feed", self._is_fed)

    async def end(self) -> None:
        """End all services that still run, whatever state they are in."""
        for service in self.services.values():
            if service.is_running:
                service.wake()
                await service.kill()

    async def until(self, what: str, holds: Callable[[], Awaitable[object]], deadline_s: float = DEADLINE_S) -> None:
        """Wait until something holds."""
        limit_s = time.monotonic() + deadline_s
        while not await self._looks(holds):
            assert time.monotonic() < limit_s, f"waited in vain: {what}"
            await asyncio.sleep(_LOOK_S)

    async def until_ticks(self, more: int) -> None:
        """Wait until `more` ticks of orders are on the live tape than there were."""
        before: int | None = None

        async def there() -> bool:
            nonlocal before
            ticks = await asyncio.to_thread(self._ticks)
            before = ticks if before is None else before
            return ticks >= before + more

        await self.until(f"{more} more ticks on the tape", there)

    async def until_mended(self) -> None:
        """Wait until every gap is proven, what it touched is computed anew, and every incident is over."""
        await self.until("every gap is proven", self._are_gaps_proven)
        await self.until("what was filled is computed anew", self._is_recomputed)
        await self.until("every incident is over", self._are_incidents_over)

    async def finish(self) -> None:
        """Let the tape and the rows catch up with the vendor, and end all services in order."""
        await self.watchdog.end()
        await self.vendor.close()
        last_ns = int(self.vendor.orders()["ts_recv"][-1])

        async def caught_up() -> bool:
            return await asyncio.to_thread(self._newest_recv) >= last_ns

        await self.until("the tape has caught up", caught_up)
        await self.producer.end()
        await self.until("the processor has caught up", self._has_processed)
        for service in self.services.values():
            await service.end()

    async def incidents(self) -> list[dict[str, Any]]:
        """Return the watchdog's incidents; none while it does not answer."""
        document = await self.watchdog.json("/v1/incidents")
        return document["incidents"] if document else []

    async def until_incident(self, *types: str) -> None:
        """Wait until there is an incident of one of these types."""

        async def is_there() -> bool:
            return any(each["type"] in types for each in await self.incidents())

        await self.until(f"an incident: {' or '.join(types)}", is_there)

    def partition(self) -> int:
        """Return the partition of the live topic that the stream is on. Blocking."""
        with Log(self.servers, "tapeline-chaos") as log:
            return partition_of(self.vendor.stream, log.partitions(namespaced(TICKS_TOPIC)))

    def command_environment(self) -> dict[str, str]:
        """Return the environment of a command as people give it here."""
        return {name: value for name, value in os.environ.items() if not name.startswith("TAPELINE_")} | {
            name: value for name, value in self.environment.items() if not name.startswith("TAPELINE_DATABENTO_")
        }

    async def _looks(self, holds: Callable[[], Awaitable[object]]) -> object:
        try:
            return await holds()
        except Retryable:
            # The broker is away, or has not been back for long.
            return False

    # -- looks -------------------------------------------------------------------------------------------------------

    async def _is_fed(self) -> bool:
        document = await self.watchdog.json("/v1/feeds")
        feeds = document["feeds"] if document else []
        return any(feed["kind"] == KIND and feed["state"] in ("LIVE", "DEGRADED") for feed in feeds)

    async def _are_gaps_proven(self) -> bool:
        document = await self.watchdog.json("/v1/gaps")
        on_tape = await asyncio.to_thread(lambda: {frame.gap.id for frame in self.tape.live() if frame.gap})
        known = {gap["id"]: gap["stage"] for gap in document["gaps"]} if document else {}
        return document is not None and on_tape <= known.keys() and all(stage == "proven" for stage in known.values())

    async def _is_recomputed(self) -> bool:
        events = await asyncio.to_thread(self.tape.backfill_events)
        return all(_is_computed_anew(each) for each in events.values())

    async def _are_incidents_over(self) -> bool:
        document = await self.watchdog.json("/v1/incidents")
        return document is not None and all(each["state"] == "closed" for each in document["incidents"])

    async def _has_processed(self) -> bool:
        status = await self.processor.json("/readyz")
        return status is not None and int(status["last_ts_event"] or 0) >= await asyncio.to_thread(self._newest_event)

    def _of_stream(self) -> list[Any]:
        return [frame for frame in self.tape.live() if (frame.stream, frame.kind) == (self.vendor.stream, KIND)]

    def _ticks(self) -> int:
        return sum(len(frame) for frame in self._of_stream())

    def _newest_recv(self) -> int:
        return max((int(frame.ts_recv()[-1]) for frame in self._of_stream()), default=0)

    def _newest_event(self) -> int:
        return int(self._of_stream()[-1].ts_event()[-1])


def _is_computed_anew(events: Sequence[BackfillEvent]) -> bool:
    """Return whether a request is through with all: one that found nothing new, and is no gap's, leaves rows alone."""
    types, last = {event.type for event in events}, events[-1]
    is_to_be = last.published > 0 or last.request.gap_id is not None
    return "proven" in types and ("recomputed" in types or not is_to_be)


@asynccontextmanager
async def desk(
    servers: str,
    folder: Path,
    namespace: str,
    *,
    broker: LocalBroker | None = None,
    dataset: str = DATASET,
    records_per_s: float = 800.0,
    ahead_ns: int = 0,
    now_ns: int | None = None,
    settings: Mapping[str, Mapping[str, object]] | None = None,
) -> AsyncIterator[Desk]:
    """Set up everything but the services, and leave nothing behind; `namespace` is this process's own as well.

    The vendor's clock is `ahead_ns` of that of the services. With `now_ns` both begin at that moment (ns since the
    epoch), whatever the day is.
    """
    common = {
        "KAFKA_BOOTSTRAP_SERVERS": servers,
        "TAPELINE_NAMESPACE": namespace,
        "TAPELINE_STATE_DIR": str(folder / "state"),
    }
    if now_ns is not None:
        ahead_s = (now_ns - time.time_ns()) // 1_000_000_000
        ahead_ns += ahead_s * 1_000_000_000
        common |= {"PYTHONPATH": str(Path(__file__).with_name("moved_clock")), "MOVED_CLOCK_S": str(ahead_s)}
    await asyncio.to_thread(apply_topics, servers, load_topics().values())
    async with vendor(folder, dataset=dataset, records_per_s=records_per_s, ahead_ns=ahead_ns) as source:
        found = Desk(servers, source, folder, common | source.environment(), settings or {}, broker)
        try:
            yield found
        finally:
            await found.end()
