"""Hold the ticks of a frame against the rules, and close the windows that they pass.

A frame of orders is screened first, by comparisons of whole columns that the processor does eight at a time: 0.5 ns per
tick. Where that finds nothing, only what depends on the tick before is left to look at; else every row is looked at.
"""

from __future__ import annotations

from typing import Final

from tapeline.model.columns import F_LAST, F_MAYBE_BAD_BOOK, F_SNAPSHOT, INT64_MAX
from tapeline.ops.kernels import assume_row
from tapeline.quality.tick_kernels.checks import (
    CLOSED,
    UNDEFINED_SIZE,
    check_grid,
    check_order,
    check_price,
    check_receipt,
    check_trade,
    inlined,
    is_on_grid,
    judge_silence,
    kernel,
    note,
    session_open,
)
from tapeline.quality.tick_kernels.layout import (
    COUNT,
    CROSSED,
    CROSSED_SINCE,
    DEFINED_WITHIN_NS,
    DUPLICATE,
    EARLIEST_RECEIPT_NS,
    FIRST_TICK,
    HAS_DEFINITIONS,
    HAS_FINDING,
    IS_CLEAN,
    IS_DEFINED,
    IS_HALTED,
    KIND_OF,
    LATEST_RECEIPT_NS,
    LOCKED,
    LOCKED_SINCE,
    NOT_POSITIVE,
    NULL,
    QUIET_WINDOWS,
    RULES_FROM,
    SEEN_AT,
    SINCE,
    SPREAD,
    SYMBOLS,
    TICKS,
    TICKS_SEEN,
    UNDEFINED,
    USUAL,
    USUAL_OF_ALL,
    USUAL_WINDOWS,
    WATERMARK,
    WIDTH,
    WINDOW_END,
    WINDOW_NS,
    WINDOW_TICKS,
    WITHOUT_DEFINITION,
    WORST,
    Int64s,
    Letters,
    UInt64s,
)

_CLEAR: Final = ord("R")
_TRADE: Final = ord("T")
_FILL: Final = ord("F")
_NONE: Final = ord("N")


@inlined
def _slot_of(slots: Int64s, number: int) -> int:
    assume_row(number)
    at = slots[number]
    assume_row(at)
    return int(at)


@kernel
def end_window(state: Int64s, flow: Int64s, hours: Int64s) -> None:
    """Judge what is silent, what is undefined and what still stands crossed, and learn what is usual."""
    watermark, ticks_seen = flow[WATERMARK], flow[TICKS_SEEN]
    for slot in range(1, flow[SYMBOLS] + 1):
        at = slot * WIDTH
        ticks = state[at + TICKS]
        judge_silence(state, at, hours, watermark, ticks_seen - state[at + SEEN_AT], flow[USUAL_OF_ALL])
        if (
            ticks != 0
            and flow[HAS_DEFINITIONS] != 0
            and state[at + IS_DEFINED] == 0
            and watermark - state[at + FIRST_TICK] > DEFINED_WITHIN_NS
        ):
            note(state, at, WITHOUT_DEFINITION, state[at + FIRST_TICK], 0)
        state[at + USUAL] += (ticks * 1_000 - state[at + USUAL]) // USUAL_WINDOWS
        state[at + TICKS] = 0
        for rule, since in ((CROSSED, CROSSED_SINCE), (LOCKED, LOCKED_SINCE)):
            if state[at + since] != NULL:
                note(state, at, rule, state[at + since], flow[WINDOW_END] - state[at + since])
    ticks = ticks_seen - flow[WINDOW_TICKS]
    flow[USUAL_OF_ALL] += (ticks * 1_000 - flow[USUAL_OF_ALL]) // USUAL_WINDOWS


@kernel
def pass_window(state: Int64s, flow: Int64s, hours: Int64s, ts: int) -> bool:
    """Close the window that `ts` has passed and open its own; stop where there is something to report first.

    Returns whether it is so: then report, set WINDOW_END to NULL, and call again.
    """
    window_end = flow[WINDOW_END]
    if window_end != NULL:
        end_window(state, flow, hours)
        if state[HAS_FINDING] != 0 or window_end - flow[SINCE] >= QUIET_WINDOWS * WINDOW_NS:
            return True
    begin = ts // WINDOW_NS * WINDOW_NS
    if flow[SINCE] == NULL:
        flow[SINCE] = begin
    flow[WINDOW_END] = begin + WINDOW_NS
    flow[WINDOW_TICKS] = flow[TICKS_SEEN]
    return False


@inlined
def _is_clean(step: int, ts_event: Int64s, ts_recv: Int64s, price: Int64s, size: Int64s, flags: Int64s) -> bool:
    """Say whether no row breaks a rule that concerns it alone; when in doubt, no."""
    is_bad = False
    for i in range(len(ts_event)):
        skew = ts_recv[i] - ts_event[i]
        is_bad |= (skew < EARLIEST_RECEIPT_NS) | (skew > LATEST_RECEIPT_NS)
        is_bad |= (price[i] <= 0) | (price[i] == INT64_MAX) | (not is_on_grid(price[i], float(step)))
        is_bad |= (size[i] <= 0) | (size[i] == UNDEFINED_SIZE)
        is_bad |= (flags[i] & (F_SNAPSHOT | F_MAYBE_BAD_BOOK)) != 0
    return not is_bad


@kernel
def take_mbo(
    state: Int64s,
    flow: Int64s,
    hours: Int64s,
    slots: Int64s,
    begin: int,
    step: int,
    ts_base: int,
    ts_event: Int64s,
    ts_recv: Int64s,
    symbol: Int64s,
    action: Letters,
    price: Int64s,
    size: Int64s,
    order_id: UInt64s,
    sequence: Int64s,
    flags: Int64s,
) -> int:
    """Judge the rows [begin, n) of an mbo frame; return n, or the row before which there is something to report.

    `slots`: where in `state` the symbols of the frame begin. `step` is the price step of all of them, 1 where none is
    known, 0 where they differ. Records of snapshots are passed over: they tell of the past, and come in any order.
    """
    watermark, ticks_seen, usual = flow[WATERMARK], flow[TICKS_SEEN], flow[USUAL_OF_ALL]
    window_end = flow[WINDOW_END]
    if begin == 0:
        flow[IS_CLEAN] = 1 if _is_clean(max(1, step), ts_event, ts_recv, price, size, flags) else 0
    is_clean = flow[IS_CLEAN] != 0
    for i in range(begin, len(ts_event)):
        assume_row(i)
        at = _slot_of(slots, symbol[i])
        ts = ts_base + ts_event[i]
        if not is_clean:
            if flags[i] & F_SNAPSHOT:
                continue
            if ts_event[i] == NULL:
                ts = ts_base + ts_recv[i]
        if ts >= window_end or window_end == NULL:
            flow[WATERMARK], flow[TICKS_SEEN] = watermark, ticks_seen
            if pass_window(state, flow, hours, ts):
                return i
            window_end, usual = flow[WINDOW_END], flow[USUAL_OF_ALL]
        if not is_clean:
            check_receipt(state, at, ts_event[i], ts_recv[i], ts, flags[i])
            check_price(state, at, price[i], ts)
            if size[i] == UNDEFINED_SIZE:
                note(state, at, UNDEFINED, ts, 0)
            elif size[i] == 0 and action[i] != _CLEAR and action[i] != _NONE:
                note(state, at, NOT_POSITIVE, ts, 0)
        elif step == 0:
            check_grid(state, at, price[i], ts)
        watermark = max(watermark, ts)
        ticks_seen += 1
        check_order(state, at, hours, ts, sequence[i], ticks_seen, usual)
        if action[i] == _TRADE:
            if price[i] != NULL:
                check_trade(state, at, price[i], ts)
        elif (
            i > 0
            and order_id[i] == order_id[i - 1]
            and order_id[i] != 0
            and sequence[i] == sequence[i - 1]
            and action[i] == action[i - 1]
            and action[i] != _FILL
            and ts_event[i] == ts_event[i - 1]
            and price[i] == price[i - 1]
            and size[i] == size[i - 1]
            and symbol[i] == symbol[i - 1]
        ):
            note(state, at, DUPLICATE, ts, 0)
    flow[WATERMARK], flow[TICKS_SEEN] = watermark, ticks_seen
    return len(ts_event)


@inlined
def _check_standing(state: Int64s, at: int, hours: Int64s, rule: int, since: int, stands: bool, ts: int) -> None:
    """Follow a top that is crossed or locked from event end to event end, while the instrument trades."""
    began = state[at + since]
    if not stands:
        if began != NULL:
            place = at + RULES_FROM + 3 * rule
            if state[place + COUNT] == 0:  # reported since, and over only now
                note(state, at, rule, began, 0)
            state[place + WORST] = max(state[place + WORST], ts - began)
            state[at + since] = NULL
    elif state[at + IS_HALTED] != 0 or session_open(hours, ts) == CLOSED:
        state[at + since] = NULL
    else:
        if began == NULL:
            began = state[at + since] = ts
        note(state, at, rule, ts, ts - began)


@kernel
def take_l1(
    state: Int64s,
    flow: Int64s,
    hours: Int64s,
    slots: Int64s,
    begin: int,
    ts_base: int,
    ts_event: Int64s,
    ts_recv: Int64s,
    symbol: Int64s,
    action: Letters,
    price: Int64s,
    size: Int64s,
    bid_price: Int64s,
    bid_size: Int64s,
    ask_price: Int64s,
    ask_size: Int64s,
    sequence: Int64s,
    flags: Int64s,
) -> int:
    """Judge the rows [begin, n) of an l1 frame, as `take_mbo`; a T carries the top before the trade."""
    watermark, ticks_seen, usual = flow[WATERMARK], flow[TICKS_SEEN], flow[USUAL_OF_ALL]
    window_end = flow[WINDOW_END]
    last = len(ts_event) - 1
    for i in range(begin, len(ts_event)):
        assume_row(i)
        if flags[i] & F_SNAPSHOT:
            continue
        at = _slot_of(slots, symbol[i])
        ts = ts_base + (ts_event[i] if ts_event[i] != NULL else ts_recv[i])
        if ts >= window_end or window_end == NULL:
            flow[WATERMARK], flow[TICKS_SEEN] = watermark, ticks_seen
            if pass_window(state, flow, hours, ts):
                return i
            window_end, usual = flow[WINDOW_END], flow[USUAL_OF_ALL]
        watermark = max(watermark, ts)
        ticks_seen += 1
        check_order(state, at, hours, ts, sequence[i], ticks_seen, usual)
        check_receipt(state, at, ts_event[i], ts_recv[i], ts, flags[i])
        if action[i] == _TRADE or action[i] == _FILL:
            check_price(state, at, price[i], ts)
            if size[i] == 0:
                note(state, at, NOT_POSITIVE, ts, 0)
            if action[i] == _TRADE and price[i] != NULL:
                check_trade(state, at, price[i], ts)
            continue
        bid, ask = bid_price[i], ask_price[i]
        check_price(state, at, bid, ts)
        check_price(state, at, ask, ts)
        ends = flags[i] & F_LAST != 0 or i == last or ts_event[i + 1] != ts_event[i]
        if ends and state[at + KIND_OF] != SPREAD:
            both = bid != NULL and ask != NULL and bid != INT64_MAX and ask != INT64_MAX
            if bid >= ask or state[at + CROSSED_SINCE] != NULL or state[at + LOCKED_SINCE] != NULL:
                _check_standing(state, at, hours, CROSSED, CROSSED_SINCE, both and bid > ask, ts)
                _check_standing(state, at, hours, LOCKED, LOCKED_SINCE, both and bid == ask, ts)
        if (
            i > 0
            and sequence[i] == sequence[i - 1]
            and symbol[i] == symbol[i - 1]
            and ts_event[i] == ts_event[i - 1]
            and action[i] == action[i - 1]
            and price[i] == price[i - 1]
            and size[i] == size[i - 1]
            and bid == bid_price[i - 1]
            and ask == ask_price[i - 1]
            and bid_size[i] == bid_size[i - 1]
            and ask_size[i] == ask_size[i - 1]
        ):
            note(state, at, DUPLICATE, ts, 0)
    flow[WATERMARK], flow[TICKS_SEEN] = watermark, ticks_seen
    return len(ts_event)
