"""Keep the contracts of a partition's option streams: where each one's cells are, and which chain it belongs to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from tapeline.model.frames import TickFrame
from tapeline.orderflow.board import CHAIN, NO_CHAIN, RECEIVED_AT, QuoteBoard
from tapeline.orderflow.contracts import ContractBook, Expiry, series_of
from tapeline.orderflow.frame_columns import Int64s
from tapeline.orderflow.live_chain import LiveChain

IN_SCOPE: Final = "CP?"
"""DBN's instrument classes of options, and what is not known yet."""

_KEPT_UNPLACED_NS: Final = 86_400 * 10**9
"""So long a contract without a definition is kept in mind after its last tick."""


@dataclass(slots=True)
class _Scope:
    """The contracts of one source and dataset: their slots by raw symbol, and which of them have no chain."""

    slots: dict[str, int] = field(default_factory=dict)
    unplaced: set[str] = field(default_factory=set)


class Roster:
    """The slots of all contracts on one `board`, and the chains that the definitions make of them.

    `changed` says by a chain's number whether it differs from what was told last; its last value is of contracts that
    belong to no chain.
    """

    def __init__(self, contracts: ContractBook, board: QuoteBoard) -> None:
        self.board = board
        self.chains: list[LiveChain] = []
        self.changed = np.zeros(1, dtype=bool)
        self._contracts = contracts
        self._contracts_version = -1
        self._scopes: dict[tuple[str, str], _Scope] = {}
        self._has_new = False

    def slots_of(self, frame: TickFrame) -> Int64s:
        """Return the slot of each symbol of a frame, -1 out of scope; new ones get slots."""
        scope = self._scope(frame.source, frame.dataset)
        slots = [scope.slots.get(symbol, -1) for symbol in frame.symbols]
        for i, letter in enumerate(frame.classes):
            if slots[i] < 0 and letter in IN_SCOPE:
                slots[i] = self._slot(scope, frame.symbols[i])
        return np.array(slots, dtype=np.int64)

    def known_slots(self, source: str, dataset: str, symbols: tuple[str, ...]) -> Int64s:
        """Return the slots of those symbols that have one."""
        slots = self._scope(source, dataset).slots
        return np.array([slots[symbol] for symbol in symbols if symbol in slots], dtype=np.int64)

    def mark_changed(self, slots: Int64s) -> None:
        """Take note that the cells of some slots have changed."""
        self.changed[self.board.cells[CHAIN, slots]] = True

    def has_undefined(self, source: str, dataset: str, series: str | None) -> bool:
        """Say whether there are ticks of a contract of the series (``Q4DX6``) that no definition names."""
        return any(
            series_of(symbol) == series and self._contracts.find(dataset, symbol) is None
            for symbol in self._scope(source, dataset).unplaced
        )

    def place(self) -> None:
        """Place contracts in the chains of their expiries, as the definitions have them now."""
        if not self._has_new and self._contracts_version == self._contracts.version:
            return
        self._contracts_version = self._contracts.version
        for number in range(len(self.chains)):
            self._place(number)
        known = {(live.source, live.expiry) for live in self.chains}
        for (source, dataset), scope in self._scopes.items():
            for symbol in sorted(scope.unplaced):
                expiry = self._contracts.listed_in(dataset, symbol)
                if expiry is not None and (source, expiry) not in known:
                    known.add((source, expiry))
                    self.chains.append(LiveChain(source, expiry))
                    self.changed = np.append(self.changed, False)
                    self._place(len(self.chains) - 1)
            self._find_unplaced(scope)
        self._has_new = False

    def begin_day(self, at_ns: int) -> None:
        """Forget the chains that have expired by `at_ns`, and contracts that nobody has defined for a day."""
        cells = self.board.cells[:, : self.board.used]
        lasting = [number for number, live in enumerate(self.chains) if live.expiry.at > at_ns]
        is_kept = np.isin(cells[CHAIN], lasting) | (
            (cells[CHAIN] == NO_CHAIN) & (cells[RECEIVED_AT] > at_ns - _KEPT_UNPLACED_NS)
        )
        slots = np.cumsum(is_kept) - 1
        numbers = np.full(len(self.chains) + 1, NO_CHAIN)
        numbers[lasting] = np.arange(len(lasting))
        self.board.replace(cells[:, is_kept])
        self.board.cells[CHAIN, : self.board.used] = numbers[self.board.cells[CHAIN, : self.board.used]]
        for scope in self._scopes.values():
            scope.slots = {symbol: int(slots[slot]) for symbol, slot in scope.slots.items() if is_kept[slot]}
            scope.unplaced &= scope.slots.keys()
        self.chains = [self.chains[number] for number in lasting]
        for live in self.chains:
            live.slots = slots[live.slots]
        self.changed = np.append(self.changed[lasting], False)

    def document(self) -> dict[str, Any]:
        """Return what is packed beside the board."""
        return {
            "scopes": [[*key, list(scope.slots), list(scope.slots.values())] for key, scope in self._scopes.items()],
            "chains": [[live.source, *live.expiry, live.published_at] for live in self.chains],
            "changed": np.flatnonzero(self.changed[:-1]).tolist(),
        }

    @staticmethod
    def of(document: dict[str, Any], contracts: ContractBook, board: QuoteBoard) -> Roster:
        """Return what was packed, to go on with these contracts."""
        roster = Roster(contracts, board)
        for source, dataset, symbols, slots in document["scopes"]:
            scope = roster._scope(source, dataset)
            scope.slots = dict(zip(symbols, slots, strict=True))
            scope.unplaced = set(symbols)
            roster._find_unplaced(scope)
        for source, dataset, underlying, at, published_at in document["chains"]:
            roster.chains.append(LiveChain(source, Expiry(dataset, underlying, at), published_at))
        roster.changed = np.zeros(len(roster.chains) + 1, dtype=bool)
        roster.changed[document["changed"]] = True
        return roster

    def _scope(self, source: str, dataset: str) -> _Scope:
        return self._scopes.setdefault((source, dataset), _Scope())

    def _slot(self, scope: _Scope, symbol: str) -> int:
        slot = scope.slots.get(symbol)
        if slot is None:
            slot = scope.slots[symbol] = self.board.add()
            scope.unplaced.add(symbol)
            self._has_new = True
        return slot

    def _find_unplaced(self, scope: _Scope) -> None:
        in_chain = self.board.cells[CHAIN]
        scope.unplaced = {symbol for symbol in scope.unplaced if in_chain[scope.slots[symbol]] == NO_CHAIN}

    def _place(self, number: int) -> None:
        """Give a chain the contracts that are listed for its expiry now."""
        live = self.chains[number]
        listing = self._contracts.listing(live.expiry)
        if listing is None or listing.version == live.version:
            return
        scope = self._scope(live.source, live.expiry.dataset)
        live.version = listing.version
        live.slots = np.array([self._slot(scope, symbol) for symbol in listing.listed().symbols], dtype=np.int64)
        in_chain = self.board.cells[CHAIN]
        before = np.flatnonzero(in_chain[: self.board.used] == number)
        if not np.array_equal(before, np.sort(live.slots)):
            self.changed[number] = True
        gone = set(np.setdiff1d(before, live.slots).tolist())
        scope.unplaced |= {symbol for symbol, slot in scope.slots.items() if slot in gone}
        in_chain[before] = NO_CHAIN
        in_chain[live.slots] = number
