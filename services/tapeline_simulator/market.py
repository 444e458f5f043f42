"""A synthetic market whose order flow is what CME and Databento put on the wire: MBO records, event by event.

The same seed, symbols, rate and start give the same bytes, wherever it runs and however it is cut into calls.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final
from zlib import crc32

import numpy as np

from tapeline.errors import Misconfigured
from tapeline.feed.dbn_records import MBO_RECORD, Array
from tapeline.model.columns import F_BAD_TS_RECV, F_LAST, F_SNAPSHOT, INT64_MAX
from tapeline_simulator import exchange

DATASET: Final = "TAPELINE.SIM"
"""No vendor's name: simulated ticks must not be taken for real ones. A dataset without a calendar never closes."""
PUBLISHER_ID: Final = 1
TICK_E9: Final = 250_000_000
BATCH_RECORDS: Final = 4096

_FIRST_MID_TICKS: Final = 100_000
"""25,000.00 points: the first instrument's price at the beginning."""
_CARRY_TICKS: Final = 1_000
"""What each further contract costs more than the one before it."""
_FIRST_ORDER_ID: Final = 6_412_000_000_000
_ORDERS_AGE_NS: Final = 3_600_000_000_000
_WARM_UP_EVENTS: Final = 20_000
_RECORDS_PER_EVENT: Final = 1.27
"""Measured; a test holds the rate to what was asked for."""


class Market:
    """A living market of `symbols`, the first of which trades most.

    `records_per_s` is the mean rate over all instruments, in the market's own time, which begins at `start_ns` (ns
    since the epoch) with books that have traded for a while. Raises Misconfigured where an argument makes no market.
    """

    def __init__(self, symbols: Sequence[str], *, seed: int, records_per_s: float, start_ns: int) -> None:
        self.symbols = tuple(symbols)
        self.instrument_ids = tuple(instrument_id(symbol) for symbol in self.symbols)
        if not self.symbols or len(set(self.instrument_ids)) != len(self.symbols):
            raise Misconfigured(f"a market needs symbols, each once, not {','.join(symbols) or 'none'}")
        if not 0.1 <= records_per_s <= 10_000_000:
            raise Misconfigured(f"the rate must be within 0.1 and 10,000,000 records per second, is {records_per_s}")
        self.start_ns = start_ns
        events_per_s = records_per_s / _RECORDS_PER_EVENT
        self._state = _new_state(self.instrument_ids, seed, events_per_s)
        self._out = np.zeros(BATCH_RECORDS, dtype=MBO_RECORD)
        self._tops = np.zeros((BATCH_RECORDS, exchange.TOLD_WIDTH), dtype=np.int64)
        self._open(start_ns - int(_WARM_UP_EVENTS / events_per_s * 1e9))

    def batches(self, until_ns: int) -> Iterator[Array]:
        """Yield the records (MBO_RECORD) of all events up to `until_ns`; each array is valid until the next is taken.

        When the channel's 32-bit packet numbers are used up they begin anew, and a snapshot tells each book again.
        """
        return (records for records, _ in self._run(until_ns, self._tops[:0]))

    def batches_with_tops(self, until_ns: int) -> Iterator[tuple[Array, exchange.Int64s]]:
        """Yield as `batches` does, and beside the last record of every event but a snapshot the top after it.

        The columns of the tops are bid and ask price in ticks, bid and ask size, bid and ask count.
        """
        return self._run(until_ns, self._tops)

    def _run(self, until_ns: int, tops: exchange.Int64s) -> Iterator[tuple[Array, exchange.Int64s]]:
        while True:
            count = exchange.advance(self._state, until_ns, self._out, tops)
            if count:
                yield self._out[:count], tops[:count]
            elif self._state.clock[exchange.PACKET] >= exchange.LAST_SEQUENCE:
                self._state.clock[exchange.PACKET] = 0
                snapshot = self.snapshot()
                yield snapshot, np.zeros((len(snapshot), tops.shape[1]), dtype=np.int64)
            else:
                return

    def set_trading(self, symbols: Collection[str]) -> None:
        """From now on let orders arrive for `symbols` alone, at the same rate as before; at least one must be left."""
        self._state.flows[:, exchange.SHARE] = _shares(self.symbols, symbols)

    def pass_over(self, duration_ns: int) -> None:
        """Let `duration_ns` go by in which nobody trades: what would have come next comes so much later."""
        self._state.clock[exchange.EVENT_TS] += duration_ns

    def snapshot(self, instrument_ids: Collection[int] | None = None) -> Array:
        """Return, per instrument, an `R` and the resting orders as `A` in order of priority, flagged as a snapshot.

        Of all instruments, or of those of `instrument_ids`.
        """
        now = max(int(self._state.clock[exchange.RECV_TS]), self.start_ns)
        wanted = self.instrument_ids if instrument_ids is None else instrument_ids
        return np.concatenate([self._snapshot(i, now) for i, each in enumerate(self.instrument_ids) if each in wanted])

    def _snapshot(self, i: int, now: int) -> Array:
        state = self._state
        rows = state.orders[i, state.orders[i, : state.tops[i, exchange.LIVE], exchange.LIVE_ROW]]
        rows = rows[np.argsort(rows[:, exchange.PRIORITY])]
        records = np.zeros(len(rows) + 1, dtype=MBO_RECORD)
        records["length"], records["rtype"] = MBO_RECORD.itemsize // 4, 0xA0
        records["publisher_id"], records["instrument_id"] = PUBLISHER_ID, self.instrument_ids[i]
        records["ts_recv"], records["flags"] = now, F_SNAPSHOT | F_BAD_TS_RECV
        clear, adds = records[:1], records[1:]
        clear["action"], clear["side"], clear["price"] = ord("R"), ord("N"), INT64_MAX
        clear["ts_event"] = rows[0, exchange.TS]
        adds["action"], adds["side"] = ord("A"), np.where(rows[:, exchange.SIDE] == exchange.BID, ord("B"), ord("A"))
        adds["price"] = (state.tops[i, exchange.FIRST_PRICE] + rows[:, exchange.PRICE]) * TICK_E9
        adds["ts_event"], adds["sequence"] = rows[:, exchange.TS], rows[:, exchange.SEQUENCE]
        adds["size"], adds["order_id"] = rows[:, exchange.SIZE], rows[:, exchange.ID]
        records["flags"][-1] |= F_LAST
        return records

    def _open(self, warm_up_ns: int) -> None:
        state = self._state
        state.clock[exchange.EVENT_TS] = warm_up_ns
        exchange.fill_books(state, warm_up_ns - _ORDERS_AGE_NS, _ORDERS_AGE_NS)
        for _ in self.batches(self.start_ns):
            pass


def load_kernels() -> None:
    """Compile the kernels, or load them from numba's cache, before a market's clock begins to run."""
    Market(["NQ"], seed=0, records_per_s=1_000, start_ns=0)


def instrument_id(symbol: str) -> int:
    """Return the number that stands for `symbol`, the same in every run."""
    return crc32(symbol.encode()) & 0x7FFF_FFFF


def front_contracts(at_ns: int, count: int) -> list[str]:
    """Return the `count` nearest quarterly NQ contracts at `at_ns`; the market rolls on the 11th of the month."""
    day = datetime.fromtimestamp(at_ns / 1e9, UTC).date()
    quarter = day.year * 4 + (day.month - 1) // 3
    if day.month % 3 == 0 and day.day > 10:
        quarter += 1
    return [f"NQ{'HMUZ'[q % 4]}{q // 4 % 10}" for q in range(quarter, quarter + count)]


def _shares(every: Sequence[object], trading: Collection[object]) -> exchange.Float64s:
    """Return the cumulative share of the arrivals per instrument; those that do not trade have none."""
    weights = 1.0 / np.arange(1, len(every) + 1) ** 2 * [each in trading for each in every]
    shares: exchange.Float64s = np.cumsum(weights) / weights.sum()
    shares[int(np.flatnonzero(weights)[-1]) :] = 1.0
    return shares


def _new_state(instrument_ids: Sequence[int], seed: int, events_per_s: float) -> exchange.State:
    count = len(instrument_ids)
    flows = np.zeros((count, 2))
    flows[:, exchange.SHARE] = _shares(instrument_ids, instrument_ids)
    clock = np.zeros(6, dtype=np.int64)
    clock[exchange.NEXT_ID] = _FIRST_ORDER_ID
    rates = np.zeros(4)
    rates[exchange.EVENTS] = events_per_s
    rates[exchange.BACKGROUND] = exchange.BACKGROUND_SHARE * events_per_s
    tops = np.zeros((count, exchange.TOP_WIDTH), dtype=np.int64)
    tops[:, exchange.BEST + exchange.BID] = exchange.CENTRE - 1
    tops[:, exchange.BEST + exchange.ASK] = exchange.CENTRE
    tops[:, exchange.FREE] = exchange.CAPACITY
    tops[:, exchange.FIRST_PRICE] = _FIRST_MID_TICKS - exchange.CENTRE + _CARRY_TICKS * np.arange(count)
    tops[:, exchange.INSTRUMENT_ID] = instrument_ids
    orders = np.zeros((count, exchange.CAPACITY, exchange.ORDER_WIDTH), dtype=np.int64)
    orders[:, :, exchange.FREE_ROW] = np.arange(exchange.CAPACITY - 1, -1, -1)
    return exchange.State(
        orders=orders,
        levels=np.full((count, exchange.GRID, 2), exchange.NONE, dtype=np.int64),
        tops=tops,
        touched=np.full((exchange.MAX_LOTS + 1, 3), exchange.NONE, dtype=np.int64),
        clock=clock,
        rates=rates,
        flows=flows,
        random=np.array([seed], dtype=np.uint64),
    )
