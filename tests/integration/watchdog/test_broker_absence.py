"""A Kafka that hangs is one incident: told while it hangs, written when it is back, and nobody else's fault.

One that was restarted tells of lag again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from tests.integration.bus.cluster import Cluster
from tests.integration.hanging import address, stopped
from tests.integration.watchdog.hooks import Hooks
from tests.integration.watchdog.process import Watchdog, until
from tests.unit.watchdog.feeding import beat, told

from tapeline.errors import BrokerUnavailable
from tapeline.feed.claims import EVENTS_TOPIC
from tapeline.model.backfill import EVENTS_TOPIC as BACKFILL_EVENTS_TOPIC
from tapeline.model.backfill import REQUESTS_TOPIC
from tapeline.model.coverage import TOPIC as COVERAGE_TOPIC
from tapeline.model.events import encode_event
from tapeline.model.incidents import TOPIC
from tapeline_cli.local_broker import LocalBroker
from tapeline_watchdog.feeds import FeedKey

LIVE: Final = FeedKey("databento", "SIMX.SYNTH/NQ.FUT", "mbo")


@contextmanager
def at_work(cluster: Cluster, events: str, beat_s: float = 0.1) -> Iterator[None]:
    """Let a producer beat, and a group read its beats and commit, whether Kafka takes them or not."""
    is_over = threading.Event()
    producer, consumer = cluster.producer(**{"message.timeout.ms": 0}), cluster.consumer("reader")

    def produce() -> None:
        while not is_over.wait(beat_s):
            producer.produce(events, encode_event(beat(LIVE, time.time_ns(), 5)))
            producer.poll(0)

    def consume() -> None:
        consumer.subscribe([events])
        while not is_over.is_set():
            message = consumer.poll(beat_s)
            if message is not None and message.error() is None:
                consumer.commit(message, asynchronous=True)

    producer.produce(events, encode_event(told("connected", LIVE, time.time_ns())))
    threads = [threading.Thread(target=each) for each in (produce, consume)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join(30)
        producer.flush(30)
        producer.close()


def test_a_hanging_broker_is_one_incident_that_is_told_at_once(
    own_broker: LocalBroker, namespace: str, tmp_path: Path
) -> None:
    def incidents() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = watchdog.json("/v1/incidents").get("incidents", [])
        return found

    def is_well() -> bool:
        states = [feed["state"] for feed in watchdog.json("/v1/feeds").get("feeds", [])]
        return states == ["LIVE"] and watchdog.json("/readyz")["groups"].get(reader) == "OK"

    with Hooks() as hooks, closing(Cluster(address(own_broker), namespace)) as cluster:
        (tmp_path / "urls").write_text(hooks.url)
        events, reader = cluster.topic(EVENTS_TOPIC), cluster.name("reader")
        for other in (TOPIC, COVERAGE_TOPIC, REQUESTS_TOPIC, BACKFILL_EVENTS_TOPIC):
            cluster.topic(other)
        watching = Watchdog(
            tmp_path,
            cluster.address,
            timeout_s=1,
            heartbeat_timeout_s=4,
            incident_disconnected_s=0,
            incident_degraded_s=0,
            incident_lag_hold_s=0,
            incident_broker_s=2,
            incident_well_s=3,
            webhook_urls_file=tmp_path / "urls",
        )
        with at_work(cluster, events), watching as watchdog:
            until(is_well, bool)
            with stopped(own_broker):
                stopped_ns = time.time_ns()
                until(hooks.events, lambda found: found == ["incident_opened"])
                # For longer than a feed may be without a heartbeat.
                until(time.time_ns, lambda now_ns: now_ns - stopped_ns > 5e9)
                back_ns = time.time_ns()
            [opened] = until(incidents, lambda found: [each["told"] for each in found] == ["open"])
            assert (opened["type"], opened["subject"], opened["severity"]) == ("broker_away", "kafka", "critical")
            assert abs(int(opened["opened_at"]) - stopped_ns) < 3e9
            assert opened["summary"].startswith("Kafka did not answer for ")
            assert "looks in vain" in opened["evidence"][0]
            until(is_well, bool)
            [closed] = until(incidents, lambda found: [each["told"] for each in found] == ["closed"])
            assert (closed["id"], closed["type"]) == (opened["id"], "broker_away")
            assert int(closed["closed_at"]) > back_ns
            assert [(body["event"], body["incident"]["id"]) for _, body in hooks.calls] == [
                ("incident_opened", opened["id"]),
                ("incident_closed", opened["id"]),
            ]
            watchdog.terminate()


def test_groups_are_told_of_again_after_a_restart_of_the_broker(own_broker: LocalBroker, namespace: str) -> None:
    with closing(Cluster(address(own_broker), namespace)) as cluster:
        cluster.commit("reader", cluster.topic("t"), 0, 7)
        groups = cluster.groups()
        before = groups.read(30.0).groups
        assert before[cluster.name("reader")].committed == {(cluster.name("t"), 0): 7}
        own_broker.stop()
        with pytest.raises(BrokerUnavailable):
            groups.read(1.0)
        own_broker.start()
        assert address(own_broker) == cluster.address

        def committed() -> bool:
            try:
                return groups.read(5.0).groups == before
            except BrokerUnavailable:
                return False

        until(committed, bool)
