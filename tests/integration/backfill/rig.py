"""Requests, the service that does them, and what is on the tape afterwards."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from tests.conftest import REPOSITORY
from tests.integration.backfill.scripted import Script, Scripted, between
from tests.integration.feed.vendor import DATASET, KIND, STREAM

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.log import Log
from tapeline.bus.partitioner import partition_of
from tapeline.bus.tail import backfill_topic, ticks_topic
from tapeline.bus.topics import apply_topics, load_topics
from tapeline.feed.calendar import calendar_of
from tapeline.feed.framer import FrameLimits, Framer, SessionIdentity, Ticks
from tapeline.model.backfill import EVENTS_TOPIC, REQUESTS_TOPIC, BackfillEvent, BackfillRequest, request_id
from tapeline.model.codec import decode, encode
from tapeline.model.control import Interval
from tapeline.model.frames import TickFrame
from tapeline.model.ids import Hashes, Rows
from tapeline_backfill.app import Load, Service
from tapeline_backfill.chunks import rows_of
from tapeline_backfill.settings import BackfillSettings
from tapeline_backfill.work import Recompute

DEADLINE_S = 60.0
SOURCE = "saved"
TOPICS = ("md.ticks.saved.v1", "md.ticks-backfill.saved.v1", REQUESTS_TOPIC, EVENTS_TOPIC)
QUICK: dict[str, Any] = {
    "worker": "one",
    "poll_s": 0.05,
    "retry_first_s": 0.05,
    "proof_interval_s": 0.1,
    "proof_limit_days": 3_650.0,
    "health_port": 0,
}


def window_of(ticks: Ticks) -> Interval:
    times = ticks.columns["ts_event"]
    return between(int(times.min()), int(times.max()) + 1)


def a_request(window: Interval, **fields: Any) -> BackfillRequest:
    name = request_id(SOURCE, DATASET, STREAM, KIND, ("*",), window)
    base = {"id": name, "source": SOURCE, "dataset": DATASET, "stream": STREAM, "kind": KIND, "window": window}
    return BackfillRequest(
        **base, requested_by="test", requested_at=fields.pop("requested_at", time.time_ns()), **fields
    )


def hashes_of(ticks: Sequence[Ticks]) -> Hashes:
    return np.sort(np.concatenate([rows_of(each).hashes() for each in ticks]))


@dataclass
class Rig:
    """The topics of one test."""

    servers: str
    folder: Path

    def __post_init__(self) -> None:
        declared = load_topics()
        apply_topics(self.servers, [declared[name] for name in TOPICS])
        self._log = Log(self.servers, "test-events")
        self._events: list[BackfillEvent] = []
        self._next = 0
        self.producer = Producer({"bootstrap.servers": self.servers, "partitioner": "murmur2_random", "linger.ms": 0})

    def ask(self, *requests: BackfillRequest) -> None:
        for request in requests:
            self.producer.produce(namespaced(REQUESTS_TOPIC), request.encode(), request.id)
        assert not self.producer.flush(DEADLINE_S)

    def put_live(self, *ticks: Ticks, epoch: int = 1, session: str = "live") -> None:
        """Put ticks on the live topic as a producer does."""
        framer = Framer(SessionIdentity(SOURCE, session, epoch, "live"), FrameLimits(), calendar_of(DATASET))
        for each in ticks:
            for frame in [*framer.add(each, 1), *framer.finish(1)]:
                self.producer.produce(ticks_topic(SOURCE), encode(frame), STREAM)
        assert not self.producer.flush(DEADLINE_S)

    def events(self, request: BackfillRequest | None = None) -> list[BackfillEvent]:
        topic = namespaced(EVENTS_TOPIC)
        _, end = self._log.bounds(topic, 0)
        for message in self._log.read(topic, 0, self._next, end):
            self._events.append(BackfillEvent.decode(message.value() or b""))
        self._next = max(self._next, end)
        return [event for event in self._events if request is None or event.request.id == request.id]

    def close(self) -> None:
        self._log.close()

    def types(self, request: BackfillRequest) -> list[str]:
        """The types of a request's events, equal ones in a row once."""
        types = [event.type for event in self.events(request)]
        return [name for at, name in enumerate(types) if not at or types[at - 1] != name]

    def frames(self) -> list[TickFrame]:
        """What readers of committed messages see of the backfill topic."""
        topic = backfill_topic(SOURCE)
        with Log(self.servers, "test") as log:
            partition = partition_of(STREAM, log.partitions(topic))
        return [decode(value) for value in self._values(topic, partition)]

    def lose_backfilled(self) -> None:
        """Have the tape lose all that is on the backfill topic, as it does after a time."""
        topic = backfill_topic(SOURCE)
        with Log(self.servers, "test") as log:
            place = (topic, partition_of(STREAM, log.partitions(topic)))
            _, end = log.bounds(*place)
        admin = AdminClient({"bootstrap.servers": self.servers})
        for future in admin.delete_records([TopicPartition(*place, end)]).values():
            future.result(DEADLINE_S)

    def backfilled(self, request: BackfillRequest) -> Hashes:
        """The ids that were put on the tape for a request; holds its frames to being whole, each once and in order."""
        frames = [frame for frame in self.frames() if frame.session == request.id]
        assert [frame.frame for frame in frames] == list(range(len(frames)))
        assert all((each.origin, each.epoch, each.resumes) == ("backfill", 0, None) for each in frames)
        assert all(each.gap_id == request.gap_id for each in frames)
        return np.sort(np.concatenate([Rows.of_frame(frame).hashes() for frame in frames] or [np.empty(0, np.uint64)]))

    async def until(self, request: BackfillRequest, holds: Callable[[BackfillEvent], bool]) -> BackfillEvent:
        """Wait until the last event of a request holds, and return it."""
        deadline_s = time.monotonic() + DEADLINE_S
        while True:
            events = await asyncio.to_thread(self.events, request)
            if events and holds(events[-1]):
                return events[-1]
            assert time.monotonic() < deadline_s, f"waited in vain; last seen: {events[-1:]}"
            await asyncio.sleep(0.05)

    @asynccontextmanager
    async def service(
        self, *ways: Script, load: Load | None = None, recompute: Recompute | None = None, **settings: Any
    ) -> AsyncIterator[Service]:
        """Run the service within this process."""

        class Source(Scripted):
            pass

        Source.ways = ways
        loaded = BackfillSettings.load({}, dotenv=self.folder / "no.env", overrides=QUICK | settings)
        service = Service(loaded, self.servers, load or (lambda _: Source), recompute)
        running = asyncio.create_task(service.run())
        try:
            yield service
        finally:
            service.stop()
            await running

    @contextmanager
    def worker(self, name: str, records: int, **settings: Any) -> Iterator[Worker]:
        """Run the service in a process of its own, which does not outlive the block."""
        overrides = {f"TAPELINE_BACKFILL_{key.upper()}": str(value) for key, value in (QUICK | settings).items()}
        logs = self.folder / f"{name}-{time.monotonic_ns()}.log"
        with logs.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.backfill.worker"],
                env={
                    **os.environ,
                    **overrides,
                    "TAPELINE_BACKFILL_WORKER": name,
                    "KAFKA_BOOTSTRAP_SERVERS": self.servers,
                    "SCRIPTED_RECORDS": str(records),
                },
                cwd=REPOSITORY,
                stderr=stderr,
            )
        try:
            yield Worker(process, logs)
        finally:
            process.kill()
            process.wait(10)

    def _values(self, topic: str, partition: int) -> list[bytes]:
        with Log(self.servers, "test") as log:
            first, end = log.bounds(topic, partition)
            return [message.value() or b"" for message in log.read(topic, partition, first, end)]


@dataclass
class Worker:
    """A worker's process and its logs."""

    process: subprocess.Popen[bytes]
    logs: Path

    def said(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.logs.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def until_said(self, *events: str) -> dict[str, Any]:
        """Wait until it has said one of these, and return that."""
        deadline_s = time.monotonic() + DEADLINE_S
        while not (found := [line for event in events for line in self.said(event)]):
            assert self.process.poll() is None, self.logs.read_text()
            assert time.monotonic() < deadline_s, f"never said: {events}\n{self.logs.read_text()}"
            time.sleep(0.02)
        return found[0]
