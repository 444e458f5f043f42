"""Contract completeness: which of the contracts that the exchange lists have quoted on a trading day. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tapeline.model.columns import INT64_MAX, INT64_MIN
from tapeline.model.instruments import Instrument
from tapeline.model.quality import MOST_NAMED, ContractCompleteness

OUTRIGHT: Final = ("F", "C", "P")
"""The classes that are expected to quote: spreads are there to be asked for, and most never quote."""

_FIRST_SLOTS: Final = 1 << 14
_SLOTS_PER_ID: Final = 16


@dataclass(slots=True)
class _Contract:
    """A defined instrument: expected, or user-defined, within [begin, end) ns."""

    symbol: str
    begin_ns: int
    end_ns: int
    is_outright: bool
    user_defined: bool


class Completeness:
    """Which contracts of one stream have quoted on one trading day, from `since_ns` on.

    Contracts come with their definitions, at any time of the day, and may come after their first quote.
    """

    def __init__(self, source: str, stream: str, trading_day: str, since_ns: int) -> None:
        self._source = source
        self._stream = stream
        self._trading_day = trading_day
        self._since_ns = since_ns
        self._contracts: dict[int, _Contract] = {}
        self._quoted: set[int] = set()
        self._seen = _Seen(_FIRST_SLOTS)

    def define(self, instrument: Instrument) -> None:
        """Take an instrument's definition; a later one of its id replaces it, and one that deletes ends it."""
        known = self._contracts.get(instrument.instrument_id)
        if known is not None and known.symbol != instrument.raw_symbol:
            self._forget_quotes(instrument.instrument_id)
        end_ns = INT64_MAX if instrument.expiry is None else instrument.expiry
        self._contracts[instrument.instrument_id] = _Contract(
            symbol=instrument.raw_symbol,
            begin_ns=INT64_MIN if instrument.activation is None else instrument.activation,
            end_ns=INT64_MIN if instrument.update_action == "D" else end_ns,
            is_outright=instrument.instrument_class in OUTRIGHT and not instrument.user_defined,
            user_defined=instrument.user_defined,
        )

    def quote(self, instrument_ids: npt.NDArray[np.int64]) -> None:
        """Take note that these have quoted: one id per quote, the same ones again and again."""
        first = self._seen.unknown(instrument_ids)
        if not len(first):
            return
        for instrument_id in np.unique(first).tolist():
            self._quoted.add(instrument_id)
            self._seen.learn(instrument_id)
        if len(self._quoted) * _SLOTS_PER_ID > len(self._seen):
            self._relearn(2 * len(self._seen))

    def result(self, at_ns: int, *, final: bool = False) -> ContractCompleteness:
        """Return what is so at `at_ns`: contracts that are not listed yet or have expired are not expected."""
        listed = {
            instrument_id: contract
            for instrument_id, contract in self._contracts.items()
            if contract.begin_ns <= at_ns < contract.end_ns
        }
        expected = {instrument_id for instrument_id, contract in listed.items() if contract.is_outright}
        missing = sorted(listed[instrument_id].symbol for instrument_id in expected - self._quoted)
        unlisted = sorted(self._quoted - self._contracts.keys())
        return ContractCompleteness(
            source=self._source,
            stream=self._stream,
            trading_day=self._trading_day,
            since=self._since_ns,
            at=at_ns,
            final=final,
            expected=len(expected),
            quoted=len(expected) - len(missing),
            missing=len(missing),
            missing_symbols=tuple(missing[:MOST_NAMED]),
            unlisted=len(unlisted),
            unlisted_ids=tuple(unlisted[:MOST_NAMED]),
            user_defined=sum(contract.user_defined for contract in listed.values()),
        )

    def _forget_quotes(self, instrument_id: int) -> None:
        """An id that was given to another instrument has not quoted as that one."""
        self._quoted.discard(instrument_id)
        self._relearn(len(self._seen))

    def _relearn(self, slots: int) -> None:
        self._seen = _Seen(slots)
        for instrument_id in self._quoted:
            self._seen.learn(instrument_id)


class _Seen:
    """Ids that need no second look, each in the one of `slots` (a power of two) that its last bits name.

    Two ids of one slot displace each other and are looked at again, which costs time only: at 16 slots per id that is
    rare, and two array operations per batch stand for a set lookup per tick.
    """

    def __init__(self, slots: int) -> None:
        self._mask = np.int64(slots - 1)
        self._ids = np.full(slots, -1, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._ids)

    def unknown(self, instrument_ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return those that may not have been learnt."""
        unknown: npt.NDArray[np.int64] = instrument_ids[self._ids[instrument_ids & self._mask] != instrument_ids]
        return unknown

    def learn(self, instrument_id: int) -> None:
        """Take an id in."""
        self._ids[instrument_id & self._mask] = instrument_id
