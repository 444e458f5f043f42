"""Backfills wait while the processor is behind with live ticks, and go on once it is not."""

from __future__ import annotations

import asyncio
from contextlib import closing

from confluent_kafka import Consumer, TopicPartition
from prometheus_client import REGISTRY
from tests.integration.backfill.rig import SOURCE, Rig, a_request, window_of
from tests.integration.backfill.scripted import Script
from tests.integration.feed.vendor import STREAM, market

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.partitioner import partition_of
from tapeline.bus.tail import ticks_topic


async def test_pauses_while_the_processor_is_behind_with_live_ticks(rig: Rig) -> None:
    ticks, live, topic = market(900), market(900, seed=2), ticks_topic(SOURCE)
    rig.put_live(*(live.cut(at, at + 30) for at in range(0, 900, 30)))
    config = {
        "bootstrap.servers": rig.servers,
        "group.id": namespaced("tapeline-processor"),
        "enable.auto.commit": False,
    }
    with closing(Consumer({**config, "auto.offset.reset": "earliest"})) as processor:
        processor.subscribe([topic])
        while not processor.assignment():
            await asyncio.to_thread(processor.poll, 0.1)
        place = partition_of(STREAM, 12)
        processor.commit(offsets=[TopicPartition(topic, place, 5)], asynchronous=False)
        rig.ask(request := a_request(window_of(ticks)))
        async with rig.service(Script(ticks), lag_limit_messages=20, lag_interval_s=0.1):
            paused = await rig.until(request, lambda event: event.reason != "")
            assert paused.reason == f"the processor is 25 messages behind on {topic}"
            assert (paused.type, paused.published) == ("started", 0)
            processor.commit(offsets=[TopicPartition(topic, place, 10)], asynchronous=False)
            proven = await rig.until(request, lambda event: event.type == "proven")
    assert proven.read == 900
    assert (REGISTRY.get_sample_value("tapeline_backfill_paused_seconds_total", {"source": SOURCE}) or 0.0) > 0.0
