"""Which option contracts an exchange lists: the definitions of md.instruments.v1, by underlying future and expiry."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Final, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from tapeline.model.chains import chain_key
from tapeline.model.instruments import Instrument, Style

Value = TypeVar("Value")

_KEPT: Final = "CPTM"
"""DBN's classes of options and of spreads with options."""

KEPT_AFTER_EXPIRY_NS: Final = 30 * 86_400 * 10**9
"""So long after their expiry, by trading days, contracts are still known: a saved day may be played again."""


class Expiry(NamedTuple):
    """The options of one expiry (ns since the epoch) on one underlying future, in one dataset."""

    dataset: str
    underlying: str
    at: int

    @property
    def key(self) -> str:
        """The key of its chains and of its option flow."""
        return chain_key(self.underlying, self.at)


@dataclass(frozen=True, slots=True, eq=False)
class Listed:
    """The contracts of a listing by strike (int64, exponent -9), the call before the put, all of one length.

    The rest is what all of them say; None where they differ or say nothing. `vendor` is who has defined them,
    `vendor_series` (``Q4DX6``) what stands before right and strike in their raw symbols.
    """

    symbols: tuple[str, ...]
    strike: npt.NDArray[np.int64]
    is_call: npt.NDArray[np.bool_]
    vendor: str | None
    vendor_series: str | None
    parent: str | None
    style: Style | None
    multiplier: int | None
    currency: str | None


@dataclass(slots=True)
class Listing:
    """The options that are listed for one expiry, by raw symbol. `version` grows with every change."""

    contracts: dict[str, Instrument] = field(default_factory=dict)
    version: int = 0
    _listed: tuple[int, Listed] | None = None

    def listed(self) -> Listed:
        """Return the contracts in their order within a chain."""
        if self._listed is None or self._listed[0] != self.version:
            self._listed = self.version, _listed(self.contracts.values())
        return self._listed[1]


class ContractBook:
    """The listed options, and the spreads of options, of all datasets.

    Contracts are told by their raw symbols, never by ids, which the vendor uses again from day to day. One book serves
    all partitions of a worker, and is in no checkpoint: its topic is read from the beginning.
    """

    def __init__(self) -> None:
        self._latest: dict[tuple[str, str], Instrument] = {}
        self._listings: dict[Expiry, Listing] = {}
        self._day = ""
        self.version = 0

    def define(self, instrument: Instrument) -> None:
        """Take a definition, in any order: of one symbol the latest trading day counts, and its latest receipt."""
        if instrument.instrument_class not in _KEPT and not instrument.user_defined:
            return
        name = (instrument.dataset, instrument.raw_symbol)
        known = self._latest.get(name)
        if known is not None and (known.trading_day, known.ts_recv) > (instrument.trading_day, instrument.ts_recv):
            return
        self._latest[name] = instrument
        if known is None or not _says_the_same(known, instrument):
            self.version += 1
            self._relist(known, instrument)
        if instrument.trading_day > self._day:
            self._day = instrument.trading_day
            self._forget_expired()

    def find(self, dataset: str, symbol: str) -> Instrument | None:
        """Return the latest definition of a symbol, which may be one that deletes it."""
        return self._latest.get((dataset, symbol))

    def listed_in(self, dataset: str, symbol: str) -> Expiry | None:
        """Return the expiry that lists an option, None for what is no listed option."""
        instrument = self._latest.get((dataset, symbol))
        return None if instrument is None else _place(instrument)

    def counted_in(self, instrument: Instrument) -> Expiry | None:
        """Return the expiry to which trades of an option or a user-defined spread belong.

        A spread that does not name its underlying and expiry belongs where its first option leg does.
        """
        if instrument.underlying is not None and instrument.expiry is not None:
            return Expiry(instrument.dataset, instrument.underlying, instrument.expiry)
        for leg in instrument.legs or ():
            if (place := self.listed_in(instrument.dataset, leg.raw_symbol)) is not None:
                return place
        return None

    def listing(self, expiry: Expiry) -> Listing | None:
        """Return what is listed for an expiry."""
        return self._listings.get(expiry)

    def _relist(self, before: Instrument | None, now: Instrument) -> None:
        old = None if before is None else _place(before)
        new = _place(now)
        if old is not None:
            listing = self._listings[old]
            del listing.contracts[now.raw_symbol]
            listing.version += 1
        if new is not None:
            listing = self._listings.setdefault(new, Listing())
            listing.contracts[now.raw_symbol] = now
            listing.version += 1

    def _forget_expired(self) -> None:
        day = datetime.combine(date.fromisoformat(self._day), datetime.min.time(), UTC)
        before_ns = int(day.timestamp()) * 10**9 - KEPT_AFTER_EXPIRY_NS
        gone = [name for name, each in self._latest.items() if each.expiry is not None and each.expiry < before_ns]
        for name in gone:
            del self._latest[name]
        for expiry in [expiry for expiry in self._listings if expiry.at < before_ns]:
            del self._listings[expiry]


def _place(instrument: Instrument) -> Expiry | None:
    """Return the expiry that lists an instrument: none does for spreads, deleted ones, and what lacks a field."""
    if instrument.right is None or instrument.user_defined or instrument.update_action == "D":
        return None
    if instrument.underlying is None or instrument.expiry is None or instrument.strike is None:
        return None
    return Expiry(instrument.dataset, instrument.underlying, instrument.expiry)


def _listed(contracts: Iterable[Instrument]) -> Listed:
    ordered = sorted(contracts, key=lambda each: (each.strike, each.right, each.raw_symbol))
    return Listed(
        symbols=tuple(each.raw_symbol for each in ordered),
        strike=np.array([each.strike for each in ordered], dtype=np.int64),
        is_call=np.array([each.right == "call" for each in ordered], dtype=bool),
        vendor=_common(each.source for each in ordered),
        vendor_series=_common(series_of(each.raw_symbol) for each in ordered),
        parent=_common(each.parent for each in ordered),
        style=_common(each.style for each in ordered),
        multiplier=_common(each.multiplier for each in ordered),
        currency=_common(each.currency for each in ordered),
    )


def _common(values: Iterable[Value | None]) -> Value | None:
    found = set(values)
    return found.pop() if len(found) == 1 else None


def series_of(raw_symbol: str) -> str:
    """Return what stands before right and strike in an option's raw symbol: ``Q4DX6`` of ``Q4DX6 C25000``."""
    return raw_symbol.partition(" ")[0]


_OF_CHAINS: Final = (
    *("source", "instrument_class", "parent", "underlying", "expiry", "strike", "style", "multiplier", "currency"),
    *("user_defined", "legs", "update_action"),
)


def _says_the_same(one: Instrument, other: Instrument) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in _OF_CHAINS)
