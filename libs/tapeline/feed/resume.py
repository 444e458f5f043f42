"""Whether a session may continue the one before it, from where, and what of a replay is new. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from tapeline.feed.framer import Ticks
from tapeline.model.columns import TickKind
from tapeline.model.cursors import LastFrame
from tapeline.model.ids import Rows, TapeIds

TOLD_ONCE: Final[frozenset[TickKind]] = frozenset({"statistics"})
"""Kinds of which a venue says little, and that only once: whoever was away hears it by a replay or not at all."""


@dataclass(frozen=True, slots=True)
class ResumeLimits:
    """How long an outage may be (ns of open market), how far a replay overlaps the tape, how far back it reaches."""

    longest_outage_ns: int
    overlap_ns: int
    window_ns: int

    def of(self, kind: TickKind) -> ResumeLimits:
        """Return the limits of one kind: what is told once is resumed as far back as the vendor replays."""
        return replace(self, longest_outage_ns=self.window_ns) if kind in TOLD_ONCE else self


@dataclass(frozen=True, slots=True)
class TapeEnd:
    """Where the tape of a stream and kind ends, and from where a vendor is asked to send again. ns since the epoch."""

    ts_event: int
    """Largest venue time on the tape that is not a snapshot's; where there is none, until when the stream was heard."""
    start_ns: int
    """Venue time from which on records are asked for again, that one included."""


def tape_end(
    last: LastFrame | None, *, outage_ns: int, aged_ns: int, now_ns: int, limits: ResumeLimits
) -> TapeEnd | None:
    """Return from where a pair that ends with `last` is resumed after an outage; None: it begins anew.

    `aged_ns` is how much of the outage the vendor replays no more: over a weekend it may be all of a short one. A pair
    that was quiet for longer than the vendor's window starts at the window's begin: before that it lost nothing.
    """
    if last is None or last.ts_event is None:
        return None
    return _end(last.ts_event, outage_ns, aged_ns, now_ns, limits)


def silent_end(
    heard_ns: int, kind: TickKind, *, outage_ns: int, aged_ns: int, now_ns: int, limits: ResumeLimits
) -> TapeEnd | None:
    """Return from where a pair of a stream that was heard until `heard_ns`, but of which nothing ever came, goes on.

    Its first records may have come during the outage. None: it begins anew, as books do, with their snapshot, and as
    does what is told once, from as far back as the vendor replays.
    """
    if kind == "mbo" or kind in TOLD_ONCE:
        return None
    return _end(heard_ns, outage_ns, aged_ns, now_ns, limits)


def _end(from_ns: int, outage_ns: int, aged_ns: int, now_ns: int, limits: ResumeLimits) -> TapeEnd | None:
    if outage_ns > limits.longest_outage_ns or aged_ns:
        return None
    return TapeEnd(from_ns, max(from_ns - limits.overlap_ns, now_ns - limits.window_ns))


class Replay:
    """What a vendor sends again of one stream and kind, held against what is on the tape.

    New is what follows the last record that is on the tape, in the vendor's order. What comes before the first one that
    is known belongs to the time before the tape began; what lies between was left out for a reason, and would be out of
    order now: it is counted as strays. Where the tape holds nothing (`last` is None), all of it is new.
    """

    def __init__(self, last: LastFrame | None, on_tape: TapeIds) -> None:
        self.last = last
        self.repeated = 0
        """Records that are on the tape."""
        self.strays = 0
        self.stray_times: tuple[int, int] | None = None
        """Earliest and latest venue time of the strays, ns."""
        self._on_tape = on_tape

    @property
    def missing(self) -> int:
        """How many records of the tape the replay has not told; none once it is complete, if it is to be trusted."""
        return len(self._on_tape)

    def new(self, ticks: Ticks) -> Ticks:
        """Return those of the ticks that go on the tape. Call it in the order of arrival."""
        if not self.missing:
            return ticks
        rows = Rows(ticks.kind, ticks.publisher_id, ticks.instrument_ids, ticks.columns, ticks.undefined)
        unknown = self._on_tape.take(rows)
        known = np.flatnonzero(~unknown)
        first = 0 if self.repeated else int(known[0]) if len(known) else len(ticks)
        last = len(ticks) if self.missing else int(known[-1]) + 1
        self.repeated += len(known)
        self._note_strays(ticks.columns["ts_event"][first:last][unknown[first:last]])
        return ticks.cut(last, len(ticks))

    def _note_strays(self, times: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
        if not len(times):
            return
        self.strays += len(times)
        earliest, latest = int(times.min()), int(times.max())
        before = self.stray_times or (earliest, latest)
        self.stray_times = min(before[0], earliest), max(before[1], latest)
