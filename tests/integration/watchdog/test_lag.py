"""The watchdog over a real Kafka: groups that real consumers made, each in a state of its own; a worker that hangs."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest
from confluent_kafka import Consumer, TopicPartition
from tests.integration.bus.cluster import Cluster
from tests.integration.processor.tape import Tape
from tests.integration.processor.worker import Worker
from tests.integration.watchdog.process import Watchdog, until
from tests.unit.orderflow.builders import LAST, T0, S, mbo_frame

from tapeline_processor.app import sessions
from tapeline_processor.kernels import load

FIRST_MS: Final = 1_700_000_000_000


@pytest.fixture
def cluster(bootstrap_servers: str, namespace: str) -> Iterator[Cluster]:
    with closing(Cluster(bootstrap_servers, namespace)) as cluster:
        yield cluster


def put(cluster: Cluster, topic: str, count: int, **settings: Any) -> None:
    """Put records on a topic, one second apart."""
    producer = cluster.producer(**settings)
    if settings:
        producer.init_transactions(30)
        producer.begin_transaction()
    for number in range(count):
        producer.produce(topic, b"%d" % number, timestamp=FIRST_MS + 1000 * number)
    if settings:
        producer.commit_transaction(30)
    assert producer.flush(30) == 0


def holding(cluster: Cluster, group: str, topic: str) -> Consumer:
    """Return a consumer that is in its group, holds the topic, and reads nothing."""
    consumer = cluster.consumer(group, **{"queued.min.messages": 1})
    consumer.subscribe([topic])
    until(lambda: (consumer.poll(0.1), consumer.assignment())[1], bool)
    return consumer


def test_each_group_is_told_as_it_is(cluster: Cluster, tmp_path: Path) -> None:
    quiet, busy, sold = cluster.topic("quiet"), cluster.topic("busy"), cluster.topic("transactional")
    put(cluster, quiet, 100)
    put(cluster, busy, 1)
    put(cluster, sold, 10, **{"transactional.id": cluster.name("writer")})
    idle, stalled = holding(cluster, "idle", quiet), holding(cluster, "stalled", quiet)
    holding(cluster, "silent", quiet)
    idle.commit(offsets=[TopicPartition(quiet, 0, 100)], asynchronous=False)
    stalled.commit(offsets=[TopicPartition(quiet, 0, 40)], asynchronous=False)
    cluster.commit("dead", quiet, 0, 40)
    cluster.commit("transactional", sold, 0, 10)
    cluster.commit("slow", busy, 0, 0)
    producer, slow = cluster.producer(), cluster.consumer("slow")
    path = "/v3/kafka/local/consumer"

    def bad_partitions(group: str) -> list[str]:
        status = watchdog.json(f"{path}/{cluster.name(group)}/status")["status"]
        return [partition["status"] for partition in status["partitions"]]

    with Watchdog(tmp_path, cluster.address) as watchdog:
        handled = 0

        def fall_behind() -> list[str]:
            nonlocal handled
            handled += 1
            producer.produce(busy, b"one")
            producer.produce(busy, b"two")
            producer.flush(30)
            slow.commit(offsets=[TopicPartition(busy, 0, handled)], asynchronous=False)
            return bad_partitions("slow")

        until(lambda: bad_partitions("dead"), lambda found: found == ["STOP"])
        until(lambda: bad_partitions("stalled"), lambda found: found == ["STALL"])
        until(fall_behind, lambda found: found == ["WARN"])
        assert [bad_partitions(group) for group in ("idle", "silent", "transactional")] == [[], [], []]

        names = sorted(cluster.name(each) for each in ("dead", "idle", "silent", "slow", "stalled", "transactional"))
        assert watchdog.json(path)["consumers"] == names
        assert watchdog.json("/v3/kafka/local/topic")["topics"] == sorted([busy, quiet, sold])
        assert watchdog.json(f"/v3/kafka/local/topic/{quiet}")["offsets"] == [100]
        assert cluster.name("dead") in watchdog.json(f"/v3/kafka/local/topic/{quiet}/consumers")["consumers"]
        detail = watchdog.json(f"{path}/{cluster.name('dead')}")["topics"][quiet][0]
        assert (detail["current-lag"], detail["offsets"][-1]["offset"]) == (60, 40)
        assert watchdog.get(f"{path}/{cluster.name('nobody')}/lag")[0] == 404
        assert watchdog.get(f"/v3/kafka/elsewhere/consumer/{cluster.name('dead')}/lag")[0] == 404
        assert watchdog.json("/v3/nothing/here")["message"] == "invalid request type"

        groups = {found["group"].rpartition(".")[2]: found for found in watchdog.json("/v1/lag")["groups"]}
        lags = {name: (found["messages"], found["seconds"], found["members"]) for name, found in groups.items()}
        del lags["slow"]
        assert lags == {
            "dead": (60, 59.0, 0),
            "idle": (0, 0.0, 1),
            "silent": (0, 0.0, 1),
            "stalled": (60, 59.0, 1),
            "transactional": (0, 0.0, 0),
        }
        metrics = watchdog.get("/metrics")[1].decode()
        dead = f'consumergroup="{cluster.name("dead")}",partition="0",topic="{quiet}"'
        assert f"kafka_consumergroup_lag{{{dead}}} 60.0" in metrics
        assert (
            f'kafka_consumergroup_group_max_lag_seconds{{cluster_name="local",group="{cluster.name("dead")}"}} 59.0'
            in metrics
        )
        watchdog.terminate()


def test_a_worker_that_hangs_is_found_and_named(cluster: Cluster, tmp_path: Path) -> None:
    load(sessions())
    tape = Tape(cluster.address, 1)
    worker = Worker(tmp_path / "worker.log", cluster.address, session_timeout_s=45)
    try:
        worker.await_ready()
        frames = [mbo_frame([(T0 + n * S, "A", "B", 10**9, 1, n + 1, LAST)], frame=n) for n in range(20)]
        tape.put(frames[:10])
        tape.await_rows(tape.expected())
        url = next(worker.events("started"))["health"]
        with Watchdog(tmp_path, cluster.address, processor_urls=url) as watchdog:
            name = cluster.name("tapeline-processor")

            def messages() -> int:
                groups = [found for found in watchdog.json("/v1/lag")["groups"] if found["group"] == name]
                partitions = [each for found in groups for topic in found["topics"] for each in topic["partitions"]]
                is_committed = any(each["committed"] is not None for each in partitions)
                return sum(each["messages"] for each in partitions) if is_committed else -1

            until(messages, lambda found: found == 0)
            worker.process.send_signal(signal.SIGSTOP)
            tape.put(frames[10:])
            [stuck] = until(lambda: watchdog.json("/v1/lag")["stuck_workers"], bool)
            assert stuck == {
                "group": name,
                "worker": "tapeline-processor@127.0.0.1",
                "status": "STALL",
                "partitions": [f"{cluster.name('md.ticks.saved.v1')}[0]"],
                "messages": 10,
                "health": "no answer",
                "url": url,
                "remedy": "restart it",
            }
            assert [event["worker"] for event in watchdog.events("worker_stuck")] == [stuck["worker"]]
            assert watchdog.json("/readyz")["stuck_workers"] == [stuck]
            worker.process.send_signal(signal.SIGCONT)
            until(messages, lambda found: found == 0)
            until(lambda: watchdog.json("/v1/lag")["stuck_workers"], lambda found: not found)
            assert len(list(watchdog.events("worker_not_stuck_any_more"))) == 1
    finally:
        worker.process.send_signal(signal.SIGCONT)
        worker.kill()


def test_while_the_broker_is_away_it_tries_again_and_says_nothing_of_lag(tmp_path: Path) -> None:
    watchdog = Watchdog(tmp_path, "127.0.0.1:1", timeout_s=0.2)
    try:
        watchdog.url = until(lambda: next(watchdog.events("started"), {}).get("health"), bool)
        failed = "tapeline_watchdog_failed_samples_total 2.0"
        metrics = until(lambda: watchdog.get("/metrics")[1].decode(), lambda found: failed in found)
        assert "kafka_brokers" not in metrics
        assert watchdog.get("/burrow/admin/ready") == (503, b"STARTING")
        assert watchdog.get("/v1/lag")[0] == 503
        assert watchdog.json("/v3/kafka/local/consumer")["message"] == "cluster not found"
        assert watchdog.get("/readyz")[0] == 503
        assert watchdog.get("/burrow/admin") == (200, b"GOOD")
        [told] = watchdog.events("cluster_away")
        assert "127.0.0.1:1 did not tell its groups" in told["reason"]
        watchdog.terminate()
    finally:
        watchdog.__exit__()
