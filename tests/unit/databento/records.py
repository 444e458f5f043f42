"""Batches and control records of a live session, small."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import databento_dbn as dbn
import numpy as np

from tapeline.feed.dbn_decoder import DbnBatch
from tapeline.feed.dbn_records import Array, layouts
from tapeline.feed.framer import Instrument, Ticks
from tapeline.model.columns import COLUMNS, TickKind

DATASET = "GLBX.MDP3"
STREAM = f"{DATASET}/NQ.FUT"
START_NS = 1_790_000_000_000_000_000  # 2026-09-21T14:13:20Z, a Monday, the market is open
LAYOUTS = layouts(3, ts_out=False)


def mappings(*of: tuple[int, str, str]) -> Array:
    """Return mapping records: instrument id, symbol as subscribed, raw symbol."""
    data = b"".join(
        bytes(dbn.SymbolMappingMsg(1, number, START_NS, dbn.SType.PARENT, asked, dbn.SType.RAW_SYMBOL, raw, 0, 0))
        for number, asked, raw in of
    )
    return np.frombuffer(data, dtype=LAYOUTS[0x16].record)


def columns(kind: TickKind, count: int, **given: Sequence[int]) -> dict[str, Any]:
    """Return the columns of `count` ticks, 1 ms apart, zero where nothing is given."""
    made: dict[str, Any] = {}
    for column in COLUMNS[kind]:
        if column.name != "symbol":
            fill = ord(column.letters[0]) if column.is_text else 0
            made[column.name] = np.full(count, fill, dtype=column.dtype)
    made["ts_event"] = START_NS + np.arange(count) * 1_000_000
    made["ts_recv"] = made["ts_event"] + 100
    for name, values in given.items():
        made[name] = np.array(values, dtype=made[name].dtype)
    return made


def batch(
    kind: TickKind, ids: Sequence[int], undefined: dict[str, Sequence[int]] | None = None, **given: Sequence[int]
) -> DbnBatch:
    """Return a batch of ticks, one per id."""
    marked = {name: np.array(rows, dtype=np.int64) for name, rows in (undefined or {}).items()}
    return DbnBatch(kind, 1, np.array(ids, dtype=np.uint32), columns(kind, len(ids), **given), marked)


def ticks(kind: TickKind, ids: Sequence[int], stream: str = STREAM, **given: Sequence[int]) -> Ticks:
    """Return ticks of one stream, whose instruments are called by their ids."""
    directory = {number: Instrument(f"NQ{number}", "F") for number in ids}
    numbers = np.array(ids, dtype=np.int64)
    return Ticks(stream, DATASET, 1, kind, numbers, columns(kind, len(ids), **given), {}, directory, "live")
