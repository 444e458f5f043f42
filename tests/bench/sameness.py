"""Hold the plain program with every metric to Tapeline's own rows, and give it the sessions it has to know."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import orjson
from same_pressure import Row, SamePressure, Session
from ticks_file import TicksFile, batches, frames

from tapeline.orderflow.partition import PartitionState
from tapeline_processor.app import sessions


def sessions_of(file: TicksFile) -> list[Session]:
    """Return the trading sessions of the file's dataset around its ticks."""
    first = next(batches(file.path))
    table = sessions().of(first.dataset).table()
    at = int(np.searchsorted(table[:, 0], int(first.columns["ts_event"].max()), side="right"))
    found = table[max(0, at - 3) : at + 3].tolist()
    return [(opens, closes, day, day_opens) for opens, closes, day, day_opens, _ in found]


def check(file: TicksFile, messages: Iterable[bytes]) -> int:
    """Compare what both programs make of the same ticks, field by field; return the number of rows.

    `messages` are ticks of the file from its first one on. Raises RuntimeError where any row differs.
    """
    plain = SamePressure(sessions_of(file))
    found = [row for message in messages for row in plain.update(orjson.loads(message))]
    state = PartitionState(sessions())
    expected: dict[tuple[int, str], Row] = {}
    for frame in frames(file.path):
        for closed in state.apply(frame):
            expected |= {(row["window_ms"], row["window_start"]): row for row in orjson.loads(closed.value)["rows"]}
    wrong = [row for row in found if row != expected.get((row["window_ms"], row["window_start"]))]
    if wrong or not found:
        raise RuntimeError(
            f"the plain program and the kernels differ in {len(wrong)} of {len(found)} rows: {wrong[:1]}"
        )
    return len(found)
