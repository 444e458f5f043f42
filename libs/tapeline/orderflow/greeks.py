"""Value European options on a future, and how the value moves: Black (1976), over arrays.

The premium is paid at once and worth nothing until expiry: value = e^(-rate·years)·(forward·N(d1) - strike·N(d2)) for a
call, with d1 = ln(forward/strike)/s + s/2, d2 = d1 - s and s = volatility·√years.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_DAYS_PER_YEAR: Final = 365
_VEGA_STEP: Final = 0.01
_ROOT_2: Final = math.sqrt(2)
_ROOT_2_PI: Final = math.sqrt(2 * math.pi)


class Greeks(NamedTuple):
    """What options are worth, in points, and its derivatives; NaN where the volatility is not known.

    `delta`: per point of the future, discounted. `gamma`: of delta, per point. `theta`: points per calendar day that
    passes. `vega`: points per 0.01 of volatility.
    """

    value: Floats
    delta: Floats
    gamma: Floats
    theta: Floats
    vega: Floats


def black_76(
    forward: float, strikes: Floats, years: float, volatilities: Floats, is_call: npt.NDArray[np.bool_], rate: float
) -> Greeks:
    """Return value and greeks; `forward`, `strikes` in points, `years` > 0, volatilities and `rate` as fractions."""
    discount = math.exp(-rate * years)
    deviation = volatilities * math.sqrt(years)
    upper = np.log(forward / strikes) / deviation + deviation / 2
    sign = np.where(is_call, 1.0, -1.0)
    likely = _normal(sign * upper)
    value = discount * sign * (forward * likely - strikes * _normal(sign * (upper - deviation)))
    density = discount * np.exp(-upper * upper / 2) / _ROOT_2_PI
    return Greeks(
        value=value,
        delta=discount * sign * likely,
        gamma=density / (forward * deviation),
        theta=(rate * value - forward * density * volatilities / (2 * math.sqrt(years))) / _DAYS_PER_YEAR,
        vega=forward * density * math.sqrt(years) * _VEGA_STEP,
    )


def _normal(x: Floats) -> Floats:
    """Return the cumulative normal distribution."""
    # numpy has no error function; one call each costs less than the package that has it would take to import.
    return np.fromiter(map(math.erfc, (x / -_ROOT_2).tolist()), np.float64, len(x)) / 2
