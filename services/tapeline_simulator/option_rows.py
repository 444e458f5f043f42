"""What option contracts show: how it lies in an array, on which prices, and how it reads as rows. Pure."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from tapeline.feed.dbn_records import Array
from tapeline.model.columns import F_LAST, INT64_MAX
from tapeline_simulator.book_rows import MBP1, TRADES
from tapeline_simulator.market import PUBLISHER_ID
from tapeline_simulator.surface import Floats

Int64s = npt.NDArray[np.int64]

NICKEL_E9: Final = 50_000_000
NICKELS_PER_POINT: Final = 20
FINE_TICK_NICKELS: Final = 100
"""Up to 5.00 points the tick is a nickel, above it is a quarter."""
COARSE_NICKELS: Final = 5

STATE: Final = np.dtype(
    [
        ("instrument_id", "<i8"),
        ("strike_points", "<i8"),
        ("is_call", "?"),
        ("expires_ns", "<i8"),
        ("underlying", "<i8"),
        ("weight", "<f8"),
        ("short_strike_points", "<i8"),
        ("value", "<f8"),  # points, when last quoted
        ("bid", "<i8"),  # nickels; 0: none
        ("ask", "<i8"),  # nickels; 0: never quoted yet
        ("bid_size", "<i8"),
        ("ask_size", "<i8"),
        ("bid_count", "<i8"),
        ("ask_count", "<i8"),
        ("action", "u1"),
        ("is_bid_told", "?"),
        ("open", "<i8"),  # nickels, as all prices of trades; 0: not traded yet
        ("high", "<i8"),
        ("low", "<i8"),
        ("last", "<i8"),
        ("traded_ns", "<i8"),
        ("volume", "<i8"),
    ]
)


def on_tick_below(points: Floats) -> Int64s:
    """Return the nearest price at or below `points` that is on the tick grid, in nickels (0.05 points)."""
    nickels = np.floor(points * NICKELS_PER_POINT).astype(np.int64)
    return np.where(nickels > FINE_TICK_NICKELS, nickels // COARSE_NICKELS * COARSE_NICKELS, nickels)


def on_tick_above(points: Floats) -> Int64s:
    """Return the nearest price at or above `points` that is on the tick grid, in nickels (0.05 points)."""
    nickels = np.ceil(points * NICKELS_PER_POINT).astype(np.int64)
    return np.where(nickels > FINE_TICK_NICKELS, -(-nickels // COARSE_NICKELS) * COARSE_NICKELS, nickels)


def quote_rows(state: Array) -> Array:
    """Return mbp-1 rows, without times, of what contracts show; the row tells of the side that changed last."""
    rows = np.zeros(len(state), dtype=MBP1)
    rows["length"], rows["rtype"], rows["publisher_id"] = MBP1.itemsize // 4, 0x01, PUBLISHER_ID
    rows["instrument_id"], rows["action"], rows["flags"] = state["instrument_id"], state["action"], F_LAST
    rows["side"] = np.where(state["is_bid_told"], ord("B"), ord("A"))
    for side in ("bid", "ask"):
        rows[f"{side}_price"] = np.where(state[side] > 0, state[side] * NICKEL_E9, INT64_MAX)
        rows[f"{side}_size"], rows[f"{side}_count"] = state[f"{side}_size"], state[f"{side}_count"]
    for name in ("price", "size"):
        rows[name] = np.where(state["is_bid_told"], rows[f"bid_{name}"], rows[f"ask_{name}"])
    return rows


def trade_rows(prints: Array) -> Array:
    """Return the rows of trades that mbp-1 rows with action T tell."""
    rows = np.zeros(len(prints), dtype=TRADES)
    for name in TRADES.names or ():
        rows[name] = prints[name]
    rows["length"], rows["rtype"] = TRADES.itemsize // 4, 0x00
    return rows
