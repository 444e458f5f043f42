"""What a vendor lists: which instruments there are, from when until when, and which of them a symbol means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

ALL_SYMBOLS: Final = "ALL_SYMBOLS"


@dataclass(frozen=True, slots=True)
class Listing:
    """One instrument as the vendor defines it, listed during [`listed_ns`, `expires_ns`).

    `parent` is what a subscription by parent names (``NQ.FUT``, ``Q2D.OPT``), `instrument_class` DBN's letter, and
    `definition` the record's 520 bytes (DBN version 3); it is empty where the vendor has none.
    """

    instrument_id: int
    raw_symbol: str
    parent: str
    instrument_class: str
    listed_ns: int
    expires_ns: int
    definition: bytes

    def is_listed(self, at_ns: int) -> bool:
        """Return whether the instrument is listed at `at_ns` (ns since the epoch)."""
        return self.listed_ns <= at_ns < self.expires_ns


class Listings:
    """All instruments of one dataset, in the order in which they were listed.

    Numbers and raw symbols are used again once an instrument is gone, so every question names a moment.
    """

    def __init__(self) -> None:
        self._all: list[Listing] = []
        self._by_symbol: dict[str, list[Listing]] = {}
        self._by_id: dict[int, list[Listing]] = {}
        self._by_parent: dict[str, list[Listing]] = {}

    def __len__(self) -> int:
        """Return how many were ever added: while it stays the same, nothing resolves to an instrument that is new."""
        return len(self._all)

    def add(self, listing: Listing) -> None:
        """List an instrument."""
        self._by_symbol.setdefault(listing.raw_symbol, []).append(listing)
        self._by_id.setdefault(listing.instrument_id, []).append(listing)
        self._by_parent.setdefault(listing.parent, []).append(listing)
        self._all.append(listing)

    def resolve(self, stype_in: str, symbol: str, at_ns: int) -> list[Listing]:
        """Return what `symbol` means at `at_ns` (ns), in the order of listing; empty where it cannot be resolved.

        `stype_in` is Databento's: ``raw_symbol``, ``instrument_id``, ``parent`` or ``continuous``. ALL_SYMBOLS means
        everything, whatever the `stype_in`.
        """
        if stype_in == "continuous" and symbol != ALL_SYMBOLS:
            return self._resolve_continuous(symbol, at_ns)
        return [listing for listing in self._candidates(stype_in, symbol) if listing.is_listed(at_ns)]

    def _candidates(self, stype_in: str, symbol: str) -> Sequence[Listing]:
        if symbol == ALL_SYMBOLS:
            return self._all
        if stype_in == "raw_symbol":
            return self._by_symbol.get(symbol, ())
        if stype_in == "instrument_id":
            return self._by_id.get(int(symbol), ()) if symbol.isdecimal() else ()
        if stype_in == "parent":
            return self._by_parent.get(symbol, ())
        return ()

    def _resolve_continuous(self, symbol: str, at_ns: int) -> list[Listing]:
        """Rank the outright futures by expiry, whether asked by calendar, open interest or volume.

        A synthetic market trades its nearest future most, so the three orders are one.
        """
        root, _, rule_and_rank = symbol.partition(".")
        rule, _, rank = rule_and_rank.partition(".")
        if rule not in ("c", "n", "v") or not rank.isdecimal():
            return []
        listed = [
            listing
            for listing in self._by_parent.get(f"{root}.FUT", ())
            if listing.instrument_class == "F" and listing.is_listed(at_ns)
        ]
        listed.sort(key=lambda listing: listing.expires_ns)
        return listed[int(rank) : int(rank) + 1]
