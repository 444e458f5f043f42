"""What is wrong with consumer groups: one finding per group, of what is worst. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from tapeline.model.incidents import IncidentType
from tapeline_watchdog.burrow import Status
from tapeline_watchdog.findings import Finding, Judged
from tapeline_watchdog.lag import GroupLag, LagReport, messages_of, seconds_of
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


def group_findings(report: LagReport, stuck: Collection[StuckWorker], limits: LagLimits) -> Judged:
    """Return what is wrong with groups: workers that do not move, what has stopped, and lags beyond the limit.

    A group that has gone from the cluster has no lag.
    """
    findings = tuple(finding for group in report.groups.values() for finding in _of_group(group, stuck, limits))
    return Judged(GROUP_TYPES, findings)


def _of_group(group: GroupLag, stuck: Collection[StuckWorker], limits: LagLimits) -> Iterator[Finding]:
    workers = [worker for worker in stuck if worker.group == group.group]
    halted = [each for each in group.partitions if each.status in _HALTED]
    seconds = seconds_of(group.partitions) or 0.0
    behind = f"{messages_of(group.partitions)} messages, {seconds:.0f} s behind"
    names = ", ".join(worker.worker for worker in workers)
    if workers:
        yield Finding(
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
        )
    elif halted:
        yield Finding(
            type="consumer_lag",
            subject=f"group/{group.group}",
            severity="critical",
            summary=f"{group.group} has stopped on {len(halted)} of {len(group.partitions)} partitions: {behind}",
            hold_ns=limits.hold_ns,
            evidence=tuple(
                f"{each.topic}[{each.partition}]: {each.status.name}, {each.messages} messages" for each in halted
            ),
        )
    elif seconds > limits.lag_s or group.status is Status.WARN:
        is_far = seconds > limits.lag_s
        yield Finding(
            type="consumer_lag",
            subject=f"group/{group.group}",
            severity="warning",
            summary=f"{group.group} {'is behind' if is_far else 'falls behind'}: {behind}",
            hold_ns=limits.hold_ns if is_far else _SLOW_HOLD_NS,
            evidence=(f"lag: {behind}, by Burrow's rules {group.status.name}",),
        )
