"""Small DBN files, written with the vendor's own types."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import databento_dbn as dbn

START_NS = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z
LATENCY_NS = 100
DATASET = "XTST.SYNTH"  # of no exchange, so that it trades at all hours


def head(
    symbols: Iterable[str] = ("NQH6",), *, start_ns: int = START_NS, dataset: str = DATASET, first_id: int = 7
) -> bytes:
    """Return the metadata of a file whose symbols have the ids `first_id`, `first_id` + 1, … on its first ten days."""
    first = datetime.fromtimestamp(start_ns / 1e9, UTC).date()
    names = list(symbols)
    return bytes(
        dbn.Metadata(
            dataset=dataset,
            start=start_ns,
            stype_in=dbn.SType.RAW_SYMBOL,
            stype_out=dbn.SType.INSTRUMENT_ID,
            schema=dbn.Schema.MBO,
            symbols=names,
            mappings=[_mapping(name, first_id + index, first) for index, name in enumerate(names)],
        )
    )


def mbo(sequence: int, received_ns: int, *, instrument_id: int = 7, flags: int = 130) -> bytes:
    """Return one added order, received `LATENCY_NS` after its event."""
    return bytes(
        dbn.MBOMsg(
            publisher_id=1,
            instrument_id=instrument_id,
            ts_event=received_ns - LATENCY_NS,
            order_id=sequence,
            price=25_000_000_000_000,
            size=1,
            action=dbn.Action.ADD,
            side=dbn.Side.BID,
            ts_recv=received_ns,
            flags=flags,
            ts_in_delta=5,
            sequence=sequence,
        )
    )


def orders(count: int, *, start_ns: int = START_NS, step_ns: int = 1_000_000, first: int = 0) -> bytes:
    """Return `count` orders, `step_ns` apart, with the sequences `first`, `first` + 1, …"""
    return b"".join(mbo(first + index, start_ns + index * step_ns) for index in range(count))


def write(path: Path, *parts: bytes) -> Path:
    """Write `parts` to `path` and return it."""
    path.write_bytes(b"".join(parts))
    return path


def _mapping(symbol: str, instrument_id: int, first: date) -> SimpleNamespace:
    interval = SimpleNamespace(start_date=first, end_date=first + timedelta(days=10), symbol=str(instrument_id))
    return SimpleNamespace(raw_symbol=symbol, intervals=[interval])
