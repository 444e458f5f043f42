"""Make the arrays of a (stream, kind) and give them room."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tapeline.orderflow.book import enter_all, move_levels
from tapeline.orderflow.layout import (
    ASK_PRICE,
    BID_PRICE,
    BOOK,
    CUMULATIVE_DAY,
    CUMULATIVE_FROM,
    CUMULATIVE_LOST,
    END,
    EVENT_SEGMENT,
    FLOW_WIDTH,
    GAP_FROM,
    GAP_TO,
    LATEST,
    LEVELS_USED,
    NEXT_DEADLINE,
    NO_ASK,
    NO_BID,
    NO_BOOK,
    NO_STATUS,
    NONE,
    NULL,
    ORDER_WIDTH,
    ORDERS_FREE,
    ORDERS_USED,
    PREVIOUS_SEGMENT,
    PRICE_STEP,
    PRINT_WIDTH,
    PRINTS,
    PRINTS_FREE,
    PRINTS_USED,
    ROW_WIDTH,
    RUN_TS,
    SEGMENT_FROM,
    SEGMENT_TO,
    SLOTS,
    START,
    STATUS,
    SUMS_WIDTH,
    SYMBOL_WIDTH,
    TOUCHED,
    WARMING,
    WATERMARK,
    WEIGHTED_UNTIL,
    WEIGHTS_WIDTH,
    Arrays,
    Int64s,
)
from tapeline.orderflow.packing import Unpacker

ROWS: Final = 1_024
_NEW_SYMBOL: Final = np.zeros(SYMBOL_WIDTH, dtype=np.int64)
for _column, _value in {
    TOUCHED: END,
    PRINTS: END,
    BID_PRICE: NO_BID,
    ASK_PRICE: NO_ASK,
    LATEST: NULL,
    EVENT_SEGMENT: NONE,
    PREVIOUS_SEGMENT: NONE,
    BOOK: WARMING,
    WEIGHTED_UNTIL: NULL,
    CUMULATIVE_DAY: NONE,
    CUMULATIVE_FROM: NULL,
    CUMULATIVE_LOST: NONE,
    GAP_FROM: NONE,
    GAP_TO: NULL,
    STATUS: NO_STATUS,
    RUN_TS: NULL,
    PRICE_STEP: NONE,
}.items():
    _NEW_SYMBOL[_column] = _value


_LINE_BYTES: Final = 64


def zeros(*shape: int, dtype: npt.DTypeLike = np.int64) -> npt.NDArray[Any]:
    """Return zeros that begin at a cache line, so that a row of 64 bytes is one line and not two."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.zeros(size + _LINE_BYTES, dtype=np.uint8)
    start = -memory.ctypes.data % _LINE_BYTES
    return memory[start : start + size].view(dtype).reshape(shape)


def new_arrays(windows_ns: Int64s, sessions: Int64s) -> Arrays:
    """Return the state before anything happened."""
    a = Arrays(
        flow=zeros(FLOW_WIDTH),
        symbols=zeros(0, SYMBOL_WIDTH),
        standing=zeros(0, WEIGHTS_WIDTH, dtype=np.float64),
        sums=zeros(0, SUMS_WIDTH),
        weights=zeros(0, WEIGHTS_WIDTH, dtype=np.float64),
        orders=zeros(64, ORDER_WIDTH),
        table=new_table(64),
        levels=zeros(128, 2),
        prints=zeros(16, PRINT_WIDTH),
        rows=zeros(0, ROW_WIDTH),
        windows_ns=windows_ns,
        sessions=sessions,
    )
    clear(a)
    return a


def clear(a: Arrays) -> None:
    """Forget everything but keep the room: what comes next will likely need as much."""
    a.flow[:] = 0
    a.flow[WATERMARK] = NULL
    a.flow[NEXT_DEADLINE] = NONE
    a.flow[[ORDERS_FREE, PRINTS_FREE]] = END
    for array in (a.symbols, a.standing, a.sums, a.weights, a.table):
        array[:] = 0


def new_table(orders: int) -> Int64s:
    """Return an empty table that `orders` (a power of two) fill at most by half."""
    return zeros(2 * orders)


def grown(array: npt.NDArray[Any], length: int) -> npt.NDArray[Any]:
    """Return a copy with room for `length` rows, 0 where new."""
    out = zeros(length, *array.shape[1:], dtype=array.dtype)
    out[: len(array)] = array
    return out


def with_slot(a: Arrays, slot: int, *, has_book: bool) -> Arrays:
    """Return the state with a fresh symbol in the next slot."""
    levels = len(a.windows_ns) + 1
    if slot == len(a.symbols):
        room = max(4, 2 * slot)
        a = a._replace(
            symbols=grown(a.symbols, room),
            standing=grown(a.standing, room),
            sums=grown(a.sums, room * levels),
            weights=grown(a.weights, room * levels),
            rows=grown(a.rows, ROWS + room * levels),
        )
    a.symbols[slot] = _NEW_SYMBOL
    a.sums[slot * levels : (slot + 1) * levels, START] = NULL
    if not has_book:
        a.symbols[slot, BOOK] = NO_BOOK
    a.flow[SLOTS] = slot + 1
    return a


def with_more_orders(a: Arrays) -> Arrays:
    """Return the state with room for twice as many orders."""
    room = 2 * len(a.orders)
    table = new_table(room)
    enter_all(a.orders, int(a.flow[ORDERS_USED]), table)
    return a._replace(orders=grown(a.orders, room), table=table)


def with_more_levels(a: Arrays) -> Arrays:
    """Return the state with room for every side to double."""
    levels = zeros(2 * len(a.levels), 2)
    a.flow[LEVELS_USED] = move_levels(a.symbols, int(a.flow[SLOTS]), a.levels, levels)
    return a._replace(levels=levels)


def with_more_prints(a: Arrays) -> Arrays:
    """Return the state with room for twice as many aggressors in open events."""
    return a._replace(prints=grown(a.prints, 2 * len(a.prints)))


def packed(a: Arrays) -> list[npt.NDArray[Any]]:
    """Return copies of what is in use of the arrays that make up the state; the table follows from the orders."""
    slots = int(a.flow[SLOTS])
    rows = slots * (len(a.windows_ns) + 1)
    lengths = (FLOW_WIDTH, slots, slots, rows, rows, *(int(a.flow[i]) for i in (ORDERS_USED, LEVELS_USED, PRINTS_USED)))
    arrays = (a.flow, a.symbols, a.standing, a.sums, a.weights, a.orders, a.levels, a.prints)
    copies = [array[:length].copy() for array, length in zip(arrays, lengths, strict=True)]
    copies[0][[SEGMENT_FROM, SEGMENT_TO]] = 0  # who takes over looks into a calendar of its own
    return copies


def unpacked(unpacker: Unpacker, fresh: Arrays, lengths: list[int]) -> Arrays:
    """Return the state that `packed` copied; `fresh` is one before anything happened."""
    flow = grown(unpacker.array(np.int64, (lengths[0],)), FLOW_WIDTH)
    parts = [
        unpacker.array(dtype, (length, width))
        for dtype, length, width in (
            (np.int64, lengths[1], SYMBOL_WIDTH),
            (np.float64, lengths[2], WEIGHTS_WIDTH),
            (np.int64, lengths[3], SUMS_WIDTH),
            (np.float64, lengths[4], WEIGHTS_WIDTH),
            (np.int64, lengths[5], ORDER_WIDTH),
            (np.int64, lengths[6], 2),
            (np.int64, lengths[7], PRINT_WIDTH),
        )
    ]
    symbols, standing, sums, weights, orders, levels, prints = parts
    room = max(len(fresh.orders), 1 << (len(orders) - 1).bit_length())
    orders, used = grown(orders, room), orders
    table = new_table(room)
    enter_all(orders, len(used), table)
    return fresh._replace(
        flow=flow,
        symbols=grown(symbols, len(symbols)),
        standing=grown(standing, len(standing)),
        sums=grown(sums, len(sums)),
        weights=grown(weights, len(weights)),
        orders=orders,
        table=table,
        levels=grown(levels, max(len(fresh.levels), len(levels))),
        prints=grown(prints, max(len(fresh.prints), len(prints))),
        rows=zeros(ROWS + len(sums) if len(symbols) else 0, ROW_WIDTH),
    )
