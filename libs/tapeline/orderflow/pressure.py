"""Turn ticks into bid/ask pressure: one compiled call per frame.

The metrics and their sources are those of version 1 (Cont, Kukanov, Stoikov 2014; Gould, Bonart 2016; Gatheral, Oomen
2010; SEC MIDAS). What the definitions leave open is settled so:

Events
: An unfinished event ends, too, when the watermark closes a window of its symbol. A snapshot is one event whatever its
  `ts_event`, opens no window, and replaces the book. It is complete when it ends; after a loss it must begin with R.
  A record with an undefined `ts_event` is taken at its `ts_recv`. An event with R does not contribute.
Two-sided
: Both sides have orders. Time counts for `*_time_weighted` and for the mean of (qb+qa)/2 from a contributing event to
  the next event, while the top is two-sided and neither locked nor crossed.
At the close
: The state after the symbol's last event before the window closes. `queue_imbalance`, `weighted_mid` and
  `depth_imbalance_5` need a valid book then; sums and means over the window need it at each of its event ends as well.
`book_valid`, `trade_valid`
: The book was valid at every event end of the window and at its close (never for trades alone); no gap touches the
  window. A window is touched if it is open when a gap begins that reaches into it, or if it overlaps the latest gap of
  its symbol when it opens. A gap whose end is not known reaches up to and including the symbol's next event. Missing
  frames are a gap of every symbol.
`cumulative_volume_delta`
: Trades of the session's own trading day, and those after its first open that no session holds. Unknown from a gap on,
  to the day's end.
`order_flow_imbalance`
: Null, too, where no event of the window contributes.
`added`, `cancelled`, `replaced`, `filled`
: Over all events of the window, trading or not; not over snapshots.
`weighted_mid`, `spread_time_weighted`
: Rounded to whole 1e-9; ratios to nine decimals, half to even.
`sweeps_*`
: Counted when the second price prints, with what the aggressor printed before; never for side N. Without order ids an
  aggressor is a run of trades of one `ts_event` and side.
`reasons`
: `crossed`, `locked`, `one_sided` tell of the ends of contributing events; `not_trading` of any event;
  `unknown_order` of M, C of an order that is not in the book.
"""

from __future__ import annotations

from typing import Final

from tapeline.model.columns import F_LAST, F_MAYBE_BAD_BOOK, F_SNAPSHOT
from tapeline.orderflow.book import (
    change_level,
    clear_book,
    free_order,
    has_level_room,
    new_order,
    order_at,
    place_of,
    touch,
)
from tapeline.orderflow.compiled import assume_row, assume_widths, inlined, kernel
from tapeline.orderflow.events import begin_event, begin_snapshot, close_due, end_event, end_open_event
from tapeline.orderflow.layout import (
    BAD_BOOK,
    CLEARED,
    DONE,
    EVENT,
    EVENT_FLAGS,
    EVENT_ROW,
    EVENT_TS,
    IS_UNKNOWN_ORDER,
    L1,
    LIVE,
    MBO,
    MODIFY_UNKNOWN,
    NEED_LEVELS,
    NEED_ORDERS,
    NEED_PRINTS,
    NEED_ROWS,
    NEXT_DEADLINE,
    NO_ASK,
    NO_BID,
    NO_EVENT,
    NULL,
    ORDER_FILLS,
    ORDER_KEY,
    ORDER_OWNER,
    ORDER_SIZE,
    ORDERS_FREE,
    ORDERS_USED,
    POSITION,
    PRINTS_FREE,
    PRINTS_USED,
    QUOTED,
    QUOTED_TOP,
    REASONS,
    ROWS_USED,
    SLOTS,
    SNAPSHOT,
    TRADE,
    WATERMARK,
    Arrays,
    Int64s,
)
from tapeline.orderflow.trades import BUYER, NOBODY, add_print, add_to_run, add_volume

ADD: Final = ord("A")
CANCEL: Final = ord("C")
MODIFY: Final = ord("M")
CLEAR: Final = ord("R")
TRADED: Final = ord("T")
FILL: Final = ord("F")


@inlined
def advance_watermark(a: Arrays, ts: int, kind: int) -> None:
    """Raise the watermark to `ts` and close what it has passed."""
    if ts > a.flow[WATERMARK]:
        a.flow[WATERMARK] = ts
        if ts >= a.flow[NEXT_DEADLINE]:
            close_due(a, kind)


@inlined
def set_order(a: Arrays, slot: int, order: int, is_live: bool, side: int, key: int, size: int) -> None:
    """Let an order rest with this side, price and size, and its levels with it; 0 takes it away."""
    orders = a.orders
    if is_live:
        touch(a, order, slot)
    owner = orders[order, ORDER_OWNER]
    old_side, old_key, old_size = owner & 1, orders[order, ORDER_KEY], orders[order, ORDER_SIZE]
    orders[order, ORDER_OWNER] = (owner & ~1) | side
    orders[order, ORDER_KEY] = key
    orders[order, ORDER_SIZE] = size
    if old_size > 0 and (old_key != key or old_side != side):
        change_level(a, slot, old_side, old_key, -old_size)
        old_size = 0
    change_level(a, slot, side, key, size - old_size)
    if size == 0 and not is_live:
        free_order(a, order, slot)


@inlined
def row_limit(a: Arrays) -> int:
    """Return up to how many rows used there is room for every window to close."""
    return len(a.rows) - int(a.flow[SLOTS]) * len(a.windows_ns)


@inlined
def ends_before(a: Arrays, slot: int, ts: int, is_snapshot: bool) -> bool:
    """Say whether the symbol's open event ends before a record."""
    event = a.symbols[slot, EVENT]
    return (event == LIVE and (is_snapshot or a.symbols[slot, EVENT_TS] != ts)) or (
        event == SNAPSHOT and not is_snapshot
    )


@kernel
def take_mbo(
    a: Arrays,
    begin: int,
    ts_base: int,
    slots: Int64s,
    ts_event: Int64s,
    symbol: Int64s,
    action_letters: Int64s,
    side_letters: Int64s,
    prices: Int64s,
    sizes: Int64s,
    order_ids: Int64s,
    record_flags: Int64s,
) -> int:
    """Apply the records [begin, n) of an mbo frame; undefined prices and sizes are NULL, slots out of scope -1.

    Returns DONE, or what there is no room for before the record at `flow[POSITION]`: make room and call again.
    """
    assume_widths(a)
    limit = row_limit(a)
    for i in range(begin, len(ts_event)):
        assume_row(i)
        slot = slots[symbol[i]]
        flags = record_flags[i]
        is_snapshot = flags & F_SNAPSHOT != 0
        ts = ts_base + ts_event[i]
        action = action_letters[i]
        if a.flow[ROWS_USED] > limit:
            a.flow[POSITION] = i
            return NEED_ROWS
        side = 0 if side_letters[i] == BUYER else 1
        rests = action in (ADD, MODIFY) and prices[i] != NULL and sizes[i] != NULL and side_letters[i] != NOBODY
        if slot >= 0:
            if rests:
                if a.flow[ORDERS_FREE] < 0 and a.flow[ORDERS_USED] == len(a.orders):
                    a.flow[POSITION] = i
                    return NEED_ORDERS
                if not has_level_room(a, slot, side):
                    a.flow[POSITION] = i
                    return NEED_LEVELS
            elif action == TRADED and a.flow[PRINTS_FREE] < 0 and a.flow[PRINTS_USED] == len(a.prints):
                a.flow[POSITION] = i
                return NEED_PRINTS
            if ends_before(a, slot, ts, is_snapshot):
                end_open_event(a, slot, MBO)
        if not is_snapshot:
            advance_watermark(a, ts, MBO)
        if slot < 0:
            continue
        if a.symbols[slot, EVENT] == NO_EVENT:
            if is_snapshot:
                begin_snapshot(a, slot, action, MBO)
            else:
                begin_event(a, slot, ts, MBO)
        row = a.symbols[slot, EVENT_ROW]
        assume_row(row)
        size = sizes[i]
        place = place_of(a, order_ids[i], slot)
        order = order_at(a.table, place)
        if rests or action == CANCEL:
            key = prices[i] if side == 0 else -prices[i]
            if action == CANCEL:
                if order >= 0:
                    side, key = a.orders[order, ORDER_OWNER] & 1, a.orders[order, ORDER_KEY]
                    size = 0 if size == NULL else max(0, a.orders[order, ORDER_SIZE] - size)
                else:
                    a.sums[row, REASONS] |= IS_UNKNOWN_ORDER
            elif order < 0:
                if action == MODIFY:
                    a.sums[row, MODIFY_UNKNOWN] += 1
                order = new_order(a, order_ids[i], slot, place)
            if order >= 0:
                set_order(a, slot, order, not is_snapshot, side, key, size)
        elif action == TRADED:
            if size != NULL:
                add_volume(a, slot, row, side_letters[i], size)
                if order_ids[i] != 0 and side_letters[i] != NOBODY:
                    add_print(a, slot, row, side_letters[i], prices[i], size, order_ids[i])
        elif action == FILL:
            if order >= 0 and size != NULL and not is_snapshot:
                touch(a, order, slot)
                a.orders[order, ORDER_FILLS] += size
        elif action == CLEAR:
            clear_book(a, slot)
            a.symbols[slot, EVENT_FLAGS] |= CLEARED
        if flags & F_MAYBE_BAD_BOOK:
            a.symbols[slot, EVENT_FLAGS] |= BAD_BOOK
        if flags & F_LAST:
            end_event(a, slot, MBO)
    return DONE


@kernel
def take_l1(
    a: Arrays,
    begin: int,
    ts_base: int,
    slots: Int64s,
    ts_event: Int64s,
    symbol: Int64s,
    action_letters: Int64s,
    side_letters: Int64s,
    prices: Int64s,
    sizes: Int64s,
    bid_prices: Int64s,
    bid_sizes: Int64s,
    ask_prices: Int64s,
    ask_sizes: Int64s,
    record_flags: Int64s,
) -> int:
    """Apply the rows [begin, n) of an l1 frame, as `take_mbo`; a T carries the top before the trade: volume only."""
    assume_widths(a)
    limit = row_limit(a)
    for i in range(begin, len(ts_event)):
        assume_row(i)
        slot = slots[symbol[i]]
        flags = record_flags[i]
        is_snapshot = flags & F_SNAPSHOT != 0
        ts = ts_base + ts_event[i]
        action = action_letters[i]
        if a.flow[ROWS_USED] > limit:
            a.flow[POSITION] = i
            return NEED_ROWS
        if slot >= 0 and ends_before(a, slot, ts, is_snapshot):
            end_open_event(a, slot, L1)
        if not is_snapshot:
            advance_watermark(a, ts, L1)
        if slot < 0:
            continue
        symbols = a.symbols
        if symbols[slot, EVENT] == NO_EVENT:
            if is_snapshot:
                begin_snapshot(a, slot, action, L1)
            else:
                begin_event(a, slot, ts, L1)
        if action == TRADED:
            if sizes[i] != NULL:
                row = symbols[slot, EVENT_ROW]
                add_volume(a, slot, row, side_letters[i], sizes[i])
                add_to_run(a, slot, row, ts, side_letters[i], prices[i], sizes[i])
        elif action != FILL:
            has_bid, has_ask = bid_prices[i] != NULL, ask_prices[i] != NULL
            symbols[slot, QUOTED_TOP] = bid_prices[i] if has_bid else NO_BID
            symbols[slot, QUOTED_TOP + 1] = bid_sizes[i] if has_bid else 0
            symbols[slot, QUOTED_TOP + 2] = ask_prices[i] if has_ask else NO_ASK
            symbols[slot, QUOTED_TOP + 3] = ask_sizes[i] if has_ask else 0
            symbols[slot, EVENT_FLAGS] |= QUOTED | CLEARED if action == CLEAR else QUOTED
        if flags & F_MAYBE_BAD_BOOK:
            symbols[slot, EVENT_FLAGS] |= BAD_BOOK
        if flags & F_LAST:
            end_event(a, slot, L1)
    return DONE


@kernel
def take_trades(
    a: Arrays,
    begin: int,
    ts_base: int,
    slots: Int64s,
    ts_event: Int64s,
    symbol: Int64s,
    side_letters: Int64s,
    prices: Int64s,
    sizes: Int64s,
) -> int:
    """Apply the rows [begin, n) of a trade frame, as `take_mbo`; each row is an event."""
    assume_widths(a)
    limit = row_limit(a)
    for i in range(begin, len(ts_event)):
        assume_row(i)
        slot = slots[symbol[i]]
        ts = ts_base + ts_event[i]
        if a.flow[ROWS_USED] > limit:
            a.flow[POSITION] = i
            return NEED_ROWS
        advance_watermark(a, ts, TRADE)
        if slot < 0:
            continue
        begin_event(a, slot, ts, TRADE)
        if sizes[i] != NULL:
            row = a.symbols[slot, EVENT_ROW]
            add_volume(a, slot, row, side_letters[i], sizes[i])
            add_to_run(a, slot, row, ts, side_letters[i], prices[i], sizes[i])
        end_event(a, slot, TRADE)
    return DONE
