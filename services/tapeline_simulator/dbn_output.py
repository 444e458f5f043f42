"""A market as a DBN stream: its head, and its records at the pace that was asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from databento_dbn import Metadata, Schema, SType
from databento_dbn.metadata import MappingInterval

from tapeline_simulator.exchange import MAX_LATENCY_NS
from tapeline_simulator.market import DATASET, Market

ATOMIC_BYTES: Final = 73 * 56
"""Whole records, and not more than a pipe takes at once: a signal cannot cut a record in two."""

FLUSH_S: Final = 0.002
FOR_EVER_NS: Final = 2**62
_MAPPED_YEARS: Final = 10


@dataclass(slots=True)
class _Interval:
    start_date: date
    end_date: date
    symbol: str


@dataclass(slots=True)
class _Mapping:
    raw_symbol: str
    intervals: Sequence[MappingInterval]


def head(market: Market) -> bytes:
    """Return the DBN metadata (version 3) of the market, which map its instrument ids from its first day on."""
    day = datetime.fromtimestamp(market.start_ns // 10**9, UTC).date()
    mappings = [
        _Mapping(symbol, [_Interval(day, date(day.year + _MAPPED_YEARS, 1, 1), str(number))])
        for symbol, number in zip(market.symbols, market.instrument_ids, strict=True)
    ]
    return bytes(
        Metadata(
            dataset=DATASET,
            start=market.start_ns,
            stype_in=SType("raw_symbol"),
            stype_out=SType("instrument_id"),
            schema=Schema("mbo"),
            symbols=list(market.symbols),
            mappings=mappings,
            version=3,
        )
    )


def write_market(
    market: Market,
    descriptor: int,
    *,
    snapshot: bool,
    seconds: float | None,
    speed: float | None,
    began_ns: int,
    clock_ns: Callable[[], int],
    sleep: Callable[[float], None],
) -> None:
    """Write the market to a file descriptor: `seconds` of its own time, or for ever.

    Its first moment is at `began_ns` of `clock_ns`, and `speed` of its seconds pass in one of that clock; None: as fast
    as the reader takes them. Blocks while the reader does not read. Raises BrokenPipeError when the reader is gone.
    """
    _write(descriptor, head(market))
    if snapshot:
        _write(descriptor, market.snapshot().tobytes())
    end_ns = FOR_EVER_NS if seconds is None else market.start_ns + int(seconds * 1e9)
    until_ns = market.start_ns
    while until_ns < end_ns:
        if speed is None:
            until_ns = end_ns
        else:
            sleep(FLUSH_S)
            # An event is told once its records can have been received, and not a moment of its own time sooner.
            until_ns = min(end_ns, market.start_ns + int((clock_ns() - began_ns) * speed) - MAX_LATENCY_NS)
        for batch in market.batches(until_ns):
            _write(descriptor, batch.tobytes())


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view[:ATOMIC_BYTES]) :]
