"""The records that a query means, and the DBN file that carries them: read, counted and written chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final

import zstandard
from databento_dbn import Metadata, Schema, SType

from tapeline.feed.dbn_records import Array
from tapeline_simulator.databento.history.query import RangeQuery
from tapeline_simulator.databento.history.symbology import InstrumentIds, NameMapping, Resolution
from tapeline_simulator.databento.history.times import DAY_NS
from tapeline_simulator.databento.schemas import record_of
from tapeline_simulator.databento.tape import VendorTape

_DBN_VERSION: Final = 3
_ZSTD_LEVEL: Final = 1


def chunks(
    tape: VendorTape, snapshots: VendorTape | None, query: RangeQuery, resolution: Resolution
) -> Iterator[Array]:
    """Yield the records of a query by time of capture (of the event where a schema has no other), limited.

    `snapshots` is a tape of MBO snapshot records whose `ts_recv` is exactly a midnight of UTC; they come before
    everything else of that moment.
    """
    left = query.limit
    for from_ns, until_ns, ids in resolution.spans(query.start_ns, query.end_ns):
        for records in _span(tape, snapshots, query.schema, from_ns, until_ns, ids):
            if left is not None:
                if left <= 0:
                    return
                records = records[:left]
                left -= len(records)
            yield records


def _span(
    tape: VendorTape,
    snapshots: VendorTape | None,
    schema: str,
    from_ns: int,
    until_ns: int,
    ids: InstrumentIds | None,
) -> Iterator[Array]:
    if snapshots is None:
        yield from tape.select(schema, ids, from_ns, until_ns, "ts_recv")
        return
    while from_ns < until_ns:
        midnight_ns = -(-from_ns // DAY_NS) * DAY_NS
        if from_ns == midnight_ns:
            yield from snapshots.select(schema, ids, midnight_ns, midnight_ns + 1, "ts_recv")
            midnight_ns += DAY_NS
        yield from tape.select(schema, ids, from_ns, min(until_ns, midnight_ns), "ts_recv")
        from_ns = midnight_ns


def billable_bytes(schema: str, records: int) -> int:
    """Return the bytes of so many records of a schema as uncompressed DBN: what is billed."""
    return records * record_of(schema).itemsize


def metadata(query: RangeQuery, resolution: Resolution) -> bytes:
    """Return the DBN metadata of the answer to a query: they say what was asked for, not what was found."""
    return bytes(
        Metadata(
            dataset=query.symbols.dataset,
            start=query.start_ns,
            end=query.end_ns,
            stype_in=SType(query.symbols.stype_in),
            stype_out=SType(query.symbols.stype_out),
            schema=Schema(query.schema),
            limit=query.limit,
            symbols=list(query.symbols.symbols),
            partial=resolution.partial,
            not_found=resolution.not_found,
            mappings=[NameMapping(name, intervals) for name, intervals in resolution.intervals.items()],
            version=_DBN_VERSION,
        )
    )


def dbn_file(head: bytes, records: Iterator[Array], *, compressed: bool) -> Iterator[bytes]:
    """Yield the bytes of a DBN file piece by piece, as one zstd frame where `compressed`."""
    pieces = chain([head], (array.tobytes() for array in records))
    if not compressed:
        yield from pieces
        return
    compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compressobj()
    for piece in pieces:
        data = compressor.compress(piece)
        if data:
            yield data
    yield compressor.flush()
