"""What a source must offer so that what is missing on its tape can be put there afterwards.

The backfill service does the rest: requests, caps, what is on the tape already, frames, transactions, retries, proof.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import ClassVar, Protocol

from tapeline.feed.cost import Estimate
from tapeline.feed.framer import Ticks
from tapeline.model.backfill import BackEnd as BackEndName
from tapeline.model.backfill import BackfillRequest
from tapeline.model.control import Interval
from tapeline.ops.settings import ServiceSettings


class BackEnd(Protocol):
    """One way to a vendor's past: its replay, its history, or saved files. All times are ns since the epoch."""

    @property
    def name(self) -> BackEndName:
        """What events call it."""

    def reach(self, request: BackfillRequest, now_ns: int) -> Interval | None:
        """Return the part of the request's window that it has at `now_ns`; None: nothing of it.

        Pure, but for what was learned of the vendor before.
        """

    async def estimate(self, request: BackfillRequest, window: Interval) -> Estimate:
        """Return what the window comes to, by the vendor's own account; free of charge.

        All zero where nothing is owed and nobody counts, as for a replay that a plan includes.
        Raises Retryable where another attempt may help, Refused or Misconfigured where none will.
        """

    def fetch(self, request: BackfillRequest, window: Interval) -> AsyncGenerator[Ticks]:
        """Yield the request's ticks whose `ts_event` is within the window, in the vendor's order, and nothing else.

        The same every time: whoever asks again from a later moment on gets the same records from there on. Snapshot
        records (`F_SNAPSHOT`) are left out. Origin is `backfill`. Raises as `estimate` does, at any moment; and
        OverCap, which is Misconfigured, before anything is fetched that would cost more than it may.
        """

    async def count(self, request: BackfillRequest, window: Interval) -> int | None:
        """Return how many records the vendor counts there, snapshots left out; None where it does not count.

        The number is of the window in venue time, whatever the vendor counts by, and stands for what any way has
        brought of it: a replay does not count, and history does so for it once it reaches as far. Raises as `fetch`.
        """


class Backfiller(Protocol):
    """A source's back ends. Found by the entry-point group ``tapeline.backfillers``, called with its settings."""

    source: ClassVar[str]
    settings_class: ClassVar[type[ServiceSettings]]

    def __init__(self, settings: ServiceSettings) -> None: ...

    def back_ends(self) -> Sequence[BackEnd]:
        """Return its ways, the one to be taken first being the first."""
