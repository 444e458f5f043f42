"""Name the columns of the state's arrays. Kernels index by these; the state itself is nothing but arrays.

All arrays are int64 but `standing` and `weights` (float64). A *slot* is a symbol's number within one (stream, kind).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tapeline.model.columns import INT64_MAX, INT64_MIN

Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]

NULL: Final = INT64_MIN
"""Not defined, in a row; an undefined price; a window that is not open; no watermark yet."""

NO_BID: Final = INT64_MIN
NO_ASK: Final = INT64_MAX
"""Prices of an empty side: −∞ and +∞."""

BID: Final = 0
ASK: Final = 1

# -- what a kernel answers -------------------------------------------------------------------------------------------
DONE: Final = 0
NEED_ORDERS: Final = 1
NEED_LEVELS: Final = 2
NEED_PRINTS: Final = 3
NEED_ROWS: Final = 4


class Arrays(NamedTuple):
    """The state of one (stream, kind), as the kernels take it."""

    flow: Int64s
    """(FLOW_WIDTH,): see FLOW_*."""
    symbols: Int64s
    """(slots, SYMBOL_WIDTH): see below."""
    standing: Float64s
    """(slots, WEIGHTS_WIDTH): the standing top, as `weights` sums it per ns; all 0 while it does not count."""
    sums: Int64s
    """(slots · (levels + 1), SUMS_WIDTH): per slot one row for each window length, and one for events late for all."""
    weights: Float64s
    """(slots · (levels + 1), WEIGHTS_WIDTH): time-weighted sums of the same windows, × ns."""
    orders: Int64s
    """(capacity, ORDER_WIDTH): resting orders; one cache line each."""
    table: Int64s
    """(2^k,): rows of `orders` by order id; open addressing, linear probing; see `place_of`."""
    levels: Int64s
    """(capacity, 2): price key and size. Each side of a book is one stretch, best last; keys of asks are negated."""
    prints: Int64s
    """(capacity, PRINT_WIDTH): aggressors that printed in the events that are open."""
    rows: Int64s
    """(capacity, ROW_WIDTH): closed windows not yet taken."""
    windows_ns: Int64s
    """(levels,): lengths of the windows, shortest first."""
    sessions: Int64s
    """(intervals, 5): see `Sessions.table`."""


# -- flow: scalars of one (stream, kind) -----------------------------------------------------------------------------
WATERMARK: Final = 0
NEXT_DEADLINE: Final = 1
SLOTS: Final = 2
ORDERS_USED: Final = 3
ORDERS_FREE: Final = 4
LEVELS_USED: Final = 5
PRINTS_USED: Final = 6
PRINTS_FREE: Final = 7
ROWS_USED: Final = 8
POSITION: Final = 9
SEGMENT_FROM: Final = 10
SEGMENT_TO: Final = 11
SEGMENT_DAY: Final = 12
SEGMENT_DAY_OPEN: Final = 13
SEGMENT_DAY_CLOSE: Final = 14
FLOW_WIDTH: Final = 16
"""SEGMENT_*: the stretch of the calendar last asked for: a trading interval, or (day NO_DAY) what lies between two."""

NO_DAY: Final = -1

# -- symbols ---------------------------------------------------------------------------------------------------------
EVENT: Final = 0
EVENT_TS: Final = 1
EVENT_ROW: Final = 2  # of `sums` and `weights`: the shortest window that is open for the event
EVENT_FLAGS: Final = 3
EVENT_SEGMENT: Final = 4
FAST_FROM: Final = 5
FAST_TO: Final = 6
TOUCHED: Final = 7
BID_LEVELS: Final = 8  # offset, length, capacity in `levels`
ASK_LEVELS: Final = 11
PRINTS: Final = 14
LATEST: Final = 15
BID_PRICE: Final = 16
BID_SIZE: Final = 17
ASK_PRICE: Final = 18
ASK_SIZE: Final = 19
PREVIOUS_SEGMENT: Final = 20
BOOK: Final = 21
WEIGHTED_UNTIL: Final = 22
CUMULATIVE: Final = 23
CUMULATIVE_DAY: Final = 24
CUMULATIVE_FROM: Final = 25
GAP_FROM: Final = 26
GAP_TO: Final = 27
STATUS: Final = 28
STATUS_UNTIL: Final = 29
ORDER_COUNT: Final = 30
PRICE_STEP: Final = 31
QUOTED_TOP: Final = 32  # bid price, bid size, ask price, ask size of the latest l1 row
RUN_TS: Final = 36
RUN_SIDE: Final = 37
RUN_PRICE: Final = 38
RUN_VOLUME: Final = 39
RUN_SWEEPS: Final = 40
CONTEXT: Final = 42  # EVENT_FLAGS with which events within [FAST_FROM, FAST_TO) begin
CUMULATIVE_LOST: Final = 41  # from when the session's delta is unknown for gaps before the latest
SYMBOL_WIDTH: Final = 48

# EVENT
NO_EVENT: Final = 0
LIVE: Final = 1
SNAPSHOT: Final = 2

# EVENT_FLAGS
TRADING: Final = 1
CLEARED: Final = 2
BAD_BOOK: Final = 4
QUOTED: Final = 8
HEALS: Final = 16
CUMULATES: Final = 32

# which kernel
MBO: Final = 0
L1: Final = 1
TRADE: Final = 2

# BOOK
WARMING: Final = 0
VALID: Final = 1
LOST: Final = 2
BAD: Final = 3
NO_BOOK: Final = 4

# PREVIOUS_SEGMENT, CUMULATIVE_DAY, STATUS
NONE: Final = INT64_MAX
NO_STATUS: Final = -1

# GAP_TO
GAP_UNTIL_NEXT_EVENT: Final = INT64_MAX - 1
GAP_OPEN: Final = INT64_MAX

# -- orders ----------------------------------------------------------------------------------------------------------
ORDER_ID: Final = 0
ORDER_KEY: Final = 1
ORDER_SIZE: Final = 2
ORDER_OWNER: Final = 3  # slot · 4 + side before the event · 2 + side; -1: not in use
ORDER_SIZE_BEFORE: Final = 4
ORDER_KEY_BEFORE: Final = 5
ORDER_FILLS: Final = 6
ORDER_NEXT: Final = 7  # next order touched by the event, or next free row
ORDER_WIDTH: Final = 8
END: Final = -1
UNTOUCHED: Final = -2

# -- prints: one aggressor of an open event --------------------------------------------------------------------------
PRINT_ORDER_ID: Final = 0
PRINT_SIDE: Final = 1
PRINT_PRICE: Final = 2
PRINT_VOLUME: Final = 3
PRINT_SWEEPS: Final = 4
PRINT_NEXT: Final = 5
PRINT_WIDTH: Final = 6

# -- sums ------------------------------------------------------------------------------------------------------------
START: Final = 0
LATE: Final = 1
REASONS: Final = 2
CONTRIBUTING: Final = 3
IMBALANCE: Final = 4
BUY: Final = 5
SELL: Final = 6
UNSIGNED: Final = 7
ADDED: Final = 8  # bid, ask; likewise the next three
CANCELLED: Final = 10
REPLACED: Final = 12
FILLED: Final = 14
SWEEPS_BUY: Final = 16
SWEEPS_SELL: Final = 17
SWEEP_VOLUME: Final = 18
MODIFY_UNKNOWN: Final = 19
SUMS_WIDTH: Final = 24
FOLDED_FROM: Final = CONTRIBUTING
FOLDED_TO: Final = MODIFY_UNKNOWN + 1

# -- weights and standing --------------------------------------------------------------------------------------------
TIME: Final = 0
DEPTH: Final = 1
QUEUE: Final = 2
SPREAD: Final = 3
WEIGHTS_WIDTH: Final = 4

# -- REASONS, as bits ------------------------------------------------------------------------------------------------
REASON_NAMES: Final = (
    *("warming", "gap", "bad_book", "not_trading", "crossed", "locked", "one_sided", "unknown_order", "late"),
)
IS_WARMING: Final = 1
IS_GAP: Final = 2
IS_BAD_BOOK: Final = 4
IS_NOT_TRADING: Final = 8
IS_CROSSED: Final = 16
IS_LOCKED: Final = 32
IS_ONE_SIDED: Final = 64
IS_UNKNOWN_ORDER: Final = 128
IS_LATE: Final = 256
IS_TOUCHED: Final = 512  # records are missing in the window; comes with IS_GAP, which alone means a book not yet healed
IS_BOOKLESS: Final = 1024
BOOK_IS_INVALID: Final = IS_WARMING | IS_GAP | IS_BAD_BOOK | IS_BOOKLESS
REPORTED_REASONS: Final = 511

# -- rows ------------------------------------------------------------------------------------------------------------
ROW_SLOT: Final = 0
ROW_LEVEL: Final = 1
ROW_START: Final = 2
ROW_REASONS: Final = 3
ROW_VALUES: Final = 4

METRICS: Final[tuple[tuple[str, bool], ...]] = (
    ("order_flow_imbalance", False),
    ("order_flow_imbalance_normalized", True),
    ("queue_imbalance", True),
    ("queue_imbalance_time_weighted", True),
    ("weighted_mid", False),
    ("spread_time_weighted", False),
    ("depth_imbalance_5", True),
    ("buy_volume", False),
    ("sell_volume", False),
    ("unsigned_volume", False),
    ("trade_imbalance", True),
    ("cumulative_volume_delta", False),
    ("added_bid", False),
    ("added_ask", False),
    ("cancelled_bid", False),
    ("cancelled_ask", False),
    ("replaced_bid", False),
    ("replaced_ask", False),
    ("filled_bid", False),
    ("filled_ask", False),
    ("cancel_to_add", True),
    ("sweeps_buy", False),
    ("sweeps_sell", False),
    ("sweep_volume", False),
    ("late_count", False),
    ("modify_unknown_count", False),
)
"""Names of a row's values in their order, and whether each is a ratio (stored × RATIO_UNIT, rounded)."""

ROW_WIDTH: Final = ROW_VALUES + len(METRICS)
RATIO_UNIT: Final = 1_000_000_000
RATIO_DIGITS: Final = 9

WIDTHS: Final = {
    "symbols": SYMBOL_WIDTH,
    "standing": WEIGHTS_WIDTH,
    "sums": SUMS_WIDTH,
    "weights": WEIGHTS_WIDTH,
    "orders": ORDER_WIDTH,
    "levels": 2,
    "prints": PRINT_WIDTH,
    "rows": ROW_WIDTH,
}
"""Of the two-dimensional fields of `Arrays`."""
