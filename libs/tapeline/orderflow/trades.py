"""Add trades to volumes, to the session's delta, and to sweeps."""

from __future__ import annotations

from typing import Final

from tapeline.orderflow.compiled import inlined
from tapeline.orderflow.layout import (
    BUY,
    CUMULATES,
    CUMULATIVE,
    END,
    EVENT_FLAGS,
    PRINT_NEXT,
    PRINT_ORDER_ID,
    PRINT_PRICE,
    PRINT_SIDE,
    PRINT_SWEEPS,
    PRINT_VOLUME,
    PRINTS,
    PRINTS_FREE,
    PRINTS_USED,
    RUN_PRICE,
    RUN_SIDE,
    RUN_SWEEPS,
    RUN_TS,
    RUN_VOLUME,
    SELL,
    SWEEP_VOLUME,
    SWEEPS_BUY,
    SWEEPS_SELL,
    UNSIGNED,
    Arrays,
)

BUYER: Final = ord("B")
SELLER: Final = ord("A")
NOBODY: Final = ord("N")


@inlined
def add_volume(a: Arrays, slot: int, row: int, side: int, size: int) -> None:
    """Add a trade to its window and to the session's delta."""
    if side == BUYER:
        a.sums[row, BUY] += size
    elif side == SELLER:
        a.sums[row, SELL] += size
        size = -size
    else:
        a.sums[row, UNSIGNED] += size
        return
    if a.symbols[slot, EVENT_FLAGS] & CUMULATES:
        a.symbols[slot, CUMULATIVE] += size


@inlined
def add_print(a: Arrays, slot: int, row: int, side: int, price: int, size: int, order_id: int) -> None:
    """Add a trade to its aggressor; an aggressor that prints at a second price has swept."""
    prints = a.prints
    at = a.symbols[slot, PRINTS]
    while at != END and prints[at, PRINT_ORDER_ID] != order_id:
        at = prints[at, PRINT_NEXT]
    if at == END:
        at = a.flow[PRINTS_FREE]
        if at >= 0:
            a.flow[PRINTS_FREE] = prints[at, PRINT_NEXT]
        else:
            at = a.flow[PRINTS_USED]
            a.flow[PRINTS_USED] = at + 1
        prints[at, PRINT_ORDER_ID] = order_id
        prints[at, PRINT_SIDE] = side
        prints[at, PRINT_PRICE] = price
        prints[at, PRINT_VOLUME] = size
        prints[at, PRINT_SWEEPS] = 0
        prints[at, PRINT_NEXT] = a.symbols[slot, PRINTS]
        a.symbols[slot, PRINTS] = at
        return
    prints[at, PRINT_VOLUME] += size
    if prints[at, PRINT_SWEEPS]:
        a.sums[row, SWEEP_VOLUME] += size
    elif price != prints[at, PRINT_PRICE]:
        prints[at, PRINT_SWEEPS] = 1
        a.sums[row, SWEEPS_BUY if prints[at, PRINT_SIDE] == BUYER else SWEEPS_SELL] += 1
        a.sums[row, SWEEP_VOLUME] += prints[at, PRINT_VOLUME]


@inlined
def add_to_run(a: Arrays, slot: int, row: int, ts: int, side: int, price: int, size: int) -> None:
    """Add a trade to the run of trades of one `ts_event` and side that stands for an aggressor."""
    symbols = a.symbols
    if ts != symbols[slot, RUN_TS] or side != symbols[slot, RUN_SIDE]:
        symbols[slot, RUN_TS] = ts
        symbols[slot, RUN_SIDE] = side
        symbols[slot, RUN_PRICE] = price
        symbols[slot, RUN_VOLUME] = size
        symbols[slot, RUN_SWEEPS] = 0
        return
    symbols[slot, RUN_VOLUME] += size
    if side == NOBODY:
        return
    if symbols[slot, RUN_SWEEPS]:
        a.sums[row, SWEEP_VOLUME] += size
    elif price != symbols[slot, RUN_PRICE]:
        symbols[slot, RUN_SWEEPS] = 1
        a.sums[row, SWEEPS_BUY if side == BUYER else SWEEPS_SELL] += 1
        a.sums[row, SWEEP_VOLUME] += symbols[slot, RUN_VOLUME]
