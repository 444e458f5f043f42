"""Workers that hold partitions and do not move: what the broker sees of them, and what they say of themselves. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from tapeline.bus.log import Place
from tapeline_watchdog.burrow import Status
from tapeline_watchdog.lag import GroupLag, LagReport, PartitionLag

_ASSIGNED: Final = re.compile(r"(.+)\[([0-9]+)\]")

Health = Literal["ready", "not ready", "no answer", "unknown"]


@dataclass(frozen=True, slots=True)
class WorkerHealth:
    """What a worker of `group` answered at its health endpoint; `assigned` is what it believes to hold."""

    group: str
    url: str
    health: Health
    assigned: frozenset[Place] = frozenset()


@dataclass(frozen=True, slots=True)
class StuckWorker:
    """A worker that holds partitions on which it is behind and does not move. Restarting it helps.

    `status` is STALL where the group counts on it, and STOP where the group has given it up while it still believes to
    hold them. `worker` is its name in the group (client id and host), else its health endpoint; `health` is what it
    says of itself, ``unknown`` where nobody knows where to ask.
    """

    group: str
    worker: str
    status: Status
    partitions: tuple[Place, ...]
    messages: int
    health: Health
    url: str | None


def read_health(group: str, url: str, facts: Mapping[str, Any] | None) -> WorkerHealth:
    """Return what the facts of a worker's /readyz say; `facts` are None where it gave no answer."""
    if facts is None:
        return WorkerHealth(group, url, "no answer")
    listed = facts.get("assigned")
    found = [_ASSIGNED.fullmatch(str(place)) for place in listed] if isinstance(listed, list) else []
    return WorkerHealth(
        group=group,
        url=url,
        health="ready" if facts.get("ready") is True else "not ready",
        assigned=frozenset((place[1], int(place[2])) for place in found if place),
    )


def stuck_workers(report: LagReport, healths: Collection[WorkerHealth]) -> tuple[StuckWorker, ...]:
    """Return the workers that are to be restarted, by group and name."""
    found = [
        stuck
        for group in report.groups.values()
        for stuck in _of_group(group, [health for health in healths if health.group == group.group])
    ]
    return tuple(sorted(found, key=lambda stuck: (stuck.group, stuck.worker, stuck.partitions)))


def _of_group(group: GroupLag, healths: Collection[WorkerHealth]) -> Iterable[StuckWorker]:
    stalled: dict[str, list[PartitionLag]] = defaultdict(list)
    stopped: dict[str, list[PartitionLag]] = defaultdict(list)
    for partition in group.partitions:
        if partition.owner is not None and partition.status is Status.STALL:
            stalled[partition.owner.member_id].append(partition)
        elif partition.owner is None and partition.status is Status.STOP:
            for health in healths:
                if (partition.topic, partition.partition) in health.assigned:
                    stopped[health.url].append(partition)
    members = {member.member_id: member for member in group.members}
    for member_id, partitions in stalled.items():
        member = members[member_id]
        own = _health_of(member.partitions, healths)
        yield _stuck(group.group, f"{member.client_id}@{member.host}", Status.STALL, partitions, own)
    by_url = {health.url: health for health in healths}
    for url, partitions in stopped.items():
        yield _stuck(group.group, url, Status.STOP, partitions, by_url[url])


def _health_of(held: frozenset[Place], healths: Collection[WorkerHealth]) -> WorkerHealth | None:
    for health in healths:
        if health.assigned & held:
            return health
    # One that gives no answer cannot say what it holds; where it is the only one, it is this one.
    silent = [health for health in healths if not health.assigned]
    return silent[0] if len(silent) == 1 else None


def _stuck(
    group: str, worker: str, status: Status, partitions: list[PartitionLag], health: WorkerHealth | None
) -> StuckWorker:
    return StuckWorker(
        group=group,
        worker=worker,
        status=status,
        partitions=tuple((partition.topic, partition.partition) for partition in partitions),
        messages=sum(partition.messages for partition in partitions),
        health="unknown" if health is None else health.health,
        url=None if health is None else health.url,
    )
