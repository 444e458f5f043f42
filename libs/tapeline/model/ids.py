"""Event ids: which ticks are the same one, so that a resume or a backfill publishes each exactly once.

An id is (instrument, ts_event, sequence, hash, k). The hash covers the publisher and every column of the kind except
`ts_recv`, `ts_in_delta` and `flags`, which differ from one delivery of a record to the next; `k` counts identical
records. As the hash covers the instrument, the venue time and the sequence as well, hash and k stand for the whole id.
Snapshot records have none: they repeat what is known. Ids compare within one source, dataset and kind only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, cast

import numpy as np
import numpy.typing as npt

from tapeline.model.columns import COLUMNS, F_SNAPSHOT, TickKind
from tapeline.model.frames import Array, TickFrame

Hashes = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

_NOT_HASHED: Final = frozenset({"symbol", "ts_recv", "ts_in_delta", "flags"})
_RELATIVE: Final = frozenset({"ts_event", "ts_ref"})
_STEP: Final = np.uint64(0x9E3779B97F4A7C15)
_M1: Final = np.uint64(0xBF58476D1CE4E5B9)
_M2: Final = np.uint64(0x94D049BB133111EB)


@dataclass(frozen=True, slots=True)
class Rows:
    """Ticks of one kind and publisher as an id sees them, wherever they are held.

    `instrument_ids` has one id per tick; `columns` are those of the kind, where times may be relative to `ts_base` (ns)
    and `symbol` is not looked at; `undefined` maps a column to the rows that are not defined.
    """

    kind: TickKind
    publisher_id: int
    instrument_ids: npt.NDArray[np.int64]
    columns: Mapping[str, Array]
    undefined: Mapping[str, Array]
    ts_base: int = 0

    @classmethod
    def of_frame(cls, frame: TickFrame) -> Rows:
        """Return the ticks of a frame."""
        instrument_ids = np.asarray(frame.instrument_ids, dtype=np.int64)[frame.columns["symbol"]]
        kind = cast(TickKind, frame.kind)
        return cls(kind, frame.publisher_id, instrument_ids, frame.columns, frame.undefined, frame.ts_base)

    def __len__(self) -> int:
        return len(self.instrument_ids)

    def have_ids(self) -> Mask:
        """Return, per tick, whether it has an event id: snapshot records have none."""
        if "flags" not in self.columns:
            return np.ones(len(self), dtype=bool)
        return cast(Mask, (self.columns["flags"] & F_SNAPSHOT) == 0)

    def hashes(self) -> Hashes:
        """Return one 64-bit hash per tick (uint64), snapshot records included.

        The mixing step is that of SplitMix64 (Steele, Lea, Flood 2014), applied column after column.
        """
        hashes = _mix(self.instrument_ids.view(np.uint64) + np.uint64(self.publisher_id << 32))
        for column in COLUMNS[self.kind]:
            if column.name in _NOT_HASHED:
                continue
            values = self.columns[column.name]
            if column.name in _RELATIVE:
                values = values + np.int64(self.ts_base)
            words = values.astype(np.uint64) if column.is_text else np.ascontiguousarray(values).view(np.uint64)
            undefined = self.undefined.get(column.name)
            if undefined is not None and len(undefined):
                words = words.copy()
                words[undefined] = _STEP
            hashes = _mix((hashes + _STEP) ^ words)
        return hashes

    def only(self, mask: Mask) -> Rows:
        """Return the ticks for which `mask` holds."""
        undefined = {
            name: np.searchsorted(np.flatnonzero(mask), rows[mask[rows]]) for name, rows in self.undefined.items()
        }
        return replace(
            self,
            instrument_ids=self.instrument_ids[mask],
            columns={name: values[mask] for name, values in self.columns.items()},
            undefined=undefined,
        )


class TapeIds:
    """The event ids that are on the tape, as a multiset; ticks that are sent again are taken from it."""

    def __init__(self) -> None:
        self._hashes: Hashes = np.empty(0, dtype=np.uint64)
        self._counts: npt.NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._pending: list[Hashes] = []

    def __len__(self) -> int:
        """Number of ids, equal ones counted each, that no tick has been taken for yet."""
        self._merge()
        return int(self._counts.sum())

    def add(self, rows: Rows) -> None:
        """Add the ids of ticks that are on the tape."""
        self._pending.append(rows.hashes()[rows.have_ids()])

    def take(self, rows: Rows) -> Mask:
        """Return which of `rows`, sent again, are not on the tape, and use up the ids of the others.

        Of m identical ticks of which n are on the tape, the first n are known, over however many calls they come.
        Snapshot records have no id and are never known.
        """
        self._merge()
        new = np.ones(len(rows), dtype=bool)
        with_id = np.flatnonzero(rows.have_ids())
        if not len(with_id) or not len(self._hashes):
            return new
        hashes = rows.hashes()[with_id]
        places = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
        known = (self._hashes[places] == hashes) & (occurrences(hashes) < self._counts[places])
        new[with_id[known]] = False
        np.subtract.at(self._counts, places[known], 1)
        return new

    def _merge(self) -> None:
        if not self._pending:
            return
        every = np.concatenate([np.repeat(self._hashes, self._counts), *self._pending])
        self._pending = []
        self._hashes, self._counts = np.unique(every, return_counts=True)


def occurrences(hashes: Hashes) -> npt.NDArray[np.int64]:
    """Return `k` per hash: how many equal ones stand before it."""
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    index = np.arange(len(hashes))
    first = np.ones(len(hashes), dtype=bool)
    first[1:] = ordered[1:] != ordered[:-1]
    out = np.empty(len(hashes), dtype=np.int64)
    out[order] = index - np.maximum.accumulate(np.where(first, index, 0))
    return out


def _mix(words: Hashes) -> Hashes:
    words = (words ^ (words >> np.uint64(30))) * _M1
    words = (words ^ (words >> np.uint64(27))) * _M2
    return words ^ (words >> np.uint64(31))
