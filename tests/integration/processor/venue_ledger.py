"""What a venue lists and what its vendor has captured: the truth that chains and option flow are held against."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from tests.integration.databento.feed_rig import FeedRig

from tapeline.feed.dbn_records import Array
from tapeline.model.chains import ABSENT, NULL
from tapeline.model.columns import INT64_MAX
from tapeline_simulator.expiries import Series
from tapeline_simulator.listings import ALL_SYMBOLS
from tapeline_simulator.venue_view import VenueView

E9, MS = 10**9, 10**6
MULTIPLIER = 20
TRADED = ord("T")

Window = tuple[str, int, int]
"""A chain's key, the window's length (ms) and its start (ns)."""
Contract = tuple[int, bool]
"""A strike (exponent -9), and whether it is a call."""


@dataclass
class Traded:
    """What was traded in a window, in lots: by contract what was bought and what was sold; spreads without a side."""

    lots: dict[Contract, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    premiums: dict[bool, float] = field(default_factory=lambda: defaultdict(float))
    of_spreads: int = 0

    def add(self, record: np.void, contract: Contract | None) -> None:
        size = int(record["size"])
        if contract is None:
            self.of_spreads += size
            return
        is_sold = bool(record["side"] == ord("A"))
        self.lots[contract][is_sold] += size
        self.premiums[contract[1]] += (-1 if is_sold else 1) * size * int(record["price"]) / E9 * MULTIPLIER

    def volume(self, *, is_call: bool, is_sold: bool) -> int:
        return sum(lots[is_sold] for (_, call), lots in self.lots.items() if call == is_call)


class VenueLedger:
    """All of a rig's market since it opened; made once the market is closed, as what is read is kept."""

    def __init__(self, rig: FeedRig) -> None:
        self.view: VenueView = rig.venue.view()
        self._vendor = rig.vendor
        listed = rig.vendor.listings.resolve("raw_symbol", ALL_SYMBOLS, self.view.at_ns)
        self.numbers = {each.raw_symbol: each.instrument_id for each in listed}
        self._spreads = [each for each in listed if each.instrument_class in "MT"]
        self._records: dict[str, dict[int, Array]] = {}

    @cached_property
    def series(self) -> dict[int, Series]:
        """The series by their expiry."""
        return {each.expires_ns: each for each in self.view.series}

    def contracts(self, series: Series) -> dict[Contract, Any]:
        """Return the contracts of a series, each with what the venue shows of it."""
        return {(each.strike_points * E9, each.is_call): each for each in self.view.contracts(series)}

    def quotes(self, number: int) -> Array:
        """Return the quotes of an instrument in order of capture; what shows the quote before a trade is none."""
        rows = self._of("mbp-1", number)
        return rows[rows["action"] != TRADED] if len(rows) else rows

    def quote(self, symbol: str, at_ns: int) -> tuple[int, ...]:
        """Return bid, ask, their sizes and their time at `at_ns`, as a chain has them."""
        rows = self.quotes(self.numbers[symbol])
        rows = rows[rows["ts_event"] <= at_ns] if len(rows) else rows
        if not len(rows):
            return (ABSENT,) * 5
        row = rows[-1]
        has = {side: row[f"{side}_price"] != INT64_MAX for side in ("bid", "ask")}
        prices = (int(row[f"{side}_price"]) if has[side] else NULL for side in has)
        sizes = (int(row[f"{side}_size"]) if has[side] else NULL for side in has)
        return (*prices, *sizes, int(row["ts_event"]))

    def last_quoted(self, series: Series) -> int:
        """Return when anything of a series was quoted last."""
        numbers = [each.instrument_id for each in self.view.contracts(series)]
        return max(int(rows["ts_event"][-1]) for number in numbers if len(rows := self.quotes(number)))

    def traded(self, key: str, series: Series, lengths_ms: tuple[int, ...]) -> dict[Window, Traded]:
        """Return what was traded of a series, and of the spreads beside it, in each window in which anything was."""
        contract_of: dict[int, Contract | None] = {
            each.instrument_id: contract for contract, each in self.contracts(series).items()
        }
        contract_of |= {each.instrument_id: None for each in self._spreads if each.parent == series.parent}
        windows: dict[Window, Traded] = defaultdict(Traded)
        for number, contract in contract_of.items():
            for record in self._of("trades", number):
                for length_ms in lengths_ms:
                    start = int(record["ts_event"]) // (length_ms * MS) * (length_ms * MS)
                    windows[key, length_ms, start].add(record, contract)
        return dict(windows)

    def _of(self, schema: str, number: int) -> Array:
        """Return the records of one instrument in order of capture."""
        if schema not in self._records:
            numbers = np.array(sorted(self.numbers.values()), dtype=np.uint32)
            every = np.concatenate(list(self._vendor.select(schema, numbers, 0, None, "ts_recv")))
            every = every[np.argsort(every["instrument_id"], kind="stable")]
            parts = np.split(every, np.flatnonzero(np.diff(every["instrument_id"])) + 1)
            self._records[schema] = {int(part["instrument_id"][0]): part for part in parts}
        return self._records[schema].get(number, np.empty(0))
