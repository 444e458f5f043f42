"""The publisher against a real broker: order, backpressure, honest counts, typed failures."""

from __future__ import annotations

import asyncio
import os
from functools import partial

import pytest
from aiokafka.partitioner import DefaultPartitioner
from confluent_kafka.admin import AdminClient, NewTopic
from tests.integration.hanging import address, stopped

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.log import Log
from tapeline.bus.publisher import Publisher
from tapeline.errors import BadData, DeliveryFailed
from tapeline_cli.local_broker import LocalBroker

KIB = 1024


def values_of(bootstrap: str, topic: str, partition: int = 0) -> list[bytes]:
    with Log(bootstrap, "test") as log:
        first, end = log.bounds(topic, partition)
        return [message.value() or b"" for message in log.read(topic, partition, first, end)]


@pytest.fixture
def topic(own_broker: LocalBroker, request: pytest.FixtureRequest) -> str:
    """A topic of one partition on the test's own broker."""
    name = str(request.node.name)
    admin = AdminClient({"bootstrap.servers": address(own_broker)})
    admin.create_topics([NewTopic(name, 1)])[name].result(20)
    return name


async def test_messages_arrive_in_order_with_their_offsets(publisher: Publisher, cluster: str) -> None:
    topic = namespaced("md.feed-events.v1")
    offsets: list[int] = []
    for number in range(1_000):
        await publisher.publish(topic, "a", b"%d" % number, lambda _, offset: offsets.append(offset))
    assert await publisher.flush(20.0) == 0
    assert offsets == list(range(1_000))
    assert values_of(cluster, topic) == [b"%d" % number for number in range(1_000)]
    assert publisher.queued_messages == publisher.queued_bytes == 0


async def test_a_single_message_is_delivered_without_a_flush(publisher: Publisher) -> None:
    for _ in range(40):
        partition, offset = await publisher.deliver(namespaced("md.feed-events.v1"), "a", b"x", 10.0)
        assert partition == 0
    assert offset == 39


async def test_every_message_is_noticed_whatever_the_pace(publisher: Publisher) -> None:
    topic = namespaced("md.feed-events.v1")
    for count in range(1, 40):
        offsets: asyncio.Queue[int] = asyncio.Queue()
        for _ in range(count):
            await publisher.publish(topic, "a", b"x", lambda _, offset, put=offsets.put_nowait: put(offset))  # type: ignore[misc]
        async with asyncio.timeout(10):
            received = [await offsets.get() for _ in range(count)]
        assert received == sorted(received)


async def test_a_thousand_keys_go_where_faust_would_put_them(publisher: Publisher) -> None:
    everything = list(range(12))
    faust = DefaultPartitioner()
    partitions: dict[str, int] = {}
    keys = [f"GLBX.MDP3/{number}.FUT" for number in range(1_000)]
    for key in keys:
        note = partial(lambda key, partition, _: partitions.update({key: partition}), key)
        await publisher.publish(namespaced("md.ticks.saved.v1"), key, b"x", note)
    assert await publisher.flush(20.0) == 0
    assert partitions == {key: faust(key.encode(), everything, everything) for key in keys}


async def test_key_headers_and_partition_are_the_callers(publisher: Publisher, cluster: str) -> None:
    topic = namespaced("md.ticks.saved.v1")
    headers = [("next", b"7"), ("next", b"\x00\xff")]
    await publisher.publish(topic, None, b"to five", headers=headers, partition=5)
    await publisher.publish(topic, b"\xff\x00", b"to four", partition=4)
    assert await publisher.flush(20.0) == 0
    with Log(cluster, "test") as log:
        (five,), (four,) = (log.read(topic, partition, *log.bounds(topic, partition)) for partition in (5, 4))
    assert (five.key(), five.value(), five.headers()) == (None, b"to five", headers)
    assert (four.key(), four.value(), four.headers()) == (b"\xff\x00", b"to four", None)


async def test_what_was_published_before_is_waited_for_and_nothing_else(cluster: str) -> None:
    topic = namespaced("md.ticks.saved.v1")
    # What lingers keeps the queue from ever being empty.
    publisher = Publisher(cluster, "test", linger_ms=200.0)
    await publisher.delivered()
    acknowledged: list[int] = []
    published = 0

    async def publish(count: int) -> None:
        nonlocal published
        for _ in range(count):
            note = partial(lambda number, *_: acknowledged.append(number), published)
            await publisher.publish(topic, None, b"x", note, partition=published % 12)
            published += 1

    await publish(50)
    waiting = asyncio.create_task(publisher.delivered())
    async with asyncio.timeout(20):
        while not waiting.done():
            await publish(1)
            await asyncio.sleep(0.001)
    await waiting
    assert set(range(50)) <= set(acknowledged)
    assert len(acknowledged) < published
    assert await publisher.close(10.0) == 0


async def test_a_failed_delivery_is_told_to_who_waits_and_to_who_does_not(cluster: str) -> None:
    failures: list[DeliveryFailed] = []
    publisher = Publisher(cluster, "test", max_message_bytes=3_000_000, on_failed=failures.append)
    await publisher.publish(namespaced("md.feed-events.v1"), "a", os.urandom(2_000_000))
    with pytest.raises(DeliveryFailed, match="feed-events"):
        await publisher.delivered()
    assert [failure.undelivered for failure in failures] == [1]
    with pytest.raises(DeliveryFailed):
        await publisher.delivered()
    assert await publisher.close(5.0) == 1
    assert len(failures) == 1


async def test_a_broker_that_hangs_stops_the_caller_and_loses_nothing(own_broker: LocalBroker, topic: str) -> None:
    publisher = Publisher(address(own_broker), "test", max_queue_bytes=256 * KIB, stall_limit_s=60.0)
    await publisher.deliver(topic, "a", b"first", 20.0)
    sent = 0

    async def publish_all() -> None:
        nonlocal sent
        for number in range(500):
            await publisher.publish(topic, "a", b"%d" % number + b"." * 4 * KIB)
            sent += 1

    with stopped(own_broker):
        task = asyncio.create_task(publish_all())
        async with asyncio.timeout(20):
            while not publisher.waits:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        held = sent
        # Room never comes while the broker hangs; memory stays within the bound and one message.
        done, _ = await asyncio.wait([task], timeout=1.0)
        assert not done
        assert sent == held < 100
        assert publisher.queued_bytes <= 260 * KIB
        assert await publisher.flush(0.2) == held
    await asyncio.wait_for(task, 60.0)
    assert await publisher.flush(60.0) == 0
    numbers = [int(value.split(b".")[0]) for value in values_of(address(own_broker), topic)[1:]]
    assert numbers == list(range(500))
    assert publisher.waits > 0
    assert await publisher.close(5.0) == 0


async def test_closing_in_time_counts_what_was_not_taken(own_broker: LocalBroker, topic: str) -> None:
    publisher = Publisher(address(own_broker), "test")
    await publisher.deliver(topic, "a", b"taken", 20.0)
    with stopped(own_broker):
        for number in range(37):
            await publisher.publish(topic, "a", b"%d" % number)
        assert await publisher.close(0.5) == 37
        with pytest.raises(DeliveryFailed):
            await publisher.publish(topic, "a", b"late")


async def test_a_stall_beyond_the_limit_gives_up_on_everything(own_broker: LocalBroker, topic: str) -> None:
    publisher = Publisher(address(own_broker), "test", max_queue_messages=10, stall_limit_s=0.5)
    await publisher.deliver(topic, "a", b"taken", 20.0)
    with stopped(own_broker):
        for number in range(10):
            await publisher.publish(topic, "a", b"%d" % number)
        with pytest.raises(DeliveryFailed) as caught:
            await publisher.publish(topic, "a", b"one too many")
        assert caught.value.undelivered == 10
        with pytest.raises(DeliveryFailed):
            await publisher.flush(1.0)
        assert await publisher.close(1.0) == 10
    # What is on the tape is a prefix of what was published.
    values = values_of(address(own_broker), topic)
    assert values == [b"taken", *(b"%d" % number for number in range(len(values) - 1))]


async def test_a_message_that_kafka_refuses_ends_the_publisher(cluster: str) -> None:
    publisher = Publisher(cluster, "test", max_message_bytes=3_000_000)
    topic = namespaced("md.feed-events.v1")
    await publisher.deliver(topic, "a", b"taken", 20.0)
    too_large = os.urandom(2_000_000)
    with pytest.raises(DeliveryFailed, match="feed-events"):
        await publisher.deliver(topic, "a", too_large, 20.0)
    with pytest.raises(DeliveryFailed):
        await publisher.publish(topic, "a", b"later")
    assert await publisher.close(5.0) == 1
    assert values_of(cluster, topic) == [b"taken"]


async def test_a_value_above_the_limit_is_bad_data_and_nothing_else_is_lost(publisher: Publisher) -> None:
    topic = namespaced("md.feed-events.v1")
    await publisher.publish(topic, "a", b"before")
    with pytest.raises(BadData, match="value"):
        await publisher.publish(topic, "a", b"x" * 1_000_001)
    await publisher.publish(topic, "a", b"after")
    assert await publisher.flush(20.0) == 0
