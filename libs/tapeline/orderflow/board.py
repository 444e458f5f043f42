"""Hold what is known of each contract now: its quote, last trade, settlement, open interest. One column per contract.

A row of a quote replaces what stood before it: the last row of a contract in a frame is the one that counts.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tapeline.model.chains import ABSENT, NULL
from tapeline.model.columns import F_MAYBE_BAD_BOOK
from tapeline.model.frames import TickFrame
from tapeline.orderflow.frame_columns import Int64s, event_times, receive_times, with_null

BID: Final = 0
ASK: Final = 1
BID_SIZE: Final = 2
ASK_SIZE: Final = 3
QUOTE_AT: Final = 4
DOUBTED: Final = 5  # 1: the quote stood when records were lost
LAST: Final = 6
TRADE_AT: Final = 7
SETTLEMENT: Final = 8
SETTLEMENT_AT: Final = 9
OPEN_INTEREST: Final = 10
OPEN_INTEREST_AT: Final = 11
VOLUME: Final = 12
VOLUME_AT: Final = 13
IS_TRADING: Final = 14  # 1, 0; UNKNOWN: nothing was said
RECEIVED_AT: Final = 15
STREAM: Final = 16  # number of the stream that spoke of it last
CHAIN: Final = 17  # number of the chain that it belongs to
IS_SAVED: Final = 18  # 1: what was said last comes from files or from a backfill
WIDTH: Final = 19

UNKNOWN: Final = -1
NO_CHAIN: Final = -1
NO_STREAM: Final = -1

_EMPTY: Final = np.full(WIDTH, ABSENT, dtype=np.int64)
_EMPTY[[IS_TRADING, CHAIN, STREAM]] = -1
_EMPTY[[DOUBTED, IS_SAVED]] = 0

_QUOTE: Final = (BID, ASK, BID_SIZE, ASK_SIZE, QUOTE_AT, DOUBTED)
_TRADED: Final = (LAST, TRADE_AT)
_STATISTICS: Final = (SETTLEMENT, SETTLEMENT_AT, OPEN_INTEREST, OPEN_INTEREST_AT, VOLUME, VOLUME_AT)
OF_KIND: Final = {
    "l1": (*_QUOTE, *_TRADED),
    "trade": _TRADED,
    "statistics": _STATISTICS,
    "status": (IS_TRADING,),
}
"""What each kind tells of."""

_SETTLEMENT_PRICE: Final = 3
_CLEARED_VOLUME: Final = 6
_OPEN_INTEREST: Final = 9
_FIELDS_OF: Final = {
    _SETTLEMENT_PRICE: ("price", SETTLEMENT, SETTLEMENT_AT),
    _CLEARED_VOLUME: ("quantity", VOLUME, VOLUME_AT),
    _OPEN_INTEREST: ("quantity", OPEN_INTEREST, OPEN_INTEREST_AT),
}
"""By DBN's statistic types."""
_DELETE: Final = 2
_FIRST_SLOTS: Final = 64
_TRADED_ACTION: Final = ord("T")
_FILLED_ACTION: Final = ord("F")
_CLEARED_ACTION: Final = ord("R")
_TRADING_LETTERS: Final = {ord("Y"): 1, ord("N"): 0}


class QuoteBoard:
    """The contracts' cells, (WIDTH, capacity) int64; a slot is a contract's column."""

    def __init__(self) -> None:
        self.used = 0
        self.cells: Int64s = np.empty((WIDTH, _FIRST_SLOTS), dtype=np.int64)

    def replace(self, cells: Int64s) -> None:
        """Hold these cells, (WIDTH, contracts), and no others."""
        self.used = cells.shape[1]
        self.cells = np.empty((WIDTH, max(_FIRST_SLOTS, self.used)), dtype=np.int64)
        self.cells[:, : self.used] = cells

    def add(self) -> int:
        """Return the slot of a contract of which nothing is known."""
        if self.used == self.cells.shape[1]:
            cells = np.empty((WIDTH, 2 * self.used), dtype=np.int64)
            cells[:, : self.used] = self.cells
            self.cells = cells
        self.cells[:, self.used] = _EMPTY
        self.used += 1
        return self.used - 1

    def forget(self, kind: str, slots: Int64s) -> None:
        """Forget what a kind has told of some contracts."""
        for cell in OF_KIND[kind]:
            self.cells[cell, slots] = _EMPTY[cell]

    def doubt(self, slots: Int64s) -> None:
        """Take note that the quotes of some contracts may have changed unseen."""
        self.cells[DOUBTED, slots] = 1

    def slots_of_stream(self, number: int) -> Int64s:
        """Return the contracts of which a stream has spoken last."""
        return np.flatnonzero(self.cells[STREAM, : self.used] == number)

    def take(self, frame: TickFrame, slots: Int64s, stream: int) -> Int64s:
        """Take in a frame whose symbols have these slots, -1 out of scope; return the slots that it speaks of.

        They are as many as rows in scope: a slot may be among them several times.
        """
        of_row = slots[frame.columns["symbol"]]
        rows = np.flatnonzero(of_row >= 0)
        if not len(rows):
            return rows
        if frame.kind == "l1":
            traded = self._quotes(frame, of_row, rows)
            self._trades(frame, of_row, traded)
        elif frame.kind == "trade":
            self._trades(frame, of_row, rows)
        elif frame.kind == "statistics":
            self._statistics(frame, of_row, rows)
        elif frame.kind == "status":
            self._statuses(frame, of_row, rows)
        spoken_of: Int64s = of_row[rows]
        np.maximum.at(self.cells[RECEIVED_AT], spoken_of, receive_times(frame)[rows])
        self.cells[STREAM, spoken_of] = stream
        self.cells[IS_SAVED, spoken_of] = frame.origin in ("saved", "backfill")
        return spoken_of

    def _quotes(self, frame: TickFrame, of_row: Int64s, rows: Int64s) -> Int64s:
        """Take the quotes of an l1 frame; return the rows of trades, which show the quote before the trade."""
        action = frame.columns["action"][rows]
        is_trade = action == _TRADED_ACTION
        quotes = rows[~(is_trade | (action == _FILLED_ACTION))]
        slots = of_row[quotes]
        cleared = frame.columns["action"][quotes] == _CLEARED_ACTION
        for side, price_cell, size_cell in (("bid", BID, BID_SIZE), ("ask", ASK, ASK_SIZE)):
            prices = with_null(frame, f"{side}_price")[quotes]
            prices[cleared] = NULL
            self.cells[price_cell, slots] = prices
            self.cells[size_cell, slots] = np.where(prices == NULL, NULL, frame.columns[f"{side}_size"][quotes])
        self.cells[QUOTE_AT, slots] = event_times(frame)[quotes]
        self.cells[DOUBTED, slots] = (frame.columns["flags"][quotes] & F_MAYBE_BAD_BOOK) != 0
        trades: Int64s = rows[is_trade]
        return trades

    def _trades(self, frame: TickFrame, of_row: Int64s, rows: Int64s) -> None:
        """Take trades. Two kinds may tell of one, in either order, so that the latest by its own time counts."""
        if not len(rows):
            return
        times, prices = event_times(frame), with_null(frame, "price")
        for row in rows.tolist():
            slot = of_row[row]
            if prices[row] != NULL and times[row] >= self.cells[TRADE_AT, slot]:
                self.cells[LAST, slot] = prices[row]
                self.cells[TRADE_AT, slot] = times[row]

    def _statistics(self, frame: TickFrame, of_row: Int64s, rows: Int64s) -> None:
        """Take what the clearing house says of a day. A later word on a day counts, an earlier day does not."""
        kinds, actions = frame.columns["stat_type"], frame.columns["update_action"]
        values = {name: with_null(frame, name) for name in ("price", "quantity", "ts_ref")}
        for row in rows[np.isin(kinds[rows], list(_FIELDS_OF))].tolist():
            name, cell, at_cell = _FIELDS_OF[int(kinds[row])]
            slot, day = of_row[row], values["ts_ref"][row]
            if day != NULL:
                day += frame.ts_base
            if self.cells[at_cell, slot] > ABSENT and day < self.cells[at_cell, slot]:
                continue
            self.cells[cell, slot] = NULL if actions[row] == _DELETE else values[name][row]
            self.cells[at_cell, slot] = day

    def _statuses(self, frame: TickFrame, of_row: Int64s, rows: Int64s) -> None:
        letters = frame.columns["is_trading"]
        for row in rows.tolist():
            if int(letters[row]) in _TRADING_LETTERS:
                self.cells[IS_TRADING, of_row[row]] = _TRADING_LETTERS[int(letters[row])]
