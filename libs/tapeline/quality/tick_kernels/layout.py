"""Name the numbers that the kernels keep, and the limits of the rules.

`state` (int64) holds WIDTH numbers per symbol from WIDTH on: what is known of it, then COUNT, FIRST_AT and WORST of
each rule since the last report. What stands before them is of all symbols. `flow` (int64) holds the scalars of one
(stream, kind). NULL is what is not known, and an undefined price, size or time.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from tapeline.model.columns import INT64_MIN

Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]
Letters = npt.NDArray[np.uint8]

NULL: Final = INT64_MIN

# -- flow ------------------------------------------------------------------------------------------------------------
WATERMARK: Final = 0
WINDOW_END: Final = 1  # NULL: none is open, and the next tick opens one
SINCE: Final = 2  # when the first window began that has not been reported
TICKS_SEEN: Final = 3
TICKS_REPORTED: Final = 4
WINDOW_TICKS: Final = 5  # TICKS_SEEN when the window opened
USUAL_OF_ALL: Final = 6  # ticks per window as usual, in thousandths
SYMBOLS: Final = 7
HAS_DEFINITIONS: Final = 8
IS_CLEAN: Final = 9  # the frame at hand has passed the screen
FLOW_WIDTH: Final = 10

# -- state: of all symbols -------------------------------------------------------------------------------------------
HAS_FINDING: Final = 0

# -- state: of a symbol; the first eight are read for every tick, and are one cache line -----------------------------
LAST_TS: Final = 0
LAST_SEQUENCE: Final = 1
TICKS: Final = 2  # in the window that is open
SEEN_AT: Final = 3  # TICKS_SEEN at its last tick
TICK_LOW: Final = 4  # price step up to and including TICK_LIMIT; 0: not known
TICK_LIMIT: Final = 5
TICK_HIGH: Final = 6
KIND_OF: Final = 7
CROSSED_SINCE: Final = 8
LOCKED_SINCE: Final = 9
UPPER: Final = 10
LOWER: Final = 11
IS_HALTED: Final = 12
STATUS_AT: Final = 13
MEAN: Final = 14  # of trade prices, exponentially weighted; likewise the mean distance from it
DISTANCE: Final = 15
TRADES: Final = 16
STRANGE: Final = 17  # outliers in a row
TRADED_AT: Final = 18
FIRST_TICK: Final = 19  # about when it was first seen
IS_DEFINED: Final = 20
USUAL: Final = 21  # ticks per window as usual, in thousandths
RULES_FROM: Final = 22

# KIND_OF
SPREAD: Final = 0  # whose price may be negative, as that of what is not known
OPTION: Final = 1
FUTURE: Final = 2

# -- rules -----------------------------------------------------------------------------------------------------------
CROSSED: Final = 0
LOCKED: Final = 1
NOT_POSITIVE: Final = 2
UNDEFINED: Final = 3
OFF_GRID: Final = 4
STALE: Final = 5
SKEWED: Final = 6
TIME_BACK: Final = 7
SEQUENCE_BACK: Final = 8
BAD_BOOK: Final = 9
DUPLICATE: Final = 10
OUTLIER: Final = 11
OUT_OF_BANDS: Final = 12
WITHOUT_DEFINITION: Final = 13
RULES: Final = 14
COUNT: Final = 0
FIRST_AT: Final = 1
WORST: Final = 2
WIDTH: Final = 64

# -- limits: proposals of this house, where no venue says ------------------------------------------------------------
WINDOW_NS: Final = 60_000_000_000
QUIET_WINDOWS: Final = 60
"""So many windows without a finding are reported at once."""

STALE_NS: Final = 5_000_000_000
STALE_TICKS: Final = 20
"""Stale: silent for 5 s, while so much came of the others as usually comes with 20 ticks of it."""
USUAL_WINDOWS: Final = 20
"""What is usual is a mean whose weight falls by 1/20 with each window."""

EARLIEST_RECEIPT_NS: Final = -5_000_000
LATEST_RECEIPT_NS: Final = 1_000_000_000

DEFINED_WITHIN_NS: Final = 5_000_000_000

NEIGHBOURS: Final = 60
TRADES_APART_NS: Final = 60_000_000_000
OUTLIER_DISTANCES: Final = 10
OUTLIER_TICKS: Final = 2
"""Outlier: further from the mean of about 60 trades than 10 mean distances and 2 ticks."""
LEVEL_AFTER: Final = 5
"""So many outliers in a row are a new level: judgement of a jump is suspended until then."""
