"""Find what the underlying future is worth from the option quotes themselves, by put-call parity.

The premium is paid at once, so parity reads call - put = e^(-rate·years)·(forward - strike) (Black 1976). It is exact
for European options. For American ones it is off by (1 - e^(-rate·years))·|forward - strike| at most: nothing at the
money, which is one more reason to prefer strikes there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from tapeline.model.chains import Chain, Contracts, Forward, PriceFrom, UnderlyingPrice

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

DISAGREES: Final = "forward_disagrees"
EXPIRED: Final = "expired"

YEAR_NS: Final = 365 * 86_400 * 10**9
"""ACT/365."""

_MOST_PAIRS: Final = 15
_NEAREST_PAIRS: Final = 45
"""Of so many nearest to the money the tightest are taken: in a wide market far ones may be as tight."""
_FEWEST_PAIRS: Final = 3

_TOLERANCE: Final = 5e-4
_TOLERANCE_DEVIATIONS: Final = 4.0
"""Forward and future disagree where they differ by more than 5 bp and more than 4 standard deviations of the pairs."""

_FROM_THE_MARKET: Final[tuple[PriceFrom, ...]] = ("quote", "trade", "vendor")
"""A settlement is of another time than the quotes: on a real day the two were 364 points apart."""


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Strikes with a call and a put that are both quoted on two sides: what each says the forward is, in points.

    What may be dealt at leaves the forward within `half_spreads` of `forwards`.
    """

    strikes: Floats
    forwards: Floats
    half_spreads: Floats

    def __len__(self) -> int:
        return len(self.strikes)

    def only(self, which: Bools | npt.NDArray[np.int64]) -> _Pairs:
        """Return some of them."""
        return _Pairs(self.strikes[which], self.forwards[which], self.half_spreads[which])


def years_to_expiry(chain: Chain) -> float:
    """Return the time from `chain.as_of` to the expiry instant in years, ACT/365; not positive once it has expired."""
    return (chain.expiry - chain.as_of) / YEAR_NS


def with_forward(chain: Chain, *, rate: float, future: UnderlyingPrice | None) -> Chain:
    """Return the chain with its forward, the interest rate used, and the flag ``forward_disagrees`` where that holds.

    `rate` is continuous, per year. By parity the forward is the median of (call - put)·e^(rate·years) + strike, of the
    middles of quotes, over the 15 tightest of the 45 pairs nearest to the money; `deviation` is the pairs' standard
    deviation. Crossed and one-sided quotes do not count, nor pairs at whose bids and asks the others' forward could be
    dealt against, as stale quotes could. The chain's own forward is kept where `future` disagrees. With fewer than 3
    pairs the future's price is taken; where it is a settlement or not given, there is no forward. A chain that has
    expired gets none, and the flag ``expired``.
    """
    years = years_to_expiry(chain)
    forward = None
    disagrees = False
    if years > 0:
        if future is not None and future.source not in _FROM_THE_MARKET:
            future = None
        forward = _by_parity(chain.contracts, math.exp(rate * years))
        if forward is None and future is not None:
            forward = Forward(future.value / 1e9, "future")
        elif forward is not None and future is not None:
            disagrees = _disagree(forward, future.value / 1e9)
    return replace(
        chain,
        forward=forward,
        rate=rate,
        underlying_price=chain.underlying_price or future,
        flags=with_flags(chain.flags, {DISAGREES: disagrees, EXPIRED: years <= 0}),
    )


def two_sided(contracts: Contracts) -> Bools:
    """Return which contracts are quoted on both sides, above 0, and not crossed; locked quotes are fine."""
    bid, ask = contracts.integers("bid"), contracts.integers("ask")
    quoted: Bools = (bid > 0) & (ask > 0) & (bid <= ask)
    return quoted


def with_flags(flags: tuple[str, ...], truths: dict[str, bool]) -> tuple[str, ...]:
    """Return the flags of a chain, each of `truths` among them exactly where it is true."""
    return (*(flag for flag in flags if flag not in truths), *(flag for flag, is_true in truths.items() if is_true))


def _by_parity(contracts: Contracts, growth: float) -> Forward | None:
    pairs = _pairs(contracts, growth)
    if not len(pairs):
        return None
    consensus = np.median(pairs.forwards)
    pairs = pairs.only(np.abs(pairs.forwards - consensus) <= pairs.half_spreads)
    if len(pairs) < _FEWEST_PAIRS:
        return None
    pairs = pairs.only(np.argsort(np.abs(pairs.strikes - consensus), kind="stable")[:_NEAREST_PAIRS])
    pairs = pairs.only(np.argsort(pairs.half_spreads, kind="stable")[:_MOST_PAIRS])
    return Forward(float(np.median(pairs.forwards)), "parity", len(pairs), float(np.std(pairs.forwards, ddof=1)))


def _pairs(contracts: Contracts, growth: float) -> _Pairs:
    quoted = two_sided(contracts)
    calls, puts = np.flatnonzero(quoted & contracts.is_call), np.flatnonzero(quoted & ~contracts.is_call)
    strikes, of_calls, of_puts = np.intersect1d(contracts.strike[calls], contracts.strike[puts], return_indices=True)
    bid, ask = contracts.points("bid"), contracts.points("ask")
    calls, puts = calls[of_calls], puts[of_puts]
    middles = (bid + ask) / 2
    spreads = ask - bid
    return _Pairs(
        strikes=strikes / 1e9,
        forwards=(middles[calls] - middles[puts]) * growth + strikes / 1e9,
        half_spreads=(spreads[calls] + spreads[puts]) * growth / 2,
    )


def _disagree(forward: Forward, future: float) -> bool:
    deviation = forward.deviation or 0.0
    tolerance = max(_TOLERANCE * abs(forward.value), _TOLERANCE_DEVIATIONS * deviation)
    return abs(forward.value - future) > tolerance
