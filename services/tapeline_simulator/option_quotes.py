"""Who quotes and trades NQ options when, and at what price: rows of mbp-1 and trades, a slice of time at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from zlib import crc32

import numpy as np
import numpy.typing as npt

from tapeline.feed.dbn_records import Array
from tapeline_simulator.book_rows import MBP1, TRADES
from tapeline_simulator.option_rows import (
    NICKEL_E9,
    STATE,
    Int64s,
    on_tick_above,
    on_tick_below,
    quote_rows,
    trade_rows,
)
from tapeline_simulator.surface import Floats, option_values

Bools = npt.NDArray[np.bool_]

SLICE_NS: Final = 25_000_000
"""Quotes follow the underlying from slice to slice."""
_YEAR_NS: Final = 365 * 86_400 * 10**9
_LEAST_TIME_NS: Final = 60 * 10**9
_SILENT_ONE_IN: Final = 50
_FAR: Final = 0.04
"""Of the future's settlement; nearer than half of it everything is quoted in real chains."""
_MOST_ACTIVITY: Final = 6.0
_MOVE_SHARE: Final = 0.005
"""What a slice counts for in the typical move."""
_MOVED: Final = 0.5
"""A quote is behind when the value has moved by this share of its half spread."""
_MOVERS_SHARE: Final = 0.6
_LATENCY_NS: Final = 80_000
_IN_DELTA_NS: Final = 11_000


_MOST_LOTS: Final = 10
"""An aggressor takes at most so many."""


@dataclass(frozen=True, slots=True)
class Contract:
    """What is quoted: `underlying` is the position of its future, `weight` how much of the activity it draws.

    With a `short_strike_points` it is a vertical spread, whose second leg is sold.
    """

    instrument_id: int
    strike_points: int
    is_call: bool
    expires_ns: int
    underlying: int
    weight: float
    short_strike_points: int = 0


def never_quotes(raw_symbol: str, strike_points: float, settlement_points: float) -> bool:
    """Return whether a contract is listed and yet never quoted, as about one in fifty is that is far from the money."""
    is_far = abs(strike_points - settlement_points) > _FAR * settlement_points
    return is_far and crc32(f"silent {raw_symbol}".encode()) % _SILENT_ONE_IN == 0


class OptionQuotes:
    """The market makers of a growing set of contracts.

    They follow the values of the surface: first come the contracts that have never been quoted, then those whose quote
    is furthest behind, then others by how active they are; `quotes_per_s` is the mean of the latter two.
    """

    def __init__(self, seed: int, quotes_per_s: float, trades_per_s: float) -> None:
        self._random = np.random.Generator(np.random.PCG64([seed, 0x0971]))
        self._quotes_per_slice = quotes_per_s * SLICE_NS / 1e9
        self._trades_per_slice = trades_per_s * SLICE_NS / 1e9
        self._quotes_owed = self._trades_owed = 0.0
        self._typical_move = self._last_future = 0.0
        self._slices = 0
        self._packet = self._received_ns = 0
        self._contracts = np.zeros(0, dtype=STATE)

    def add(self, contracts: Sequence[Contract]) -> None:
        """Take up contracts; they are quoted for the first time in the next slice."""
        added = np.zeros(len(contracts), dtype=STATE)
        for name in (
            "instrument_id",
            "strike_points",
            "is_call",
            "expires_ns",
            "underlying",
            "weight",
            "short_strike_points",
        ):
            added[name] = [getattr(contract, name) for contract in contracts]
        self._contracts = np.concatenate([self._contracts, added])

    def shown(self) -> Array:
        """Return what every contract shows now (STATE), in the order of their taking up; a copy."""
        return self._contracts.copy()

    def next_slice(self, at_ns: int, futures: Floats, is_trading: Bools) -> tuple[Array, Array]:
        """Return the (mbp-1, trades) rows of [at_ns, at_ns + SLICE_NS), in order of capture.

        `futures` are the middle prices in points by `Contract.underlying`, `is_trading` says which of them trade.
        Nobody quotes in a contract's last moments, so that no row is later than its expiry.
        """
        quotes, trades = self._how_many(float(futures[0]))
        every = self._contracts
        live = np.flatnonzero((every["expires_ns"] > at_ns + 2 * SLICE_NS) & is_trading[every["underlying"]])
        state = every[live]
        if not len(state):
            return np.zeros(0, dtype=MBP1), np.zeros(0, dtype=TRADES)
        values, vegas = _values(state, at_ns, futures)
        half_spreads = 0.03 + 0.001 * vegas + 0.0008 * values
        is_known = state["ask"] > 0
        traded = self._pick(np.where(is_known, state["weight"], 0.0), trades)
        behind = np.where(is_known, np.abs(values - state["value"]) / half_spreads, np.inf)
        behind[traded] = -1.0
        quoted = self._whom_to_quote(state["weight"], behind, quotes)
        before = quote_rows(state[traded])
        self._quote(state, quoted, values, half_spreads)
        self._trade(state, traded, before)
        pairs = np.repeat(before, 2)
        pairs[1::2] = quote_rows(state[traded])
        rows = np.concatenate([quote_rows(state[quoted]), pairs])
        events = np.concatenate([np.arange(len(quoted)), len(quoted) + np.repeat(np.arange(len(traded)), 2)])
        rows = self._stamp(at_ns, rows, events)
        executions = trade_rows(rows[rows["action"] == ord("T")])
        _record(state, traded, executions)
        every[live] = state
        return rows, executions

    def _how_many(self, future: float) -> tuple[int, int]:
        """Return how many quotes and trades a slice has: more while the future moves, as asked for on the average."""
        move = abs(future - self._last_future) if self._slices else 0.0
        self._last_future = future
        self._slices += 1
        self._typical_move += max(1 / self._slices, _MOVE_SHARE) * (move - self._typical_move)
        activity = 0.5 + 0.5 * (move / self._typical_move if self._typical_move else 1.0)
        self._quotes_owed += self._quotes_per_slice * activity
        self._trades_owed += self._trades_per_slice * activity
        # What a storm leaves over is made up for afterwards, so that the mean rate holds.
        quotes = int(min(self._quotes_owed, 1 + _MOST_ACTIVITY * self._quotes_per_slice))
        trades = int(min(self._trades_owed, 1 + _MOST_ACTIVITY * self._trades_per_slice))
        self._quotes_owed -= quotes
        self._trades_owed -= trades
        return quotes, trades

    def _whom_to_quote(self, weights: Floats, behind: Floats, count: int) -> Int64s:
        """Return the contracts that have no quote yet and `count` others, of which those furthest behind come first.

        `behind` is in half spreads: infinite where there is no quote, negative where none may come.
        """
        movers = np.flatnonzero((behind > _MOVED) & (behind < np.inf))
        most = int(count * _MOVERS_SHARE)
        if len(movers) > most:
            movers = movers[np.argsort(-behind[movers], kind="stable")[:most]]
        may_be_picked = (behind >= 0) & (behind < np.inf)
        may_be_picked[movers] = False
        others = self._pick(np.where(may_be_picked, weights, 0.0), count - len(movers))
        return np.concatenate([np.flatnonzero(behind == np.inf), movers, others])

    def _pick(self, weights: Floats, count: int) -> Int64s:
        """Return `count` positions, those of much weight more often and each once (Efraimidis, Spirakis 2006)."""
        with np.errstate(divide="ignore"):
            waits = -np.log1p(-self._random.random(len(weights))) / weights
        count = min(count, int(np.count_nonzero(weights)))
        first: Int64s = np.argsort(waits, kind="stable")[:count]
        return first

    def _quote(self, state: Array, quoted: Int64s, values: Floats, half_spreads: Floats) -> None:
        """Set bid and ask around the value, the bid at or below and the ask at or above it, with sizes from 1."""
        value, half = values[quoted], half_spreads[quoted]
        chances = self._random.random((4, len(quoted)))
        shift = (chances[0] - 0.5) * 0.8 * half
        bids = np.maximum(on_tick_below(value - half + shift), 0)
        state["action"][quoted] = np.where(state["ask"][quoted] == 0, ord("A"), ord("M"))
        state["bid"][quoted], state["ask"][quoted] = bids, on_tick_above(value + half + shift)
        state["value"][quoted] = value
        bid_sizes, ask_sizes = np.where(bids > 0, _sizes(chances[1]), 0), _sizes(chances[2])
        orders = 1 + (chances[3] * 4).astype(np.int64)
        state["bid_size"][quoted], state["bid_count"][quoted] = bid_sizes, np.minimum(bid_sizes, orders)
        state["ask_size"][quoted], state["ask_count"][quoted] = ask_sizes, np.minimum(ask_sizes, orders)
        state["is_bid_told"][quoted] = (bids > 0) & (chances[3] < 0.5)

    def _trade(self, state: Array, traded: Int64s, prints: Array) -> None:
        """Let aggressors take what is shown and show the rest, or more; `prints`, the quotes before, become trades."""
        chances = self._random.random((3, len(traded)))
        is_buy = (chances[0] < 0.5) | (state["bid"][traded] == 0)
        for side, is_taken in (("ask", is_buy), ("bid", ~is_buy)):
            rows = traded[is_taken]
            shown = state[f"{side}_size"][rows]
            size = 1 + (chances[1][is_taken] * np.minimum(shown, _MOST_LOTS)).astype(np.int64)
            is_all = size >= shown
            left = np.where(is_all, _sizes(chances[2][is_taken]), shown - size)
            prints["price"][is_taken] = prints[f"{side}_price"][is_taken]
            prints["size"][is_taken] = np.minimum(size, shown)
            state[f"{side}_size"][rows] = left
            state[f"{side}_count"][rows] = np.minimum(state[f"{side}_count"][rows], left)
            state["is_bid_told"][rows] = side == "bid"
            state["action"][rows] = np.where(is_all, ord("A"), ord("M"))
        prints["action"], prints["side"], prints["flags"] = ord("T"), np.where(is_buy, ord("B"), ord("A")), 0

    def _stamp(self, at_ns: int, rows: Array, events: Int64s) -> Array:
        """Return the rows in order of time, with times and packet numbers; `events` numbers the event of each row."""
        chances = self._random.random((4, int(events[-1]) + 1 if len(events) else 0))
        order = np.argsort(chances[0], kind="stable")
        waits = -np.log1p(-chances[1:])
        times = at_ns + (chances[0][order] * SLICE_NS).astype(np.int64)
        in_deltas = _IN_DELTA_NS + (waits[0] * 2_500).astype(np.int64)
        received = times + _LATENCY_NS + in_deltas + (waits[1] * 15_000).astype(np.int64)
        received = np.maximum.accumulate(np.maximum(received, self._received_ns))
        packets = self._packet + np.cumsum(1 + (waits[2] * 3).astype(np.int64))
        if len(order):
            self._received_ns, self._packet = int(received[-1]), int(packets[-1])
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        by_time = np.argsort(place[events], kind="stable")
        rows, at = rows[by_time], place[events][by_time]
        rows["ts_event"], rows["ts_recv"], rows["ts_in_delta"] = times[at], received[at], in_deltas[at]
        rows["sequence"] = packets[at] & 0xFFFF_FFFF
        return rows


def _record(state: Array, traded: Int64s, trades: Array) -> None:
    """Keep what the session's trades come to; `trades` are those of the contracts `traded`, one each."""
    numbers = state["instrument_id"][traded]
    order = np.argsort(numbers)
    rows = traded[order[np.searchsorted(numbers, trades["instrument_id"], sorter=order)]]
    prices = trades["price"] // NICKEL_E9
    is_first = state["volume"][rows] == 0
    state["open"][rows] = np.where(is_first, prices, state["open"][rows])
    state["high"][rows] = np.maximum(state["high"][rows], prices)
    state["low"][rows] = np.where(is_first, prices, np.minimum(state["low"][rows], prices))
    state["last"][rows], state["traded_ns"][rows] = prices, trades["ts_event"]
    state["volume"][rows] += trades["size"]


def _values(state: Array, at_ns: int, futures: Floats) -> tuple[Floats, Floats]:
    """Return what contracts are worth (points) and their vegas."""
    years = np.maximum(state["expires_ns"] - at_ns, _LEAST_TIME_NS) / _YEAR_NS
    strikes = state["strike_points"].astype(np.float64)
    values, vegas = option_values(futures[state["underlying"]], strikes, years, state["is_call"])
    spreads = np.flatnonzero(state["short_strike_points"])
    if len(spreads):
        legs = state[spreads]
        sold, _ = option_values(
            futures[legs["underlying"]],
            legs["short_strike_points"].astype(np.float64),
            years[spreads],
            legs["is_call"],
        )
        values[spreads] -= sold
    return values, vegas


def _sizes(chances: Floats) -> Int64s:
    return 1 + np.minimum(-np.log1p(-chances) * 9.0, 98.0).astype(np.int64)
