"""What follows from an order-by-order feed: top of book (mbp-1), trades, and the session's high and low. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tapeline.feed.dbn_records import UNDEFINED_TIME, Array
from tapeline.model.columns import F_LAST, F_SNAPSHOT, INT64_MAX
from tapeline_simulator.capture import by_capture, joined
from tapeline_simulator.databento.schemas import record_of
from tapeline_simulator.exchange import TOLD_WIDTH, TOP_PRICE
from tapeline_simulator.market import PUBLISHER_ID, TICK_E9, Market

Int64s = npt.NDArray[np.int64]

MBP1: Final = record_of("mbp-1")
TRADES: Final = record_of("trades")
STATISTICS: Final = record_of("statistics")

LOWEST, HIGHEST = 4, 5
"""Databento's types of the statistics that follow the trades."""
NEW: Final = 1
NO_FLAGS: Final = 255
_COPIED: Final = (
    "publisher_id",
    "instrument_id",
    "ts_event",
    "price",
    "size",
    "action",
    "side",
    "ts_recv",
    "ts_in_delta",
    "sequence",
)
_TOP_COLUMNS: Final = ("bid_price", "ask_price", "bid_size", "ask_size", "bid_count", "ask_count")
_EMPTY_TOP: Final = (INT64_MAX, INT64_MAX, 0, 0, 0, 0)
_ORDER_LATENCY_NS: Final = 11_000
"""No live record is captured sooner after its event than this, so that the opening comes before all of them."""


@dataclass(frozen=True, slots=True)
class SessionTrades:
    """What a session's trades come to: prices (exponent -9), and when the last one was; none without `volume`."""

    open_e9: int = 0
    high_e9: int = 0
    low_e9: int = 0
    last_e9: int = 0
    traded_ns: int = 0
    volume: int = 0

    def after(self, trades: Array) -> SessionTrades:
        """Return the same after more trades, at least one, in their order."""
        prices = trades["price"]
        low_e9, high_e9 = int(prices.min()), int(prices.max())
        return SessionTrades(
            open_e9=self.open_e9 if self.volume else int(prices[0]),
            high_e9=max(self.high_e9, high_e9) if self.volume else high_e9,
            low_e9=min(self.low_e9, low_e9) if self.volume else low_e9,
            last_e9=int(prices[-1]),
            traded_ns=int(trades["ts_event"][-1]),
            volume=self.volume + int(trades["size"].sum()),
        )


class BookRows:
    """Derives rows from the MBO records of `instrument_ids`, whose books are empty at first."""

    def __init__(self, instrument_ids: tuple[int, ...]) -> None:
        self._tops = {each: np.array(_EMPTY_TOP, dtype=np.int64) for each in instrument_ids}
        self._low = dict.fromkeys(instrument_ids, INT64_MAX)
        self._high = dict.fromkeys(instrument_ids, -INT64_MAX)
        self._sessions = dict.fromkeys(instrument_ids, SessionTrades())

    def mid_points(self, instrument_id: int) -> float:
        """Return the middle between the best bid and ask, in points."""
        bid_e9, ask_e9 = self._tops[instrument_id][TOP_PRICE : TOP_PRICE + 2].tolist()
        return float(bid_e9 + ask_e9) / 2e9

    def top(self, instrument_id: int) -> tuple[int, ...]:
        """Return the best bid and ask (exponent -9; INT64_MAX: none), their sizes and their counts of orders."""
        return tuple(self._tops[instrument_id].tolist())

    def session(self, instrument_id: int) -> SessionTrades:
        """Return what the session's trades come to."""
        return self._sessions[instrument_id]

    def derive(self, records: Array, tops: Int64s) -> tuple[Array, Array]:
        """Return the (mbp-1, trades) rows of whole events; `tops` holds the top after each record that ends one.

        Prices of `tops` have exponent -9. A trade's row carries the top before its event and flags 0; an event has a
        row of its last record, with the top after it, where it traded or where the top is another one.
        """
        is_live = (records["flags"] & F_SNAPSHOT) == 0
        is_end = is_live & ((records["flags"] & F_LAST) != 0)
        is_trade = is_live & (records["action"] == ord("T"))
        positions, shown = [], []
        for number, top in self._tops.items():
            is_own = records["instrument_id"] == number
            ends, trades = np.flatnonzero(is_end & is_own), np.flatnonzero(is_trade & is_own)
            if not len(ends):
                continue
            after = tops[ends]
            before = np.concatenate([top[None, :], after[:-1]])
            event_of_trade = np.searchsorted(ends, trades)
            is_told = (after != before).any(axis=1)
            is_told[event_of_trade] = True
            positions += [trades, ends[is_told]]
            shown += [before[event_of_trade], after[is_told]]
            self._tops[number] = after[-1].copy()
        trades = records[is_trade]
        self._keep(trades)
        if not positions:
            return np.zeros(0, dtype=MBP1), np.zeros(0, dtype=TRADES)
        position = np.concatenate(positions)
        order = np.argsort(position, kind="stable")
        rows = _like(records[position[order]], MBP1, 0x01)
        for column, values in zip(_TOP_COLUMNS, np.concatenate(shown)[order].T, strict=True):
            rows[column] = values
        return rows, _like(trades, TRADES, 0x00)

    def _keep(self, trades: Array) -> None:
        for number, session in self._sessions.items():
            own = trades[trades["instrument_id"] == number]
            if len(own):
                self._sessions[number] = session.after(own)

    def extremes(self, trades: Array) -> Array:
        """Return a statistics row for each trade that is the session's highest or lowest so far."""
        rows = []
        for number in self._tops:
            own = trades[trades["instrument_id"] == number]
            if not len(own):
                continue
            high = np.maximum.accumulate(np.concatenate([[self._high[number]], own["price"]]))
            low = np.minimum.accumulate(np.concatenate([[self._low[number]], own["price"]]))
            self._high[number], self._low[number] = int(high[-1]), int(low[-1])
            rows += [_statistic(own[high[1:] > high[:-1]], HIGHEST), _statistic(own[low[1:] < low[:-1]], LOWEST)]
        if not rows:
            return np.zeros(0, dtype=STATISTICS)
        return by_capture(joined(rows))


def tops_e9(tops: Int64s) -> Int64s:
    """Return tops whose prices are in ticks with prices of exponent -9."""
    result = tops.copy()
    result[:, TOP_PRICE : TOP_PRICE + 2] *= TICK_E9
    return result


def opening(market: Market) -> tuple[Array, Int64s]:
    """Return the orders that rest in a market at its beginning as they came in: per instrument `R`, then each `A`.

    With them come the tops after each record, with prices of exponent -9.
    """
    records = market.snapshot().copy()
    is_clear = records["action"] == ord("R")
    records["flags"], records["ts_in_delta"] = F_LAST, _ORDER_LATENCY_NS
    records["ts_event"][is_clear] = records["ts_event"].min() - 10**9
    records["ts_recv"] = records["ts_event"] + _ORDER_LATENCY_NS
    records = records[np.argsort(records["ts_event"], kind="stable")]
    best = {number: list(_EMPTY_TOP) for number in market.instrument_ids}
    tops = np.zeros((len(records), TOLD_WIDTH), dtype=np.int64)
    columns = (records[name].tolist() for name in ("instrument_id", "action", "side", "price", "size"))
    for row, (number, action, side, price, size) in enumerate(zip(*columns, strict=True)):
        top, at = best[number], 0 if side == ord("B") else 1
        if action == ord("A") and (top[4 + at] == 0 or (price > top[at] if at == 0 else price < top[at])):
            top[at], top[2 + at], top[4 + at] = price, size, 1
        elif action == ord("A") and price == top[at]:
            top[2 + at] += size
            top[4 + at] += 1
        tops[row] = top
    return records, tops


def _like(records: Array, dtype: np.dtype[np.void], rtype: int) -> Array:
    """Return rows of another type with what `records` have in common with it; those of trades have no flags."""
    rows = np.zeros(len(records), dtype=dtype)
    rows["length"], rows["rtype"] = dtype.itemsize // 4, rtype
    for name in _COPIED:
        rows[name] = records[name]
    rows["flags"] = np.where(records["action"] == ord("T"), 0, records["flags"])
    return rows


def _statistic(trades: Array, stat_type: int) -> Array:
    rows = np.zeros(len(trades), dtype=STATISTICS)
    rows["length"], rows["rtype"], rows["publisher_id"] = STATISTICS.itemsize // 4, 0x18, PUBLISHER_ID
    for name in ("instrument_id", "ts_event", "ts_recv", "ts_in_delta", "sequence", "price"):
        rows[name] = trades[name]
    rows["ts_ref"], rows["quantity"], rows["stat_type"] = UNDEFINED_TIME, INT64_MAX, stat_type
    rows["update_action"], rows["stat_flags"] = NEW, NO_FLAGS
    return rows
