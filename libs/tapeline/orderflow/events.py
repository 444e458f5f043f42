"""Begin and end events: order flow imbalance, netted orders, the calendar, and what the watermark closes."""

from __future__ import annotations

from typing import Final

from tapeline.model.windows import CLOSE_AFTER_NS
from tapeline.orderflow.book import clear_book, free_order
from tapeline.orderflow.compiled import assume_row, assume_widths, inlined, kernel
from tapeline.orderflow.layout import (
    ADDED,
    ASK_LEVELS,
    ASK_PRICE,
    ASK_SIZE,
    BAD,
    BAD_BOOK,
    BID_LEVELS,
    BID_PRICE,
    BID_SIZE,
    BOOK,
    CANCELLED,
    CLEARED,
    CONTEXT,
    CONTRIBUTING,
    CUMULATES,
    CUMULATIVE,
    CUMULATIVE_DAY,
    CUMULATIVE_FROM,
    CUMULATIVE_LOST,
    DEPTH,
    END,
    EVENT,
    EVENT_FLAGS,
    EVENT_ROW,
    EVENT_SEGMENT,
    EVENT_TS,
    FAST_FROM,
    FAST_TO,
    FILLED,
    HEALS,
    IMBALANCE,
    IS_BAD_BOOK,
    IS_CROSSED,
    IS_GAP,
    IS_LOCKED,
    IS_NOT_TRADING,
    IS_ONE_SIDED,
    IS_WARMING,
    L1,
    LATEST,
    LIVE,
    LOST,
    MBO,
    NEXT_DEADLINE,
    NO_ASK,
    NO_BID,
    NO_DAY,
    NO_EVENT,
    NO_STATUS,
    NONE,
    NULL,
    ORDER_FILLS,
    ORDER_KEY,
    ORDER_KEY_BEFORE,
    ORDER_NEXT,
    ORDER_OWNER,
    ORDER_SIZE,
    ORDER_SIZE_BEFORE,
    PREVIOUS_SEGMENT,
    PRINT_NEXT,
    PRINTS,
    PRINTS_FREE,
    QUEUE,
    QUOTED,
    QUOTED_TOP,
    REASONS,
    REPLACED,
    SEGMENT_DAY,
    SEGMENT_DAY_CLOSE,
    SEGMENT_DAY_OPEN,
    SEGMENT_FROM,
    SEGMENT_TO,
    SLOTS,
    SNAPSHOT,
    SPREAD,
    START,
    STATUS,
    STATUS_UNTIL,
    TIME,
    TOUCHED,
    TRADE,
    TRADING,
    UNTOUCHED,
    VALID,
    WARMING,
    WATERMARK,
    Arrays,
)
from tapeline.orderflow.windows import close_window, enter_windows, row_of, weigh

_OPENS: Final = 0
_CLOSES: Final = 1
_DAY: Final = 2
_DAY_OPEN: Final = 3
_DAY_CLOSE: Final = 4
_ACTION_R: Final = ord("R")


@kernel
def seek_segment(a: Arrays, ts: int) -> None:
    """Find the trading interval that holds `ts`, or the stretch between two."""
    sessions = a.sessions
    low, high = 0, len(sessions)  # the first interval that opens after ts
    while low < high:
        middle = (low + high) >> 1
        if sessions[middle, _OPENS] > ts:
            high = middle
        else:
            low = middle + 1
    if low > 0 and ts < sessions[low - 1, _CLOSES]:
        a.flow[SEGMENT_FROM] = sessions[low - 1, _OPENS]
        a.flow[SEGMENT_TO] = sessions[low - 1, _CLOSES]
        a.flow[SEGMENT_DAY] = sessions[low - 1, _DAY]
        a.flow[SEGMENT_DAY_OPEN] = sessions[low - 1, _DAY_OPEN]
        a.flow[SEGMENT_DAY_CLOSE] = sessions[low - 1, _DAY_CLOSE]
    else:
        a.flow[SEGMENT_FROM] = sessions[low - 1, _CLOSES] if low > 0 else NULL
        a.flow[SEGMENT_TO] = sessions[low, _OPENS] if low < len(sessions) else NONE
        a.flow[SEGMENT_DAY] = NO_DAY
        a.flow[SEGMENT_DAY_OPEN] = NULL
        a.flow[SEGMENT_DAY_CLOSE] = a.flow[SEGMENT_TO]


@inlined
def enter_session(a: Arrays, slot: int, ts: int) -> None:
    """Find the session of the event at `ts`, and whether the instrument trades; begin the day's delta with its day.

    The answers hold up to the next window, session or status: until then `begin_event` need not ask again. (A status
    holds to the end of a session, never to a moment within one.)
    """
    symbols, flow = a.symbols, a.flow
    if not flow[SEGMENT_FROM] <= ts < flow[SEGMENT_TO]:
        seek_segment(a, ts)
    day = flow[SEGMENT_DAY]
    trading = day != NO_DAY
    if symbols[slot, STATUS] != NO_STATUS and ts < symbols[slot, STATUS_UNTIL]:
        trading = symbols[slot, STATUS] == 1
    if day != NO_DAY and (symbols[slot, CUMULATIVE_DAY] == NONE or day > symbols[slot, CUMULATIVE_DAY]):
        symbols[slot, CUMULATIVE] = 0
        symbols[slot, CUMULATIVE_DAY] = day
        symbols[slot, CUMULATIVE_FROM] = flow[SEGMENT_DAY_OPEN]
        symbols[slot, CUMULATIVE_LOST] = NONE
    context = TRADING if trading else 0
    if day == symbols[slot, CUMULATIVE_DAY] or (day == NO_DAY and ts >= symbols[slot, CUMULATIVE_FROM]):
        context |= CUMULATES
    symbols[slot, EVENT_SEGMENT] = flow[SEGMENT_FROM]
    symbols[slot, CONTEXT] = context
    symbols[slot, FAST_FROM] = max(symbols[slot, FAST_FROM], flow[SEGMENT_FROM])
    symbols[slot, FAST_TO] = min(symbols[slot, FAST_TO], flow[SEGMENT_TO])


@inlined
def begin_event(a: Arrays, slot: int, ts: int, kind: int) -> None:
    """Begin an event that is not a snapshot: find its windows, its session, and whether the instrument trades."""
    symbols = a.symbols
    if symbols[slot, FAST_FROM] <= ts < symbols[slot, FAST_TO]:
        symbols[slot, EVENT_ROW] = row_of(a, slot, 0)
        symbols[slot, LATEST] = max(symbols[slot, LATEST], ts)
    else:
        enter_windows(a, slot, ts, kind)
        enter_session(a, slot, ts)
    symbols[slot, EVENT] = LIVE
    symbols[slot, EVENT_TS] = ts
    symbols[slot, EVENT_FLAGS] = symbols[slot, CONTEXT]


@kernel
def begin_snapshot(a: Arrays, slot: int, action: int, kind: int) -> None:
    """Begin a snapshot: the book is what it says. After a loss only one that begins with R heals the book."""
    symbols = a.symbols
    symbols[slot, EVENT] = SNAPSHOT
    symbols[slot, EVENT_ROW] = row_of(a, slot, len(a.windows_ns))
    heals = kind == L1 or action == _ACTION_R or symbols[slot, BOOK] == WARMING or symbols[slot, BOOK] == VALID
    symbols[slot, EVENT_FLAGS] = HEALS if heals else 0
    if symbols[slot, BOOK] == VALID:
        symbols[slot, BOOK] = WARMING
    if kind == MBO:
        clear_book(a, slot)


@inlined
def settle_orders(a: Arrays, slot: int, row: int) -> None:
    """Net every order that the event touched, and free those that are gone."""
    orders, sums = a.orders, a.sums
    order = a.symbols[slot, TOUCHED]
    while order != END:
        assume_row(order)
        following = orders[order, ORDER_NEXT]
        before = orders[order, ORDER_SIZE_BEFORE]
        after = orders[order, ORDER_SIZE]
        owner = orders[order, ORDER_OWNER]
        side = owner & 1
        if before == 0:
            sums[row, ADDED + side] += after
        else:
            fills = orders[order, ORDER_FILLS]
            side_before = (owner >> 1) & 1
            sums[row, FILLED + side_before] += fills
            rests_there = after
            if side != side_before:  # gone from one side, new on the other
                sums[row, ADDED + side] += after
                rests_there = 0
            if rests_there == 0 or orders[order, ORDER_KEY] == orders[order, ORDER_KEY_BEFORE]:
                change = rests_there - before + fills
                sums[row, ADDED + side_before] += max(change, 0)
                sums[row, CANCELLED + side_before] += max(-change, 0)
            else:
                cancelled = max(0, before - fills)
                added = after + max(0, fills - before)
                sums[row, CANCELLED + side] += cancelled
                sums[row, ADDED + side] += added
                sums[row, REPLACED + side] += min(cancelled, added)
        orders[order, ORDER_NEXT] = UNTOUCHED
        if after == 0:
            free_order(a, order, slot)
        order = following
    a.symbols[slot, TOUCHED] = END


@inlined
def free_prints(a: Arrays, slot: int) -> None:
    """Forget the aggressors of the event."""
    first = a.symbols[slot, PRINTS]
    if first != END:
        last = first
        while a.prints[last, PRINT_NEXT] != END:
            last = a.prints[last, PRINT_NEXT]
        a.prints[last, PRINT_NEXT] = a.flow[PRINTS_FREE]
        a.flow[PRINTS_FREE] = first
        a.symbols[slot, PRINTS] = END


@inlined
def stand(a: Arrays, slot: int, bid_price: int, bid_size: int, ask_price: int, ask_size: int) -> None:
    """Let a top stand: from now on its time counts, while it is two-sided, neither locked nor crossed."""
    standing = a.standing
    depth = bid_size + ask_size
    if bid_price != NO_BID and ask_price != NO_ASK and bid_price < ask_price and depth > 0:
        standing[slot, TIME] = 1.0
        standing[slot, DEPTH] = depth * 0.5
        standing[slot, QUEUE] = (bid_size - ask_size) / depth
        standing[slot, SPREAD] = float(ask_price - bid_price)
    else:
        standing[slot, TIME] = 0.0


@inlined
def end_event(a: Arrays, slot: int, kind: int) -> None:
    """End an event: net its orders, read the top, add its order flow imbalance to its window."""
    symbols, sums = a.symbols, a.sums
    event, flags = symbols[slot, EVENT], symbols[slot, EVENT_FLAGS]
    row = symbols[slot, EVENT_ROW]
    assume_row(row)
    symbols[slot, EVENT] = NO_EVENT
    if flags & TRADING == 0:
        sums[row, REASONS] |= IS_NOT_TRADING
    if kind == TRADE:
        return
    if kind == MBO:
        settle_orders(a, slot, row)
        free_prints(a, slot)
        bid_price, bid_size, ask_price, ask_size = NO_BID, 0, NO_ASK, 0
        length = symbols[slot, BID_LEVELS + 1]
        if length > 0:
            best = symbols[slot, BID_LEVELS] + length - 1
            assume_row(best)
            bid_price, bid_size = a.levels[best, 0], a.levels[best, 1]
        length = symbols[slot, ASK_LEVELS + 1]
        if length > 0:
            best = symbols[slot, ASK_LEVELS] + length - 1
            assume_row(best)
            ask_price, ask_size = -a.levels[best, 0], a.levels[best, 1]
    else:
        bid_price, bid_size = symbols[slot, QUOTED_TOP], symbols[slot, QUOTED_TOP + 1]
        ask_price, ask_size = symbols[slot, QUOTED_TOP + 2], symbols[slot, QUOTED_TOP + 3]

    old_bid_price, old_bid_size = symbols[slot, BID_PRICE], symbols[slot, BID_SIZE]
    old_ask_price, old_ask_size = symbols[slot, ASK_PRICE], symbols[slot, ASK_SIZE]
    symbols[slot, BID_PRICE], symbols[slot, BID_SIZE] = bid_price, bid_size
    symbols[slot, ASK_PRICE], symbols[slot, ASK_SIZE] = ask_price, ask_size

    if flags & BAD_BOOK:
        symbols[slot, BOOK] = BAD
    elif event == SNAPSHOT:
        if flags & HEALS:
            symbols[slot, BOOK] = VALID
    elif (kind == MBO and flags & CLEARED and symbols[slot, BOOK] == WARMING) or (kind == L1 and flags & QUOTED):
        symbols[slot, BOOK] = VALID

    book = symbols[slot, BOOK]
    if event == LIVE and book == VALID and flags & TRADING and flags & CLEARED == 0:
        sums[row, CONTRIBUTING] += 1
        if bid_price == NO_BID or ask_price == NO_ASK:
            sums[row, REASONS] |= IS_ONE_SIDED
        elif bid_price >= ask_price:
            sums[row, REASONS] |= IS_LOCKED if bid_price == ask_price else IS_CROSSED
        is_first = symbols[slot, PREVIOUS_SEGMENT] != symbols[slot, EVENT_SEGMENT]
        bid_changed = (bid_price != old_bid_price) | (bid_size != old_bid_size)
        ask_changed = (ask_price != old_ask_price) | (ask_size != old_ask_size)
        if is_first | bid_changed | ask_changed:
            weigh(a, slot, symbols[slot, EVENT_TS], row)
            stand(a, slot, bid_price, bid_size, ask_price, ask_size)
            if is_first:
                symbols[slot, PREVIOUS_SEGMENT] = symbols[slot, EVENT_SEGMENT]
            else:
                sums[row, IMBALANCE] += (
                    (bid_price >= old_bid_price) * bid_size
                    - (bid_price <= old_bid_price) * old_bid_size
                    - (ask_price <= old_ask_price) * ask_size
                    + (ask_price >= old_ask_price) * old_ask_size
                )
    else:
        if event == LIVE:
            weigh(a, slot, symbols[slot, EVENT_TS], row)
            if book == WARMING:
                sums[row, REASONS] |= IS_WARMING
            elif book == LOST:
                sums[row, REASONS] |= IS_GAP
            elif book == BAD:
                sums[row, REASONS] |= IS_BAD_BOOK
        a.standing[slot, TIME] = 0.0
        symbols[slot, PREVIOUS_SEGMENT] = NONE


@kernel
def end_open_event(a: Arrays, slot: int, kind: int) -> None:
    """End an event that no flag ended."""
    end_event(a, slot, kind)


@kernel
def drop_event(a: Arrays, slot: int) -> None:
    """Forget what an unfinished event has done but to the book: its rest is lost."""
    order = a.symbols[slot, TOUCHED]
    while order != END:
        following = a.orders[order, ORDER_NEXT]
        a.orders[order, ORDER_NEXT] = UNTOUCHED
        if a.orders[order, ORDER_SIZE] == 0:
            free_order(a, order, slot)
        order = following
    a.symbols[slot, TOUCHED] = END
    free_prints(a, slot)
    a.symbols[slot, EVENT] = NO_EVENT


@kernel
def close_due(a: Arrays, kind: int) -> None:
    """Close every window that the watermark has passed by CLOSE_AFTER_NS, slot by slot, the shortest first."""
    assume_widths(a)
    following = NONE
    for slot in range(a.flow[SLOTS]):
        for level in range(len(a.windows_ns)):
            start = a.sums[row_of(a, slot, level), START]
            if start != NULL:
                deadline = start + a.windows_ns[level] + CLOSE_AFTER_NS
                if deadline > a.flow[WATERMARK]:
                    following = min(following, deadline)
                    break
                if a.symbols[slot, EVENT] == LIVE:
                    end_open_event(a, slot, kind)
                close_window(a, slot, level, kind)
    a.flow[NEXT_DEADLINE] = following
