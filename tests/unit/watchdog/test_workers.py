"""Workers that hold partitions and do not move, and those that only seem to."""

from __future__ import annotations

from typing import Any, Final

import pytest
from tests.unit.watchdog.clusters import TICKS, Watched, cluster, group, member

from tapeline_watchdog.burrow import Status
from tapeline_watchdog.lag import LagReport
from tapeline_watchdog.workers import StuckWorker, WorkerHealth, read_health, stuck_workers

GROUP: Final = "tapeline-processor"
URL: Final = "http://127.0.0.1:8110"
ZERO, ONE, TWO = (TICKS, 0), (TICKS, 1), (TICKS, 2)
FACTS: Final = {"ready": True, "assigned": [f"{TICKS}[0]", f"{TICKS}[1]"], "last_ts_event": "1"}
A, B = member("a", ZERO, ONE), member("b", TWO)


def after_a_while(*members: Any) -> LagReport:
    """Two partitions that do not move and one that does."""
    watched = Watched()
    for end in range(100, 300, 10):
        state = cluster({ZERO: end, ONE: end, TWO: end}, group(GROUP, {ZERO: 90, ONE: 80, TWO: end}, *members))
        report = watched.sample(state)
    return report


@pytest.mark.parametrize(
    ("facts", "health", "url"),
    [
        (FACTS, "ready", URL),
        ({**FACTS, "ready": False}, "not ready", URL),
        (None, "no answer", URL),
        ({**FACTS, "assigned": [f"{TICKS}[2]"]}, "unknown", None),
    ],
)
def test_one_that_the_group_counts_on(facts: dict[str, Any] | None, health: Any, url: str | None) -> None:
    report = after_a_while(A, B)
    assert stuck_workers(report, [read_health(GROUP, URL, facts)]) == (
        StuckWorker(GROUP, "a@127.0.0.1", Status.STALL, (ZERO, ONE), 200 + 210, health, url),
    )


def test_one_that_nobody_can_ask_is_named_all_the_same() -> None:
    [stuck] = stuck_workers(after_a_while(A, B), [])
    assert (stuck.worker, stuck.health, stuck.url) == ("a@127.0.0.1", "unknown", None)
    [stuck] = stuck_workers(after_a_while(A, B), [WorkerHealth("another", URL, "ready", frozenset({ZERO}))])
    assert stuck.health == "unknown"


def test_among_several_silent_ones_nobody_knows_which_it_is() -> None:
    silent = [read_health(GROUP, f"{URL}{number}", None) for number in range(2)]
    assert [stuck.health for stuck in stuck_workers(after_a_while(A, B), silent)] == ["unknown"]


def test_one_that_the_group_has_given_up_and_that_does_not_know_it() -> None:
    report = after_a_while(B)
    assert stuck_workers(report, [read_health(GROUP, URL, FACTS)]) == (
        StuckWorker(GROUP, URL, Status.STOP, (ZERO, ONE), 200 + 210, "ready", URL),
    )


def test_where_nobody_holds_the_partitions_no_worker_is_stuck() -> None:
    assert stuck_workers(after_a_while(B), [read_health(GROUP, URL, None)]) == ()
    assert stuck_workers(after_a_while(B), [read_health(GROUP, URL, {"ready": False, "assigned": []})]) == ()


def test_whoever_moves_is_not_stuck() -> None:
    watched = Watched()
    for end in range(100, 300, 10):
        report = watched.sample(cluster({ZERO: end}, group(GROUP, {ZERO: end - 50}, member("a", ZERO))))
    assert report.groups[GROUP].status is Status.WARN
    assert stuck_workers(report, [read_health(GROUP, URL, FACTS)]) == ()


@pytest.mark.parametrize("facts", [{}, {"assigned": None}, {"assigned": ["", "ticks", "ticks[x]", 7]}])
def test_facts_that_are_none(facts: dict[str, Any]) -> None:
    assert read_health(GROUP, URL, facts) == WorkerHealth(GROUP, URL, "not ready")


def test_one_that_never_committed_is_found_too() -> None:
    watched = Watched()
    for end in range(100, 300, 10):
        report = watched.sample(cluster({ZERO: end, ONE: end}, group(GROUP, {}, A)))
    [stuck] = stuck_workers(report, [])
    assert (stuck.partitions, stuck.messages) == ((ZERO, ONE), 2 * 190)
