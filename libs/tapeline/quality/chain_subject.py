"""A chain laid out for the quality rules: what may be dealt at, by strike, and what it is measured by. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tapeline.model.chains import ABSENT, Chain
from tapeline.quality.chain_limits import ChainLimits

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.int64]

YEAR_NS: Final = 365 * 86_400 * 10**9
"""ACT/365."""

ROUNDING: Final = 1e-6
"""Points: what floating point may feign."""

EXPIRED: Final = "the chain has expired"


@dataclass(frozen=True, slots=True, eq=False)
class Ladder:
    """Calls by rising, or puts by falling strikes, so that their prices fall; each strike once.

    `rows` are positions in the chain, `strike` is in points, `reach` is the strike of a call and minus that of a put:
    over it, prices of either right fall, at most as fast as it grows, and are convex. A side that nobody deals at is
    infinitely bad: `bid` -inf, `ask` inf, points. So are both sides of a crossed quote: one of them must be wrong.
    """

    is_call: bool
    rows: Positions
    strike: Floats
    reach: Floats
    bid: Floats
    ask: Floats

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A chain under the rules at `at_ns`, and what they share. Arrays have the chain's length; prices are points.

    `bid` and `ask` are NaN where there is none. `pairs` are the places of a strike's call and put in their ladders.
    Without an interest rate `discount` is None. `forward` is None where no rule may rely on it, for the reason
    `no_forward`; it is uncertain by `forward_slack`. `is_european` is False for what is, or may be, American.
    """

    chain: Chain
    at_ns: int
    limits: ChainLimits
    bid: Floats
    ask: Floats
    is_two_sided: Bools
    is_crossed: Bools
    calls: Ladder
    puts: Ladder
    pairs: tuple[Positions, Positions]
    is_expired: bool
    is_european: bool
    discount: float | None
    forward: float | None
    forward_slack: float
    no_forward: str

    def slack(self, prices: Floats) -> Floats:
        """Return what rounding may feign at premiums, points."""
        limits = self.limits
        is_fine = prices <= limits.fine_tick_up_to_points
        ticks = np.where(is_fine, limits.fine_tick_points, limits.coarse_tick_points)
        slack: Floats = limits.slack_ticks * ticks + ROUNDING
        return slack


def out_of_step_s(chain: Chain) -> float | None:
    """Return how far the underlying's price is from the newest option quote, s; None where its time is not known."""
    price = chain.underlying_price
    return None if price is None or price.at is None else abs(chain.as_of - price.at) / 1e9


def lay_out(chain: Chain, at_ns: int, limits: ChainLimits) -> Subject:
    """Return the chain laid out for the rules."""
    bid, ask = _side(chain, "bid"), _side(chain, "ask")
    is_two_sided = ~np.isnan(bid) & ~np.isnan(ask)
    is_crossed = bid > ask
    is_expired = max(at_ns, chain.as_of) >= chain.expiry
    years = (chain.expiry - chain.as_of) / YEAR_NS
    no_forward = _lack_of_forward(chain, limits, is_expired=is_expired)
    forward = chain.forward
    usable = forward is not None and not no_forward
    calls = _ladder(chain, bid, ask, is_crossed, is_call=True)
    puts = _ladder(chain, bid, ask, is_crossed, is_call=False)
    _, of_calls, of_puts = np.intersect1d(calls.strike, puts.strike, assume_unique=True, return_indices=True)
    return Subject(
        chain=chain,
        at_ns=at_ns,
        limits=limits,
        bid=bid,
        ask=ask,
        is_two_sided=is_two_sided,
        is_crossed=is_crossed,
        calls=calls,
        puts=puts,
        pairs=(of_calls, of_puts),
        is_expired=is_expired,
        is_european=chain.style == "european",
        discount=None if chain.rate is None else math.exp(-chain.rate * max(years, 0.0)),
        forward=forward.value if forward is not None and usable else None,
        forward_slack=limits.forward_deviations * (forward.deviation or 0.0) if forward is not None else 0.0,
        no_forward=no_forward,
    )


def _side(chain: Chain, name: str) -> Floats:
    """Return the prices that may be dealt at: a price of 0, or with a size of 0, is none."""
    prices = chain.contracts.integers(name)
    is_there = prices > 0
    sizes = chain.contracts.columns.get(f"{name}_size")
    if sizes is not None:
        is_there &= (sizes > 0) | (sizes <= ABSENT)
    return np.where(is_there, prices / 1e9, np.nan)


def _ladder(chain: Chain, bid: Floats, ask: Floats, is_crossed: Bools, *, is_call: bool) -> Ladder:
    contracts = chain.contracts
    rows = np.flatnonzero(contracts.is_call == is_call)
    strikes = contracts.strike[rows]
    order = np.argsort(strikes if is_call else -strikes, kind="stable")
    rows, strikes = rows[order], strikes[order]
    if len(rows) > 1:
        is_first = np.concatenate([[True], strikes[1:] != strikes[:-1]])
        rows, strikes = rows[is_first], strikes[is_first]
    crossed = is_crossed[rows]
    points = strikes / 1e9
    return Ladder(
        is_call=is_call,
        rows=rows,
        strike=points,
        reach=points if is_call else -points,
        bid=np.where(crossed | np.isnan(bid[rows]), -np.inf, bid[rows]),
        ask=np.where(crossed | np.isnan(ask[rows]), np.inf, ask[rows]),
    )


def _lack_of_forward(chain: Chain, limits: ChainLimits, *, is_expired: bool) -> str:
    if is_expired:
        return EXPIRED
    if chain.forward is None:
        return "the chain has no forward"
    if chain.rate is None:
        return "the chain has no interest rate"
    apart_s = out_of_step_s(chain)
    if chain.forward.source == "future" and apart_s is not None and apart_s > limits.most_out_of_step_s:
        return f"its forward is the future's price, {apart_s:,.1f} s away from the quotes"
    return ""
