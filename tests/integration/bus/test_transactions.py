"""A transaction is seen whole or not at all, and only one publisher of an id is left."""

from __future__ import annotations

from contextlib import closing

import pytest

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.log import Log
from tapeline.bus.transactions import Outgoing, TransactionalPublisher
from tapeline.errors import BadData, Fenced

DATA, EVENTS = "md.ticks-backfill.saved.v1", "md.backfill-events.v1"


def opened(cluster: str, name: str = "backfill.r-1") -> TransactionalPublisher:
    publisher = TransactionalPublisher(cluster, name)
    publisher.open()
    return publisher


def values(cluster: str, topic: str, *, committed_only: bool = True) -> list[bytes]:
    with Log(cluster, "test", committed_only=committed_only) as log:
        name = namespaced(topic)
        found = []
        for partition in range(log.partitions(name)):
            found += [message.value() or b"" for message in log.read(name, partition, *log.bounds(name, partition))]
        return found


def data(value: bytes) -> Outgoing:
    return Outgoing(namespaced(DATA), "GLBX.MDP3/NQ.FUT", value)


def event(value: bytes) -> Outgoing:
    return Outgoing(namespaced(EVENTS), "r-1", value)


def test_messages_of_two_topics_come_together(cluster: str) -> None:
    with closing(opened(cluster)) as publisher:
        publisher.commit([data(b"a"), event(b"1")])
        publisher.commit([data(b"b"), data(b"c"), event(b"2")])
    assert (values(cluster, DATA), values(cluster, EVENTS)) == ([b"a", b"b", b"c"], [b"1", b"2"])


def test_a_publisher_that_another_of_its_id_has_followed_adds_nothing(cluster: str) -> None:
    with closing(opened(cluster)) as zombie:
        zombie.commit([data(b"a")])
        with closing(opened(cluster)) as twin, closing(opened(cluster, "backfill.r-2")) as other:
            twin.commit([data(b"b")])
            with pytest.raises(Fenced, match=r"backfill\.r-1: taken over by another"):
                zombie.commit([data(b"late")])
            with pytest.raises(Fenced):
                zombie.commit([data(b"later")])
            twin.commit([data(b"c")])
            other.commit([data(b"d")])
    assert values(cluster, DATA) == [b"a", b"b", b"c", b"d"]


def test_what_a_dead_publisher_began_is_not_seen_and_holds_up_nobody_once_another_is_open(cluster: str) -> None:
    dead = opened(cluster)
    dead.commit([data(b"a")])
    # As far as a worker comes that is killed before it commits.
    dead._producer.begin_transaction()
    dead._produce(data(b"lost"), deadline_s=0.0)
    dead._producer.flush(10)
    with closing(opened(cluster, "backfill.r-2")) as other:
        other.commit([data(b"b")])
    assert values(cluster, DATA) == [b"a"]
    with closing(opened(cluster)):
        assert values(cluster, DATA) == [b"a", b"b"]
    assert b"lost" in values(cluster, DATA, committed_only=False)


def test_what_is_too_large_is_named_and_nothing_of_its_batch_is_seen(cluster: str) -> None:
    with closing(opened(cluster)) as publisher:
        with pytest.raises(BadData, match="bytes"):
            publisher.commit([data(b"a"), data(bytes(2_000_000))])
        publisher.commit([data(b"b")])
    assert values(cluster, DATA) == [b"b"]
