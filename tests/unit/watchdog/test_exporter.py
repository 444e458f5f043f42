"""The metrics of a sample: the names and labels of kafka_exporter, kafka-lag-exporter and Burrow."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from tests.unit.watchdog.clusters import TICKS, Watched, cluster, group, member

from tapeline.bus.groups import PartitionState
from tapeline.bus.record_times import Stretch
from tapeline.ops import metrics
from tapeline.ops.metrics import Sampled
from tapeline_watchdog.burrow import Status
from tapeline_watchdog.exporter import exported, rows
from tapeline_watchdog.lag import LagReport
from tapeline_watchdog.workers import StuckWorker

ZERO, ONE, NEVER = (TICKS, 0), (TICKS, 1), (TICKS, 2)
STUCK: Final = StuckWorker("g", "worker@127.0.0.1", Status.STALL, (ZERO, ONE), 7, "unknown", None)


def report() -> LagReport:
    state = cluster(
        {ZERO: 100, ONE: 50, NEVER: 9},
        group("g", {ZERO: 40, ONE: 48}, member("worker", ZERO, NEVER)),
        group("silent", {}),
    )
    no_leader = PartitionState(None, None, -1, (1, 2), ())
    alone = PartitionState(2, 9, 2, (1, 2), (2,))
    state = replace(state, partitions={**state.partitions, ("broken", 0): no_leader, ("broken", 1): alone})
    return Watched().sample(state)


def test_every_gauge_has_the_names_that_dashboards_ask_for() -> None:
    registry = CollectorRegistry()
    with exported(lambda: rows(report(), [STUCK], "local"), registry):
        text = generate_latest(registry).decode()
        samples = {line for line in text.splitlines() if not line.startswith("#")}
        expected = {
            "kafka_brokers 1.0",
            f'kafka_topic_partitions{{topic="{TICKS}"}} 3.0',
            f'kafka_topic_partition_current_offset{{partition="1",topic="{TICKS}"}} 50.0',
            'kafka_topic_partition_oldest_offset{partition="1",topic="broken"} 2.0',
            'kafka_topic_partition_leader{partition="0",topic="broken"} -1.0',
            'kafka_topic_partition_leader{partition="1",topic="broken"} 2.0',
            'kafka_topic_partition_leader_is_preferred{partition="1",topic="broken"} 0.0',
            f'kafka_topic_partition_leader_is_preferred{{partition="0",topic="{TICKS}"}} 1.0',
            'kafka_topic_partition_replicas{partition="1",topic="broken"} 2.0',
            'kafka_topic_partition_in_sync_replica{partition="1",topic="broken"} 1.0',
            'kafka_topic_partition_under_replicated_partition{partition="1",topic="broken"} 1.0',
            f'kafka_topic_partition_under_replicated_partition{{partition="0",topic="{TICKS}"}} 0.0',
            f'kafka_consumergroup_current_offset{{consumergroup="g",partition="0",topic="{TICKS}"}} 40.0',
            f'kafka_consumergroup_current_offset_sum{{consumergroup="g",topic="{TICKS}"}} 88.0',
            f'kafka_consumergroup_lag{{consumergroup="g",partition="0",topic="{TICKS}"}} 60.0',
            f'kafka_consumergroup_lag_sum{{consumergroup="g",topic="{TICKS}"}} 62.0',
            'kafka_consumergroup_members{consumergroup="g"} 1.0',
            'kafka_consumergroup_members{consumergroup="silent"} 0.0',
            'kafka_consumergroup_group_lag_seconds{client_id="worker",cluster_name="local",consumer_id="worker-1",'
            f'group="g",member_host="127.0.0.1",partition="0",topic="{TICKS}"}} 59.0',
            'kafka_consumergroup_group_lag_seconds{client_id="",cluster_name="local",consumer_id="",'
            f'group="g",member_host="",partition="1",topic="{TICKS}"}} 1.0',
            'kafka_consumergroup_group_max_lag_seconds{cluster_name="local",group="g"} 59.0',
            'burrow_kafka_consumer_status{cluster="local",consumer_group="silent"} 1.0',
            'burrow_kafka_topic_partition_status{cluster="local",consumer_group="g",partition="1",'
            f'topic="{TICKS}"}} 1.0',
            'tapeline_watchdog_stuck_partitions{consumergroup="g"} 2.0',
            'tapeline_watchdog_stuck_partitions{consumergroup="silent"} 0.0',
        }
        assert expected - samples == set()
        declared = {each.name for each in vars(metrics).values() if isinstance(each, Sampled)}
        of_groups = {name for name in declared if not name.startswith("tapeline_")} | {metrics.STUCK_PARTITIONS.name}
        assert {line.partition("{")[0].partition(" ")[0] for line in samples} == of_groups
    assert generate_latest(registry) == b""


def test_what_is_not_known_is_not_there() -> None:
    named = [(gauge.name, labels) for gauge, labels, _ in rows(report(), [], "local")]
    assert ("kafka_topic_partition_current_offset", ("broken", 0)) not in named
    assert not [labels for name, labels in named if name == "kafka_consumergroup_lag" and 2 in labels]
    assert ("kafka_consumergroup_group_max_lag_seconds", ("local", "silent")) not in named
    unread = Watched().unanswered(report().cluster)
    told = [labels[3] for gauge, labels, _ in rows(unread, [], "local") if gauge is metrics.KAFKA_GROUP_LAG_SECONDS]
    assert told == [2]


def test_the_largest_lag_is_not_that_of_the_partitions_whose_times_could_be_read() -> None:
    late = frozenset({Stretch(*ZERO, 40, 100)})
    seen = list(rows(Watched().sample(report().cluster, not_in_time=late), [], ""))
    by_partition = [(labels[3], value) for gauge, labels, value in seen if gauge is metrics.KAFKA_GROUP_LAG_SECONDS]
    assert by_partition == [(1, 1.0), (2, 0.0)]
    assert metrics.KAFKA_GROUP_MAX_LAG_SECONDS not in [gauge for gauge, _, _ in seen]


def test_a_partition_that_is_held_and_was_never_committed_has_no_lag_of_messages_and_a_status() -> None:
    found = [
        (gauge, labels[-2:], value) for gauge, labels, value in rows(report(), [], "local") if labels[-2:] == NEVER
    ]
    of_group = [each for each in found if each[0] is not metrics.KAFKA_PARTITION_CURRENT_OFFSET]
    assert (metrics.BURROW_PARTITION_STATUS, NEVER, Status.OK) in of_group
    assert not {gauge for gauge, _, _ in of_group} & {metrics.KAFKA_GROUP_LAG, metrics.KAFKA_GROUP_CURRENT_OFFSET}


def test_a_name_is_taken_once() -> None:
    registry = CollectorRegistry()
    with (
        exported(list, registry),
        pytest.raises(ValueError, match="kafka_brokers"),
        exported(list, registry),
    ):
        pass
