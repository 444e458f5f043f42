"""A synthetic venue, the gateway before it, the live producer, and the tape it writes on a real broker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tests.integration.databento.ledger import Compared, compare

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.log import Log
from tapeline.bus.tail import CURSORS_TOPIC, ticks_topic
from tapeline.bus.topics import apply_topics, load_topics
from tapeline.feed.claims import EVENTS_TOPIC
from tapeline.feed.runner import Runner
from tapeline.feed.writer import Totals
from tapeline.model.codec import decode
from tapeline.model.columns import F_SNAPSHOT, TickKind
from tapeline.model.epochs import EpochGate
from tapeline.model.events import FeedEvent, decode_event
from tapeline.model.frames import Gap, TickFrame
from tapeline.model.instrument_codec import decode_instrument
from tapeline.model.instruments import Instrument
from tapeline_databento.settings import DatabentoSettings
from tapeline_databento.source import DatabentoSource
from tapeline_simulator.databento.gateway import Gateway
from tapeline_simulator.databento.tape import VendorTape
from tapeline_simulator.expiries import next_futures
from tapeline_simulator.listings import Listing
from tapeline_simulator.venue import OptionSettings, Venue

KEY = "db-0123456789abcdefghijklmnopqrs"
DATASET = "TAPELINE.SIM"  # whose market never closes, whatever day the tests run
FUTURES = "NQ.FUT"
DEADLINE_S = 60.0
TOPICS = ("md.ticks.databento.v1", EVENTS_TOPIC, CURSORS_TOPIC, "md.instruments.v1", "md.quality.v1", "md.usage.v1")
_TURN_S = 0.01


class LiveTape:
    """The topics of the live producer in the test's namespace, made by this."""

    def __init__(self, servers: str) -> None:
        self.servers = servers
        declared = load_topics()
        apply_topics(servers, [declared[name] for name in TOPICS])

    def frames(self) -> list[TickFrame]:
        """Return every frame and mark that counts: what a fenced producer added is left out."""
        gate = EpochGate()
        every = (decode(value) for value in self._values(ticks_topic("databento")))
        return [frame for frame in every if gate.admits(frame.source, frame.stream, frame.epoch)]

    def of(self, stream: str, kind: TickKind) -> list[TickFrame]:
        """Return the tick frames of one stream and kind."""
        return [frame for frame in self.frames() if (frame.stream, frame.kind) == (stream, kind)]

    def gaps(self) -> list[Gap]:
        """Return the gaps in their last state, in the order of their beginning."""
        gaps: dict[str, Gap] = {}
        for frame in self.frames():
            if frame.gap is not None:
                gaps[frame.gap.id] = frame.gap
        return list(gaps.values())

    def events(self, kind: str = "") -> list[FeedEvent]:
        """Return the feed events, or those of one type."""
        events = [decode_event(value) for value in self._values(namespaced(EVENTS_TOPIC))]
        return [event for event in events if not kind or event.type == kind]

    def instruments(self) -> list[Instrument]:
        """Return what was announced of instruments."""
        return [decode_instrument(value) for value in self._values(namespaced("md.instruments.v1"))]

    def _values(self, topic: str) -> list[bytes]:
        found: list[bytes] = []
        with Log(self.servers, "tapeline-test") as log:
            for partition in range(log.partitions(topic)):
                first, end = log.bounds(topic, partition)
                found += [message.value() or b"" for message in log.read(topic, partition, first, end)]
        return found


@dataclass
class FeedRig:
    """A venue that trades in real time, its gateway, and what a producer is set up with."""

    tape: LiveTape
    vendor: VendorTape
    venue: Venue
    gateway: Gateway
    folder: Path
    settings: dict[str, object] = field(default_factory=dict)
    totals: Totals = field(default_factory=Totals)
    _market: asyncio.Task[None] | None = None

    def environment(self, **settings: object) -> dict[str, str]:
        """Return the environment of a producer as a process."""
        values = {**self._values(), **self.settings, **settings}
        return {f"TAPELINE_DATABENTO_{name.upper()}": str(value) for name, value in values.items()}

    def runner(self, **settings: object) -> Runner:
        """Return a producer within this process."""
        overrides: Mapping[str, object] = {**self._values(), **self.settings, **settings}
        loaded = DatabentoSettings.load({}, dotenv=self.folder / "no.env", overrides=dict(overrides))
        return Runner(DatabentoSource(loaded), loaded, self.tape.servers, self.totals)

    @asynccontextmanager
    async def producing(self, **settings: object) -> AsyncIterator[Runner]:
        """Let a producer run within the block; stop it in order at its end."""
        runner = self.runner(**settings)
        running = asyncio.create_task(runner.run())
        try:
            yield runner
            if running.done():
                await running
        finally:
            runner.stop()
            async with asyncio.timeout(DEADLINE_S):
                with suppress(asyncio.CancelledError):
                    await running

    def open_market(self) -> None:
        """Let the venue trade as time goes by."""
        self._market = asyncio.create_task(self._trade())

    async def close_market(self) -> None:
        """Let the venue trade no more; what it has captured stays."""
        if self._market is not None:
            self._market.cancel()
            with suppress(asyncio.CancelledError):
                await self._market

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until `condition` holds."""
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, "the condition never held"
            await asyncio.sleep(_TURN_S)

    async def until_ticks(self, more: int, stream: str = f"{DATASET}/{FUTURES}") -> None:
        """Wait until `more` ticks of a stream were handed to Kafka."""
        wanted = self.totals.ticks[stream] + more
        await self.until(lambda: self.totals.ticks[stream] >= wanted)

    async def until_caught_up(self, pairs: Sequence[tuple[str, str, TickKind]]) -> None:
        """Wait until the last record that was captured of each instrument of (schema, parent, kind) is on the tape."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            frames = await asyncio.to_thread(self.tape.frames)
            behind = {pair: late for pair in pairs if (late := self._behind(frames, *pair))}
            if not behind:
                return
            assert time.monotonic() < deadline, f"the tape never caught up: {behind}"
            await asyncio.sleep(0.2)

    def compare(self, schema: str, parent: str, kind: TickKind, *, since_ns: int | None = None) -> Compared:
        """Compare what was captured with the tape, by default from the tape's first tick on that is no snapshot's.

        Of a kind that is not on the tape, what was captured since the stream's first quote or order is missing.
        """
        stream = f"{DATASET}/{parent}"
        frames = self.tape.of(stream, kind)
        if since_ns is None:
            known = frames or [*self.tape.of(stream, "l1"), *self.tape.of(stream, "mbo")]
            since_ns = min((first for frame in known if (first := _first_recv(frame)) is not None), default=0)
        return compare(list(self.vendor.select(schema, self._ids(parent), 0, None, "ts_recv")), frames, kind, since_ns)

    def _behind(self, frames: list[TickFrame], schema: str, parent: str, kind: TickKind) -> list[int]:
        """Return the instruments whose last record is not on the tape."""
        captured: dict[int, int] = {}
        for records in self.vendor.select(schema, self._ids(parent), 0, None, "ts_recv"):
            captured.update(zip(records["instrument_id"].tolist(), records["ts_recv"].tolist(), strict=True))
        there: dict[int, int] = {}
        for frame in frames:
            if (frame.stream, frame.kind) == (f"{DATASET}/{parent}", kind):
                ids = np.asarray(frame.instrument_ids)[frame.columns["symbol"]]
                there.update(zip(ids.tolist(), frame.ts_recv().tolist(), strict=True))
        began = min(there.values(), default=0)
        return [number for number, at in captured.items() if began <= at != there.get(number)]

    def listed(self, parent: str) -> list[Listing]:
        """Return the instruments of a parent."""
        return self.vendor.listings.resolve("parent", parent, time.time_ns())

    def _ids(self, parent: str) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
        return np.array([listing.instrument_id for listing in self.listed(parent)], dtype=np.uint32)

    def _values(self) -> dict[str, object]:
        return {
            "api_key": KEY,
            "dataset": DATASET,
            "gateway": "127.0.0.1",
            "port": self.gateway.port,
            "subscriptions": f"mbo={FUTURES}",
            "health_port": 0,
        }

    async def _trade(self) -> None:
        while True:
            self.venue.advance(time.time_ns())
            await asyncio.sleep(_TURN_S)


def _first_recv(frame: TickFrame) -> int | None:
    live = (frame.columns["flags"] & F_SNAPSHOT) == 0
    return int(frame.ts_recv()[live][0]) if live.any() else None


@asynccontextmanager
async def feed_rig(
    servers: str,
    folder: Path,
    *,
    records_per_s: float = 1_500.0,
    options: OptionSettings | None = None,
    seed: int = 1,
    **settings: object,
) -> AsyncIterator[FeedRig]:
    """Set everything up with an open market, and take it down again."""
    tape_folder = folder / "vendor"
    tape_folder.mkdir()
    vendor, start_ns = VendorTape(DATASET, tape_folder), time.time_ns()
    venue = Venue(
        vendor,
        seed=seed,
        start_ns=start_ns,
        records_per_s=records_per_s,
        futures=[future.symbol for future in next_futures(start_ns, 2)],
        options=options,
    )
    async with Gateway(vendor, keys=(KEY,), books=venue) as gateway:
        rig = FeedRig(LiveTape(servers), vendor, venue, gateway, folder, dict(settings))
        rig.open_market()
        try:
            yield rig
        finally:
            await rig.close_market()
    vendor.close()
