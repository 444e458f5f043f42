"""Burrow's documents, field by field, and what they have no place for."""

from __future__ import annotations

from typing import Any, Final

from tests.unit.watchdog.clusters import TICKS, Watched, cluster, group, member

from tapeline_watchdog.burrow import Status
from tapeline_watchdog.documents import (
    group_detail_document,
    group_status_document,
    groups_of_topic,
    lag_document,
    topic_offsets,
    topics_of,
)
from tapeline_watchdog.lag import LagReport
from tapeline_watchdog.workers import StuckWorker

ZERO, TWO, OTHER = (TICKS, 0), (TICKS, 2), ("other", 0)


def report() -> LagReport:
    """One partition that has stalled, one that is well, sampled eleven times."""
    watched = Watched()
    for end in range(100, 210, 10):
        groups = group("g", {ZERO: 90, TWO: end}, member("worker", ZERO, TWO)), group("idle", {OTHER: 7})
        last = watched.sample(cluster({ZERO: end, (TICKS, 1): 5, TWO: end, OTHER: 7}, *groups))
    return last


STALLED: Final[dict[str, Any]] = {
    "topic": TICKS,
    "partition": 0,
    "owner": "127.0.0.1",
    "client_id": "worker",
    "status": "STALL",
    "start": {"offset": 90, "timestamp": 20_000, "lag": 20},
    "end": {"offset": 90, "timestamp": 110_000, "lag": 110},
    "current_lag": 110,
    "complete": 1.0,
}


def test_the_status_of_a_group_names_the_bad_partitions() -> None:
    found = group_status_document(report().groups["g"], name="g", cluster="local", only_bad=True)
    assert found == {
        "cluster": "local",
        "group": "g",
        "status": "ERR",
        "complete": 1.0,
        "partitions": [STALLED],
        "partition_count": 2,
        "maxlag": STALLED,
        "totallag": 110,
    }


def test_its_lag_names_all() -> None:
    found = group_status_document(report().groups["g"], name="g", cluster="local", only_bad=False)
    assert [(each["partition"], each["status"]) for each in found["partitions"]] == [(0, "STALL"), (2, "OK")]
    idle = group_status_document(report().groups["idle"], name="idle", cluster="local", only_bad=False)
    [partition] = idle["partitions"]
    assert (partition["owner"], partition["client_id"], partition["complete"], idle["complete"]) == ("", "", 0.1, 0.0)


def test_a_group_that_is_not_there() -> None:
    assert group_status_document(None, name="x", cluster="local", only_bad=True) == {
        "cluster": "local",
        "group": "x",
        "status": "NOTFOUND",
        "complete": 1.0,
        "partitions": [],
        "partition_count": 0,
        "maxlag": None,
        "totallag": 0,
    }


def test_the_detail_of_a_group_has_a_place_for_every_partition() -> None:
    found = group_detail_document(report().groups["g"], 10)[TICKS]
    assert [len(each["offsets"]) for each in found] == [10, 0, 10]
    assert found[0] == {
        "offsets": [{"offset": 90, "timestamp": 10_000 * n, "lag": 10 * n} for n in range(2, 12)],
        "owner": "127.0.0.1",
        "client_id": "worker",
        "current-lag": 110,
    }
    assert found[1] == {"offsets": [], "owner": "", "client_id": "", "current-lag": 0}
    idle = group_detail_document(report().groups["idle"], 10)["other"][0]
    assert idle["offsets"] == [None] * 9 + [{"offset": 7, "timestamp": 10_000, "lag": 0}]


def test_topics_and_who_reads_them() -> None:
    assert topics_of(report()) == [TICKS, "other"]
    assert topic_offsets(report(), TICKS) == [200, 5, 200]
    assert topic_offsets(report(), "x") is None
    assert groups_of_topic(report(), TICKS) == ["g"]
    assert groups_of_topic(report(), "x") == []


def test_lag_in_seconds_and_stuck_workers() -> None:
    stuck = StuckWorker("g", "worker@127.0.0.1", Status.STALL, (ZERO,), 110, "no answer", "http://127.0.0.1:8110")
    found = lag_document(report(), [stuck], is_fresh=True)
    assert found["fresh"] is True
    assert found["at"] == "110000000000"
    busy, idle = found["groups"]
    topics = busy.pop("topics")
    assert busy == {
        "group": "g",
        "state": "stable",
        "members": 1,
        "status": "ERR",
        "messages": 110,
        "seconds": 109.0,
    }
    [topic] = topics
    assert (topic["topic"], topic["messages"], topic["seconds"]) == (TICKS, 110, 109.0)
    assert topic["partitions"][0] == {
        "partition": 0,
        "committed": 90,
        "messages": 110,
        "seconds": 109.0,
        "expired": 0,
        "status": "STALL",
        "owner": "worker@127.0.0.1",
    }
    assert (idle["members"], idle["seconds"], idle["topics"][0]["partitions"][0]["owner"]) == (0, 0.0, None)
    assert found["stuck_workers"] == [
        {
            "group": "g",
            "worker": "worker@127.0.0.1",
            "status": "STALL",
            "partitions": [f"{TICKS}[0]"],
            "messages": 110,
            "health": "no answer",
            "url": "http://127.0.0.1:8110",
            "remedy": "restart it",
        }
    ]
