"""What the watchdog answers over HTTP about lag: the documents of Burrow's v3, and one of its own. Pure.

Burrow's fields and messages are those of LinkedIn's Burrow, core/internal/httpserver and core/protocol at ced55ba.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from tapeline_watchdog.burrow import Commit, Status
from tapeline_watchdog.lag import GroupLag, LagReport, PartitionLag, messages_of, seconds_of
from tapeline_watchdog.workers import StuckWorker

Document = dict[str, Any]


def group_status_document(group: GroupLag | None, *, name: str, cluster: str, only_bad: bool) -> Document:
    """Return Burrow's status of a group, with all its partitions or only those that are not well."""
    partitions = () if group is None else group.partitions
    shown = [each for each in partitions if not only_bad or each.status is not Status.OK]
    furthest = max(partitions, key=lambda each: each.messages, default=None)
    complete = sum(each.complete == 1.0 for each in partitions)
    return {
        "cluster": cluster,
        "group": name,
        "status": (Status.NOTFOUND if group is None else group.status).name,
        "complete": 1.0 if group is None else complete / max(1, len(partitions)),
        "partitions": [_partition_status(each) for each in shown],
        "partition_count": len(partitions),
        "maxlag": None if furthest is None else _partition_status(furthest),
        "totallag": messages_of(partitions),
    }


def group_detail_document(group: GroupLag, window: int) -> dict[str, list[Document]]:
    """Return Burrow's detail of a group: per topic a list by partition, its windows filled up with nulls in front."""
    topics: dict[str, list[Document]] = {}
    for topic, partitions in group.topics.items():
        by_number = {each.partition: each for each in partitions}
        topics[topic] = [_partition_detail(by_number.get(number), window) for number in range(max(by_number) + 1)]
    return topics


def topic_offsets(report: LagReport, topic: str) -> list[int] | None:
    """Return the ends of a topic's partitions by number, 0 where one is not known; None if there is no such topic."""
    ends = {number: state.end for (name, number), state in report.cluster.partitions.items() if name == topic}
    return [ends.get(number) or 0 for number in range(max(ends) + 1)] if ends else None


def topics_of(report: LagReport) -> list[str]:
    """Return the names of the topics that are watched."""
    return sorted({topic for topic, _ in report.cluster.partitions})


def groups_of_topic(report: LagReport, topic: str) -> list[str]:
    """Return the names of the groups that have committed offsets of a topic, or hold partitions of it."""
    return [name for name, group in report.groups.items() if topic in group.topics]


def lag_document(report: LagReport, stuck: Collection[StuckWorker], *, is_fresh: bool) -> Document:
    """Return what Burrow's documents have no place for: lag in seconds per group, topic and partition, stuck workers.

    Seconds are null where they are not known; `at` is in ns since the epoch, as decimal text; `is_fresh` is false where
    nothing newer could be read.
    """
    return {
        "at": str(report.at_ms * 1_000_000),
        "fresh": is_fresh,
        "groups": [_group_lag(group) for group in report.groups.values()],
        "stuck_workers": [stuck_document(worker) for worker in stuck],
    }


def stuck_document(worker: StuckWorker) -> Document:
    """Return what is known of a worker that holds partitions and does not move, and what to do about it."""
    return {
        "group": worker.group,
        "worker": worker.worker,
        "status": worker.status.name,
        "partitions": [f"{topic}[{partition}]" for topic, partition in worker.partitions],
        "messages": worker.messages,
        "health": worker.health,
        "url": worker.url,
        "remedy": "restart it",
    }


def _group_lag(group: GroupLag) -> Document:
    return {
        "group": group.group,
        "state": group.state,
        "members": len(group.members),
        "status": group.status.name,
        "messages": messages_of(group.partitions),
        "seconds": seconds_of(group.partitions),
        "topics": [
            {
                "topic": topic,
                "messages": messages_of(partitions),
                "seconds": seconds_of(partitions),
                "partitions": [_partition_lag(each) for each in partitions],
            }
            for topic, partitions in group.topics.items()
        ],
    }


def _partition_lag(partition: PartitionLag) -> Document:
    return {
        "partition": partition.partition,
        "committed": partition.committed,
        "messages": partition.messages,
        "seconds": partition.seconds,
        "expired": partition.expired,
        "status": partition.status.name,
        "owner": None if partition.owner is None else f"{partition.owner.client_id}@{partition.owner.host}",
    }


def _partition_status(partition: PartitionLag) -> Document:
    commits = partition.commits
    return {
        "topic": partition.topic,
        "partition": partition.partition,
        **_owner(partition),
        "status": partition.status.name,
        "start": _commit(commits[0]) if commits else None,
        "end": _commit(commits[-1]) if commits else None,
        "current_lag": partition.messages,
        "complete": partition.complete,
    }


def _partition_detail(partition: PartitionLag | None, window: int) -> Document:
    if partition is None:
        return {"offsets": [], "owner": "", "client_id": "", "current-lag": 0}
    missing = window - len(partition.commits)
    return {
        "offsets": [None] * missing + [_commit(commit) for commit in partition.commits],
        **_owner(partition),
        "current-lag": partition.messages,
    }


def _owner(partition: PartitionLag) -> Document:
    owner = partition.owner
    return {"owner": "" if owner is None else owner.host, "client_id": "" if owner is None else owner.client_id}


def _commit(commit: Commit) -> Document:
    return {"offset": commit.offset, "timestamp": commit.timestamp_ms, "lag": commit.lag}
