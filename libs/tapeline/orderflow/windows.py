"""Open and close windows, weight the standing top with time, and turn closed windows into rows.

Windows nest: each length divides the next. So a value is summed once, in the shortest window that is still open for
its event, and goes up to the next longer one when that closes.
"""

from __future__ import annotations

import numpy as np

from tapeline.model.windows import CLOSE_AFTER_NS
from tapeline.orderflow.compiled import inlined
from tapeline.orderflow.layout import (
    ADDED,
    ASK_LEVELS,
    ASK_PRICE,
    ASK_SIZE,
    BAD,
    BID_LEVELS,
    BID_PRICE,
    BID_SIZE,
    BOOK,
    BOOK_IS_INVALID,
    BUY,
    CANCELLED,
    CONTRIBUTING,
    CUMULATIVE,
    CUMULATIVE_FROM,
    CUMULATIVE_LOST,
    DEPTH,
    EVENT_ROW,
    FAST_FROM,
    FAST_TO,
    FOLDED_FROM,
    FOLDED_TO,
    GAP_FROM,
    GAP_TO,
    GAP_UNTIL_NEXT_EVENT,
    IMBALANCE,
    IS_BAD_BOOK,
    IS_BOOKLESS,
    IS_CROSSED,
    IS_GAP,
    IS_LATE,
    IS_TOUCHED,
    IS_UNKNOWN_ORDER,
    IS_WARMING,
    LATE,
    LATEST,
    LOST,
    MBO,
    MODIFY_UNKNOWN,
    NEXT_DEADLINE,
    NO_ASK,
    NO_BID,
    NO_BOOK,
    NULL,
    QUEUE,
    RATIO_UNIT,
    REASONS,
    REPLACED,
    ROW_LEVEL,
    ROW_REASONS,
    ROW_SLOT,
    ROW_START,
    ROW_VALUES,
    ROWS_USED,
    SELL,
    SPREAD,
    START,
    SUMS_WIDTH,
    SWEEP_VOLUME,
    SWEEPS_BUY,
    SWEEPS_SELL,
    TIME,
    UNSIGNED,
    VALID,
    WARMING,
    WATERMARK,
    WEIGHTED_UNTIL,
    WEIGHTS_WIDTH,
    Arrays,
    Int64s,
)

DEPTH_LEVELS = 5
_RATIO_LIMIT = 9.2e18


@inlined
def row_of(a: Arrays, slot: int, level: int) -> int:
    """Return the row of `sums` and `weights` of a symbol's window."""
    return slot * (len(a.windows_ns) + 1) + level


@inlined
def weigh(a: Arrays, slot: int, until: int, row: int) -> None:
    """Add the time since the standing top was last weighed to a window. Time never runs back."""
    ns = until - a.symbols[slot, WEIGHTED_UNTIL]
    if a.symbols[slot, WEIGHTED_UNTIL] == NULL:
        a.symbols[slot, WEIGHTED_UNTIL] = until
    elif ns > 0:
        a.symbols[slot, WEIGHTED_UNTIL] = until
        if a.standing[slot, TIME] != 0.0:
            weight = float(ns)
            a.weights[row, TIME] += weight
            a.weights[row, DEPTH] += a.standing[slot, DEPTH] * weight
            a.weights[row, QUEUE] += a.standing[slot, QUEUE] * weight
            a.weights[row, SPREAD] += a.standing[slot, SPREAD] * weight


@inlined
def ratio(numerator: float, denominator: float) -> int:
    """Return numerator ÷ denominator × RATIO_UNIT, rounded half to even; NULL where the denominator is 0."""
    if denominator == 0.0:
        return NULL
    scaled = numerator / denominator * RATIO_UNIT
    return int(np.rint(min(max(scaled, -_RATIO_LIMIT), _RATIO_LIMIT)))


@inlined
def depth_of(levels: Int64s, offset: int, length: int) -> int:
    """Return the size at the best DEPTH_LEVELS prices of a side."""
    total = 0
    for i in range(max(0, length - DEPTH_LEVELS), length):
        total += levels[offset + i, 1]
    return total


@inlined
def write_row(a: Arrays, slot: int, level: int, row: int, kind: int) -> None:
    """Append the row of a window that closes now."""
    out = a.flow[ROWS_USED]
    a.flow[ROWS_USED] = out + 1
    rows, sums, weights, symbols = a.rows, a.sums, a.weights, a.symbols
    start = sums[row, START]
    reasons = sums[row, REASONS]
    book = symbols[slot, BOOK]
    if book == WARMING:
        reasons |= IS_WARMING
    elif book == LOST:
        reasons |= IS_GAP
    elif book == BAD:
        reasons |= IS_BAD_BOOK
    elif book == NO_BOOK:
        reasons |= IS_BOOKLESS
    if sums[row, LATE] > 0:
        reasons |= IS_LATE
    if sums[row, MODIFY_UNKNOWN] > 0:
        reasons |= IS_UNKNOWN_ORDER
    rows[out, ROW_SLOT] = slot
    rows[out, ROW_LEVEL] = level
    rows[out, ROW_START] = start
    rows[out, ROW_REASONS] = reasons
    for i in range(24):
        rows[out, ROW_VALUES + i] = NULL

    if reasons & BOOK_IS_INVALID == 0:
        if reasons & IS_CROSSED == 0 and sums[row, CONTRIBUTING] > 0:
            imbalance = sums[row, IMBALANCE]
            rows[out, ROW_VALUES] = imbalance
            rows[out, ROW_VALUES + 1] = ratio(imbalance * weights[row, TIME], weights[row, DEPTH])
        rows[out, ROW_VALUES + 3] = ratio(weights[row, QUEUE], weights[row, TIME])
        if weights[row, TIME] > 0.0:
            rows[out, ROW_VALUES + 5] = int(np.rint(weights[row, SPREAD] / weights[row, TIME]))
        if kind == MBO:
            for i in range(8):
                rows[out, ROW_VALUES + 12 + i] = sums[row, ADDED + i]
            cancelled = sums[row, CANCELLED] + sums[row, CANCELLED + 1]
            added = sums[row, ADDED] + sums[row, ADDED + 1]
            replaced = sums[row, REPLACED] + sums[row, REPLACED + 1]
            rows[out, ROW_VALUES + 20] = ratio(cancelled - replaced, added - replaced)
    if book == VALID:
        bid_price, bid_size = symbols[slot, BID_PRICE], symbols[slot, BID_SIZE]
        ask_price, ask_size = symbols[slot, ASK_PRICE], symbols[slot, ASK_SIZE]
        if bid_price != NO_BID and ask_price != NO_ASK:
            rows[out, ROW_VALUES + 2] = ratio(bid_size - ask_size, bid_size + ask_size)
            if bid_size + ask_size > 0:
                share = float(ask_price - bid_price) * float(bid_size) / float(bid_size + ask_size)
                rows[out, ROW_VALUES + 4] = bid_price + int(np.rint(share))
        if kind == MBO:
            bids = depth_of(a.levels, symbols[slot, BID_LEVELS], symbols[slot, BID_LEVELS + 1])
            asks = depth_of(a.levels, symbols[slot, ASK_LEVELS], symbols[slot, ASK_LEVELS + 1])
            rows[out, ROW_VALUES + 6] = ratio(bids - asks, bids + asks)
    if reasons & IS_TOUCHED == 0:
        buy, sell = sums[row, BUY], sums[row, SELL]
        rows[out, ROW_VALUES + 7] = buy
        rows[out, ROW_VALUES + 8] = sell
        rows[out, ROW_VALUES + 9] = sums[row, UNSIGNED]
        rows[out, ROW_VALUES + 10] = ratio(buy - sell, buy + sell)
        rows[out, ROW_VALUES + 21] = sums[row, SWEEPS_BUY]
        rows[out, ROW_VALUES + 22] = sums[row, SWEEPS_SELL]
        rows[out, ROW_VALUES + 23] = sums[row, SWEEP_VOLUME]
    end = start + a.windows_ns[level]
    has_gap = symbols[slot, GAP_FROM] < end and symbols[slot, CUMULATIVE_FROM] < symbols[slot, GAP_TO]
    if not has_gap and end <= symbols[slot, CUMULATIVE_LOST]:
        rows[out, ROW_VALUES + 11] = symbols[slot, CUMULATIVE]
    rows[out, ROW_VALUES + 24] = sums[row, LATE]
    rows[out, ROW_VALUES + 25] = sums[row, MODIFY_UNKNOWN]


@inlined
def close_window(a: Arrays, slot: int, level: int, kind: int) -> None:
    """Write a window's row, add its sums to the next longer one, and empty it."""
    row = row_of(a, slot, level)
    weigh(a, slot, a.sums[row, START] + a.windows_ns[level], row)
    write_row(a, slot, level, row, kind)
    if level + 1 < len(a.windows_ns):
        a.sums[row + 1, REASONS] |= a.sums[row, REASONS]
        for i in range(FOLDED_FROM, FOLDED_TO):
            a.sums[row + 1, i] += a.sums[row, i]
        for i in range(WEIGHTS_WIDTH):
            a.weights[row + 1, i] += a.weights[row, i]
    for i in range(SUMS_WIDTH):
        a.sums[row, i] = 0
    for i in range(WEIGHTS_WIDTH):
        a.weights[row, i] = 0.0
    a.sums[row, START] = NULL
    if level == 0:
        a.symbols[slot, FAST_FROM] = 0
        a.symbols[slot, FAST_TO] = 0


@inlined
def enter_windows(a: Arrays, slot: int, ts: int, kind: int) -> None:
    """Close what the event at `ts` is past, open what it falls into, and count it where it is late."""
    levels = len(a.windows_ns)
    first = row_of(a, slot, 0)
    for level in range(levels):
        start = a.sums[first + level, START]
        if start != NULL:
            if ts < start + a.windows_ns[level]:
                break
            close_window(a, slot, level, kind)
    if a.symbols[slot, GAP_TO] == GAP_UNTIL_NEXT_EVENT:
        a.symbols[slot, GAP_TO] = ts + 1
    event_level = levels
    for level in range(levels - 1, -1, -1):
        row = first + level
        if a.sums[row, START] != NULL:
            is_late = ts < a.sums[row, START]
        else:
            length = a.windows_ns[level]
            start = ts // length * length
            end = start + length
            is_late = end <= a.symbols[slot, LATEST] or end + CLOSE_AFTER_NS <= a.flow[WATERMARK]
            if not is_late:
                weigh(a, slot, start, row + 1)
                a.sums[row, START] = start
                if a.symbols[slot, GAP_FROM] < end and start < a.symbols[slot, GAP_TO]:
                    a.sums[row, REASONS] |= IS_TOUCHED | IS_GAP
                a.flow[NEXT_DEADLINE] = min(a.flow[NEXT_DEADLINE], end + CLOSE_AFTER_NS)
        if is_late:
            a.sums[row, LATE] += 1
        else:
            event_level = level
    a.symbols[slot, EVENT_ROW] = first + event_level
    a.symbols[slot, LATEST] = max(a.symbols[slot, LATEST], ts)
    a.symbols[slot, FAST_FROM] = a.sums[first, START] if event_level == 0 else 0
    a.symbols[slot, FAST_TO] = a.sums[first, START] + a.windows_ns[0] if event_level == 0 else 0
