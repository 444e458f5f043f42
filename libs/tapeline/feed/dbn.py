"""DBN, the format of Databento's files and streams, as columns: in bulk, never record by record.

Reads versions 1, 2 and 3, plain or zstd-compressed, from files and from pipes that never end. What has arrived is
handed on at once; memory is bounded by the buffers below, whatever the length of the stream.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import zstandard
from databento_dbn import DBNError, Metadata

from tapeline.errors import BadData, Misconfigured
from tapeline.feed.dbn_decoder import DbnBatch, DbnDecoder, DbnMetadata, OtherRecords
from tapeline.feed.dbn_records import RTYPE_DEFINITION, RTYPE_SYMBOL_MAPPING
from tapeline.model.columns import INT64_MAX, INT64_MIN

BUFFER_BYTES: Final = 256 * 1024
"""Records are decoded from a buffer of this size: small enough for the processor's cache, large enough for numpy."""

COMPRESSED_READ_BYTES: Final = 32 * 1024
MAX_METADATA_BYTES: Final = 256 * 1024 * 1024

HEAD_PREFIX_BYTES: Final = 8
"""So much of a stream's head tells how long the head is."""

_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_NS_PER_S: Final = 1_000_000_000


class ByteStream(Protocol):
    """What a reader needs of a file, pipe or buffer; where there is a `read1` (buffered streams), that is used."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill `buffer` with what there is; return the number of bytes, 0 at the end."""


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
        head = self._read_head()
        self.metadata = self._learn(head)
        self._decoder = DbnDecoder(self.metadata, name, len(head))

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
                raise self._no_zstd(self._decoder.position + filled, error) from None
            if count == 0:
                break
            filled += count
            begin = self._decoder.position
            for decoded in self._decoder.decode(buffer[:filled]):
                if isinstance(decoded, DbnBatch):
                    yield decoded
                else:
                    self._note(decoded)
            used = self._decoder.position - begin
            buffer[: filled - used] = buffer[used:filled].copy()
            filled -= used
        if filled:
            raise self._decoder.fault(
                f"must hold a whole record, ends after {filled} bytes of it", "the stream was cut"
            )
        if not self._source.is_complete:
            raise self._decoder.fault("must end with its zstd frame", "the stream was cut")

    def _note(self, other: OtherRecords) -> None:
        self.passed_over[other.name] += len(other.records)
        if other.rtype == RTYPE_SYMBOL_MAPPING:
            for record in other.records:
                self.symbology.add(int(record["instrument_id"]), record["stype_out_symbol"].decode("ascii", "replace"))
        elif other.rtype == RTYPE_DEFINITION:
            for record in other.records:
                letter = record["instrument_class"].decode("ascii", "replace")
                self.instrument_classes[int(record["instrument_id"])] = letter

    def _read_head(self) -> bytes:
        prefix = self._read_exactly(0, HEAD_PREFIX_BYTES)
        return prefix + self._read_exactly(len(prefix), head_bytes(prefix, self.name) - len(prefix))

    def _learn(self, head: bytes) -> DbnMetadata:
        metadata = _official(head, self.name)
        try:
            self._learn_symbols(metadata)
        except ValueError as error:
            raise _no_metadata(self.name, error) from None
        return _ours(metadata, head)

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

    def _read_exactly(self, begin: int, count: int) -> bytes:
        data = bytearray(count)
        filled = 0
        try:
            while filled < count:
                more = self._source.readinto(memoryview(data)[filled:])
                if not more:
                    raise BadData(
                        f"{self.name}, byte {begin + filled}",
                        f"must hold the head of a DBN stream, ends after {filled} bytes of {count}",
                    )
                filled += more
        except zstandard.ZstdError as error:
            raise self._no_zstd(begin + filled, error) from None
        return bytes(data)

    def _no_zstd(self, position: int, error: zstandard.ZstdError) -> BadData:
        return BadData(f"{self.name}, byte {position}", f"must be zstd throughout: {error}")


def head_bytes(prefix: bytes, name: str) -> int:
    """Return how long the head of a stream is that begins with `prefix`, its first HEAD_PREFIX_BYTES.

    `name` is what errors call the stream. Raises BadData where it does not begin as DBN of a known version does.
    """
    if prefix[:3] != b"DBN" or prefix[3] not in (1, 2, 3):
        raise BadData(f"{name}, byte 0", "must begin as DBN of version 1, 2 or 3, plain or in zstd")
    length = int.from_bytes(prefix[4:HEAD_PREFIX_BYTES], "little")
    if length > MAX_METADATA_BYTES:
        raise BadData(f"{name}, byte 4", f"metadata must have at most {MAX_METADATA_BYTES} bytes, have {length}")
    return HEAD_PREFIX_BYTES + length


def decode_head(head: bytes, name: str) -> DbnMetadata:
    """Return what the whole head of a stream says. Raises BadData where it is no DBN metadata."""
    return _ours(_official(head, name), head)


def _official(head: bytes, name: str) -> Metadata:
    try:
        return Metadata.decode(head)
    except (DBNError, ValueError) as error:
        raise _no_metadata(name, error) from None


def _no_metadata(name: str, error: Exception) -> BadData:
    return BadData(f"{name}, byte 0", f"must begin with DBN metadata: {error}")


def _ours(metadata: Metadata, head: bytes) -> DbnMetadata:
    return DbnMetadata(
        version=head[3],
        dataset=metadata.dataset,
        schema=None if metadata.schema is None else str(metadata.schema),
        symbols=tuple(metadata.symbols),
        start=metadata.start,
        ts_out=metadata.ts_out,
    )


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


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * _NS_PER_S
