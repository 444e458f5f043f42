"""The watchdog reads what producers say of their feeds from a real Kafka, and tells how each of them is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest
from tests.integration.bus.cluster import Cluster
from tests.integration.watchdog.process import Watchdog, until
from tests.unit.watchdog.feeding import beat, told

from tapeline.feed.claims import EVENTS_TOPIC
from tapeline.model.events import FeedEvent, encode_event
from tapeline_watchdog.feeds import FeedKey

# A market that never closes, so that the test is the same on every day.
LIVE: Final = FeedKey("databento", "SIMX.SYNTH/NQ.FUT", "mbo")
ABSENT: Final = FeedKey("barchart", "barchart/NQ", "chain")


@pytest.fixture
def cluster(bootstrap_servers: str, namespace: str) -> Iterator[Cluster]:
    with closing(Cluster(bootstrap_servers, namespace)) as cluster:
        yield cluster


def test_feeds_are_told_as_their_producers_tell_them(cluster: Cluster, tmp_path: Path) -> None:
    topic, producer = cluster.topic(EVENTS_TOPIC), cluster.producer()

    def put(event: FeedEvent) -> None:
        producer.produce(topic, encode_event(event), event.key)
        assert producer.flush(30) == 0

    def feeds() -> dict[str, dict[str, Any]]:
        return {feed["kind"]: feed for feed in watchdog.json("/v1/feeds").get("feeds", [])}

    def beating() -> dict[str, dict[str, Any]]:
        put(beat(LIVE, time.time_ns(), 10))
        return feeds()

    # What was said before the watchdog began.
    put(told("connected", LIVE, time.time_ns()))
    producer.produce(topic, b"no event")
    expected = "databento/SIMX.SYNTH/NQ.FUT=mbo; barchart/barchart/NQ=chain"
    datasets = "barchart=SIMX.SYNTH"
    settings = {"feeds": expected, "feed_datasets": datasets, "heartbeat_timeout_s": 3}
    with Watchdog(tmp_path, cluster.address, **settings) as watchdog:
        found = until(beating, lambda found: found.get("mbo", {}).get("state") == "LIVE")
        assert found["mbo"]["session"] == "s"
        assert found["mbo"]["expected"] is True
        found = until(beating, lambda found: found["chain"]["state"] == "DISCONNECTED")
        assert found["mbo"]["state"] == "LIVE"
        assert "no heartbeat ever came" in found["chain"]["reason"]
        state = 'tapeline_feed_state{kind="mbo",source="databento",state="LIVE",stream="SIMX.SYNTH/NQ.FUT"} 1.0'
        assert state in watchdog.get("/metrics")[1].decode()
        assert "tapeline_watchdog_bad_feed_events_total 1.0" in watchdog.get("/metrics")[1].decode()

        put(told("disconnected", LIVE, time.time_ns(), reason="reset by peer"))
        found = until(feeds, lambda found: found["mbo"]["state"] == "DISCONNECTED")
        assert found["mbo"]["reason"] == "reset by peer"
        put(told("connected", LIVE, time.time_ns(), session="t"))
        until(lambda: put(beat(LIVE, time.time_ns(), 9, session="t")) or feeds(), lambda f: f["mbo"]["state"] == "LIVE")
        assert feeds()["mbo"]["reconnects"] == 1
        # The service dies without a word.
        found = until(feeds, lambda found: found["mbo"]["state"] == "DISCONNECTED")
        assert "does not reach Kafka" in found["mbo"]["reason"]
        said = [event["now"] for event in watchdog.events("feed_state") if event["feed"].endswith("mbo")]
        assert [state for state in said if state != "QUIET"] == ["LIVE", "DISCONNECTED", "LIVE", "DISCONNECTED"]
        assert watchdog.json("/v1/feeds")["fresh"] is True
        watchdog.terminate()
