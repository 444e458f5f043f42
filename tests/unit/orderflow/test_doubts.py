"""What rows of pressure say of the book, from their bits."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.orderflow.builders import LAST, T0, S, mbo_frame

from tapeline.orderflow.doubts import BookDoubt, book_doubts
from tapeline.orderflow.layout import (
    IS_CROSSED,
    IS_LOCKED,
    IS_ONE_SIDED,
    IS_UNKNOWN_ORDER,
    IS_WARMING,
    NULL,
    ROW_LEVEL,
    ROW_REASONS,
    ROW_SLOT,
    ROW_START,
    ROW_WIDTH,
    Int64s,
)
from tapeline.orderflow.partition import PartitionState
from tapeline.orderflow.sessions import Sessions

WINDOWS_MS = (100, 1_000, 60_000)
UNKNOWN_COUNT = -1  # the last of a row's values


def row(reasons: int, *, level: int = 0, slot: int = 0, start: int = 7, unknown: int = NULL) -> list[int]:
    cells = [0] * ROW_WIDTH
    cells[ROW_REASONS], cells[ROW_LEVEL], cells[ROW_SLOT], cells[ROW_START] = reasons, level, slot, start
    cells[UNKNOWN_COUNT] = unknown
    return cells


def doubts(*rows: list[int]) -> list[BookDoubt]:
    matrix: Int64s = np.array(rows, dtype=np.int64).reshape(-1, ROW_WIDTH)
    return book_doubts(matrix, ["ESH4", "ESM4"], WINDOWS_MS)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([row(0)], []),
        ([row(IS_ONE_SIDED)], []),
        ([row(IS_CROSSED)], [("crossed_book", "ESH4", 7, 1)]),
        ([row(IS_LOCKED | IS_ONE_SIDED, slot=1)], [("locked_book", "ESM4", 7, 1)]),
        ([row(IS_CROSSED, level=1), row(IS_LOCKED, level=2)], []),
        ([row(IS_CROSSED, start=9), row(IS_CROSSED, start=8)], [("crossed_book", "ESH4", 8, 2)]),
        (
            [row(IS_CROSSED | IS_LOCKED), row(IS_CROSSED, slot=1)],
            [("crossed_book", "ESH4", 7, 1), ("crossed_book", "ESM4", 7, 1), ("locked_book", "ESH4", 7, 1)],
        ),
        ([row(IS_UNKNOWN_ORDER, level=2, unknown=3)], [("unknown_order", "ESH4", 7, 3)]),
        ([row(IS_UNKNOWN_ORDER, level=2)], [("unknown_order", "ESH4", 7, 1)]),
        ([row(IS_UNKNOWN_ORDER, level=0, unknown=3)], []),
        ([row(IS_UNKNOWN_ORDER | IS_WARMING, level=2, unknown=3)], []),
    ],
)
def test_few_rows_say_anything(rows: list[list[int]], expected: list[tuple[str, str, int, int]]) -> None:
    assert doubts(*rows) == expected


def test_doubts_of_a_stream_are_taken_once() -> None:
    state = PartitionState(Sessions.always())
    orders = [
        (T0, "R", "N", None, 0, 0, LAST),
        (T0 + 1, "A", "B", 11 * S, 1, 1, LAST),
        (T0 + 2, "A", "A", 12 * S, 1, 2, LAST),
    ]
    crossing = [(T0 + S, "A", "B", 13 * S, 1, 3, LAST), (T0 + 3 * S, "C", "B", 13 * S, 1, 3, LAST)]
    state.apply(mbo_frame(orders + crossing))
    taken = state.take_doubts("saved", "GLBX.MDP3/ES.FUT")
    assert [(each.name, each.symbol, each.first_at) for each in taken] == [("crossed_book", "ESH4", T0 + S)]
    assert state.take_doubts("saved", "GLBX.MDP3/ES.FUT") == []
    assert state.take_doubts("saved", "GLBX.MDP3/NQ.FUT") == []
