"""A hole in a live tape, filled by the backfill service from the vendor's history and proven by the vendor's count."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from confluent_kafka import Producer
from tests.integration.databento.past import BEGIN, DATASET, HOLE, LAST, SECOND, fetched, past, request

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.log import Log
from tapeline.bus.tail import backfill_topic, ticks_topic
from tapeline.bus.topics import apply_topics, load_topics
from tapeline.feed.calendar import calendar_of
from tapeline.feed.framer import FrameLimits, Framer, SessionIdentity
from tapeline.feed.registry import load_backfiller
from tapeline.feed.selection import within
from tapeline.model.backfill import EVENTS_TOPIC, REQUESTS_TOPIC, BackfillEvent
from tapeline.model.codec import decode, encode
from tapeline.model.control import Interval
from tapeline.model.ids import Rows
from tapeline_backfill.app import Service
from tapeline_backfill.settings import BackfillSettings

TOPICS = ("md.ticks.databento.v1", "md.ticks-backfill.databento.v1", REQUESTS_TOPIC, EVENTS_TOPIC, "md.usage.v1")
STREAM = f"{DATASET}/NQ.FUT"
WHOLE = Interval(ts_event_from=BEGIN + 2 * SECOND, ts_event_until=LAST)
BEFORE = Interval(ts_event_from=WHOLE.ts_event_from, ts_event_until=HOLE.ts_event_from)
AFTER = Interval(ts_event_from=HOLE.ts_event_until, ts_event_until=WHOLE.ts_event_until)
ASKED = Interval(ts_event_from=HOLE.ts_event_from - SECOND, ts_event_until=HOLE.ts_event_until + SECOND)


def values(servers: str, topic: str) -> list[bytes]:
    found: list[bytes] = []
    with Log(servers, "tapeline-test") as log:
        for partition in range(log.partitions(topic)):
            first, end = log.bounds(topic, partition)
            found += [message.value() or b"" for message in log.read(topic, partition, first, end)]
    return found


async def test_a_hole_is_filled_and_proven(
    bootstrap_servers: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared = load_topics()
    apply_topics(bootstrap_servers, [declared[name] for name in TOPICS])
    async with past(tmp_path / "vendor") as vendor:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "vendor" / "tls" / "ca.pem"))
        monkeypatch.setenv("TAPELINE_STATE_DIR", str(tmp_path / "state"))
        monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", bootstrap_servers)
        for name, value in vendor.values().items():
            monkeypatch.setenv(f"TAPELINE_DATABENTO_{name.upper()}", str(value))
        producer = Producer({"bootstrap.servers": bootstrap_servers, "partitioner": "murmur2_random"})
        framer = Framer(SessionIdentity("databento", "live", 1, "live"), FrameLimits(), calendar_of(DATASET))
        for ticks in await fetched(vendor.replay(), request(window=WHOLE)):
            for side in (BEFORE, AFTER):
                if len(kept := within(ticks, side)):
                    for frame in [*framer.add(kept, 1), *framer.finish(1)]:
                        producer.produce(ticks_topic("databento"), encode(frame), STREAM)
        asked = request(window=ASKED)
        producer.produce(namespaced(REQUESTS_TOPIC), asked.encode(), asked.id)
        assert not producer.flush(30)
        settings = BackfillSettings.load(
            {}, dotenv=tmp_path / "no.env", overrides={"worker": "one", "poll_s": 0.05, "slice_s": 5, "health_port": 0}
        )
        service = Service(settings, bootstrap_servers, load_backfiller, None)
        running = asyncio.create_task(service.run())
        event: BackfillEvent | None = None
        async with asyncio.timeout(60):
            while event is None or event.type not in ("proven", "failed", "rejected", "dead_lettered"):
                await asyncio.sleep(0.05)
                told = await asyncio.to_thread(values, bootstrap_servers, namespaced(EVENTS_TOPIC))
                event = BackfillEvent.decode(told[-1]) if told else None
        service.stop()
        await running
        captured = {
            name: vendor.captured("mbo", "mbo", "NQ.FUT", span) for name, span in (("hole", HOLE), ("asked", ASKED))
        }
    assert event.type == "proven", event.reason
    assert event.back_end == "historical"
    assert (event.published, event.read) == (len(captured["hole"]), len(captured["asked"]))
    assert event.counted == event.read == event.published + event.skipped
    assert event.cost_micro_usd
    frames = [decode(value) for value in values(bootstrap_servers, backfill_topic("databento"))]
    assert {(each.stream, each.kind, each.origin) for each in frames} == {(STREAM, "mbo", "backfill")}
    # Two slices, each in the order of capture.
    filled = np.concatenate([Rows.of_frame(frame).hashes() for frame in frames])
    assert np.array_equal(np.sort(filled), np.sort(captured["hole"]))
    assert values(bootstrap_servers, namespaced("md.usage.v1"))
