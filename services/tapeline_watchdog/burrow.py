"""Burrow's rules: whether a consumer is well, judged by how it moves and not by a threshold. Pure.

The rules, their order and the names of what they find are those of LinkedIn's Burrow,
core/internal/evaluator/caching.go at ced55ba.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise


class Status(IntEnum):
    """What is said of a partition, or of a group; the numbers are Burrow's."""

    NOTFOUND = 0
    """There is no such group."""
    OK = 1
    WARN = 2
    """Offsets move, but the lag has not become less anywhere in the window."""
    ERR = 3
    """Of a group: at least one of its partitions is stopped, stalled or rewound."""
    STOP = 4
    """Nothing was committed for longer than the whole window covers."""
    STALL = 5
    """There are commits, all of the same offset."""
    REWIND = 6
    """An offset went back and has not come again to where it was."""


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of a partition: its offset, when it was (ms since the epoch), and the lag at that time.

    `lag` is in messages and None where the partition's end was not known then.
    """

    offset: int
    timestamp_ms: int
    lag: int | None


def partition_status(
    commits: Sequence[Commit], ends: Collection[int], *, current_lag: int, now_ms: int, allowed_lag: int = 0
) -> Status:
    """Judge one partition by its window of commits, oldest first.

    `ends` are the partition's recent ends, in any order: where one of them is not beyond the last commit, the consumer
    was up to date a moment ago and has not stopped yet. A lag of up to `allowed_lag` messages counts as none.
    """
    if not commits or current_lag <= allowed_lag:
        return Status.OK
    if _has_stopped(commits, now_ms) and not _was_recently_at_the_end(commits, ends):
        return Status.STOP
    if _is_rewound(commits):
        return Status.REWIND
    lags = [commit.lag for commit in commits if commit.lag is not None]
    if any(lag <= allowed_lag for lag in lags):
        return Status.OK
    if all(commit.offset == commits[0].offset for commit in commits):
        return Status.STALL
    if all(later >= earlier for earlier, later in pairwise(lags)):
        return Status.WARN
    return Status.OK


def group_status(partitions: Iterable[Status]) -> Status:
    """Return the status of a group: the worst of its partitions, where all that is worse than WARN is ERR."""
    return min(max(partitions, default=Status.OK), Status.ERR)


def _has_stopped(commits: Sequence[Commit], now_ms: int) -> bool:
    last_ms = commits[-1].timestamp_ms
    return now_ms - last_ms > last_ms - commits[0].timestamp_ms


def _was_recently_at_the_end(commits: Sequence[Commit], ends: Collection[int]) -> bool:
    return any(end <= commits[-1].offset for end in ends)


def _is_rewound(commits: Sequence[Commit]) -> bool:
    return commits[-1].offset < max(commit.offset for commit in commits)
