"""DBN, the format of Databento's files and streams, as columns: in bulk, never record by record.

Reads versions 1, 2 and 3, plain or zstd-compressed, from files and from pipes that never end. What has arrived is
handed on at once; memory is bounded by the buffers below, whatever the length of the stream.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import zstandard
from databento_dbn import DBNError, Metadata

from tapeline.errors import BadData, Misconfigured
from tapeline.feed.dbn_records import (
    HEADER_BYTES,
    RTYPE_DEFINITION,
    RTYPE_SYMBOL_MAPPING,
    Array,
    first_fault,
    layouts,
    to_columns,
)
from tapeline.model.columns import INT64_MAX, INT64_MIN, TickKind

BUFFER_BYTES: Final = 256 * 1024
"""Records are decoded from a buffer of this size: small enough for the processor's cache, large enough for numpy."""

COMPRESSED_READ_BYTES: Final = 32 * 1024
MAX_METADATA_BYTES: Final = 256 * 1024 * 1024

_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_PREFIX_BYTES: Final = 8
_NS_PER_S: Final = 1_000_000_000


class ByteStream(Protocol):
    """What a reader needs of a file, pipe or buffer; where there is a `read1` (buffered streams), that is used."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill `buffer` with what there is; return the number of bytes, 0 at the end."""


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


@dataclass(slots=True)
class Symbology:
    """Which raw symbol an instrument id stands for; ids are used again for other instruments, so it depends on time."""

    _intervals: dict[int, list[tuple[int, int, str]]] = field(default_factory=dict)

    def add(self, instrument_id: int, symbol: str, start: int = INT64_MIN, end: int = INT64_MAX) -> None:
        """Let `instrument_id` be `symbol` within [start, end) ns; of two that overlap the later added one holds."""
        intervals = self._intervals.setdefault(instrument_id, [])
        # A live session repeats its mappings: what the new interval hides would otherwise pile up for ever.
        intervals[:] = [known for known in intervals if not (start <= known[0] and known[1] <= end)]
        intervals.append((start, end, symbol))

    def symbol(self, instrument_id: int, at: int) -> str | None:
        """Return the symbol of `instrument_id` at `at` (`ts_recv`, ns), or None where none is known."""
        for start, end, symbol in reversed(self._intervals.get(instrument_id, ())):
            if start <= at < end:
                return symbol
        return None


@contextmanager
def open_dbn(path: Path) -> Iterator[DbnReader]:
    """Open a `.dbn` or `.dbn.zst` file (told by content). Raises BadData where it does not begin as DBN does."""
    with path.open("rb", buffering=0) as stream:
        yield DbnReader(stream, str(path))


class DbnReader:
    """Reads one DBN stream. Its metadata are read on construction, its records by `batches`.

    `name` is what errors call the stream. `symbology` and `instrument_classes` (id → DBN letter, from definitions) grow
    as mapping and definition records go by, so ask them about a batch before taking the next. `passed_over` counts the
    records, by type, that are no ticks.
    """

    def __init__(self, stream: ByteStream, name: str) -> None:
        """Read the head of `stream`. Raises BadData where it is not DBN of a known version."""
        self.name = name
        self.symbology = Symbology()
        self.instrument_classes: dict[int, str] = {}
        self.passed_over: Counter[str] = Counter()
        self._source = _Source(stream)
        self._offset = 0
        self.metadata = self._read_metadata()
        self._layouts = layouts(self.metadata.version, ts_out=self.metadata.ts_out)

    @property
    def bytes_read(self) -> int:
        """How far the file or stream itself was read, in its own, perhaps compressed, bytes."""
        return self._source.bytes_read

    def batches(self) -> Iterator[DbnBatch]:
        """Yield the records in their order, as soon as they are there.

        Raises BadData that names the stream, the byte (of the uncompressed stream) and the rule, once all whole records
        before that byte were yielded.
        """
        view = memoryview(bytearray(BUFFER_BYTES))
        buffer = np.frombuffer(view, dtype=np.uint8)
        filled = 0
        while True:
            try:
                count = self._source.readinto(view[filled:])
            except zstandard.ZstdError as error:
                raise self._bad(filled, f"must be zstd throughout: {error}") from None
            if count == 0:
                break
            filled += count
            used = yield from self._decode(buffer[:filled])
            self._offset += used
            buffer[: filled - used] = buffer[used:filled].copy()
            filled -= used
        if filled:
            raise self._bad(0, f"must hold a whole record, ends after {filled} bytes of it", "the stream was cut")
        if not self._source.is_complete:
            raise self._bad(0, "must end with its zstd frame", "the stream was cut")

    def _decode(self, data: Array) -> Generator[DbnBatch, None, int]:
        """Yield the whole records in `data` (uint8); return how many bytes they take."""
        used = 0
        while len(data) - used >= HEADER_BYTES:
            rtype, size = int(data[used + 1]), int(data[used]) * 4
            layout = self._layouts.get(rtype)
            if layout is None:
                raise self._bad(used, f"must begin a record, but there is no record type {rtype:#04x}")
            if size != layout.record.itemsize:
                raise self._bad(used, f"a record of {layout.name} must have {layout.record.itemsize} bytes, has {size}")
            whole = (len(data) - used) // size
            if not whole:
                break
            count = _run_length(data[used : used + whole * size], size)
            records = data[used : used + count * size].view(layout.record)
            if layout.kind is None:
                self._note(rtype, layout.name, records)
            else:
                yield from self._ticks(layout.kind, records, used)
            used += count * size
        return used

    def _ticks(self, kind: TickKind, records: Array, used: int) -> Iterator[DbnBatch]:
        columns, undefined = to_columns(records, kind)
        fault = first_fault(columns, kind)
        if fault is not None:
            row, rule = fault
            if row:
                yield from self._ticks(kind, records[:row], used)
            raise self._bad(used + row * records.itemsize, rule)
        # Copies throughout: the buffer is filled anew while the caller may still hold the batch.
        yield DbnBatch(kind, int(records["publisher_id"][0]), records["instrument_id"].copy(), columns, undefined)

    def _note(self, rtype: int, name: str, records: Array) -> None:
        self.passed_over[name] += len(records)
        if rtype == RTYPE_SYMBOL_MAPPING:
            for record in records:
                self.symbology.add(int(record["instrument_id"]), record["stype_out_symbol"].decode("ascii", "replace"))
        elif rtype == RTYPE_DEFINITION:
            for record in records:
                letter = record["instrument_class"].decode("ascii", "replace")
                self.instrument_classes[int(record["instrument_id"])] = letter

    def _read_metadata(self) -> DbnMetadata:
        prefix = self._read_exactly(_PREFIX_BYTES)
        length = int.from_bytes(prefix[4:], "little")
        if prefix[:3] != b"DBN" or prefix[3] not in (1, 2, 3):
            raise self._bad(0, "must begin as DBN of version 1, 2 or 3, plain or in zstd")
        if length > MAX_METADATA_BYTES:
            raise self._bad(4, f"metadata must have at most {MAX_METADATA_BYTES} bytes, have {length}")
        body = self._read_exactly(length)
        try:
            metadata = Metadata.decode(prefix + body)
            self._learn_symbols(metadata)
        except (DBNError, ValueError) as error:
            raise self._bad(0, f"must begin with DBN metadata: {error}") from None
        self._offset = _PREFIX_BYTES + length
        return DbnMetadata(
            version=prefix[3],
            dataset=metadata.dataset,
            schema=None if metadata.schema is None else str(metadata.schema),
            symbols=tuple(metadata.symbols),
            start=metadata.start,
            ts_out=metadata.ts_out,
        )

    def _learn_symbols(self, metadata: Metadata) -> None:
        for asked, intervals in metadata.mappings.items():
            for interval in intervals:
                start, end = _midnight(interval["start_date"]), _midnight(interval["end_date"])
                if str(metadata.stype_out) == "instrument_id":
                    # An empty symbol: not resolved on those days.
                    if interval["symbol"]:
                        self.symbology.add(int(interval["symbol"]), asked, start, end)
                elif str(metadata.stype_in) == "instrument_id":
                    self.symbology.add(int(asked), interval["symbol"], start, end)

    def _read_exactly(self, count: int) -> bytes:
        data = bytearray(count)
        filled = 0
        try:
            while filled < count:
                more = self._source.readinto(memoryview(data)[filled:])
                if not more:
                    raise self._bad(filled, f"must hold the head of a DBN stream, ends after {filled} bytes of {count}")
                filled += more
        except zstandard.ZstdError as error:
            raise self._bad(filled, f"must be zstd throughout: {error}") from None
        return bytes(data)

    def _bad(self, position: int, rule: str, remedy: str = "") -> BadData:
        return BadData(f"{self.name}, byte {self._offset + position}", rule, remedy)


class _Source:
    """The bytes of a stream, decompressed where they begin as zstd does; hands on what there is without waiting."""

    def __init__(self, stream: ByteStream) -> None:
        # Not readinto1: with bytes in its own buffer, BufferedReader's still waits for more where the view is large.
        self._read1 = getattr(stream, "read1", None)
        self._readinto = stream.readinto
        self._compressed = bytearray(COMPRESSED_READ_BYTES)
        self._decompressor: zstandard.ZstdDecompressionObj | None = None
        self._pending = memoryview(b"")
        self._failure: zstandard.ZstdError | None = None
        self._is_compressed = False
        self.bytes_read = 0
        self._sniff()

    @property
    def is_complete(self) -> bool:
        """Whether the bytes so far end with a whole zstd frame; true of plain bytes."""
        return self._decompressor is None

    def readinto(self, view: memoryview) -> int:
        """Fill `view` with what there is, at least a byte unless at the end; return the count."""
        while not self._pending and self._is_compressed:
            if self._failure is not None:
                raise self._failure
            count = self._read(memoryview(self._compressed))
            if not count:
                return 0
            self._pending = memoryview(self._decompress(bytes(self._compressed[:count])))
        if not self._pending:
            return self._read(view)
        count = min(len(view), len(self._pending))
        view[:count] = self._pending[:count]
        self._pending = self._pending[count:]
        return count

    def _sniff(self) -> None:
        head = bytearray(len(_ZSTD_MAGIC))
        filled = 0
        while filled < len(head) and (count := self._read(memoryview(head)[filled:])):
            filled += count
        first = bytes(head[:filled])
        self._is_compressed = first == _ZSTD_MAGIC
        self._pending = memoryview(self._decompress(first) if self._is_compressed else first)

    def _read(self, view: memoryview) -> int:
        if self._read1 is None:
            count = self._readinto(view)
        else:
            data = self._read1(len(view))
            count = len(data)
            view[:count] = data
        if count is None:
            raise Misconfigured("a DBN stream must be read from a blocking file or pipe")
        self.bytes_read += count
        return count

    def _decompress(self, data: bytes) -> bytes:
        out = []
        while data:
            if self._decompressor is None:
                self._decompressor = zstandard.ZstdDecompressor().decompressobj()
            try:
                out.append(self._decompressor.decompress(data))
            except zstandard.ZstdError as error:
                # Raised once what came out of the frames before is taken.
                self._failure = error
                break
            if not self._decompressor.eof:
                break
            data = self._decompressor.unused_data
            self._decompressor = None
        return b"".join(out)


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


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * _NS_PER_S
