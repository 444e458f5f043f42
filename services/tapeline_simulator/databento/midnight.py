"""The books of each midnight of UTC: history holds them as snapshots, a live tape that runs on does not."""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np

from tapeline.feed.dbn_records import Array
from tapeline.model.columns import F_BAD_TS_RECV, F_LAST, F_SNAPSHOT
from tapeline_simulator.databento.history.times import DAY_NS
from tapeline_simulator.databento.tape import VendorTape
from tapeline_simulator.exchange import MAX_LATENCY_NS
from tapeline_simulator.listings import ALL_SYMBOLS

_ADD, _CANCEL, _MODIFY, _FILL = (ord(action) for action in "ACMF")
_FUTURE: Final = "F"


class Market(Protocol):
    """What a tape is captured from, and whose books can be told; venue.Venue."""

    def advance(self, until_ns: int) -> None:
        """Append what was captured up to `until_ns` less MAX_LATENCY_NS."""

    def snapshot(self, instrument_id: int) -> Array:
        """Return the book of one future after all that the tape has."""
        ...


class MidnightBooks:
    """Advances `market`, whose records go to `tape`, and puts the books of every midnight that it passes on `books`.

    `books` is a tape of its own, as history.methods.Holdings takes it; the first midnight is the next after `start_ns`.
    """

    def __init__(self, market: Market, tape: VendorTape, books: VendorTape, *, start_ns: int) -> None:
        self._market = market
        self._tape = tape
        self._books = books
        self._midnight_ns = (start_ns // DAY_NS + 1) * DAY_NS

    def advance(self, until_ns: int) -> None:
        """Advance the market as its own `advance` does."""
        while self._midnight_ns + MAX_LATENCY_NS <= until_ns:
            self._pass_midnight(self._midnight_ns)
            self._midnight_ns += DAY_NS
        self._market.advance(until_ns)

    def _pass_midnight(self, midnight_ns: int) -> None:
        self._market.advance(midnight_ns)
        listed = self._tape.listings.resolve("raw_symbol", ALL_SYMBOLS, midnight_ns)
        futures = [listing.instrument_id for listing in listed if listing.instrument_class == _FUTURE]
        books = [self._market.snapshot(number) for number in futures]
        told = self._tape.end("mbo")
        self._market.advance(midnight_ns + MAX_LATENCY_NS)
        # What was captured in the last moments before midnight came too late for those books.
        late = self._tape.read("mbo", told, self._tape.end("mbo"))
        late = late[late["ts_recv"] < midnight_ns]
        for number, book in zip(futures, books, strict=True):
            self._books.append("mbo", _at_midnight(book, late[late["instrument_id"] == number], midnight_ns))


def _at_midnight(book: Array, late: Array, midnight_ns: int) -> Array:
    """Return a snapshot (`R`, then `A`s in order of priority) after the records `late`, captured at midnight."""
    clear, *adds = book
    orders = {int(order["order_id"]): order for order in adds}
    filled: dict[int, int] = {}
    for record in late:
        number, action, size = int(record["order_id"]), int(record["action"]), int(record["size"])
        if action == _FILL:
            filled[number] = filled.get(number, 0) + size
        elif action == _CANCEL:
            left = int(orders[number]["size"]) - size
            if left > 0:
                orders[number]["size"] = left
            else:
                del orders[number]
        elif action in (_ADD, _MODIFY):
            left = int(orders[number]["size"]) - filled.pop(number, 0) if number in orders else 0
            if number in orders and (record["price"] != orders[number]["price"] or size > left):
                # It loses its place in the queue, as an order does that shows the next lot of what it hides.
                del orders[number]
            orders[number] = record
    records = np.array([clear, *orders.values()], dtype=book.dtype)
    records["action"][1:], records["ts_in_delta"] = _ADD, 0
    records["flags"], records["ts_recv"] = F_SNAPSHOT | F_BAD_TS_RECV, midnight_ns
    records["flags"][-1] |= F_LAST
    return records
