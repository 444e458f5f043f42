"""The reader beside the frames: from which place on, what of it counts, and what is given up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.log import Log
from tapeline.bus.publisher import Publisher
from tapeline.errors import BadData, TopicMismatch
from tapeline_processor.dead_letters import TOPIC as DEAD_LETTERS
from tapeline_processor.dead_letters import DeadLetters
from tapeline_processor.reading import Feed, Reader

DEADLINE_S = 30.0


@dataclass
class Desk:
    """A reader, and what it has brought from the topic `chains` of two partitions."""

    servers: str
    publisher: Publisher
    reader: Reader
    topic: str
    failures: list[BaseException]
    taken: list[tuple[int, str]] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    def feed(self, last_messages: int | None = None, topic: str | None = None) -> Feed:
        return Feed(topic or self.topic, decode, self._take, self.ends.append, last_messages)

    def _take(self, partition: int, value: str) -> None:
        self.taken.append((partition, value))

    async def put(self, *values: str, partition: int = 0) -> None:
        """Put values such as ``a1``: the letter is the key."""
        for value in values:
            await self.publisher.publish(self.topic, value[:1], value.encode(), partition=partition)
        await self.publisher.delivered(DEADLINE_S)

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.01)


def decode(value: bytes) -> str | None:
    if value == b"bad":
        raise BadData("value", "must be good")
    return None if value == b"uninteresting" else value.decode()


@pytest.fixture
async def desk(bootstrap_servers: str, namespace: str) -> AsyncIterator[Desk]:
    topic = namespaced("chains")
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    new = [NewTopic(topic, 2, 1), NewTopic(namespaced(DEAD_LETTERS), 1, 1)]
    for future in admin.create_topics(new).values():
        future.result(30)
    publisher = Publisher(bootstrap_servers, "test")
    failures: list[BaseException] = []
    reader = Reader(bootstrap_servers, DeadLetters(publisher), failures.append)
    made = Desk(bootstrap_servers, publisher, reader, topic, failures)
    reader.start()
    yield made
    await reader.close()
    await publisher.close(5.0)


async def test_a_feed_is_read_whole_and_then_followed(desk: Desk) -> None:
    await desk.put("a1", "a2", "b1")
    desk.reader.read(desk.feed())
    await desk.until(lambda: sorted(desk.ends) == [0, 1])
    assert desk.taken == [(0, "a1"), (0, "a2"), (0, "b1")]
    await desk.put("a3")
    await desk.put("c1", partition=1)
    await desk.until(lambda: len(desk.taken) == 5)
    assert set(desk.taken[3:]) == {(0, "a3"), (1, "c1")}
    assert sorted(desk.ends) == [0, 1]


async def test_of_the_last_messages_the_newest_per_key_counts(desk: Desk) -> None:
    await desk.put("x1", "a1", "b1", "a2", "b2", "b3")
    desk.reader.read(desk.feed(last_messages=5), [0])
    await desk.until(lambda: desk.ends == [0])
    assert sorted(desk.taken) == [(0, "a2"), (0, "b3")]
    await desk.put("a3", "a4")
    await desk.until(lambda: len(desk.taken) == 4)
    assert desk.taken[2:] == [(0, "a3"), (0, "a4")]


async def test_it_can_begin_at_the_end(desk: Desk) -> None:
    await desk.put("a1")
    desk.reader.read(desk.feed(last_messages=0))
    await desk.until(lambda: sorted(desk.ends) == [0, 1])
    await desk.put("a2")
    await desk.until(lambda: desk.taken)
    assert desk.taken == [(0, "a2")]


async def test_partitions_that_are_kept_go_on_and_those_given_up_begin_again(desk: Desk) -> None:
    await desk.put("a1")
    await desk.put("b1", partition=1)
    feed = desk.feed(last_messages=10)
    desk.reader.read(feed, [0])
    await desk.until(lambda: desk.ends == [0])
    desk.reader.read(feed, [0, 1])
    await desk.until(lambda: desk.ends == [0, 1])
    assert desk.taken == [(0, "a1"), (1, "b1")]
    # Given up and taken again before the thread has seen either.
    desk.reader.read(feed, [0])
    desk.reader.read(feed, [0, 1])
    await desk.until(lambda: desk.ends == [0, 1, 1])
    assert desk.taken == [(0, "a1"), (1, "b1"), (1, "b1")]
    desk.reader.read(feed, [1])
    await desk.put("a2")
    await desk.put("b2", partition=1)
    await desk.until(lambda: desk.taken[-1] == (1, "b2"))
    assert (0, "a2") not in desk.taken


async def test_what_is_bad_goes_to_the_dead_letters_and_reading_goes_on(desk: Desk) -> None:
    await desk.put("a1", "bad", "uninteresting", "a2")
    desk.reader.read(desk.feed())
    await desk.until(lambda: len(desk.ends) == 2)
    assert desk.taken == [(0, "a1"), (0, "a2")]
    await desk.publisher.delivered(DEADLINE_S)

    def letters() -> list[Any]:
        with Log(desk.servers, "test") as log:
            topic = namespaced(DEAD_LETTERS)
            return list(log.read(topic, 0, *log.bounds(topic, 0)))

    (letter,) = await asyncio.to_thread(letters)
    headers = dict(letter.headers())
    assert (letter.key(), letter.value(), headers["origin_offset"]) == (b"b", b"bad", b"1")
    assert headers["origin_topic"] == desk.topic.encode()


async def test_a_topic_that_is_not_there_ends_the_worker(desk: Desk) -> None:
    desk.reader.read(desk.feed(topic="no-such-topic"))
    await desk.until(lambda: desk.failures)
    assert [type(failure) for failure in desk.failures] == [TopicMismatch]
