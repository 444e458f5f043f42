"""Stub, being written: the interface that the service calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tapeline.bus.publisher import Publisher
from tapeline.model.backfill import BackfillRequest


@dataclass(frozen=True, slots=True)
class Recomputed:
    """What a recompute came to.

    `rows` were published anew. `again_after` is the venue time (ns since the epoch) from which on it is to be done
    once more: the end of a session whose `cumulative_volume_delta` cannot be corrected before; None: it is settled.
    `reason` says why nothing could be done, where that is so.
    """

    rows: int
    again_after: int | None = None
    reason: str = ""


class Recomputer:
    """Recomputes what backfills have touched, one at a time per stream."""

    def __init__(self, bootstrap: str, publisher: Publisher, *, is_behind: Callable[[], bool]) -> None:
        self._bootstrap = bootstrap
        self._publisher = publisher
        self._is_behind = is_behind

    async def recompute_after(self, request: BackfillRequest, completed: Iterable[BackfillRequest]) -> Recomputed:
        """Compute the rows anew that `request` has touched, after its completion; a repeat changes nothing.

        `completed` are all requests (of any stream) whose records are on the tape: completed, proven or recomputed.
        Raises Retryable.
        """
        raise NotImplementedError
