"""Remember the last chains of each expiry: what a trade's delta and vega were before it."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tapeline.model.chains import Chain
from tapeline.orderflow.packing import Unpacker

OLDEST_NS: Final = 60 * 10**9
"""How old a chain may be for a trade to be valued with it."""

_KEPT: Final = 8
"""How many chains of an expiry are kept: trades come a little later than the chain that follows them."""

Floats = npt.NDArray[np.float64]
Rows = Mapping[tuple[int, bool], int]


class Sensitivity(NamedTuple):
    """Delta and vega of a contract, the chain's `as_of` (ns), and the underlying's price in it (exponent -9)."""

    delta: float
    vega: float
    chain_as_of: int
    underlying_price: int | None


@dataclass(frozen=True, slots=True, eq=False)
class _Greeks:
    as_of: int
    underlying_price: int | None
    rows: Rows
    greeks: Floats
    """(2, contracts): delta, vega."""


class RecentChains:
    """The last chains by underlying future and expiry (ns since the epoch)."""

    def __init__(self) -> None:
        self._chains: dict[tuple[str, int], list[_Greeks]] = {}

    def add(self, chain: Chain) -> None:
        """Take a chain, in any order; a later one of the same moment replaces it."""
        kept = self._chains.setdefault((chain.underlying, chain.expiry), [])
        contracts = chain.contracts
        rows: Rows = {
            name: row
            for row, name in enumerate(zip(contracts.strike.tolist(), contracts.is_call.tolist(), strict=True))
        }
        if kept and kept[-1].rows == rows:
            rows = kept[-1].rows
        unknown = np.full(len(contracts), np.nan)
        greeks = np.array([contracts.columns.get(name, unknown) for name in ("delta", "vega")], dtype=np.float64)
        price = None if chain.underlying_price is None else chain.underlying_price.value
        kept[:] = [each for each in kept if each.as_of != chain.as_of]
        insort(kept, _Greeks(chain.as_of, price, rows, greeks), key=_as_of)
        del kept[:-_KEPT]

    def before(self, underlying: str, expiry: int, strike: int, is_call: bool, ts: int) -> Sensitivity | None:
        """Return what the last chain at or before `ts` says of a contract, None where it is too old or says nothing."""
        kept = self._chains.get((underlying, expiry), [])
        at = bisect_right(kept, ts, key=_as_of)
        if at == 0 or ts - kept[at - 1].as_of > OLDEST_NS:
            return None
        chain = kept[at - 1]
        row = chain.rows.get((strike, is_call))
        if row is None or np.isnan(chain.greeks[:, row]).any():
            return None
        delta, vega = chain.greeks[:, row].tolist()
        return Sensitivity(delta, vega, chain.as_of, chain.underlying_price)

    def packed(self, keys: set[tuple[str, int]]) -> tuple[list[Any], list[Floats]]:
        """Return the chains of these underlyings and expiries as a JSON document and arrays."""
        document: list[Any] = []
        arrays = []
        for underlying, expiry in sorted(keys & self._chains.keys()):
            for chain in self._chains[underlying, expiry]:
                document.append([underlying, expiry, chain.as_of, chain.underlying_price, list(chain.rows)])
                arrays.append(chain.greeks)
        return document, arrays

    @staticmethod
    def of(document: list[Any], unpacker: Unpacker) -> RecentChains:
        """Return the chains that were packed."""
        recent = RecentChains()
        for underlying, expiry, as_of, price, names in document:
            rows = {(strike, is_call): row for row, (strike, is_call) in enumerate(names)}
            greeks = unpacker.array(np.float64, (2, len(rows)))
            recent._chains.setdefault((underlying, expiry), []).append(_Greeks(as_of, price, rows, greeks))
        return recent


def _as_of(chain: _Greeks) -> int:
    return chain.as_of
