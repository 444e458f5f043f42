"""What public dashboards and alert rules ask a real Prometheus for is there, under their names and labels."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest
from confluent_kafka import TopicPartition
from tests.conftest import lacking
from tests.integration.bus.cluster import Cluster
from tests.integration.watchdog.process import Watchdog, until
from tests.integration.watchdog.prometheus import Prometheus

# The panels of Strimzi's "Kafka Exporter" dashboard (examples/metrics/grafana-dashboards/strimzi-kafka-exporter.json)
# with all topics and groups chosen, but the two of minimum in-sync replicas, which ask the brokers and no exporter.
ALL: Final = 'topic=~".+"'
OF_ALL: Final = 'consumergroup=~".+", topic=~".+"'
PANELS: Final = {
    "topics": f"count(kafka_topic_partitions{{{ALL}}})",
    "partitions": f"sum(kafka_topic_partitions{{{ALL}}})",
    "replicas": f"sum(kafka_topic_partition_replicas{{{ALL}}})",
    "in-sync replicas": f"sum(kafka_topic_partition_in_sync_replica{{{ALL}}})",
    "under-replicated": f"sum(kafka_topic_partition_under_replicated_partition{{{ALL}}})",
    "not on the preferred node": f"count(kafka_topic_partition_leader_is_preferred{{{ALL}}} < 1)",
    "in per second": f"sum by (topic) (rate(kafka_topic_partition_current_offset{{{ALL}}}[1m]))",
    "consumed per second": "sum by (consumergroup, topic) "
    f"(delta(kafka_consumergroup_current_offset{{{OF_ALL}}}[1m]) / 60)",
    "lag by group": f"sum by (consumergroup, topic) (kafka_consumergroup_lag{{{OF_ALL}}})",
    "offsets": f"sum by (consumergroup, partition, topic) (kafka_consumergroup_current_offset{{{OF_ALL}}})",
    "lag": f"sum by (consumergroup, partition, topic) (kafka_consumergroup_lag{{{OF_ALL}}})",
    "number of partitions": f"sum by (topic) (kafka_topic_partitions{{{ALL}}})",
    "latest offsets": f"sum by (partition, topic) (kafka_topic_partition_current_offset{{{ALL}}})",
    "oldest offsets": f"sum by (partition, topic) (kafka_topic_partition_oldest_offset{{{ALL}}})",
}
# Strimzi's alerts on kafka_exporter; the third one cannot tell a quiet market from a broken feed.
ALERTS: Final = {
    "UnderReplicatedPartition": "kafka_topic_partition_under_replicated_partition > 0",
    "TooLargeConsumerGroupLag": "kafka_consumergroup_lag > 1000",
    "NoMessageForTooLong": 'changes(kafka_topic_partition_current_offset{topic!="__consumer_offsets"}[10m]) == 0',
}


@pytest.fixture
def cluster(bootstrap_servers: str, namespace: str) -> Iterator[Cluster]:
    with closing(Cluster(bootstrap_servers, namespace)) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def programs() -> dict[str, str]:
    """Prometheus' programs by name."""
    found = {name: shutil.which(name) for name in ("prometheus", "promtool")}
    if None in found.values():
        lacking("prometheus", "no prometheus or promtool; sh deploy/install-system-packages.sh prometheus")
    return {name: path for name, path in found.items() if path is not None}


def test_strimzis_dashboard_and_alerts_find_what_they_ask_for(
    cluster: Cluster, programs: dict[str, str], tmp_path: Path
) -> None:
    busy, quiet = cluster.topic("busy", partitions=2), cluster.topic("quiet")
    far_behind, near = cluster.name("far"), cluster.name("near")
    producer = cluster.producer()
    for number in range(2_000):
        producer.produce(busy, b"%d" % number, partition=0, timestamp=1_700_000_000_000 + number * 100)
    producer.flush(30)
    cluster.commit("far", busy, 0, 400)
    cluster.commit("near", busy, 0, 1_990)
    moving = cluster.consumer("near")
    rules: list[dict[str, Any]] = [{"alert": name, "expr": asked, "for": "10s"} for name, asked in ALERTS.items()]
    with (
        Watchdog(tmp_path, cluster.address) as watchdog,
        Prometheus(programs["prometheus"], tmp_path, watchdog.url, rules) as prometheus,
    ):
        checked = subprocess.run(
            [programs["promtool"], "check", "config", prometheus.config], capture_output=True, text=True, timeout=30
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr
        until(lambda: prometheus.query(PANELS["lag"]), lambda found: len(found) == 2)

        def move() -> dict[str, float]:
            producer.produce(busy, b"more", partition=0)
            producer.flush(30)
            end = watchdog.json(f"/v3/kafka/local/topic/{busy}")["offsets"][0]
            moving.commit(offsets=[TopicPartition(busy, 0, end)], asynchronous=False)
            return {found["topic"]: rate for found, rate in prometheus.query(PANELS["in per second"])}

        rates = until(move, lambda found: found.get(busy, 0.0) > 0.0)
        assert rates[quiet] == 0.0
        consumed = until(
            lambda: (move(), prometheus.query(PANELS["consumed per second"]))[1],
            lambda found: any(labels["consumergroup"] == near and value > 0.0 for labels, value in found),
        )
        assert {labels["consumergroup"] for labels, _ in consumed} == {far_behind, near}

        seen = {panel: prometheus.query(asked) for panel, asked in PANELS.items()}
        assert [seen[panel] for panel in ("topics", "partitions", "replicas", "in-sync replicas")] == [
            [({}, 2.0)],
            *[[({}, 3.0)]] * 3,
        ]
        assert seen["under-replicated"] == [({}, 0.0)]
        assert seen["not on the preferred node"] == []
        assert {(labels["topic"], value) for labels, value in seen["number of partitions"]} == {
            (busy, 2.0),
            (quiet, 1.0),
        }
        assert [len(seen[panel]) for panel in ("latest offsets", "oldest offsets")] == [3, 3]
        behind = {"consumergroup": far_behind, "topic": busy}
        [(_, committed)] = [found for found in seen["offsets"] if found[0]["consumergroup"] == far_behind]
        assert committed == 400.0
        until(
            lambda: [value for labels, value in prometheus.query(PANELS["lag by group"]) if labels == behind],
            lambda found: len(found) == 1 and found[0] >= 1_600,
        )
        assert {"partition": "0", **behind} in [labels for labels, _ in seen["lag"]]

        too_large = until(lambda: prometheus.query('ALERTS{alertname="TooLargeConsumerGroupLag"}'), bool)
        assert [(labels["consumergroup"], labels["topic"]) for labels, _ in too_large] == [(far_behind, busy)]
        until(
            lambda: prometheus.query('ALERTS{alertname="NoMessageForTooLong"}'),
            lambda found: (
                {(labels["topic"], labels["partition"]) for labels, _ in found} == {(busy, "1"), (quiet, "0")}
            ),
        )
        assert prometheus.query('ALERTS{alertname="UnderReplicatedPartition"}') == []

        [(labels, seconds)] = prometheus.query(f'kafka_consumergroup_group_max_lag_seconds{{group="{far_behind}"}}')
        assert (labels["cluster_name"], seconds > 159.0) == ("local", True)
