"""Two watchdogs on a real Kafka: of a gap comes one request, coverage is told, and a restart changes nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final

import pytest
from tests.integration.bus.cluster import Cluster
from tests.integration.watchdog.process import Watchdog, until
from tests.unit.watchdog.feeding import S, beat, told

from tapeline.bus.log import Log
from tapeline.feed.claims import EVENTS_TOPIC
from tapeline.model.backfill import EVENTS_TOPIC as BACKFILL_EVENTS_TOPIC
from tapeline.model.backfill import REQUESTS_TOPIC, BackfillEvent, BackfillRequest
from tapeline.model.coverage import TOPIC as COVERAGE_TOPIC
from tapeline.model.coverage import Coverage
from tapeline.model.events import FeedEvent, encode_event
from tapeline.model.frames import Gap
from tapeline_watchdog.feeds import FeedKey

# A market that never closes, so that the test is the same on every day.
LIVE: Final = FeedKey("databento", "SIMX.SYNTH/NQ.FUT", "mbo")
SETTINGS: Final = {
    "backfill_sources": "databento",
    "backfill_settle_s": 0.5,
    "backfill_cap_usd": "2.50",
    "coverage_interval_s": 0.1,
}


@pytest.fixture
def cluster(bootstrap_servers: str, namespace: str) -> Iterator[Cluster]:
    with closing(Cluster(bootstrap_servers, namespace)) as cluster:
        yield cluster


def test_a_gap_leads_to_one_request_of_two_watchdogs_and_to_none_after_a_restart(
    cluster: Cluster, tmp_path: Path
) -> None:
    names = (EVENTS_TOPIC, REQUESTS_TOPIC, BACKFILL_EVENTS_TOPIC, COVERAGE_TOPIC)
    events, requests, outcomes, coverage = (cluster.topic(name) for name in names)
    producer = cluster.producer()

    def put(topic: str, value: bytes, key: str) -> None:
        producer.produce(topic, value, key)
        assert producer.flush(30) == 0

    def tell(event: FeedEvent) -> None:
        put(events, encode_event(event), event.key)

    def values(topic: str) -> list[bytes]:
        with closing(Log(cluster.address, "test")) as log:
            return [message.value() or b"" for message in log.read(topic, 0, *log.bounds(topic, 0))]

    def asked() -> list[BackfillRequest]:
        return [BackfillRequest.decode(value) for value in values(requests)]

    def days() -> dict[str, Coverage]:
        told_days = [Coverage.decode(value) for value in values(coverage)]
        return {each.key: each for each in told_days}

    def shown(watchdog: Watchdog) -> dict[str, Any]:
        return {gap["id"]: gap for gap in watchdog.json("/v1/gaps").get("gaps", [])}

    now = time.time_ns()
    begin, end = now - 300 * S, now - 200 * S
    lost = {"kinds": ("mbo",), "symbols": ("*",), "reason": "reset by peer", "ts_event_from": begin}
    tell(told("connected", LIVE, begin - 100 * S))
    tell(beat(LIVE, begin, 10, ts_event=begin))
    tell(told("gap_opened", LIVE, end, gap=Gap("g1", "open", **lost)))
    put(events, b"no event", "strange")
    with ExitStack() as stack:
        folders = [tmp_path / "one", tmp_path / "two"]
        for folder in folders:
            folder.mkdir()
        one, two = (stack.enter_context(Watchdog(folder, cluster.address, **SETTINGS)) for folder in folders)
        for watchdog in (one, two):
            found = until(lambda: shown(watchdog), bool)  # noqa: B023 (called within the turn)
            assert (found["g1"]["stage"], found["g1"]["ts_event_until"]) == ("open", None)
        assert values(requests) == []
        tell(told("gap_closed", LIVE, end, gap=Gap("g1", "bounded", **lost, ts_event_to=end - 1)))
        tell(beat(LIVE, now, 10, ts_event=now))
        for watchdog in (one, two):
            until(lambda: shown(watchdog), lambda found: found["g1"]["stage"] == "requested")  # noqa: B023
        assert {(each.id, each.gap_id, each.cost_cap_micro_usd) for each in asked()} == {
            (shown(one)["g1"]["request"]["id"], "g1", 2_500_000)
        }
        request = asked()[0]
        assert (request.window.ts_event_from, request.window.ts_event_until) == (begin, end)
        metric = 'tapeline_gaps{kind="mbo",source="databento",stage="requested",stream="SIMX.SYNTH/NQ.FUT"} 1.0'
        until(lambda: one.get("/metrics")[1].decode(), lambda text: metric in text)
        bad = f'tapeline_watchdog_bad_gap_messages_total{{topic="{events}"}} 1.0'
        assert bad in one.get("/metrics")[1].decode()

        done = BackfillEvent(type="completed", request=request, at=time.time_ns(), read=7, published=7, counted=7)
        put(outcomes, done.encode(), done.key)
        put(outcomes, done.model_copy(update={"type": "proven"}).encode(), done.key)
        # A second one is left as it is by the time of the restart.
        lost["ts_event_from"] = now
        tell(told("gap_closed", LIVE, now, gap=Gap("g2", "bounded", **lost, ts_event_to=now + S)))
        found = until(
            lambda: shown(two), lambda found: {"proven", "requested"} == {gap["stage"] for gap in found.values()}
        )
        assert found["g1"]["request"]["published"] == 7
        until(days, lambda found: [[part.gap_id for part in each.missing] for each in found.values()][-1:] == [["g2"]])
        one.terminate()
        two.terminate()
    before, of_days = len(asked()), days()
    assert {each.gap_id for each in asked()} == {"g1", "g2"}
    first = min(each.covered[0].ts_event_from for each in of_days.values())
    assert first == begin - 100 * S
    with Watchdog(tmp_path, cluster.address, **SETTINGS) as again:
        found = until(lambda: shown(again), bool)
        assert {name: gap["stage"] for name, gap in found.items()} == {"g1": "proven", "g2": "requested"}
        # What it would ask for it would ask for before what comes now.
        tell(told("gap_closed", LIVE, now, gap=Gap("g3", "bounded", **lost, ts_event_to=now + 2 * S)))
        until(lambda: {each.gap_id for each in asked()}, lambda gaps: "g3" in gaps)
        assert [each.gap_id for each in asked()[before:]] == ["g3"]
        again.terminate()
