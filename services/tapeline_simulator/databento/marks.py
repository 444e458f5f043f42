"""Records that a fault has flagged as captured with a gap before them: the same ones in every session."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np

from tapeline.feed.dbn_records import Array
from tapeline.model.columns import F_MAYBE_BAD_BOOK
from tapeline_simulator.databento.tape import CHUNK_RECORDS, VendorTape

_FLAGGED_SCHEMA: Final = "mbo"


@dataclass(slots=True)
class _Mark:
    fault: int
    instrument_id: int
    searched: int
    """The tape was searched up to this position."""
    position: int | None = None


class BadBooks:
    """The instruments of `tape` whose next MBO record is flagged, which lies on the tape as it came."""

    def __init__(self, tape: VendorTape) -> None:
        self._tape = tape
        self._marks: list[_Mark] = []

    def add(self, fault: int, instrument_id: int) -> None:
        """Flag the next record of this instrument that is captured while the fault of this number lasts."""
        self._marks.append(_Mark(fault, instrument_id, self._tape.end(_FLAGGED_SCHEMA)))

    def keep(self, faults: Collection[int]) -> None:
        """Look no further for the records of all other faults; what was flagged stays so."""
        for mark in list(self._marks):
            if mark.fault not in faults:
                self._search(mark, self._tape.end(_FLAGGED_SCHEMA))
                if mark.position is None:
                    self._marks.remove(mark)

    def mark(self, schema: str, records: Array, begin: int) -> None:
        """Flag those of `records`, the first of which has position `begin`, that are marked."""
        if schema != _FLAGGED_SCHEMA:
            return
        for mark in self._marks:
            self._search(mark, begin + len(records))
            if mark.position is not None and 0 <= mark.position - begin < len(records):
                records["flags"][mark.position - begin] |= F_MAYBE_BAD_BOOK

    def _search(self, mark: _Mark, until: int) -> None:
        while mark.position is None and mark.searched < until:
            end = min(until, mark.searched + CHUNK_RECORDS)
            found = np.flatnonzero(
                self._tape.read(_FLAGGED_SCHEMA, mark.searched, end)["instrument_id"] == mark.instrument_id
            )
            if len(found):
                mark.position = mark.searched + int(found[0])
            mark.searched = end
