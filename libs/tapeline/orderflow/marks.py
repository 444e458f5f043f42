"""Apply what is no tick: clocks, gaps, halts, the end of a session."""

from __future__ import annotations

from tapeline.orderflow.compiled import kernel
from tapeline.orderflow.events import close_due, drop_event, seek_segment
from tapeline.orderflow.layout import (
    BOOK,
    CUMULATIVE_FROM,
    CUMULATIVE_LOST,
    FAST_FROM,
    FAST_TO,
    GAP_FROM,
    GAP_TO,
    IS_GAP,
    IS_TOUCHED,
    LOST,
    NO_BOOK,
    NONE,
    NULL,
    PREVIOUS_SEGMENT,
    REASONS,
    SEGMENT_DAY_CLOSE,
    SEGMENT_FROM,
    SEGMENT_TO,
    SLOTS,
    START,
    STATUS,
    STATUS_UNTIL,
    TIME,
    WATERMARK,
    Arrays,
)
from tapeline.orderflow.windows import close_window, row_of, weigh


@kernel
def take_clock(a: Arrays, ts: int, kind: int) -> None:
    """Raise the watermark to `ts`, ns since the epoch, and close what it has passed. Rows must have room."""
    if ts > a.flow[WATERMARK]:
        a.flow[WATERMARK] = ts
        close_due(a, kind)


@kernel
def set_gap(a: Arrays, slot: int, ts_from: int, ts_to: int) -> None:
    """Set the bounds of a symbol's latest gap; windows that open from now on are touched where they overlap it."""
    symbols = a.symbols
    symbols[slot, GAP_FROM] = ts_from
    symbols[slot, GAP_TO] = ts_to
    symbols[slot, FAST_FROM] = 0
    symbols[slot, FAST_TO] = 0


@kernel
def lose(a: Arrays, slot: int, ts_from: int, ts_to: int) -> None:
    """Take note that records of [ts_from, ts_to) are missing: an unfinished event is void, the book is invalid."""
    symbols = a.symbols
    drop_event(a, slot)
    if symbols[slot, BOOK] != NO_BOOK:
        symbols[slot, BOOK] = LOST
    symbols[slot, PREVIOUS_SEGMENT] = NONE
    a.standing[slot, TIME] = 0.0
    if symbols[slot, GAP_TO] > symbols[slot, CUMULATIVE_FROM]:
        symbols[slot, CUMULATIVE_LOST] = min(symbols[slot, CUMULATIVE_LOST], symbols[slot, GAP_FROM])
    set_gap(a, slot, ts_from, ts_to)
    for level in range(len(a.windows_ns)):
        row = row_of(a, slot, level)
        start = a.sums[row, START]
        if start != NULL and ts_from < start + a.windows_ns[level] and start < ts_to:
            a.sums[row, REASONS] |= IS_TOUCHED | IS_GAP


@kernel
def close_all(a: Arrays, kind: int) -> None:
    """Close every open window as one that a gap touches. Rows must have room."""
    for slot in range(a.flow[SLOTS]):
        drop_event(a, slot)
        for level in range(len(a.windows_ns)):
            row = row_of(a, slot, level)
            if a.sums[row, START] != NULL:
                a.sums[row, REASONS] |= IS_TOUCHED | IS_GAP
                close_window(a, slot, level, kind)


@kernel
def set_status(a: Arrays, slot: int, ts: int, is_trading: int) -> None:
    """Let a status message (1 or 0) overrule the calendar until its session ends; between sessions, until one opens."""
    symbols = a.symbols
    if not a.flow[SEGMENT_FROM] <= ts < a.flow[SEGMENT_TO]:
        seek_segment(a, ts)
    symbols[slot, STATUS] = is_trading
    symbols[slot, STATUS_UNTIL] = a.flow[SEGMENT_DAY_CLOSE]
    symbols[slot, FAST_FROM] = 0
    symbols[slot, FAST_TO] = 0
    if is_trading:
        return
    for level in range(len(a.windows_ns)):
        row = row_of(a, slot, level)
        if a.sums[row, START] != NULL:
            weigh(a, slot, min(ts, a.sums[row, START] + a.windows_ns[level]), row)
            break
    a.standing[slot, TIME] = 0.0
    symbols[slot, PREVIOUS_SEGMENT] = NONE
