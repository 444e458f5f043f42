"""DBN records as they arrive -> columns: a decoder that is handed bytes, for files, pipes and sockets alike. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from tapeline.errors import BadData
from tapeline.feed.dbn_records import HEADER_BYTES, Array, first_fault, layouts, to_columns
from tapeline.model.columns import TickKind

_WORD_BYTES: Final = 4
"""Records are as long as a number of words, which their first byte tells."""


@dataclass(frozen=True, slots=True)
class DbnMetadata:
    """What the head of a DBN file or stream says. `schema` is None for a live session of several schemas."""

    version: int
    dataset: str
    schema: str | None
    symbols: tuple[str, ...]
    start: int
    """ns since the epoch."""
    ts_out: bool


@dataclass(frozen=True, slots=True)
class DbnBatch:
    """Consecutive records of one record type and one publisher, as columns.

    `columns` holds those of ``COLUMNS[kind]`` but `symbol`, contiguous, with their dtypes; times are absolute ns.
    `instrument_id` is uint32, one per row. `undefined` maps a column to the rows (int64) whose value is not defined
    and stored as 0.
    """

    kind: TickKind
    publisher_id: int
    instrument_id: Array
    columns: dict[str, Array]
    undefined: dict[str, Array]

    def __len__(self) -> int:
        """Number of records, at least 1."""
        return len(self.instrument_id)


@dataclass(frozen=True, slots=True)
class OtherRecords:
    """Consecutive records of one type that are no ticks: definitions, symbol mappings, the vendor's messages.

    `name` is the layout's, `records` a structured array of its own, at least one record, as they lie in DBN.
    """

    rtype: int
    name: str
    records: Array


Decoded = DbnBatch | OtherRecords


class DbnDecoder:
    """Decodes the records that follow the head of one DBN stream, in bulk, never record by record.

    `name` is what errors call the stream; `position` is the byte of the stream before which all is decoded.
    """

    def __init__(self, metadata: DbnMetadata, name: str, position: int) -> None:
        self.position = position
        self._name = name
        self._layouts = layouts(metadata.version, ts_out=metadata.ts_out)
        self._kinds = {rtype: layout.kind for rtype, layout in self._layouts.items() if layout.kind is not None}
        self._words_of = [0] * 256
        for rtype, layout in self._layouts.items():
            self._words_of[rtype] = layout.record.itemsize // _WORD_BYTES

    def decode(self, data: Array) -> Iterator[Decoded]:
        """Yield the whole records in `data` (uint8), which begins at `position`, in their order.

        What is yielded holds copies; `position` has moved past each when it is. Hand in the bytes from there on again,
        with more behind them. Raises BadData that names the stream, the byte and the rule, once all whole records
        before that byte were yielded.
        """
        begin = self.position
        while (used := self.position - begin) + HEADER_BYTES <= len(data):
            rtype, size = int(data[used + 1]), int(data[used]) * 4
            layout = self._layouts.get(rtype)
            if layout is None:
                raise self.fault(f"must begin a record, but there is no record type {rtype:#04x}")
            if size != layout.record.itemsize:
                raise self.fault(f"a record of {layout.name} must have {layout.record.itemsize} bytes, has {size}")
            whole = (len(data) - used) // size
            if not whole:
                break
            count = _run_length(data[used : used + whole * size], size)
            records = data[used : used + count * size].view(layout.record)
            if layout.kind is None:
                self.position += count * size
                yield OtherRecords(rtype, layout.name, records.copy())
            else:
                yield from self._ticks(layout.kind, records)

    def decode_together(self, data: Array) -> list[Decoded]:
        """Return the whole records in `data` as `decode` does, but ticks of one type and publisher as one batch.

        Their order among each other is kept, and to the records that are no ticks; that among types is not: where types
        alternate, a batch for each change would cost a hundred times as much. A fault is raised by the call whose data
        begin with it.
        """
        if self._is_of_one_type(data):
            return self._up_to_fault(data)
        decoded: list[Decoded] = []
        starts: dict[int, list[int]] = {}
        view, position, end = data.data, 0, len(data)
        while position + HEADER_BYTES <= end:
            words, rtype = view[position], view[position + 1]
            size = words * _WORD_BYTES
            if not words or words != self._words_of[rtype] or position + size > end:
                break
            if rtype in self._kinds:
                starts.setdefault(rtype, []).append(position // _WORD_BYTES)
                position += size
                continue
            batches = self._batches(data, starts)
            if batches is None:
                return self._up_to_fault(data)
            decoded += batches
            starts.clear()
            layout = self._layouts[rtype]
            count = _run_length(data[position : position + (end - position) // size * size], size)
            records = data[position : position + count * size].view(layout.record)
            decoded.append(OtherRecords(rtype, layout.name, records.copy()))
            position += count * size
        batches = self._batches(data, starts)
        if batches is None or not position:
            return self._up_to_fault(data)
        self.position += position
        return decoded + batches

    def fault(self, rule: str, remedy: str = "") -> BadData:
        """Return the error that says which `rule` does not hold at `position`."""
        return BadData(f"{self._name}, byte {self.position}", rule, remedy)

    def _is_of_one_type(self, data: Array) -> bool:
        """Return whether there is one run of records only, or not even a whole record."""
        size = int(data[0]) * _WORD_BYTES if len(data) >= HEADER_BYTES else 0
        whole = len(data) // size if size else 0
        return not whole or _run_length(data[: whole * size], size) == whole

    def _up_to_fault(self, data: Array) -> list[Decoded]:
        decoded: list[Decoded] = []
        try:
            for each in self.decode(data):
                decoded.append(each)  # noqa: PERF402  what came before a fault counts
        except BadData:
            if not decoded:
                raise
        return decoded

    def _batches(self, data: Array, starts: dict[int, list[int]]) -> list[Decoded] | None:
        """Return the ticks that begin at `starts` (words, per record type), None where one of them breaks a rule."""
        words = data[: len(data) // _WORD_BYTES * _WORD_BYTES].view("<u4")
        batches: list[Decoded] = []
        for rtype, begins in starts.items():
            kind, record = self._kinds[rtype], self._layouts[rtype].record
            found = words[np.array(begins)[:, None] + np.arange(self._words_of[rtype])].view(record)[:, 0]
            publishers = found["publisher_id"]
            for publisher in publishers[:1] if (publishers == publishers[0]).all() else np.unique(publishers):
                records = found[publishers == publisher]
                columns, undefined = to_columns(records, kind)
                if first_fault(columns, kind) is not None:
                    return None
                batches.append(_batch(kind, records, columns, undefined))
        return batches

    def _ticks(self, kind: TickKind, records: Array) -> Iterator[DbnBatch]:
        columns, undefined = to_columns(records, kind)
        fault = first_fault(columns, kind)
        if fault is not None:
            row, rule = fault
            if row:
                yield from self._ticks(kind, records[:row])
            raise self.fault(rule)
        self.position += len(records) * records.itemsize
        yield _batch(kind, records, columns, undefined)


def _batch(kind: TickKind, records: Array, columns: dict[str, Array], undefined: dict[str, Array]) -> DbnBatch:
    # Copies throughout: the buffer is filled anew while the caller may still hold the batch.
    return DbnBatch(kind, int(records["publisher_id"][0]), records["instrument_id"].copy(), columns, undefined)


def _run_length(data: Array, size: int) -> int:
    """Return how many records of `size` bytes from the start of `data` share length, record type and publisher."""
    heads = data.view("<u4")[:: size // 4]
    checked, window = 1, 16
    # In growing windows, so that a stream which alternates between types is not searched to its end for every record.
    while checked < len(heads):
        differs = heads[checked : checked + window] != heads[0]
        if differs.any():
            return checked + int(differs.argmax())
        checked, window = checked + window, window * 4
    return len(heads)
