"""The rules that one tick is held against: a few comparisons each, compiled into the kernels."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from tapeline.model.columns import F_BAD_TS_RECV, F_MAYBE_BAD_BOOK, INT64_MAX
from tapeline.ops.kernels import Kernels
from tapeline.quality.tick_kernels.layout import (
    BAD_BOOK,
    COUNT,
    DISTANCE,
    EARLIEST_RECEIPT_NS,
    FIRST_AT,
    FUTURE,
    HAS_FINDING,
    IS_HALTED,
    KIND_OF,
    LAST_SEQUENCE,
    LAST_TS,
    LATEST_RECEIPT_NS,
    LEVEL_AFTER,
    LOWER,
    MEAN,
    NEIGHBOURS,
    NOT_POSITIVE,
    NULL,
    OFF_GRID,
    OUT_OF_BANDS,
    OUTLIER,
    OUTLIER_DISTANCES,
    OUTLIER_TICKS,
    RULES_FROM,
    SEEN_AT,
    SEQUENCE_BACK,
    SKEWED,
    SPREAD,
    STALE,
    STALE_NS,
    STALE_TICKS,
    STATUS_AT,
    STRANGE,
    TICK_HIGH,
    TICK_LIMIT,
    TICK_LOW,
    TICKS,
    TIME_BACK,
    TRADED_AT,
    TRADES,
    TRADES_APART_NS,
    UNDEFINED,
    UPPER,
    USUAL,
    WORST,
    Int64s,
)

KERNELS: Final = Kernels(Path(__file__).parent)
kernel = KERNELS.kernel
inlined = KERNELS.inlined

CLOSED: Final = INT64_MAX
UNDEFINED_SIZE: Final = (1 << 32) - 1
_SEQUENCE_WRAPS: Final = 1 << 31


@inlined
def note(state: Int64s, at: int, rule: int, ts: int, value: int) -> None:
    """Count a finding of the symbol at `at`, with when it was first and the largest value."""
    place = at + RULES_FROM + 3 * rule
    if state[place + COUNT] == 0:
        state[place + FIRST_AT] = ts
    state[place + COUNT] += 1
    if abs(value) > abs(state[place + WORST]):
        state[place + WORST] = value
    state[HAS_FINDING] = 1


@inlined
def session_open(hours: Int64s, ts: int) -> int:
    """Return when the trading interval that holds `ts` opened, CLOSED where none does."""
    low, high = 0, len(hours)
    while low < high:
        middle = (low + high) >> 1
        if hours[middle, 0] > ts:
            high = middle
        else:
            low = middle + 1
    if low == 0 or ts >= hours[low - 1, 1]:
        return CLOSED
    return int(hours[low - 1, 0])


@kernel
def judge_silence(state: Int64s, at: int, hours: Int64s, until: int, others: int, usual_of_all: int) -> None:
    """Take note of a stale quote: silent from its last tick to `until`, while `others` ticks came of the rest."""
    last = state[at + LAST_TS]
    if until - last <= STALE_NS or state[at + IS_HALTED] != 0 or state[at + STATUS_AT] > last:
        return
    if last < session_open(hours, until):
        return
    if float(others) * float(state[at + USUAL]) > float(STALE_TICKS) * float(usual_of_all):
        note(state, at, STALE, last, until - last)


@inlined
def check_order(
    state: Int64s, at: int, hours: Int64s, ts: int, sequence: int, ticks_seen: int, usual_of_all: int
) -> None:
    """Hold a tick against the one before of its symbol."""
    last, back = state[at + LAST_TS], state[at + LAST_SEQUENCE] - sequence
    if ts < last or ts - last > STALE_NS or back > 0 or last == NULL:
        if ts < last:
            note(state, at, TIME_BACK, ts, last - ts)
        elif last != NULL:
            judge_silence(state, at, hours, ts, ticks_seen - state[at + SEEN_AT], usual_of_all)
        if 0 < back < _SEQUENCE_WRAPS and sequence != 0:
            note(state, at, SEQUENCE_BACK, ts, back)
        ts = max(ts, last)
    state[at + LAST_TS] = ts
    state[at + LAST_SEQUENCE] = sequence
    state[at + TICKS] += 1
    state[at + SEEN_AT] = ticks_seen


@inlined
def check_receipt(state: Int64s, at: int, event: int, received: int, ts: int, flags: int) -> None:
    """Hold the two times of a tick against each other, and see what the vendor says of it."""
    if event != NULL and received != NULL and flags & F_BAD_TS_RECV == 0:
        skew = received - event
        if skew < EARLIEST_RECEIPT_NS or skew > LATEST_RECEIPT_NS:
            note(state, at, SKEWED, ts, skew)
    if flags & F_MAYBE_BAD_BOOK:
        note(state, at, BAD_BOOK, ts, 0)


@inlined
def check_price(state: Int64s, at: int, price: int, ts: int) -> None:
    """Hold a price against sign, sentinel and grid; NULL passes."""
    if price == NULL:
        return
    if price == INT64_MAX:
        note(state, at, UNDEFINED, ts, 0)
        return
    if price <= 0 and state[at + KIND_OF] != SPREAD:
        note(state, at, NOT_POSITIVE, ts, price)
    check_grid(state, at, price, ts)


@inlined
def check_grid(state: Int64s, at: int, price: int, ts: int) -> None:
    """Hold a price against the steps of its instrument."""
    step = state[at + TICK_LOW]
    if step != 0:
        if price > state[at + TICK_LIMIT]:
            step = state[at + TICK_HIGH]
        if not is_on_grid(price, float(step)):
            note(state, at, OFF_GRID, ts, price)


@inlined
def is_on_grid(price: int, step: float) -> bool:
    """Say whether a price is a multiple: exact below a million points, and six times as quick as the remainder."""
    return int(np.rint(float(price) / step) * step) == price


@kernel
def check_trade(state: Int64s, at: int, price: int, ts: int) -> None:
    """Hold a trade's price against bands, and a future's against its neighbours.

    The latter is Brownlees and Gallo's filter (2006) in sequence: the neighbours are those before, exponentially
    weighted. Options trade too rarely for it.
    """
    if price > state[at + UPPER] or price < state[at + LOWER]:
        note(state, at, OUT_OF_BANDS, ts, price)
    if state[at + KIND_OF] != FUTURE:
        return
    trades = state[at + TRADES]
    if trades == 0 or ts - state[at + TRADED_AT] > TRADES_APART_NS:
        trades = 0
        state[at + MEAN], state[at + DISTANCE] = price, 0
    state[at + TRADED_AT] = ts
    away = price - state[at + MEAN]
    tolerance = OUTLIER_DISTANCES * state[at + DISTANCE] + OUTLIER_TICKS * state[at + TICK_LOW]
    if trades >= NEIGHBOURS and abs(away) > tolerance:
        note(state, at, OUTLIER, ts, price)
        state[at + STRANGE] += 1
        if state[at + STRANGE] >= LEVEL_AFTER:
            state[at + TRADES] = 0
            state[at + STRANGE] = 0
        return
    state[at + STRANGE] = 0
    state[at + TRADES] = trades + 1
    weight = min(trades + 1, NEIGHBOURS)
    state[at + MEAN] += away // weight
    state[at + DISTANCE] += (abs(away) - state[at + DISTANCE]) // weight
