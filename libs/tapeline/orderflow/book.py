"""Keep resting orders and price levels: the arrays under an order-by-order book.

No function here grows an array: a kernel asks for room before it takes a record.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tapeline.orderflow.compiled import assume_row, inlined, kernel, move_rows
from tapeline.orderflow.layout import (
    BID_LEVELS,
    END,
    LEVELS_USED,
    ORDER_COUNT,
    ORDER_FILLS,
    ORDER_ID,
    ORDER_KEY,
    ORDER_KEY_BEFORE,
    ORDER_NEXT,
    ORDER_OWNER,
    ORDER_SIZE,
    ORDER_SIZE_BEFORE,
    ORDERS_FREE,
    ORDERS_USED,
    PRICE_STEP,
    TOUCHED,
    UNTOUCHED,
    Arrays,
    Int64s,
)

_GOLDEN: Final = -7_046_029_254_386_353_131  # 2^64 / golden ratio, as int64
_ROW: Final = 0xFFFF_FFFF
_TAG: Final = ~_ROW


@inlined
def place_of(a: Arrays, order_id: int, slot: int) -> int:
    """Return where in the table an order of the symbol is, or the free place where it would be.

    An entry holds 32 bits of the id's hash above the order's row + 1, so that a search rarely looks at another order.
    Ids of different symbols may be equal.
    """
    table, orders = a.table, a.orders
    mask = len(table) - 1
    assume_row(mask)
    mixed = order_id * _GOLDEN
    at = (mixed >> 32) & mask
    while True:
        entry = table[at]
        if entry == 0:
            return at
        if (entry ^ mixed) & _TAG == 0:
            row = (entry & _ROW) - 1
            assume_row(row)
            if orders[row, ORDER_ID] == order_id and orders[row, ORDER_OWNER] >> 2 == slot:
                return at
        at = (at + 1) & mask


@inlined
def order_at(table: Int64s, place: int) -> int:
    """Return the row of the order at a place of the table, -1 where the place is free."""
    return int(table[place] & _ROW) - 1


@inlined
def new_order(a: Arrays, order_id: int, slot: int, place: int) -> int:
    """Return the row of a new order of size 0, entered at a free place of the table."""
    row = a.flow[ORDERS_FREE]
    if row >= 0:
        a.flow[ORDERS_FREE] = a.orders[row, ORDER_NEXT]
    else:
        row = a.flow[ORDERS_USED]
        a.flow[ORDERS_USED] = row + 1
    a.orders[row, ORDER_ID] = order_id
    a.orders[row, ORDER_KEY] = 0
    a.orders[row, ORDER_SIZE] = 0
    a.orders[row, ORDER_OWNER] = slot << 2
    a.orders[row, ORDER_NEXT] = UNTOUCHED
    a.symbols[slot, ORDER_COUNT] += 1
    a.table[place] = ((order_id * _GOLDEN) & _TAG) | (row + 1)
    return int(row)


@inlined
def free_order(a: Arrays, row: int, slot: int) -> None:
    """Take an order out of the table, by shifting back what probed past it, and free its row."""
    table = a.table
    mask = len(table) - 1
    assume_row(mask)
    hole = ((a.orders[row, ORDER_ID] * _GOLDEN) >> 32) & mask
    while table[hole] & _ROW != row + 1:
        hole = (hole + 1) & mask
    at = hole
    while True:
        at = (at + 1) & mask
        entry = table[at]
        if entry == 0:
            break
        begin = (entry >> 32) & mask
        if (at - begin) & mask >= (at - hole) & mask:
            table[hole] = entry
            hole = at
    table[hole] = 0
    a.orders[row, ORDER_OWNER] = -1
    a.orders[row, ORDER_NEXT] = a.flow[ORDERS_FREE]
    a.flow[ORDERS_FREE] = row
    a.symbols[slot, ORDER_COUNT] -= 1


@inlined
def touch(a: Arrays, row: int, slot: int) -> None:
    """Remember an order as it was before the event, once per event."""
    if a.orders[row, ORDER_NEXT] == UNTOUCHED:
        owner = a.orders[row, ORDER_OWNER]
        a.orders[row, ORDER_OWNER] = (owner & ~2) | ((owner & 1) << 1)
        a.orders[row, ORDER_SIZE_BEFORE] = a.orders[row, ORDER_SIZE]
        a.orders[row, ORDER_KEY_BEFORE] = a.orders[row, ORDER_KEY]
        a.orders[row, ORDER_FILLS] = 0
        a.orders[row, ORDER_NEXT] = a.symbols[slot, TOUCHED]
        a.symbols[slot, TOUCHED] = row


@inlined
def has_level_room(a: Arrays, slot: int, side: int) -> bool:
    """Say whether one more price fits the side, moving the side to twice its room if need be."""
    at = BID_LEVELS + 3 * side
    length, capacity = a.symbols[slot, at + 1], a.symbols[slot, at + 2]
    if length < capacity:
        return True
    return move_side(a, slot, at)


@kernel
def move_side(a: Arrays, slot: int, at: int) -> bool:
    """Move a side to the end of the pool, with twice its room; False where the pool is too small."""
    offset, length, capacity = a.symbols[slot, at], a.symbols[slot, at + 1], a.symbols[slot, at + 2]
    used = a.flow[LEVELS_USED]
    grown = max(2 * capacity, 16)
    if used + grown > len(a.levels):
        return False
    for i in range(length):
        a.levels[used + i, 0] = a.levels[offset + i, 0]
        a.levels[used + i, 1] = a.levels[offset + i, 1]
    a.symbols[slot, at] = used
    a.symbols[slot, at + 2] = grown
    a.flow[LEVELS_USED] = used + grown
    return True


@kernel
def shift_levels(levels: Int64s, start: int, to: int, count: int) -> None:
    """Move `count` levels from `start` to `to`."""
    move_rows(levels, start, to, count)


@inlined
def change_level(a: Arrays, slot: int, side: int, key: int, change: int) -> None:
    """Add `change` to the resting size at a price; a price without size is no level. Room must be there."""
    at = BID_LEVELS + 3 * side
    levels = a.levels
    offset = a.symbols[slot, at]
    length = a.symbols[slot, at + 1]
    assume_row(offset)
    assume_row(length)
    last = offset + length - 1
    i = last
    if length > 0 and key < levels[last, 0]:
        # Most books have an order at every price near the best: to count steps from there takes no search.
        steps = np.uint64(levels[last, 0] - key) // np.uint64(a.symbols[slot, PRICE_STEP])
        i = last - np.int64(steps)
        if i < offset or i > last or levels[i, 0] != key:
            low, high = offset, last + 1  # the first that is above key
            while low < high:
                middle = (low + high) >> 1
                if levels[middle, 0] > key:
                    high = middle
                else:
                    low = middle + 1
            i = low - 1
    if i >= offset and levels[i, 0] == key:
        size = levels[i, 1] + change
        levels[i, 1] = size
        if size == 0:
            shift_levels(levels, i + 1, i, last - i)
            a.symbols[slot, at + 1] = length - 1
    elif change != 0:
        shift_levels(levels, i + 1, i + 2, last - i)
        levels[i + 1, 0] = key
        levels[i + 1, 1] = change
        if i >= offset:
            a.symbols[slot, PRICE_STEP] = min(a.symbols[slot, PRICE_STEP], key - levels[i, 0])
        if i < last:
            a.symbols[slot, PRICE_STEP] = min(a.symbols[slot, PRICE_STEP], levels[i + 2, 0] - key)
        a.symbols[slot, at + 1] = length + 1


@kernel
def clear_book(a: Arrays, slot: int) -> None:
    """Drop every order and level of a symbol."""
    a.symbols[slot, TOUCHED] = END
    a.symbols[slot, BID_LEVELS + 1] = 0
    a.symbols[slot, BID_LEVELS + 4] = 0
    if a.symbols[slot, ORDER_COUNT] == 0:
        return
    for row in range(a.flow[ORDERS_USED]):
        if a.orders[row, ORDER_OWNER] >> 2 == slot:
            free_order(a, row, slot)


@kernel
def enter_all(orders: Int64s, used: int, table: Int64s) -> None:
    """Write every order in use into an empty table."""
    for row in range(used):
        if orders[row, ORDER_OWNER] >= 0:
            mixed = orders[row, ORDER_ID] * _GOLDEN
            at = (mixed >> 32) & (len(table) - 1)
            while table[at] != 0:
                at = (at + 1) & (len(table) - 1)
            table[at] = (mixed & _TAG) | (row + 1)


@kernel
def move_levels(symbols: Int64s, slots: int, old: Int64s, new: Int64s) -> int:
    """Copy every side into `new`, without the room that moved sides left behind; return how much is used."""
    used = 0
    for slot in range(slots):
        for side in range(2):
            at = BID_LEVELS + 3 * side
            offset = symbols[slot, at]
            for i in range(symbols[slot, at + 1]):
                new[used + i, 0] = old[offset + i, 0]
                new[used + i, 1] = old[offset + i, 1]
            symbols[slot, at] = used
            used += symbols[slot, at + 2]
    return used
