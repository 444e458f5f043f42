"""Work out the volatilities that a chain's quotes imply, and the greeks at them (Black 1976).

What is solved is a house decision, so that a strike has one volatility and no wide quote spoils it:

Out of the money or at it
: `iv_bid`, `iv_mid`, `iv_ask` are those of the contract's own bid, middle of bid and ask, and ask.
In the money
: `iv_mid` is that of the other contract of the strike. Its own price is mostly the difference of forward and strike,
  and the spread of that hides the volatility. So the greeks of call and put of a strike agree (their deltas differ by
  the discount). `iv_bid` and `iv_ask` are null: they are the other contract's.
Quoted on one side, crossed, or not at all
: null. Nothing is taken from trades and settlements, which are of another time than the forward.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from tapeline.errors import MissingExtra
from tapeline.model.chains import GREEKS, Chain, Contracts, flag_bit
from tapeline.orderflow.forward import EXPIRED, two_sided, with_flags, years_to_expiry
from tapeline.orderflow.greeks import black_76

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

NO_FORWARD: Final = "no_forward"
COMPUTED: Final = ("iv_bid", "iv_mid", "iv_ask", *GREEKS)

_ACCURACY: Final = 1e-10
"""Of volatility·√years."""
_FIRST_GUESS: Final = 0.2


def with_volatility(chain: Chain, *, rate: float) -> Chain:
    """Return the chain with implied volatilities and greeks at `chain.forward`, from `chain.as_of` to its expiry.

    `rate` is continuous, per year. The columns of COMPUTED are set and named in `computed`; what cannot be worked out
    is NaN. A two-sided quote with a price that no volatility gives has the flag ``iv`` and keeps the others.
    `approximate` is true where the options are, or may be, American. Without a forward (chain flag ``no_forward``) and
    from the expiry on (``expired``) nothing is computed, and what was is taken away. Raises MissingExtra without
    QuantLib (``pip install 'tapeline[processor]'``).
    """
    years = years_to_expiry(chain)
    contracts = chain.contracts
    columns = {name: column for name, column in contracts.columns.items() if name not in COMPUTED}
    flags = contracts.flags & np.uint32(~flag_bit("iv") & 0xFFFF_FFFF)
    is_computed = years > 0 and chain.forward is not None and chain.forward.value > 0
    if is_computed and chain.forward is not None:
        forward = chain.forward.value
        quoted, bid, middle, ask = _volatilities(contracts, forward, years, rate)
        unsolved = quoted & np.isnan(bid + middle + ask)
        flags = flags | np.where(unsolved, np.uint32(flag_bit("iv")), np.uint32(0))
        middle = _of_strike(contracts, quoted, middle)
        greeks = black_76(forward, contracts.strike / 1e9, years, middle, contracts.is_call, rate)
        columns |= {"iv_bid": bid, "iv_mid": middle, "iv_ask": ask}
        columns |= {name: getattr(greeks, name) for name in GREEKS}
    return replace(
        chain,
        contracts=replace(contracts, columns=columns, flags=flags),
        rate=rate,
        computed=(*(name for name in chain.computed if name not in COMPUTED), *(COMPUTED if is_computed else ())),
        approximate=is_computed and chain.style != "european",
        flags=with_flags(chain.flags, {EXPIRED: years <= 0, NO_FORWARD: years > 0 and not is_computed}),
    )


def implied_volatilities(
    prices: Floats, strikes: Floats, is_call: Bools, forward: float, years: float, rate: float
) -> Floats:
    """Return the volatilities at which options are worth `prices`, NaN where none does; accurate to 1e-10/√years.

    Prices, strikes and `forward` in points; `years` > 0. The result is a fraction, per root year.
    """
    try:
        import QuantLib
    except ImportError:
        raise MissingExtra("QuantLib is not installed; pip install 'tapeline[processor]'") from None
    discount = math.exp(-rate * years)
    scale = 1 / math.sqrt(years)
    lowest = discount * np.maximum(np.where(is_call, forward - strikes, strikes - forward), 0)
    highest = discount * np.where(is_call, forward, strikes)
    found = np.full(len(prices), np.nan)
    solve, call, put = QuantLib.blackFormulaImpliedStdDev, QuantLib.Option.Call, QuantLib.Option.Put
    guess = _FIRST_GUESS / scale
    for i in np.flatnonzero((prices > lowest) & (prices < highest)).tolist():
        try:
            deviation = solve(
                call if is_call[i] else put, strikes[i], forward, prices[i], discount, 0.0, guess, _ACCURACY
            )
        except RuntimeError:  # its way of saying that it found none
            continue
        found[i] = deviation * scale
    return found


def _volatilities(
    contracts: Contracts, forward: float, years: float, rate: float
) -> tuple[Bools, Floats, Floats, Floats]:
    """Return which contracts are to be solved, and their volatilities at bid, middle and ask."""
    strikes = contracts.strike / 1e9
    is_outside = np.where(contracts.is_call, strikes >= forward, strikes <= forward)
    quoted = two_sided(contracts) & is_outside
    bid, ask = contracts.points("bid"), contracts.points("ask")
    rows = np.flatnonzero(quoted)
    results = []
    for prices in (bid, (bid + ask) / 2, ask):
        column = np.full(len(contracts), np.nan)
        column[rows] = implied_volatilities(prices[rows], strikes[rows], contracts.is_call[rows], forward, years, rate)
        results.append(column)
    return quoted, results[0], results[1], results[2]


def _of_strike(contracts: Contracts, quoted: Bools, volatilities: Floats) -> Floats:
    """Return each contract's own volatility where there is one, else that of the other contract of its strike."""
    known = np.flatnonzero(quoted & ~np.isnan(volatilities))
    if not len(known):
        return volatilities
    known = known[np.argsort(contracts.strike[known], kind="stable")]
    strikes = contracts.strike[known]
    place = np.minimum(np.searchsorted(strikes, contracts.strike), len(known) - 1)
    is_there = (strikes[place] == contracts.strike) & np.isnan(volatilities)
    return np.where(is_there, volatilities[known[place]], volatilities)
