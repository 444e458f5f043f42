"""What is remembered of one partition of a group: Burrow's window, filled from samples. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

from tapeline_watchdog.burrow import Commit


class Window:
    """The last signs of life of a consumer on one partition, oldest first, and the partition's last ends.

    Burrow reads every commit; a sample only tells the offset that was last committed. So a sample counts as a commit if
    the offset is another one than before, or if a member of the group holds the partition: it is alive and should move,
    whether or not it commits the same offset again (Kafka's own client does, librdkafka and Faust do not). So a held
    partition that does not move has stalled, and one that nobody holds or moves has stopped.
    """

    def __init__(self, size: int, begun_ms: int) -> None:
        """Remember `size` signs of life and ends, beginning at `begun_ms` (ms since the epoch)."""
        self.size = size
        self.begun_ms = begun_ms
        self._commits: deque[Commit] = deque(maxlen=size)
        self._ends: deque[int] = deque(maxlen=size)

    @property
    def commits(self) -> tuple[Commit, ...]:
        """The signs of life, oldest first."""
        return tuple(self._commits)

    @property
    def ends(self) -> Collection[int]:
        """The partition's ends."""
        return self._ends

    @property
    def complete(self) -> float:
        """How full the window is, from 0 to 1."""
        return len(self._commits) / self.size

    def lag_of(self, committed: int) -> int:
        """Return how far an offset is behind the last end that was observed; 0 where none was."""
        return max(0, self._ends[-1] - committed) if self._ends else 0

    def observe(self, committed: int, end: int, lag: int, *, is_held: bool, at_ms: int) -> None:
        """Take in a sample: the committed offset, the partition's end, the lag in messages, all at `at_ms`."""
        self._ends.append(end)
        if is_held or not self._commits or self._commits[-1].offset != committed:
            self._commits.append(Commit(committed, at_ms, lag))
