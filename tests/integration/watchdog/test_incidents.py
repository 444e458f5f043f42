"""A disconnect becomes one incident on a real Kafka and is told once, whoever watches and whoever restarts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from tests.integration.bus.cluster import Cluster
from tests.integration.watchdog.hooks import Hooks
from tests.integration.watchdog.process import Watchdog, until
from tests.unit.watchdog.feeding import beat, told

from tapeline.bus.log import Log
from tapeline.feed.claims import EVENTS_TOPIC
from tapeline.model.backfill import EVENTS_TOPIC as BACKFILL_EVENTS_TOPIC
from tapeline.model.backfill import REQUESTS_TOPIC
from tapeline.model.coverage import TOPIC as COVERAGE_TOPIC
from tapeline.model.events import FeedEvent, encode_event
from tapeline.model.frames import Gap
from tapeline.model.incidents import TOPIC, Incident, incident_id
from tapeline_watchdog.feeds import FeedKey

LIVE: Final = FeedKey("databento", "SIMX.SYNTH/NQ.FUT", "mbo")
HOOK_PATH: Final = "verysecret"


@pytest.fixture
def cluster(bootstrap_servers: str, namespace: str) -> Iterator[Cluster]:
    with closing(Cluster(bootstrap_servers, namespace)) as cluster:
        yield cluster


def test_a_disconnect_is_one_incident_told_once_over_twins_and_restarts(cluster: Cluster, tmp_path: Path) -> None:
    events, producer = cluster.topic(EVENTS_TOPIC), cluster.producer()
    topic = cluster.topic(TOPIC)
    for other in (COVERAGE_TOPIC, REQUESTS_TOPIC, BACKFILL_EVENTS_TOPIC):
        cluster.topic(other)

    def put(event: FeedEvent) -> None:
        producer.produce(events, encode_event(event), event.key)
        assert producer.flush(30) == 0

    def incidents(watchdog: Watchdog) -> list[dict[str, Any]]:
        found = watchdog.json("/v1/incidents").get("incidents", [])
        return [each for each in found if each["type"] == "feed_disconnected"]

    def watch(name: str, hooks: Hooks) -> Watchdog:
        folder = tmp_path / name
        folder.mkdir()
        secret = folder / "urls"
        secret.write_text(f"{hooks.url}/{HOOK_PATH}\n")
        return Watchdog(
            folder,
            cluster.address,
            incident_disconnected_s=1,
            incident_well_s=1,
            heartbeat_timeout_s=30,
            backfill_settle_s=0,
            webhook_urls_file=secret,
        )

    with Hooks() as hooks:
        put(told("connected", LIVE, time.time_ns()))
        put(beat(LIVE, time.time_ns(), 10))
        with watch("one", hooks) as one, watch("twin", hooks) as twin:
            until(lambda: [incidents(each) for each in (one, twin)], lambda found: found == [[], []])
            put(told("disconnected", LIVE, time.time_ns(), reason="reset by peer"))
            [opened] = until(lambda: incidents(one), lambda found: [each["told"] for each in found] == ["open"])
            assert (opened["type"], opened["state"], opened["severity"]) == ("feed_disconnected", "open", "critical")
            assert opened["subject"] == "databento/SIMX.SYNTH/NQ.FUT"
            assert opened["evidence"] == ["SIMX.SYNTH/NQ.FUT mbo: DISCONNECTED, reset by peer"]
            until(lambda: incidents(twin), lambda found: found == [opened])
            gauge = 'tapeline_open_incidents{severity="critical",type="feed_disconnected"} 1.0'
            until(lambda: twin.get("/metrics")[1].decode(), lambda found: gauge in found)
            twin.terminate()
            one.terminate()
        assert hooks.events() == ["incident_opened"]

        # One that a watchdog wrote and did not live to tell, which is told after an answer 503.
        left = Incident(
            id=incident_id("budget", "all", 1),
            type="budget",
            state="open",
            severity="warning",
            subject="all",
            summary="the budget of all is nearly spent",
            opened_at=1,
            changed_at=time.time_ns(),
        )
        producer.produce(topic, left.encode(), left.key)
        assert producer.flush(30) == 0
        hooks.answers += [503]
        with watch("next", hooks) as watchdog:
            until(lambda: incidents(watchdog), lambda found: found == [opened])
            begin, end = int(opened["opened_at"]), time.time_ns()
            gap = Gap("g", "open", ("mbo",), ("*",), "reset by peer", ts_event_from=begin)
            put(told("gap_opened", LIVE, end, gap=gap))
            put(told("gap_closed", LIVE, end, gap=replace(gap, state="bounded", ts_event_to=end)))
            put(told("connected", LIVE, end, session="t"))
            put(beat(LIVE, end, 9, session="t"))
            [closed] = until(
                lambda: incidents(watchdog),
                lambda found: [(each["told"], len(each["request_ids"])) for each in found] == [("closed", 1)],
            )
            assert (closed["id"], closed["state"], closed["flaps"]) == (opened["id"], "closed", 0)
            [shown] = watchdog.json("/v1/gaps")["gaps"]
            assert closed["request_ids"] == [shown["request"]["id"]]
            assert closed["evidence"][1].startswith("gap g mbo: ")
            watchdog.terminate()
            logs = "".join(path.read_text() for path in tmp_path.rglob("watchdog.log"))
        subjects = [(body["incident"]["subject"], body["event"]) for _, body in hooks.calls]
        feed = opened["subject"]
        assert [each for each in subjects if each[0] == feed] == [(feed, "incident_opened"), (feed, "incident_closed")]
        assert [each for each in subjects if each[0] == "all"] == [("all", "incident_opened")] * 2
        assert len({headers["Idempotency-Key"] for headers in hooks.headers}) == 3
        assert {path for path, _ in hooks.calls} == {f"/{HOOK_PATH}"}
        assert HOOK_PATH not in logs
    with Log(cluster.address, "test") as log:
        keys = [message.key() for message in log.read(topic, 0, *log.bounds(topic, 0)) if message.value()]
    assert set(keys) == {opened["id"].encode(), left.key.encode()}
