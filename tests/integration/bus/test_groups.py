"""What a real broker tells of groups that real consumers made, and the records at which they stand."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Final

import pytest
from confluent_kafka import Consumer, TopicPartition
from tests.integration.bus.cluster import Cluster

from tapeline.bus.groups import ClusterState, Groups
from tapeline.bus.record_times import RecordTimes, Stretch, StretchTimes
from tapeline.errors import BrokerUnavailable
from tapeline.model.codec import decode, encode
from tapeline.model.frames import TickFrame
from tapeline.ops.resources import REPOSITORY_ROOT

TICKS_BEGIN_NS: Final = 1_700_000_000_000_000_000
FRAME: Final = decode((REPOSITORY_ROOT / "schemas/golden/tick-frame.v1.trade.json").read_bytes())


@pytest.fixture
def cluster(bootstrap_servers: str, namespace: str) -> Iterator[Cluster]:
    with closing(Cluster(bootstrap_servers, namespace)) as cluster:
        yield cluster


def received_at(ts_recv: int) -> TickFrame:
    return replace(FRAME, ts_base=ts_recv - int(FRAME.columns["ts_recv"][0]))


def seconds(found: Mapping[Stretch, StretchTimes | None]) -> dict[Stretch, float]:
    return {stretch: times.seconds for stretch, times in found.items() if times is not None}


def until(groups: Groups, holds: Callable[[ClusterState], bool]) -> ClusterState:
    deadline_s = time.monotonic() + 30
    while not holds(state := groups.read()):
        assert time.monotonic() < deadline_s, state
    return state


def read_all(consumer: Consumer, count: int) -> None:
    deadline_s = time.monotonic() + 30
    while count:
        assert time.monotonic() < deadline_s
        count -= sum(message.error() is None for message in consumer.consume(count, 0.1))


def test_groups_with_and_without_members_and_commits(cluster: Cluster) -> None:
    first, second = cluster.topic("first", partitions=2), cluster.topic("second")
    producer = cluster.producer()
    for number in range(10):
        producer.produce(first, b"%d" % number, partition=0)
    producer.flush(30)
    alive, silent = cluster.consumer("alive", **{"client.id": "one"}), cluster.consumer("silent")
    alive.subscribe([first])
    read_all(alive, 10)
    alive.commit(offsets=[TopicPartition(first, 0, 7)], asynchronous=False)
    silent.subscribe([second])
    silent.poll(0.1)
    cluster.commit("dead", first, 0, 3)
    cluster.commit("dead", second, 0, 0)
    cluster.commit("ahead", first, 1, 99)

    state = until(
        cluster.groups(),
        lambda found: (
            len(found.groups) == 4 and {group.state for group in found.groups.values()} <= {"stable", "empty"}
        ),
    )
    group = {name.rpartition(".")[2]: found for name, found in state.groups.items()}
    assert state.brokers == 1
    assert set(state.partitions) == {(first, 0), (first, 1), (second, 0)}
    busy, idle = state.partitions[first, 0], state.partitions[first, 1]
    assert (busy.oldest, busy.end, idle.oldest, idle.end) == (0, 10, 0, 0)
    assert busy.leader == busy.replicas[0] == busy.in_sync[0]
    [member] = group["alive"].members
    assert (member.client_id, member.partitions) == ("one", {(first, 0), (first, 1)})
    assert group["alive"].committed == {(first, 0): 7}
    assert ([len(group[name].members) for name in ("silent", "dead", "ahead")]) == [1, 0, 0]
    assert (group["silent"].committed, group["silent"].state) == ({}, "stable")
    assert (group["dead"].committed, group["dead"].state) == ({(first, 0): 3, (second, 0): 0}, "empty")
    assert group["ahead"].committed == {(first, 1): 99}
    only_first = Groups(cluster.address, "test", wants_group=cluster.name("dead").__eq__, wants_topic=first.__eq__)
    filtered = only_first.read()
    assert (set(filtered.groups), set(filtered.partitions)) == ({cluster.name("dead")}, {(first, 0), (first, 1)})
    assert filtered.groups[cluster.name("dead")].committed == {(first, 0): 3}


def test_records_tell_how_far_apart_in_time_two_offsets_are(cluster: Cluster) -> None:
    topic = cluster.topic("times", partitions=3)
    producer = cluster.producer()
    for number in range(1150):
        producer.produce(topic, b"%d" % number, partition=0, timestamp=1_000_000 + number * 100)
    for number in range(5):
        frame = encode(received_at(TICKS_BEGIN_NS + number * 60_000_000_000))
        producer.produce(topic, frame, key=FRAME.stream, partition=1, timestamp=1_000_000 + number)
    producer.flush(30)
    whole, part, ticks = Stretch(topic, 0, 0, 1150), Stretch(topic, 0, 650, 1150), Stretch(topic, 1, 1, 5)
    with RecordTimes(cluster.address, "test") as times:
        assert seconds(times.read([whole, part, ticks], 30.0)) == {whole: 114.9, part: 49.9, ticks: 180.0}
        cluster.forget(topic, 0, 1150)
        assert seconds(times.read([whole, ticks], 30.0)) == {whole: 114.9, ticks: 180.0}
        assert times.read([part], 30.0) == {part: None}
        nothing = Stretch(topic, 2, 0, 5)
        assert times.read([nothing], 30.0) == {nothing: None}


def test_control_records_and_what_was_aborted_are_no_lag(cluster: Cluster) -> None:
    topic = cluster.topic("transactional")
    producer = cluster.producer(**{"transactional.id": cluster.name("writer")})
    producer.init_transactions(30)
    producer.begin_transaction()
    for number in range(10):
        producer.produce(topic, b"%d" % number, timestamp=1_000_000 + number * 1000)
    producer.commit_transaction(30)
    producer.begin_transaction()
    for number in range(20):
        producer.produce(topic, b"never %d" % number)
    producer.flush(30)
    open_end = cluster.groups().read().partitions[topic, 0].end
    producer.abort_transaction(30)
    state = until(cluster.groups(), lambda found: found.partitions[topic, 0].end != open_end)
    end = state.partitions[topic, 0].end
    assert (open_end, end) == (11, 32)
    assert end is not None
    producer.begin_transaction()
    producer.produce(topic, b"later", timestamp=9_000_000)
    producer.commit_transaction(30)
    behind, before_that = Stretch(topic, 0, 4, end), Stretch(topic, 0, 6, 11)
    only_marks = [Stretch(topic, 0, 10, end), Stretch(topic, 0, 10, 11)]
    with RecordTimes(cluster.address, "test") as times:
        found = times.read([behind, before_that, *only_marks], 30.0)
    assert [found.pop(stretch) for stretch in only_marks] == [None, None]
    assert seconds(found) == {behind: 5.0, before_that: 3.0}


def test_a_broker_that_is_away_is_told_in_time() -> None:
    began_s = time.monotonic()
    with pytest.raises(BrokerUnavailable, match=r"^127\.0\.0\.1:1 did not tell its groups"):
        Groups("127.0.0.1:1", "test").read(0.5)
    assert time.monotonic() - began_s < 10
