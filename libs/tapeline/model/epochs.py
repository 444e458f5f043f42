"""Which frames count: those of a producer that another has taken over from do not (fencing)."""

from __future__ import annotations

UNFENCED_EPOCH = 0
"""The epoch of backfill frames: transactions fence them, so they are not compared."""


class EpochGate:
    """Remembers the highest epoch seen per (source, stream) and turns away what a fenced producer still sends.

    Feed it every frame of a partition in order. A claim precedes every frame of its epoch, so the highest epoch of any
    frame is the one that holds the stream, even for a reader who started after the claim.
    """

    def __init__(self) -> None:
        self._epochs: dict[tuple[str, str], int] = {}

    def admits(self, source: str, stream: str, epoch: int) -> bool:
        """Return whether a frame of that source, stream and epoch counts, and remember the epoch."""
        if epoch == UNFENCED_EPOCH:
            return True
        highest = self._epochs.get((source, stream), UNFENCED_EPOCH)
        if epoch > highest:
            self._epochs[source, stream] = epoch
        return epoch >= highest
