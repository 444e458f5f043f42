"""The books of each midnight of UTC: history holds them as snapshots, a live tape that runs on does not."""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np

from tapeline_simulator.databento.books import Books, rest_after, snapshot_of
from tapeline_simulator.databento.history.times import DAY_NS
from tapeline_simulator.databento.tape import VendorTape
from tapeline_simulator.exchange import MAX_LATENCY_NS
from tapeline_simulator.listings import ALL_SYMBOLS

_FUTURE: Final = "F"


class Market(Books, Protocol):
    """What a tape is captured from, and who knows its books; venue.Venue."""

    def advance(self, until_ns: int) -> None:
        """Append what was captured up to `until_ns` less MAX_LATENCY_NS."""


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
        books = [self._market.snapshot(number)[1:] for number in futures]
        told = self._tape.end("mbo")
        self._market.advance(midnight_ns + MAX_LATENCY_NS)
        # What was captured in the last moments before midnight came too late for those books.
        late = self._tape.read("mbo", told, self._tape.end("mbo"))
        orders = rest_after(np.concatenate([late[:0], *books]), late[late["ts_recv"] < midnight_ns])
        for number in futures:
            of_it = orders[orders["instrument_id"] == number]
            self._books.append("mbo", snapshot_of(number, of_it, midnight_ns))
