"""What is remarkable of the contracts of a Barchart chain, as flags. Pure, over columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from tapeline.feed.barchart.products import Product
from tapeline.feed.barchart.trade_times import DAY
from tapeline.feed.calendar import Calendar
from tapeline.model.chains import ABSENT, NULL_CODE, flag_bit
from tapeline.model.frames import Array

Integers = npt.NDArray[np.int64]
Truths = npt.NDArray[np.bool_]

_FARTHEST: Final = 2
"""A strike of more than so many times the price of the future, or less than one so-manieth of it, is a ghost."""


def stale_volumes(volume: Integers, trade_at: Integers, precision: Array, at_ns: int, calendar: Calendar) -> Array:
    """Return which volumes are of an earlier session than that of `at_ns`: int8, NULL_CODE where it cannot be told.

    A contract that has not traded in a session still shows the volume of the last one in which it has. While the market
    is closed, the session in hand is the last one.
    """
    of_session_ns = at_ns if calendar.is_open(at_ns) else calendar.last_close(at_ns) - 1
    begin_ns = calendar.next_open(calendar.last_close(of_session_ns))
    begin_day_ns = int(np.datetime64(calendar.trading_day(of_session_ns), "ns").astype(np.int64))
    is_old = np.where(precision == DAY, trade_at < begin_day_ns, trade_at < begin_ns)
    is_known = (volume > ABSENT) & (trade_at > ABSENT)
    stale: Array = np.where(is_known, is_old & (volume > 0), NULL_CODE).astype(np.int8)
    return stale


def contract_flags(columns: Mapping[str, Array], product: Product, *, is_expired: bool) -> npt.NDArray[np.uint32]:
    """Return the flags of each contract (uint32) from its prices and `volume_is_stale`."""
    bid, ask, last = columns["bid"], columns["ask"], columns["last"]
    has_bid, has_ask, has_last = bid > ABSENT, ask > ABSENT, last > ABSENT
    two_sided = has_bid & has_ask
    found = {
        "no_data": ~(has_bid | has_ask | has_last),
        "one_sided": has_bid != has_ask,
        "crossed": two_sided & (bid > ask),
        "locked": two_sided & (bid == ask),
        "off_tick": _off_tick(bid, product) | _off_tick(ask, product) | _off_tick(last, product),
        "stale_volume": columns["volume_is_stale"] == 1,
        "expired": np.full(len(bid), is_expired),
    }
    flags = np.zeros(len(bid), dtype=np.uint32)
    for name, rows in found.items():
        flags[rows] |= flag_bit(name)
    return flags


def ghost_strikes(strikes: Integers, underlying_price: int | None) -> int:
    """Return how many strikes (exponent -9) are too far to be real from the future, or from the median strike."""
    middle = float(np.median(strikes)) if underlying_price is None else underlying_price
    return int(np.count_nonzero((strikes > middle * _FARTHEST) | (strikes * _FARTHEST < middle)))


def _off_tick(prices: Integers, product: Product) -> Truths:
    if not product.step:
        return np.zeros(len(prices), dtype=bool)
    step = np.where(prices <= product.small_up_to, product.small_step, product.step)
    off: Truths = (prices > ABSENT) & (prices % step != 0)
    return off
