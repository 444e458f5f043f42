"""The volatility surface of the synthetic market, and what options are worth on it. Pure functions over arrays.

The surface is Gatheral and Jacquier's (2014, "Arbitrage-free SVI volatility surfaces", SSVI with a power law), whose
parameters keep it free of butterfly and calendar arbitrage: calls fall and are convex in the strike, and total
variance grows with time.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

INTEREST_RATE: Final = 0.04
"""Continuous, per year; a premium is paid at once."""

_LONG_VOLATILITY: Final = 0.21
_SHORT_VOLATILITY: Final = 0.26
_TERM_YEARS: Final = 0.08
_SKEW: Final = -0.55
_CURVATURE: Final = 1.1
"""Times (1 + |skew|) this stays below 2 (their theorem 4.2), so that no butterfly is worth less than nothing."""


def volatility(log_moneyness: Floats, years: Floats) -> Floats:
    """Return the implied volatility (a fraction, per root year) at ln(strike/forward) and years to expiry (> 0)."""
    total = at_the_money_volatility(years) ** 2 * years
    slope = _CURVATURE / np.sqrt(total) * log_moneyness
    variance = total / 2 * (1 + _SKEW * slope + np.sqrt((slope + _SKEW) ** 2 + 1 - _SKEW**2))
    result: Floats = np.sqrt(variance / years)
    return result


def at_the_money_volatility(years: Floats) -> Floats:
    """Return the implied volatility where the strike is the forward."""
    result: Floats = np.sqrt(
        _LONG_VOLATILITY**2 + (_SHORT_VOLATILITY**2 - _LONG_VOLATILITY**2) * np.exp(-years / _TERM_YEARS)
    )
    return result


def option_values(
    futures: Floats, strikes: Floats, years: Floats, is_call: npt.NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Return (value, vega) of European options on futures, in points and points per 1.00 of volatility (Black 1976)."""
    deviation = volatility(np.log(strikes / futures), years) * np.sqrt(years)
    upper = np.log(futures / strikes) / deviation + deviation / 2
    lower = upper - deviation
    discount = np.exp(-INTEREST_RATE * years)
    # The side that is out of the money is computed and the other follows by parity, so that neither loses digits.
    sign = np.where(strikes >= futures, 1.0, -1.0)
    outside = sign * (futures * _normal(sign * upper) - strikes * _normal(sign * lower))
    inside = (sign > 0) != is_call
    values = discount * (np.maximum(outside, 0.0) + np.where(inside, np.abs(futures - strikes), 0.0))
    vegas = discount * futures * np.sqrt(years) * np.exp(-upper * upper / 2) / np.sqrt(2 * np.pi)
    return values, vegas


def _normal(x: Floats) -> Floats:
    """Return the cumulative normal distribution, to 1e-15 (West 2005, after Hart 1968)."""
    z = np.minimum(np.abs(x), 37.0)
    density = np.exp(-z * z / 2)
    near = density * _polynomial(_HART_NUMERATOR, z) / _polynomial(_HART_DENOMINATOR, z)
    far = density / (z + 1 / (z + 2 / (z + 3 / (z + 4 / (z + 0.65))))) / 2.506628274631
    tail = np.where(z < 7.07106781186547, near, far)
    return np.where(x > 0, 1 - tail, tail)


_HART_NUMERATOR: Final = (
    3.52624965998911e-02,
    0.700383064443688,
    6.37396220353165,
    33.912866078383,
    112.079291497871,
    221.213596169931,
    220.206867912376,
)
_HART_DENOMINATOR: Final = (
    8.83883476483184e-02,
    1.75566716318264,
    16.064177579207,
    86.7807322029461,
    296.564248779674,
    637.333633378831,
    793.826512519948,
    440.413735824752,
)


def _polynomial(coefficients: tuple[float, ...], x: Floats) -> Floats:
    """Return the polynomial at `x`, highest power first (Horner)."""
    result = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        result = result * x + coefficient
    return result
