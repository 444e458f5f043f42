"""Read the rows that a partition state gives."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
from tests.unit.orderflow.builders import MS, S, clock_frame

from tapeline.model.frames import TickFrame
from tapeline.orderflow.partition import PartitionState
from tapeline.orderflow.sessions import Sessions

Row = dict[str, Any]


def rows_of(state: PartitionState, frames: Iterable[TickFrame], window_ms: int | None = 100) -> list[Row]:
    """Return the rows that frames close, of one window length (None: of all), in their order."""
    rows = []
    for frame in frames:
        for message in state.apply(frame):
            document = json.loads(message.value)
            assert len(document["rows"]) == message.rows
            rows += document["rows"]
    return [row for row in rows if window_ms is None or row["window_ms"] == window_ms]


def closed(state: PartitionState, frames: Iterable[TickFrame], window_ms: int | None = 100, **header: Any) -> list[Row]:
    """Return the rows of frames, and of a clock of each kind that closes every window."""
    frames = list(frames)
    kinds = dict.fromkeys(frame.kind for frame in frames if len(frame) and frame.kind != "status")
    ends = [int(frame.ts_event().max()) for frame in frames if len(frame)]
    clock = clock_frame({kind: max(ends) + 61 * S for kind in kinds}, **header)
    return rows_of(state, [*frames, clock], window_ms)


def value(row: Row, *names: str) -> Any:
    """Return one value of a row, or a tuple of several."""
    return row[names[0]] if len(names) == 1 else tuple(row[name] for name in names)


def session(*intervals: tuple[int, int], days: tuple[int, ...] | None = None) -> Sessions:
    """Return sessions of [open, close) intervals, each a day of its own unless `days` says otherwise."""
    opens, closes = np.array(intervals, dtype=np.int64).T
    return Sessions(opens, closes, np.array(days or range(1, len(intervals) + 1), dtype=np.int32))


def always() -> PartitionState:
    """Return a state in an endless session."""
    return PartitionState(Sessions.always())


__all__ = ["MS", "Row", "S", "always", "closed", "rows_of", "session", "value"]
