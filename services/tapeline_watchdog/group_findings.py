"""What is wrong with consumer groups: one finding per group, of what is worst. Pure.

Nobody can commit while the broker is away, so that all of it is first a part of that incident. When that is over, what
still does not move is an incident of its own; a lag that shrinks still comes of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tapeline.model.incidents import IncidentType
from tapeline_watchdog.broker_findings import BROKER_AWAY
from tapeline_watchdog.burrow import Status
from tapeline_watchdog.findings import Finding, Judged
from tapeline_watchdog.lag import GroupLag, LagReport, PartitionLag, least_seconds_of, messages_of, seconds_of
from tapeline_watchdog.workers import StuckWorker

GROUP_TYPES: Final[frozenset[IncidentType]] = frozenset({"consumer_lag", "stuck_worker"})
_STUCK_HOLD_NS: Final = 30_000_000_000
_SLOW_HOLD_NS: Final = 600_000_000_000
_HALTED: Final = (Status.STOP, Status.STALL)


@dataclass(frozen=True, slots=True)
class LagLimits:
    """How far behind (s, in time between records) is too far, and for how long a group must be that, or have stopped,
    before it is an incident."""

    lag_s: float = 60.0
    hold_ns: int = 60_000_000_000


class GroupJudge:
    """Judges groups again and again, and remembers since when each is too far behind."""

    def __init__(self, limits: LagLimits) -> None:
        self._limits = limits
        self._far_since_ns: dict[str, int] = {}

    def judge(self, report: LagReport, stuck: Collection[StuckWorker]) -> Judged:
        """Return what is wrong with groups: workers that do not move, what has stopped, and lags beyond the limit.

        A group that has gone from the cluster has no lag. One that was too far behind still is where the times of what
        is left are not known.
        """
        self._far_since_ns = {
            name: self._far_since_ns.get(name, report.at_ms * 1_000_000)
            for name, group in report.groups.items()
            if self._is_far(group)
        }
        findings = tuple(finding for group in report.groups.values() for finding in self._of_group(group, stuck))
        return Judged(GROUP_TYPES, findings)

    def _is_far(self, group: GroupLag) -> bool:
        if least_seconds_of(group.partitions) > self._limits.lag_s:
            return True
        return group.group in self._far_since_ns and bool(group.partitions) and seconds_of(group.partitions) is None

    def _of_group(self, group: GroupLag, stuck: Collection[StuckWorker]) -> Iterator[Finding]:
        workers = [worker for worker in stuck if worker.group == group.group]
        halted = [each for each in group.partitions if each.status in _HALTED]
        behind = _behind(group)
        if workers:
            yield _stuck(group, workers, behind)
        elif halted:
            yield Finding(
                type="consumer_lag",
                subject=f"group/{group.group}",
                severity="critical",
                summary=f"{group.group} has stopped on {len(halted)} of {len(group.partitions)} partitions: {behind}",
                hold_ns=self._limits.hold_ns,
                evidence=tuple(
                    f"{each.topic}[{each.partition}]: {each.status.name}, {each.messages} messages" for each in halted
                ),
                explained_by=(BROKER_AWAY,),
            )
        elif group.group in self._far_since_ns or group.status is Status.WARN:
            since_ns = self._far_since_ns.get(group.group)
            shrinks = since_ns is not None and _shrinks(group.partitions)
            yield Finding(
                type="consumer_lag",
                subject=f"group/{group.group}",
                severity="warning",
                summary=f"{group.group} {'falls' if since_ns is None else 'is'} behind: {behind}",
                hold_ns=_SLOW_HOLD_NS if since_ns is None else self._limits.hold_ns,
                # One that does not shrink any more is found now, whatever it came of.
                since_ns=since_ns if shrinks else None,
                evidence=(f"{group.group}: {behind}, by Burrow's rules {group.status.name}",),
                explained_by=(BROKER_AWAY,),
                is_consequence=shrinks,
            )


def _stuck(group: GroupLag, workers: Sequence[StuckWorker], behind: str) -> Finding:
    names = ", ".join(worker.worker for worker in workers)
    return Finding(
        type="stuck_worker",
        subject=f"group/{group.group}",
        severity="critical",
        summary=f"a worker of {group.group} does not move: restart {names}; {behind}",
        hold_ns=_STUCK_HOLD_NS,
        evidence=tuple(
            f"{worker.worker}: {worker.status.name} on {len(worker.partitions)} partitions,"
            f" {worker.messages} messages, its health: {worker.health}"
            for worker in workers
        ),
        explained_by=(BROKER_AWAY,),
    )


def _behind(group: GroupLag) -> str:
    messages, seconds = messages_of(group.partitions), seconds_of(group.partitions)
    if seconds is not None:
        return f"{messages} messages, {seconds:.0f} s behind"
    least_s = least_seconds_of(group.partitions)
    return f"{messages} messages, at least {least_s:.0f} s behind" if least_s else f"{messages} messages behind"


def _shrinks(partitions: Sequence[PartitionLag]) -> bool:
    """Return whether there is less to be read than half a window ago."""
    then = sum(each.commits[len(each.commits) // 2].lag or 0 for each in partitions if each.commits)
    return sum(each.messages for each in partitions) < then
