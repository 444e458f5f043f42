"""DBN records as they arrive -> columns: a decoder that is handed bytes, for files, pipes and sockets alike. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tapeline.errors import BadData
from tapeline.feed.dbn_records import HEADER_BYTES, Array, first_fault, layouts, to_columns
from tapeline.model.columns import TickKind


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

    def fault(self, rule: str, remedy: str = "") -> BadData:
        """Return the error that says which `rule` does not hold at `position`."""
        return BadData(f"{self._name}, byte {self.position}", rule, remedy)

    def _ticks(self, kind: TickKind, records: Array) -> Iterator[DbnBatch]:
        columns, undefined = to_columns(records, kind)
        fault = first_fault(columns, kind)
        if fault is not None:
            row, rule = fault
            if row:
                yield from self._ticks(kind, records[:row])
            raise self.fault(rule)
        self.position += len(records) * records.itemsize
        # Copies throughout: the buffer is filled anew while the caller may still hold the batch.
        yield DbnBatch(kind, int(records["publisher_id"][0]), records["instrument_id"].copy(), columns, undefined)


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
