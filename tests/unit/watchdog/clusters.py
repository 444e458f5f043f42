"""Clusters in a few words, for the tests of everything that looks at one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tapeline.bus.groups import ClusterState, GroupState, Member, PartitionState
from tapeline.bus.log import Place
from tapeline.bus.record_times import RecordTime, Stretch, StretchTimes
from tapeline_watchdog.lag import LagReport, LagRules, LagTracker

TICKS: Final = "md.ticks.saved.v1"
INTERVAL_MS: Final = 10_000
RULES: Final = LagRules(window=10, minimum_window_s=60.0, allowed_lag=0)


def member(name: str, *places: Place) -> Member:
    return Member(f"{name}-1", name, "127.0.0.1", frozenset(places))


def group(name: str, committed: Mapping[Place, int], *members: Member) -> GroupState:
    return GroupState(name, "stable" if members else "empty", members, committed)


def partition(end: int | None, oldest: int | None = 0) -> PartitionState:
    return PartitionState(oldest, end, leader=1, replicas=(1, 2), in_sync=(1, 2))


def cluster(ends: Mapping[Place, int | None], *groups: GroupState) -> ClusterState:
    return ClusterState(
        brokers=1,
        partitions={place: partition(end) for place, end in ends.items()},
        groups={found.group: found for found in groups},
    )


def seconds_apart(seconds: float) -> StretchTimes:
    return StretchTimes(RecordTime(None, 0, None), RecordTime(None, int(seconds * 1000), None))


class Watched:
    """Groups that are sampled every ten seconds, each record one second after the one before it."""

    def __init__(self, rules: LagRules = RULES) -> None:
        self.at_ms = 0
        self.tracker = LagTracker(rules)

    def sample(
        self,
        state: ClusterState,
        *,
        only_marks: frozenset[Stretch] = frozenset(),
        not_in_time: frozenset[Stretch] = frozenset(),
    ) -> LagReport:
        self.at_ms += INTERVAL_MS
        times = {
            stretch: None if stretch in only_marks else seconds_apart(stretch.end - stretch.begin - 1)
            for stretch in self.tracker.unread(state) - not_in_time
        }
        return self.tracker.observe(state, times, at_ms=self.at_ms)

    def unanswered(self, state: ClusterState) -> LagReport:
        self.at_ms += INTERVAL_MS
        return self.tracker.observe(state, {}, at_ms=self.at_ms)
