"""What of feeds and groups is told to people, and what is not worth waking anybody."""

from __future__ import annotations

from typing import Final

import pytest
from tests.unit.watchdog.clusters import TICKS, Watched, cluster, group, member
from tests.unit.watchdog.troubles import BEGIN, S, Topic, Watcher, report, row

from tapeline.bus.record_times import Stretch
from tapeline_watchdog.feed_findings import FeedHolds, feed_findings
from tapeline_watchdog.findings import Cause, Finding
from tapeline_watchdog.group_findings import GroupJudge, LagLimits
from tapeline_watchdog.lane import FeedState
from tapeline_watchdog.workers import stuck_workers

HOLDS: Final = FeedHolds()
FUTURES: Final = "D/NQ.FUT"
OPTIONS: Final = "D/NQ.OPT"
AWAY: Final = FeedState.DISCONNECTED
QUIET: Final = [FeedState.LIVE, FeedState.QUIET, FeedState.CLOSED, FeedState.REPLAYING]


def findings(*rows: object) -> dict[str, Finding]:
    found = feed_findings(report(*rows), HOLDS).findings  # type: ignore[arg-type]
    return {finding.subject: finding for finding in found}


@pytest.mark.parametrize("state", QUIET)
def test_what_is_no_fault_is_no_finding(state: FeedState) -> None:
    judged = feed_findings(report(row(FUTURES, "mbo", state)), HOLDS)
    assert judged.findings == ()
    assert judged.subjects == {"databento", "databento/D/NQ.FUT"}


def test_a_stream_is_one_finding_of_its_worst_kind() -> None:
    found = findings(
        row(FUTURES, "mbo", AWAY, "reset by peer", since_ns=BEGIN + S),
        row(FUTURES, "status", AWAY, "reset by peer"),
        row(FUTURES, "l1", FeedState.DEGRADED, "late"),
        row(OPTIONS, "l1", FeedState.LIVE),
    )
    [finding] = found.values()
    assert finding.summary == "databento D/NQ.FUT is disconnected (mbo, status): reset by peer"
    assert (finding.type, finding.severity, finding.since_ns) == ("feed_disconnected", "critical", BEGIN)
    assert finding.hold_ns == HOLDS.disconnected_ns
    assert finding.evidence == (
        "D/NQ.FUT mbo: DISCONNECTED, reset by peer",
        "D/NQ.FUT status: DISCONNECTED, reset by peer",
        "D/NQ.FUT l1: DEGRADED, late",
    )


def test_silence_is_critical_and_degradation_is_not_and_is_explained_by_absence() -> None:
    silent = findings(row(FUTURES, "mbo", FeedState.SILENT, "nothing came"))["databento/D/NQ.FUT"]
    late = findings(row(FUTURES, "mbo", FeedState.DEGRADED, "late"))["databento/D/NQ.FUT"]
    assert (silent.type, silent.severity) == ("feed_silent", "critical")
    assert (late.type, late.severity) == ("feed_degraded", "warning")
    assert silent.cause in late.explained_by


def test_a_source_that_is_away_as_a_whole_is_one_finding_that_explains_its_streams() -> None:
    closed = row("D/ES.FUT", "mbo", FeedState.CLOSED, "the market is closed")
    found = findings(row(FUTURES, "mbo", AWAY, "cut"), row(OPTIONS, "l1", AWAY, "cut", since_ns=BEGIN + S), closed)
    whole = found["databento"]
    assert whole.summary == "all 2 feeds of databento are disconnected (D/NQ.FUT, D/NQ.OPT): cut"
    assert (whole.since_ns, whole.evidence) == (
        BEGIN + S,
        ("D/NQ.FUT mbo: DISCONNECTED, cut", "D/NQ.OPT l1: DISCONNECTED, cut"),
    )
    assert found["databento/D/NQ.FUT"].explained_by == (Cause.of("feed_disconnected", "databento"),)
    for other in (row(OPTIONS, "l1", FeedState.LIVE), row(OPTIONS, "l1", FeedState.SILENT, "nothing")):
        assert "databento" not in findings(row(FUTURES, "mbo", AWAY, "cut"), other)


def test_a_service_that_was_ended_in_order_has_time_to_come_back_and_may_stay_away_where_nobody_expects_it() -> None:
    expected = findings(row(FUTURES, "mbo", AWAY, "stopped"))["databento/D/NQ.FUT"]
    assert expected.hold_ns == HOLDS.restart_ns
    assert findings(row(FUTURES, "mbo", AWAY, "stopped", is_expected=False)) == {}
    killed = "no heartbeat for 11 s: the service does not run, or does not reach Kafka"
    assert findings(row(FUTURES, "mbo", AWAY, killed, is_expected=False))["databento/D/NQ.FUT"].hold_ns == 15 * S


def test_a_killed_producer_of_many_streams_is_one_incident() -> None:
    watcher = Watcher(Topic())
    streams = [f"D/{number}" for number in range(50)]
    for second in range(200):
        # Streams are found to be away one after the other.
        rows = [
            row(stream, "mbo", AWAY if number <= 5 * second < 400 else FeedState.LIVE, "cut")
            for number, stream in enumerate(streams)
        ]
        watcher.step([feed_findings(report(*rows), HOLDS)], BEGIN + second * S)
    assert [(record.subject, record.state) for record in watcher.turns] == [
        ("databento", "open"),
        ("databento", "closed"),
    ]


def test_planned_restarts_and_brief_cuts_are_no_incidents() -> None:
    watcher = Watcher(Topic())
    for second in range(0, 3_600, 2):
        stopped, cut = second % 600 < 200, second % 60 < 10
        stopped_ns, cut_ns = (BEGIN + second // every_s * every_s * S for every_s in (600, 60))
        rows = [
            row(FUTURES, "mbo", AWAY if stopped else FeedState.LIVE, "stopped", since_ns=stopped_ns),
            row(OPTIONS, "l1", AWAY if cut else FeedState.QUIET, "cut", since_ns=cut_ns),
        ]
        watcher.step([feed_findings(report(*rows), HOLDS)], BEGIN + second * S)
    assert watcher.topic.records == []


def test_groups_are_named_by_what_is_worst() -> None:
    watched = Watched()
    places = {(TICKS, number): 1_000 for number in range(2)}
    worker = member("worker", (TICKS, 0), (TICKS, 1))

    def told(committed: dict[tuple[str, int], int], *members: object) -> Finding | None:
        for number in range(12):
            ends = {place: end + number * 10 for place, end in places.items()}
            seen = watched.sample(cluster(ends, group("tapeline-processor", committed, *members)))  # type: ignore[arg-type]
        judged = GroupJudge(LagLimits()).judge(seen, stuck_workers(seen, ()))
        return judged.findings[0] if judged.findings else None

    assert told({(TICKS, 0): 2_000, (TICKS, 1): 2_000}, worker) is None
    stuck = told({(TICKS, 0): 10, (TICKS, 1): 10}, worker)
    assert stuck is not None
    assert (stuck.type, stuck.severity, stuck.subject) == ("stuck_worker", "critical", "group/tapeline-processor")
    assert "restart worker@127.0.0.1" in stuck.summary
    stopped = told({(TICKS, 0): 10, (TICKS, 1): 10})
    assert stopped is not None
    assert (stopped.type, stopped.severity, stopped.cause) == ("consumer_lag", "critical", stuck.cause)
    assert "has stopped on 2 of 2 partitions" in stopped.summary
    assert stopped.hold_ns == LagLimits().hold_ns == 60 * S


def test_a_group_that_moves_far_behind_is_a_warning_and_a_short_lag_none() -> None:
    watched = Watched()

    def told(behind: int, limits: LagLimits | None = None) -> list[Finding]:
        for number in range(12):
            end = 100_000 + number * 10
            state = cluster({(TICKS, 0): end}, group("g", {(TICKS, 0): end - behind}, member("w", (TICKS, 0))))
            seen = watched.sample(state)
        return list(GroupJudge(limits or LagLimits()).judge(seen, ()).findings)

    [far] = told(500)
    assert (far.type, far.severity) == ("consumer_lag", "warning")
    assert "500 messages, 499 s behind" in far.summary
    falling = told(30)
    assert [each.hold_ns for each in falling] == [600 * S]
    assert [each.hold_ns for each in told(500, LagLimits(lag_s=20.0, hold_ns=5 * S))] == [5 * S]
    assert told(0) == []


def test_a_group_that_was_far_behind_still_is_while_nobody_knows_and_none_becomes_it_by_that() -> None:
    watched, judge = Watched(), GroupJudge(LagLimits())
    zero, one = (TICKS, 0), (TICKS, 1)

    def told(behind: int, *, is_known: bool) -> list[Finding]:
        end = 1_000 + watched.at_ms
        state = cluster({zero: end, one: 50}, group("g", {zero: end - behind, one: 50}, member("w", zero, one)))
        late = frozenset() if is_known else frozenset({Stretch(*zero, end - behind, end)})
        return list(judge.judge(watched.sample(state, not_in_time=late), ()).findings)

    assert told(999, is_known=False) == []
    [known] = told(999, is_known=True)
    [unknown] = told(999, is_known=False)
    assert ("999 messages, 998 s behind" in known.summary, unknown.cause) == (True, known.cause)
    assert unknown.summary == "g is behind: 999 messages behind"
    assert told(10, is_known=True) == []
    assert told(999, is_known=False) == []
