"""The synthetic market as a vendor captures it: NQ futures order by order, NQ options as quotes, in all schemas.

The same seed and start give the same tape, however the time is cut into calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final
from zlib import crc32

import numpy as np

from tapeline.errors import Misconfigured
from tapeline.feed.dbn_records import Array
from tapeline_simulator import definitions
from tapeline_simulator.agenda import Agenda
from tapeline_simulator.book_rows import BookRows, Int64s, opening, tops_e9
from tapeline_simulator.capture import Capture, Tape
from tapeline_simulator.exchange import MAX_LATENCY_NS
from tapeline_simulator.expiries import Future, Series, future_of, next_series
from tapeline_simulator.market import TICK_E9, Market
from tapeline_simulator.option_board import InstrumentIds, OptionBoard, Underlying, day_before
from tapeline_simulator.option_quotes import SLICE_NS, OptionQuotes
from tapeline_simulator.option_rows import STATE
from tapeline_simulator.reference_records import (
    EXPIRED,
    HALT,
    LATENCY_NS,
    PRE_OPEN,
    RESUMED,
    TRADING,
    Phase,
    Yesterday,
    opening_price,
    records_of,
    statistics_of_yesterday,
    statuses,
)
from tapeline_simulator.trading import Trading
from tapeline_simulator.venue_view import FutureView, VenueView

_BEFORE_THE_OPENING_NS: Final = 60 * 10**9
_TRADING_BEFORE_START_NS: Final = 10**9
_LASTING_NS: Final = 3_600 * 10**9
_VENUE, _FUTURES, _OPTIONS = 0, 1, 2
"""Sources of captured records."""
_DAY_MOVE: Final = 0.01
_OPEN_INTEREST: Final = 260_000
"""Of the nearest future; a tenth of it of each later one."""


@dataclass(frozen=True, slots=True)
class OptionSettings:
    """How lively the options are: `expiries` next ones and a quarterly, mean rates over all contracts per second.

    `new_strike_after_s` from the start a strike is listed that was not there before.
    """

    expiries: int = 8
    quotes_per_s: float = 500.0
    trades_per_s: float = 5.0
    new_strike_after_s: float = 60.0

    def __post_init__(self) -> None:
        """Raise Misconfigured where a number makes no market."""
        if self.expiries < 1 or min(self.quotes_per_s, self.trades_per_s, self.new_strike_after_s) < 0:
            raise Misconfigured(f"options need at least one expiry and no negative rate or time, not {self}")


class Venue:
    """NQ futures and, unless `options` is None, options on them, as a vendor's `tape` captures them from `start_ns`.

    `records_per_s` is the mean rate of MBO records over all `futures`, which are raw symbols; the first trades most.
    What is known before the start is on the tape at once: definitions, yesterday's statistics, the orders that rest.
    Raises Misconfigured where an argument makes no market.
    """

    def __init__(
        self,
        tape: Tape,
        *,
        seed: int,
        start_ns: int,
        records_per_s: float,
        futures: Sequence[str],
        options: OptionSettings | None,
    ) -> None:
        self._tape = tape
        self._market = Market(futures, seed=seed, records_per_s=records_per_s, start_ns=start_ns)
        self._futures = [future_of(symbol, start_ns) for symbol in futures]
        self._rows = BookRows(self._market.instrument_ids)
        self._capture = Capture(tape)
        self._trading = Trading(self._market, self._futures)
        self._agenda = Agenda()
        self._now = start_ns
        self._options = options
        self._quotes = OptionQuotes(seed, options.quotes_per_s, options.trades_per_s) if options else None
        self._next_slice_ns = start_ns
        self._yesterday: dict[int, Yesterday] = {}
        self._open()

    def advance(self, until_ns: int) -> None:
        """Append what was captured up to `until_ns` less MAX_LATENCY_NS, when nothing earlier can arrive any more."""
        horizon = until_ns - MAX_LATENCY_NS
        while True:
            planned = self._agenda.next_ns()
            due = horizon + 1 if planned is None else planned
            if self._quotes is not None:
                due = min(due, self._next_slice_ns)
            self._trade(min(due, horizon))
            if due > horizon:
                break
            self._agenda.run(due)
            if self._quotes is not None and self._next_slice_ns == due:
                self._quote(self._quotes, due)
        self._now = max(self._now, horizon)
        self._capture.release(self._now)

    def snapshot(self, instrument_id: int) -> Array:
        """Return the book of one future as MBO records after all that the tape has: `R`, then each `A`; flags 40, 168.

        Raises Misconfigured where the instrument is not a future that trades here.
        """
        if instrument_id not in self._market.instrument_ids:
            raise Misconfigured(f"instrument {instrument_id} has no book: only {', '.join(self._market.symbols)} have")
        return self._market.snapshot((instrument_id,))

    def view(self) -> VenueView:
        """Return what the venue shows now: what the tape tells, and what it will tell in the next SLICE_NS."""
        listed = {}
        if self._board is not None:
            listed = {series: tuple(self._board.contracts(series)) for series in self._board.series}
        return VenueView(
            at_ns=self._now,
            futures=tuple(self._future_view(future, number) for future, number in self._numbered_futures()),
            listed=listed,
            state=self._quotes.shown() if self._quotes is not None else np.zeros(0, dtype=STATE),
        )

    def halt(self, symbol: str, seconds: float) -> None:
        """Halt a future and the options on it, from the end of the tape on, for `seconds` of the market's time.

        Raises Misconfigured where `symbol` is not one of the futures that still trade.
        """
        listed = {future.symbol: future for future in self._futures if future.expires_ns > self._now}
        if symbol not in listed:
            raise Misconfigured(f"{symbol!r} cannot be halted: it must be one of {', '.join(listed)}")
        until_ns = self._now + int(seconds * 1e9)
        if self._trading.halt(symbol, until_ns, self._now):
            self._tell(listed[symbol], HALT, self._now)
        self._agenda.plan(until_ns, partial(self._resume, listed[symbol]))

    def _numbered_futures(self) -> Iterator[tuple[Future, int]]:
        return zip(self._futures, self._market.instrument_ids, strict=True)

    def _future_view(self, future: Future, number: int) -> FutureView:
        bid_e9, ask_e9, *_ = self._rows.top(number)
        return FutureView(future, bid_e9, ask_e9, self._rows.session(number), self._yesterday[number])

    # -- the opening -------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        """Capture what is known at the start: who is listed, yesterday, the orders that rest, the session's begin."""
        start_ns, numbers = self._now, InstrumentIds()
        records, tops = opening(self._market)
        opened_ns = int(records["ts_event"][0])
        told_ns = opened_ns - _BEFORE_THE_OPENING_NS
        self._capture_rows(records, tops)
        underlyings = [self._list_future(i, numbers, told_ns) for i in range(len(self._futures))]
        everyone = list(self._market.instrument_ids)
        board = None
        if self._quotes is not None:
            board = OptionBoard(underlyings, numbers, self._tape.listings, self._capture, self._quotes.add)
        self._board = board
        if board is not None and self._options is not None:
            everyone += self._list_options(board, self._options, told_ns, start_ns)
        begin_ns = start_ns - _TRADING_BEFORE_START_NS
        self._capture.put("status", _VENUE, statuses(everyone, PRE_OPEN, opened_ns))
        self._capture.put("status", _VENUE, statuses(everyone, TRADING, begin_ns))
        for number in self._market.instrument_ids:
            price_e9 = self._mid_ticks(number) * TICK_E9
            self._capture.put("statistics", _VENUE, opening_price(number, price_e9, begin_ns))
        self._capture.release(start_ns)

    def _list_future(self, position: int, numbers: InstrumentIds, at_ns: int) -> Underlying:
        future, number = self._futures[position], numbers.take(self._futures[position].symbol)
        moved = crc32(f"yesterday {future.symbol}".encode()) / 2**32 - 0.5
        settlement_ticks = round(self._mid_ticks(number) * (1 + _DAY_MOVE * moved))
        listing, data = definitions.future(
            future, number, settlement_e9=settlement_ticks * TICK_E9, at_ns=at_ns, latency_ns=LATENCY_NS
        )
        self._tape.listings.add(listing)
        self._capture.put("definition", _VENUE, records_of("definition", data))
        held = _OPEN_INTEREST // 10**position
        yesterday = Yesterday(number, settlement_ticks * TICK_E9, held, held * 2)
        self._yesterday[number] = yesterday
        self._capture.put("statistics", _VENUE, statistics_of_yesterday([yesterday], day_before(at_ns), at_ns))
        self._agenda.plan(future.expires_ns, partial(self._expire_future, future))
        return Underlying(future, position, number, settlement_ticks * TICK_E9 / 1e9)

    def _list_options(self, board: OptionBoard, options: OptionSettings, told_ns: int, start_ns: int) -> list[int]:
        """List the first chains, with spreads on the first and the last; return the numbers of their contracts."""
        listed = self._list_next_series(board, options, told_ns, start_ns)
        if board.series:
            for series in dict.fromkeys((board.series[0], board.series[-1])):
                board.list_user_defined(series, told_ns)
            self._agenda.plan(start_ns + int(options.new_strike_after_s * 1e9), partial(self._list_strike, board))
        return listed

    def _list_next_series(self, board: OptionBoard, options: OptionSettings, told_ns: int, at_ns: int) -> list[int]:
        listed = []
        for series in next_series(at_ns, options.expiries):
            if series not in board.series and board.has_underlying(series):
                listed += board.list_series(series, told_ns)
                self._agenda.plan(series.expires_ns, partial(self._expire_series, board, options, series))
        return listed

    # -- what happens by itself --------------------------------------------------------------------------------------

    def _list_strike(self, board: OptionBoard, at_ns: int) -> None:
        lasting = [series for series in board.series if series.expires_ns > at_ns + _LASTING_NS]
        if lasting:
            self._capture.put("status", _VENUE, statuses(board.list_strike_above(lasting[0], at_ns), TRADING, at_ns))

    def _expire_series(self, board: OptionBoard, options: OptionSettings, series: Series, at_ns: int) -> None:
        self._capture.put("status", _VENUE, statuses(board.instrument_ids(series), EXPIRED, at_ns))
        listed = self._list_next_series(board, options, at_ns, at_ns)
        self._capture.put("status", _VENUE, statuses(listed, TRADING, at_ns))

    def _expire_future(self, future: Future, at_ns: int) -> None:
        number = self._market.instrument_ids[self._futures.index(future)]
        self._capture.put("status", _VENUE, statuses([number], EXPIRED, at_ns))
        self._trading.update(at_ns)

    def _resume(self, future: Future, at_ns: int) -> None:
        if self._trading.resume(future.symbol, at_ns):
            self._tell(future, RESUMED, at_ns)

    def _tell(self, future: Future, phase: Phase, at_ns: int) -> None:
        """Say what a future and the options on it may do from `at_ns` on."""
        numbers = [self._market.instrument_ids[self._futures.index(future)]]
        if self._board is not None:
            numbers += self._board.instrument_ids_on(future.symbol, at_ns)
        self._capture.put("status", _VENUE, statuses(numbers, phase, at_ns))

    # -- what trades -------------------------------------------------------------------------------------------------

    def _trade(self, until_ns: int) -> None:
        if self._trading.mask.any():
            for records, tops in self._market.batches_with_tops(until_ns):
                self._capture_rows(records, tops_e9(tops))

    def _capture_rows(self, records: Array, tops: Int64s) -> None:
        """Append MBO records, which come in order of capture by themselves, and capture what follows from them."""
        self._tape.append("mbo", records)
        rows, trades = self._rows.derive(records, tops)
        self._capture.put("mbp-1", _FUTURES, rows)
        self._capture.put("trades", _FUTURES, trades)
        self._capture.put("statistics", _FUTURES, self._rows.extremes(trades))

    def _quote(self, quotes: OptionQuotes, at_ns: int) -> None:
        self._next_slice_ns += SLICE_NS
        mids = np.array([self._rows.mid_points(number) for number in self._market.instrument_ids])
        rows, trades = quotes.next_slice(at_ns, mids, self._trading.mask)
        self._capture.put("mbp-1", _OPTIONS, rows)
        self._capture.put("trades", _OPTIONS, trades)

    def _mid_ticks(self, number: int) -> int:
        return int(self._rows.mid_points(number) * 1e9) // TICK_E9
