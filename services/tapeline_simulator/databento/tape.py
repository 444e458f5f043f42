"""What the vendor has captured of one dataset: per schema, records in order of capture, in files of a folder.

Memory stays flat whatever the length of the tape: records are read from the files where they are asked for, and only
an index of their times is held, one entry per CHUNK_RECORDS records.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from tapeline.errors import Bug
from tapeline.feed.dbn_records import Array
from tapeline_simulator.databento.schemas import capture_times, record_of, take
from tapeline_simulator.listings import Listings

CHUNK_RECORDS: Final = 16_384
"""Most records that `select` yields at once, and that an entry of the index describes."""

Clock = Literal["ts_event", "ts_recv"]


@dataclass(slots=True)
class _Chunk:
    begin: int
    count: int
    first: dict[Clock, int]
    last: dict[Clock, int]
    """Earliest and latest time of the chunk's records, as unsigned numbers (undefined is latest), ns."""


class _Records:
    """The file of one schema and its index."""

    def __init__(self, path: Path, schema: str) -> None:
        self.record = record_of(schema)
        self.count = 0
        self.chunks: list[_Chunk] = []
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)

    def append(self, records: Array) -> None:
        data, size = records.view(np.uint8).data, self.record.itemsize
        offset = self.count * size
        while data:
            written = os.pwrite(self.descriptor, data, offset)
            data, offset = data[written:], offset + written
        done = 0
        while done < len(records):
            is_new = not self.chunks or self.chunks[-1].count == CHUNK_RECORDS
            chunk = _Chunk(self.count, 0, {}, {}) if is_new else self.chunks[-1]
            part = records[done : done + CHUNK_RECORDS - chunk.count]
            _extend(chunk, "ts_event", part["ts_event"])
            _extend(chunk, "ts_recv", capture_times(part))
            # In this order a reader on another thread never sees a record that is not there yet.
            self.count += len(part)
            chunk.count += len(part)
            if is_new:
                self.chunks.append(chunk)
            done += len(part)

    def read(self, begin: int, end: int) -> Array:
        size = self.record.itemsize
        data = np.empty((end - begin) * size, dtype=np.uint8)
        view, offset = data.data, begin * size
        while view:
            count = os.preadv(self.descriptor, [view], offset)
            if not count:
                raise Bug(f"the file of the tape ends before record {end}")
            view, offset = view[count:], offset + count
        return data.view(self.record)


class VendorTape:
    """What the vendor has captured of `dataset`; `listings` are the instruments that it knows.

    The files lie in `folder`, which must exist, and belong to this tape alone. Any thread may read; all else happens on
    one, that of the event loop that serves the tape.
    """

    def __init__(self, dataset: str, folder: Path) -> None:
        self.dataset = dataset
        self.listings = Listings()
        self._folder = folder
        self._records: dict[str, _Records] = {}
        self._listeners: set[Callable[[], None]] = set()

    @property
    def schemas(self) -> tuple[str, ...]:
        """The schemas of which there are records."""
        return tuple(self._records)

    def append(self, schema: str, records: Array) -> None:
        """Add captured records of one schema, as they lie in DBN version 3, and tell who listens.

        Raises Bug where `records` are of another layout.
        """
        if not len(records):
            return
        kept = self._records.get(schema)
        if kept is None:
            kept = self._records[schema] = _Records(self._folder / f"{schema}.records", schema)
        if records.dtype.itemsize != kept.record.itemsize:
            raise Bug(f"a record of {schema} has {kept.record.itemsize} bytes, not {records.dtype.itemsize}")
        kept.append(records if records.flags.c_contiguous else take(records, np.ones(len(records), np.bool_)))
        for woken in tuple(self._listeners):
            woken()

    def end(self, schema: str) -> int:
        """Return the number of records of `schema` so far."""
        kept = self._records.get(schema)
        return 0 if kept is None else kept.count

    def read(self, schema: str, begin: int, end: int) -> Array:
        """Return the records `begin` to `end` (exclusive) of `schema`, a fresh array; all of them must be there."""
        if not 0 <= begin <= end <= self.end(schema):
            raise Bug(f"the tape has {self.end(schema)} records of {schema}, not {begin} to {end}")
        kept = self._records.get(schema)
        return np.empty(0, dtype=record_of(schema)) if kept is None else kept.read(begin, end)

    def select(
        self,
        schema: str,
        instrument_ids: npt.NDArray[np.uint32] | None,
        from_ns: int,
        until_ns: int | None,
        by: Clock,
    ) -> Iterator[Array]:
        """Yield, in order of capture, the records so far of these instruments (None: of all) in [from_ns, until_ns).

        `by` names the time that is meant; a record without `ts_recv` is taken by its `ts_event`, and one whose time is
        undefined belongs to no bounded range. Arrays are fresh, not empty, and of at most CHUNK_RECORDS.
        """
        for begin, end in self.spans(schema, from_ns, until_ns, by):
            records = self.read(schema, begin, end)
            mask = in_range(records, from_ns, until_ns, by)
            if instrument_ids is not None:
                mask &= np.isin(records["instrument_id"], instrument_ids)
            if mask.any():
                yield records if mask.all() else take(records, mask)

    def spans(self, schema: str, from_ns: int, until_ns: int | None, by: Clock) -> Iterator[tuple[int, int]]:
        """Yield the positions (begin, end) of the chunks that may hold records in [from_ns, until_ns) by `by`."""
        kept = self._records.get(schema)
        for chunk in () if kept is None else tuple(kept.chunks):
            if chunk.last[by] >= from_ns and (until_ns is None or chunk.first[by] < until_ns):
                yield chunk.begin, chunk.begin + chunk.count

    def listen(self, woken: Callable[[], None]) -> Callable[[], None]:
        """Call `woken` whenever something was appended; return what ends that."""
        self._listeners.add(woken)
        return lambda: self._listeners.discard(woken)

    def close(self) -> None:
        """Close the files; they stay where they are."""
        for kept in self._records.values():
            os.close(kept.descriptor)
        self._records.clear()


def in_range(records: Array, from_ns: int, until_ns: int | None, by: Clock) -> npt.NDArray[np.bool_]:
    """Return which records lie in [from_ns, until_ns) by `by`; None: no end."""
    times = (records["ts_event"] if by == "ts_event" else capture_times(records)).view(np.uint64)
    mask: npt.NDArray[np.bool_] = times >= np.uint64(from_ns)
    if until_ns is not None:
        mask &= times < np.uint64(until_ns)
    return mask


def _extend(chunk: _Chunk, clock: Clock, times: npt.NDArray[np.int64]) -> None:
    unsigned = times.view(np.uint64)
    first, last = int(unsigned.min()), int(unsigned.max())
    chunk.first[clock] = min(first, chunk.first.get(clock, first))
    chunk.last[clock] = max(last, chunk.last.get(clock, last))
