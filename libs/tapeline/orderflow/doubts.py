"""What rows of pressure from orders say of the book, for whoever judges its quality: few of them say anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from tapeline.orderflow.layout import (
    BOOK_IS_INVALID,
    IS_CROSSED,
    IS_LOCKED,
    IS_UNKNOWN_ORDER,
    METRICS,
    ROW_LEVEL,
    ROW_REASONS,
    ROW_SLOT,
    ROW_START,
    ROW_VALUES,
    Int64s,
)

_SHORTEST: Final = 0
_UNKNOWN_COUNT: Final = ROW_VALUES + [name for name, _ in METRICS].index("modify_unknown_count")
_ANY: Final = IS_CROSSED | IS_LOCKED | IS_UNKNOWN_ORDER
_COUNTED_MS: Final = 60_000
"""Orders that are not known are counted in windows of this length."""


class BookDoubt(NamedTuple):
    """Something the book of a symbol was like: ``crossed_book``, ``locked_book`` or ``unknown_order``.

    `times`: in how many of the shortest windows, or of how many orders; `first_at` begins the first one, ns.
    """

    name: str
    symbol: str
    first_at: int
    times: int


def book_doubts(rows: Int64s, symbols: Sequence[str], windows_ms: Sequence[int]) -> list[BookDoubt]:
    """Return what closed windows (layout.ROW_…) say of the books of `symbols`, by slot; mostly nothing."""
    reasons = rows[:, ROW_REASONS]
    if not (reasons & _ANY).any():
        return []
    is_short = rows[:, ROW_LEVEL] == _SHORTEST
    doubts = []
    for name, bit in (("crossed_book", IS_CROSSED), ("locked_book", IS_LOCKED)):
        found = rows[is_short & (reasons & bit > 0)]
        doubts += _by_symbol(name, found, np.ones(len(found), dtype=np.int64), symbols)
    if _COUNTED_MS in windows_ms:
        is_valid = (reasons & IS_UNKNOWN_ORDER > 0) & (reasons & BOOK_IS_INVALID == 0)
        found = rows[is_valid & (rows[:, ROW_LEVEL] == list(windows_ms).index(_COUNTED_MS))]
        doubts += _by_symbol("unknown_order", found, np.maximum(found[:, _UNKNOWN_COUNT], 1), symbols)
    return doubts


def _by_symbol(name: str, rows: Int64s, counts: Int64s, symbols: Sequence[str]) -> list[BookDoubt]:
    return [
        BookDoubt(name, symbols[slot], int(rows[chosen, ROW_START].min()), int(counts[chosen].sum()))
        for slot in np.unique(rows[:, ROW_SLOT]).tolist()
        for chosen in (rows[:, ROW_SLOT] == slot,)
    ]
