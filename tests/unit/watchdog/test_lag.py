"""How far groups are behind, and how they fare, over samples by an injected clock."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest
from tests.unit.watchdog.clusters import RULES, TICKS, Watched, cluster, group, member, partition

from tapeline.bus.groups import ClusterState
from tapeline.bus.record_times import Stretch
from tapeline_watchdog.burrow import Status
from tapeline_watchdog.lag import (
    LagReport,
    LagRules,
    LagTracker,
    PartitionLag,
    least_seconds_of,
    messages_of,
    seconds_of,
)

ZERO, ONE, OTHER = (TICKS, 0), (TICKS, 1), ("other", 0)
HELD: Final = member("worker", ZERO)


def one(report: LagReport) -> PartitionLag:
    [partition] = report.groups["g"].partitions
    return partition


def test_lag_is_told_per_partition_topic_and_group() -> None:
    state = cluster({ZERO: 100, ONE: 50, OTHER: 7}, group("g", {OTHER: 4, ONE: 50, ZERO: 40}, member("worker", ZERO)))
    report = Watched().sample(state)
    found = report.groups["g"]
    assert [(each.topic, each.partition, each.committed, each.messages, each.seconds) for each in found.partitions] == [
        (TICKS, 0, 40, 60, 59.0),
        (TICKS, 1, 50, 0, 0.0),
        ("other", 0, 4, 3, 2.0),
    ]
    assert {topic: (messages_of(each), seconds_of(each)) for topic, each in found.topics.items()} == {
        TICKS: (60, 59.0),
        "other": (3, 2.0),
    }
    assert (messages_of(found.partitions), seconds_of(found.partitions)) == (63, 59.0)
    assert [each.owner.client_id if each.owner else None for each in found.partitions] == ["worker", None, None]


def test_groups_without_members_or_commits_are_there() -> None:
    report = Watched().sample(cluster({ZERO: 10}, group("empty", {ZERO: 4}), group("silent", {}, HELD)))
    empty, silent = report.groups["empty"], report.groups["silent"]
    assert (messages_of(empty.partitions), empty.members, empty.state) == (6, (), "empty")
    assert (messages_of(silent.partitions), len(silent.members), silent.status) == (0, 1, Status.OK)
    assert seconds_of(()) is None


def test_whoever_is_ahead_of_the_end_is_not_behind() -> None:
    found = one(Watched().sample(cluster({ZERO: 10}, group("g", {ZERO: 11}))))
    assert (found.messages, found.seconds) == (0, 0.0)


def test_control_records_alone_are_no_lag() -> None:
    state = cluster({ZERO: 12}, group("g", {ZERO: 10}, HELD))
    watched = Watched()
    for _ in range(20):
        found = one(watched.sample(state, only_marks=frozenset({Stretch(*ZERO, 10, 12)})))
    assert (found.messages, found.seconds, found.status) == (0, 0.0, Status.OK)


def test_what_retention_has_deleted_cannot_be_read_any_more() -> None:
    state = ClusterState(1, {ZERO: partition(100, oldest=30)}, {"g": group("g", {ZERO: 10})})
    assert LagTracker(RULES).unread(state) == {Stretch(*ZERO, 30, 100)}
    found = one(Watched().sample(state))
    assert (found.messages, found.seconds, found.expired) == (70, 69.0, 20)
    nothing_left = ClusterState(1, {ZERO: partition(100, oldest=100)}, {"g": group("g", {ZERO: 10})})
    assert one(Watched().sample(nothing_left)).messages == 0


def test_times_that_could_not_be_read_are_not_known() -> None:
    found = one(Watched().unanswered(cluster({ZERO: 100}, group("g", {ZERO: 40}))))
    assert (found.messages, found.seconds) == (60, None)


def test_seconds_of_a_group_are_not_known_while_one_that_is_behind_has_none() -> None:
    committed = {ZERO: 1, ONE: 50, OTHER: 4}
    state = cluster({ZERO: 1_000, ONE: 50, OTHER: 7}, group("g", committed, HELD))
    unread_in_time = Watched().sample(state, not_in_time=frozenset({Stretch(*ZERO, 1, 1_000)})).groups["g"]
    assert [each.seconds for each in unread_in_time.partitions] == [None, 0.0, 2.0]
    assert (seconds_of(unread_in_time.partitions), least_seconds_of(unread_in_time.partitions)) == (None, 2.0)
    assert seconds_of(unread_in_time.topics["other"]) == 2.0


def test_while_nobody_leads_a_partition_what_was_known_still_holds() -> None:
    watched = Watched()
    for _ in range(10):
        watched.sample(cluster({ZERO: 100}, group("g", {ZERO: 40}, HELD)))
    found = one(watched.sample(cluster({ZERO: None}, group("g", {ZERO: 40}, HELD))))
    assert (found.messages, found.seconds, found.status) == (60, None, Status.STALL)
    assert one(Watched().sample(cluster({ZERO: None}, group("g", {ZERO: 40})))).messages == 0


def test_a_consumer_that_keeps_up_is_well_however_quiet_it_gets() -> None:
    watched, end = Watched(), 0
    for number in range(200):
        end += 50 if number < 100 else 0
        found = one(watched.sample(cluster({ZERO: end}, group("g", {ZERO: end}, HELD))))
        assert (found.status, found.seconds) == (Status.OK, 0.0)
    after_the_quiet = one(watched.sample(cluster({ZERO: end + 500}, group("g", {ZERO: end}, HELD))))
    assert after_the_quiet.status is Status.OK


def test_one_that_holds_its_partition_and_does_not_move_has_stalled_within_the_window() -> None:
    watched = Watched()
    for _ in range(10):
        watched.sample(cluster({ZERO: 100}, group("g", {ZERO: 100}, HELD)))
    seen = [
        one(watched.sample(cluster({ZERO: 100 + 10 * late}, group("g", {ZERO: 100}, HELD)))).status
        for late in range(1, 13)
    ]
    assert seen == [Status.OK] * 9 + [Status.STALL] * 3


def test_one_that_died_has_stopped_within_the_window_and_is_well_once_it_is_back() -> None:
    watched = Watched()
    for end in range(0, 1000, 100):
        watched.sample(cluster({ZERO: end}, group("g", {ZERO: end}, HELD)))
    seen = [
        one(watched.sample(cluster({ZERO: 900 + 10 * late}, group("g", {ZERO: 900})))).status for late in range(1, 13)
    ]
    assert seen == [Status.OK] * 9 + [Status.STOP] * 3
    back = one(watched.sample(cluster({ZERO: 1100}, group("g", {ZERO: 1050}, HELD))))
    assert (back.status, back.messages) == (Status.OK, 50)


def test_one_that_was_dead_before_is_found_after_the_minimum_window() -> None:
    watched = Watched()
    seen = [one(watched.sample(cluster({ZERO: 100}, group("g", {ZERO: 40})))).status for _ in range(8)]
    assert seen == [Status.OK] * 6 + [Status.STOP] * 2


def test_one_that_takes_its_partitions_by_itself_lives_by_its_commits() -> None:
    watched = Watched()
    for end in range(100, 2100, 100):
        found = one(watched.sample(cluster({ZERO: end}, group("g", {ZERO: end - end // 10}))))
    assert (found.status, found.complete) == (Status.WARN, 1.0)


def test_a_rewind_is_found_until_it_has_recovered() -> None:
    watched = Watched()
    for end in range(1000, 1700, 100):
        watched.sample(cluster({ZERO: end}, group("g", {ZERO: end}, HELD)))
    seen = [
        one(watched.sample(cluster({ZERO: 1700}, group("g", {ZERO: at}, HELD)))).status for at in (0, 800, 1599, 1601)
    ]
    assert seen == [Status.REWIND] * 3 + [Status.OK]


def test_the_window_fills_and_is_forgotten_with_the_group() -> None:
    watched, state = Watched(), cluster({ZERO: 100}, group("g", {ZERO: 40}, HELD))
    assert [one(watched.sample(state)).complete for _ in range(11)] == pytest.approx(
        [each / 10 for each in range(1, 11)] + [1.0]
    )
    watched.sample(cluster({ZERO: 100}))
    assert one(watched.sample(state)).complete == 0.1


def test_allowed_lag_is_the_rules() -> None:
    watched = Watched(LagRules(RULES.window, RULES.minimum_window_s, allowed_lag=60))
    for _ in range(20):
        assert one(watched.sample(cluster({ZERO: 100}, group("g", {ZERO: 40}, HELD)))).status is Status.OK


def test_one_that_holds_its_partition_and_never_commits_it_has_stalled_behind_what_came_meanwhile() -> None:
    watched = Watched()
    seen = [one(watched.sample(cluster({ZERO: 10_000 + 10 * late}, group("g", {}, HELD)))) for late in range(12)]
    assert [each.status for each in seen] == [Status.OK] * 10 + [Status.STALL] * 2
    assert [(each.committed, each.messages, each.seconds) for each in seen[:2]] == [(None, 0, 0.0), (None, 10, 9.0)]
    # Wherever its first commit is, it has moved and has not been rewound.
    first = one(watched.sample(cluster({ZERO: 10_120}, group("g", {ZERO: 500}, HELD))))
    assert (first.status, first.committed, first.messages, first.complete) == (Status.OK, 500, 9_620, 0.1)


def test_one_that_holds_a_partition_on_which_nothing_comes_is_well_uncommitted() -> None:
    watched = Watched()
    for _ in range(30):
        found = one(watched.sample(cluster({ZERO: 10_000}, group("g", {}, HELD))))
        assert (found.status, found.messages) == (Status.OK, 0)
    # It has a whole window to commit the first record that comes.
    for _ in range(9):
        assert one(watched.sample(cluster({ZERO: 10_001}, group("g", {}, HELD)))).status is Status.OK
    marks = frozenset({Stretch(*ZERO, 10_000, 10_001)})
    assert one(watched.sample(cluster({ZERO: 10_001}, group("g", {}, HELD)), only_marks=marks)).status is Status.OK


def test_one_that_never_commits_does_not_begin_anew_while_partitions_are_shared_out() -> None:
    watched = Watched()
    watched.sample(cluster({ZERO: 100}, group("g", {}, HELD)))
    sharing = replace(group("g", {}, member("worker")), state="preparing_rebalancing")
    assert one(watched.sample(cluster({ZERO: 200}, sharing))).messages == 100
    assert one(watched.sample(cluster({ZERO: 200}, group("g", {}, HELD)))).messages == 100
    # What it gave up it is not behind on.
    assert watched.sample(cluster({ZERO: 200}, group("g", {}, member("worker")))).groups["g"].partitions == ()
    assert one(watched.sample(cluster({ZERO: 200}, group("g", {}, HELD)))).messages == 0


def test_what_a_group_writes_to_restore_from_it_is_not_for_it_to_commit() -> None:
    own = ("g-state-changelog", 0)
    watched = Watched()
    watched.sample(cluster({own: 100}, group("g", {}, member("worker", own))))
    report = watched.sample(cluster({own: 200}, group("g", {}, member("worker", own))))
    assert report.groups["g"].partitions == ()
