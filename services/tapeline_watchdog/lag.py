"""From samples of a cluster to how far each group is behind, in messages and in seconds, and how it fares. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from tapeline.bus.groups import ClusterState, GroupState, Member, PartitionState
from tapeline.bus.log import Place
from tapeline.bus.record_times import Stretch, StretchTimes
from tapeline_watchdog.burrow import Commit, Status, group_status, partition_status
from tapeline_watchdog.windows import Window

_SETTLED: Final = "stable"


@dataclass(frozen=True, slots=True)
class LagRules:
    """How groups are judged: see the settings of the same names."""

    window: int
    minimum_window_s: float
    allowed_lag: int


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """How far a group is behind on one partition.

    `committed` is None where it holds the partition and has never committed it. It is then behind by what came since it
    was first seen to hold it, which it must read wherever it begins; never by the whole topic.

    `messages` counts offsets and `seconds` is how much later the last of the unread records is than the first; it is
    None where they could not be read in time. Both are 0 where nothing is left to be read. `expired` is the number of
    offsets that were deleted before the group had read them. `owner` is the member that holds the partition, `commits`
    the window that `status` was judged by, and `complete` how full that is, from 0 to 1.
    """

    topic: str
    partition: int
    committed: int | None
    messages: int
    seconds: float | None
    expired: int
    owner: Member | None
    status: Status
    complete: float
    commits: tuple[Commit, ...]


@dataclass(frozen=True)
class GroupLag:
    """How far a group is behind on the partitions that it has committed or holds, sorted by topic and number."""

    group: str
    state: str
    members: tuple[Member, ...]
    partitions: tuple[PartitionLag, ...]

    @cached_property
    def status(self) -> Status:
        """The worst of its partitions'."""
        return group_status(partition.status for partition in self.partitions)

    @cached_property
    def topics(self) -> Mapping[str, tuple[PartitionLag, ...]]:
        """Its partitions by topic."""
        topics: dict[str, tuple[PartitionLag, ...]] = {}
        for partition in self.partitions:
            topics[partition.topic] = (*topics.get(partition.topic, ()), partition)
        return topics


@dataclass(frozen=True, slots=True)
class LagReport:
    """The cluster as it was at `at_ms` (ms since the epoch), and how far its groups are behind."""

    at_ms: int
    cluster: ClusterState
    groups: Mapping[str, GroupLag]


def messages_of(partitions: tuple[PartitionLag, ...]) -> int:
    """Return how many messages are left to be read."""
    return sum(partition.messages for partition in partitions)


def seconds_of(partitions: tuple[PartitionLag, ...]) -> float | None:
    """Return how many seconds the partition that is furthest behind is.

    None where that is known of none, or not known of one with something left to be read: it may be the furthest.
    """
    if any(partition.seconds is None and partition.messages for partition in partitions):
        return None
    return max((partition.seconds for partition in partitions if partition.seconds is not None), default=None)


def least_seconds_of(partitions: tuple[PartitionLag, ...]) -> float:
    """Return how many seconds it is at least: those of the furthest partition of which they are known."""
    return max((partition.seconds for partition in partitions if partition.seconds is not None), default=0.0)


class LagTracker:
    """Remembers what groups have done, and judges them by it at every sample."""

    def __init__(self, rules: LagRules) -> None:
        self._rules = rules
        self._windows: dict[tuple[str, Place], Window] = {}
        self._first_ends: dict[tuple[str, Place], int] = {}
        """The first ends that were seen of partitions that groups hold and have never committed."""

    def unread(self, cluster: ClusterState) -> set[Stretch]:
        """Return what groups have not read yet, and whose times are therefore of interest."""
        return {
            stretch
            for group in cluster.groups.values()
            for place, begin in self._positions(group).items()
            if (stretch := _unread(place, begin, cluster.partitions.get(place))) is not None
        }

    def observe(self, cluster: ClusterState, times: Mapping[Stretch, StretchTimes | None], *, at_ms: int) -> LagReport:
        """Take in a sample of the cluster with the times of what is `unread`; return how everybody stands.

        What has gone from the cluster is forgotten.
        """
        before, self._first_ends = self._first_ends, self._ends_when_held(cluster)
        places = {(name, place) for name, group in cluster.groups.items() for place in self._positions(group)}
        # The first commit may be of any offset: what was seen before it is no movement.
        first = before.keys() - self._first_ends.keys()
        self._windows = {at: window for at, window in self._windows.items() if at in places - first}
        groups = {
            name: GroupLag(name, group.state, group.members, tuple(self._partitions(cluster, group, times, at_ms)))
            for name, group in sorted(cluster.groups.items())
        }
        return LagReport(at_ms, cluster, groups)

    def _ends_when_held(self, cluster: ClusterState) -> dict[tuple[str, Place], int]:
        ends: dict[tuple[str, Place], int] = {}
        for name, group in cluster.groups.items():
            places = {place for member in group.members for place in member.partitions}
            if group.members and group.state != _SETTLED:
                # While it shares out its partitions nobody holds any.
                places |= {place for known, place in self._first_ends if known == name}
            for place in places - group.committed.keys():
                state = cluster.partitions.get(place)
                end = self._first_ends.get((name, place), None if state is None else state.end)
                if state is not None and end is not None and not _is_own(place[0], name):
                    ends[name, place] = end
        return ends

    def _positions(self, group: GroupState) -> dict[Place, int]:
        """Return the first offsets that a group has not read yet."""
        held = {place: end for (name, place), end in self._first_ends.items() if name == group.group}
        return {**held, **group.committed}

    def _partitions(
        self, cluster: ClusterState, group: GroupState, times: Mapping[Stretch, StretchTimes | None], at_ms: int
    ) -> Iterator[PartitionLag]:
        owners = {place: member for member in group.members for place in member.partitions}
        for place, begin in sorted(self._positions(group).items()):
            window = self._windows.setdefault((group.group, place), Window(self._rules.window, at_ms))
            state = cluster.partitions.get(place)
            owner = owners.get(place)
            if state is None or state.end is None:
                # Nobody leads the partition at the moment: what was known of it still holds.
                stretch, messages, seconds = None, window.lag_of(begin), None
            else:
                stretch = _unread(place, begin, state)
                messages, seconds = _lag(stretch, times)
                window.observe(begin, state.end, messages, is_held=owner is not None, at_ms=at_ms)
            yield PartitionLag(
                topic=place[0],
                partition=place[1],
                committed=group.committed.get(place),
                messages=messages,
                seconds=seconds,
                expired=0 if stretch is None else stretch.begin - begin,
                owner=owner,
                status=self._status(window, messages, at_ms),
                complete=window.complete,
                commits=window.commits,
            )

    def _status(self, window: Window, messages: int, at_ms: int) -> Status:
        if at_ms - window.begun_ms < self._rules.minimum_window_s * 1000:
            return Status.OK
        return partition_status(
            window.commits, window.ends, current_lag=messages, now_ms=at_ms, allowed_lag=self._rules.allowed_lag
        )


def _is_own(topic: str, group: str) -> bool:
    """Return whether a group writes a topic itself to restore from it: Faust holds those, and never commits them."""
    return topic.startswith(f"{group}-") and topic.endswith("-changelog")


def _unread(place: Place, first: int, state: PartitionState | None) -> Stretch | None:
    if state is None or state.end is None:
        return None
    begin = max(first, state.oldest or 0)
    return Stretch(*place, begin, state.end) if begin < state.end else None


def _lag(stretch: Stretch | None, times: Mapping[Stretch, StretchTimes | None]) -> tuple[int, float | None]:
    if stretch is None:
        return 0, 0.0
    if stretch not in times:
        return stretch.end - stretch.begin, None
    found = times[stretch]
    # Nothing but control records, or records of aborted transactions: there is nothing that could be read.
    return (0, 0.0) if found is None else (stretch.end - stretch.begin, found.seconds)
