"""What a session wanted, and what of the tape was sent to it; told by positions, so that memory stays flat."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tapeline.feed.dbn_records import Array
from tapeline_simulator.databento.schemas import take
from tapeline_simulator.databento.tape import CHUNK_RECORDS, Clock, VendorTape, in_range

Mask = npt.NDArray[np.bool_]
EVERYONE: Final = None
"""Instruments of a subscription to ALL_SYMBOLS."""


@dataclass(frozen=True, eq=False, slots=True)
class Want:
    """What one subscription wants of its schema: the instruments, live from a position of the tape on.

    With `start_ns`, also what lies before `live_from` and is not earlier by `clock`.
    """

    instrument_ids: npt.NDArray[np.uint32] | None
    live_from: int
    start_ns: int | None
    clock: Clock = "ts_event"


def wanted(wants: tuple[Want, ...], records: Array, begin: int) -> Mask | None:
    """Return which of `records`, the first of which has position `begin`, somebody wants; None: all of them."""
    whole = np.zeros(len(records), dtype=np.bool_)
    for want in wants:
        mask = np.zeros(len(records), dtype=np.bool_)
        before = min(max(want.live_from - begin, 0), len(records))
        mask[before:] = True
        if want.start_ns is not None and before:
            mask[:before] = in_range(records[:before], want.start_ns, None, want.clock)
        if want.instrument_ids is not EVERYONE:
            mask &= np.isin(records["instrument_id"], want.instrument_ids)
        if mask.all():
            return None
        whole |= mask
    return None if whole.all() else whole


@dataclass(slots=True)
class _Span:
    begin: int
    end: int
    wants: tuple[Want, ...]


class Ledger:
    """Which records of `tape` were handed to one session's socket, whole, in the order of each schema."""

    def __init__(self, tape: VendorTape) -> None:
        self._tape = tape
        self._spans: dict[str, list[_Span]] = {}

    def note(self, schema: str, begin: int, end: int, wants: tuple[Want, ...]) -> None:
        """Remember that what `wants` want of the positions [begin, end) was sent."""
        spans = self._spans.setdefault(schema, [])
        if spans and spans[-1].end == begin and spans[-1].wants is wants:
            spans[-1].end = end
        elif begin < end:
            spans.append(_Span(begin, end, wants))

    def sent(self, schema: str) -> Iterator[Array]:
        """Yield the records of `schema` that were sent, as they are on the tape, in bounded chunks."""
        for span in self._spans.get(schema, ()):
            for begin in range(span.begin, span.end, CHUNK_RECORDS):
                records = self._tape.read(schema, begin, min(span.end, begin + CHUNK_RECORDS))
                mask = wanted(span.wants, records, begin)
                if mask is None:
                    yield records
                elif mask.any():
                    yield take(records, mask)

    def counts(self) -> dict[str, dict[int, int]]:
        """Return, per schema and instrument id, how many records were sent."""
        counts: dict[str, dict[int, int]] = {}
        for schema in self._spans:
            of_schema: dict[int, int] = {}
            for records in self.sent(schema):
                for number, times in zip(*np.unique(records["instrument_id"], return_counts=True), strict=True):
                    of_schema[int(number)] = of_schema.get(int(number), 0) + int(times)
            counts[schema] = of_schema
        return counts
