"""Compares what the vendor captured with what is on the tape: nothing lost, nothing doubled, in order, or a gap."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tapeline.feed.dbn_records import Array, to_columns
from tapeline.model.columns import TickKind
from tapeline.model.frames import Gap, TickFrame
from tapeline.model.ids import Rows

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Compared:
    """How the tape of one stream and kind differs from the vendor's records of the same time.

    `lost` are the vendor's records (structured) that are not on the tape, `doubled` counts ticks that are on the tape
    more often than the vendor has them, `strangers` those it does not have, `in_order` says whether those on the tape
    are in the vendor's order.
    """

    captured: int
    on_tape: int
    lost: Array
    doubled: int
    strangers: int
    in_order: bool

    @property
    def is_equal(self) -> bool:
        """Whether each record is on the tape once, in order, and nothing else."""
        return not len(self.lost) and not self.doubled and not self.strangers and self.in_order

    def covered_by(self, gaps: Iterable[Gap]) -> bool:
        """Return whether each lost record lies within the bounds of a gap of its stream (symbols are not looked at)."""
        times = self.lost["ts_event"].astype(np.int64)
        covered = np.zeros(len(times), dtype=bool)
        for gap in gaps:
            begin = -(2**63) if gap.ts_event_from is None else gap.ts_event_from
            end = 2**63 - 1 if gap.ts_event_to is None else gap.ts_event_to
            covered |= (times >= begin) & (times <= end)
        return bool(covered.all())


def compare(captured: Sequence[Array], frames: Iterable[TickFrame], kind: TickKind, since_ns: int) -> Compared:
    """Compare records (structured, in order of capture) with the frames of one stream.

    Snapshot ticks do not count. The vendor's records before the tape's first tick of that kind (`ts_recv` before
    `since_ns`, or at it and before that tick: a packet holds several records, and a snapshot may end within it) do not
    count either.
    """
    records = np.concatenate(captured) if captured else np.empty(0)
    if len(records):
        records = records[records["ts_recv"].astype(np.int64) >= since_ns]
    wanted = _hashes(records, kind) if len(records) else np.empty(0, dtype=np.uint64)
    parts = [_of_frame(frame) for frame in frames if frame.kind == kind]
    there = np.concatenate(parts) if parts else np.empty(0, dtype=np.uint64)
    if len(records) and len(there):
        of_first_packet = int(np.count_nonzero(records["ts_recv"].astype(np.int64) == since_ns))
        begun = np.flatnonzero(np.isin(wanted[:of_first_packet], there))
        first = int(begun[0]) if len(begun) else 0
        records, wanted = records[first:], wanted[first:]
    values, counts = np.unique(wanted, return_counts=True)
    seen, seen_counts = np.unique(there, return_counts=True)
    known = np.isin(seen, values)
    strangers = int(seen_counts[~known].sum())
    have = np.zeros(len(values), dtype=np.int64)
    have[np.searchsorted(values, seen[known])] = seen_counts[known]
    doubled = int(np.maximum(have - counts, 0).sum())
    lost_of = np.maximum(counts - have, 0)
    lost = np.isin(wanted, values[lost_of > 0])
    expected = wanted[~lost]
    return Compared(
        captured=len(wanted),
        on_tape=len(there),
        lost=records[lost] if len(records) else records,
        doubled=doubled,
        strangers=strangers,
        in_order=doubled > 0 or strangers > 0 or np.array_equal(there[np.isin(there, expected)], expected),
    )


def _hashes(records: Array, kind: TickKind) -> Hashes:
    columns, undefined = to_columns(records, kind)
    ids = records["instrument_id"].astype(np.int64)
    return Rows(kind, int(records["publisher_id"][0]), ids, columns, undefined).hashes()


def _of_frame(frame: TickFrame) -> Hashes:
    rows = Rows.of_frame(frame)
    return rows.hashes()[rows.have_ids()]
