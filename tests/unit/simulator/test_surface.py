"""The surface and its prices, against Python's own error function and the inequalities that no arbitrage allows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeline_simulator.surface import INTEREST_RATE, at_the_money_volatility, option_values, volatility

YEARS = st.floats(1 / 365 / 24, 1.5)


def normal(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


def black_76(future: float, strike: float, years: float, deviation: float, *, is_call: bool) -> float:
    upper = math.log(future / strike) / deviation + deviation / 2
    sign = 1 if is_call else -1
    discount = math.exp(-INTEREST_RATE * years)
    return discount * sign * (future * normal(sign * upper) - strike * normal(sign * (upper - deviation)))


def value(future: float, strike: float, years: float, *, is_call: bool) -> float:
    values, _ = option_values(np.array([future]), np.array([strike]), np.array([years]), np.array([is_call]))
    return float(values[0])


@given(st.floats(15_000, 35_000), st.floats(15_000, 35_000), YEARS, st.booleans())
def test_a_value_is_black_s(future: float, strike: float, years: float, is_call: bool) -> None:
    deviation = float(volatility(np.array([math.log(strike / future)]), np.array([years]))[0]) * math.sqrt(years)
    expected = black_76(future, strike, years, deviation, is_call=is_call)
    assert value(future, strike, years, is_call=is_call) == pytest.approx(expected, abs=1e-8)


@given(st.floats(15_000, 35_000), YEARS)
def test_no_chain_can_be_arbitraged(future: float, years: float) -> None:
    strikes = np.arange(12_000.0, 40_000.0, 25.0)
    same = np.ones(len(strikes))
    calls, _ = option_values(future * same, strikes, years * same, same > 0)
    puts, _ = option_values(future * same, strikes, years * same, same < 0)
    discount = math.exp(-INTEREST_RATE * years)
    assert calls - puts == pytest.approx(discount * (future - strikes), abs=1e-7)
    slopes = np.diff(calls) / 25
    assert (slopes <= 1e-12).all()
    assert (slopes >= -discount - 1e-12).all()
    assert (np.diff(calls, 2) >= -1e-7).all()


def test_total_variance_grows_with_time() -> None:
    years = np.linspace(1 / 365 / 24, 2, 500)
    for log_moneyness in (-0.3, -0.05, 0.0, 0.05, 0.3):
        total = volatility(np.full(500, log_moneyness), years) ** 2 * years
        assert (np.diff(total) > 0).all()


def test_the_smile_leans_to_puts_and_flattens_with_time() -> None:
    week, quarter = np.full(3, 7 / 365), np.full(3, 90 / 365)
    down, at, up = volatility(np.array([-0.05, 0.0, 0.05]), week)
    assert down > at
    assert down > up
    assert at == pytest.approx(float(at_the_money_volatility(week)[0]))
    assert 0.15 < at < 0.35
    later = volatility(np.array([-0.05, 0.0, 0.05]), quarter)
    assert later[0] - later[1] < down - at


@given(st.floats(-0.15, 0.15), YEARS)
def test_vega_is_the_slope_of_the_value_in_volatility(log_moneyness: float, years: float) -> None:
    future, strike = 25_000.0, 25_000.0 * math.exp(log_moneyness)
    _, vegas = option_values(np.array([future]), np.array([strike]), np.array([years]), np.array([True]))
    sigma = float(volatility(np.array([log_moneyness]), np.array([years]))[0])
    ahead, behind = (
        black_76(future, strike, years, (sigma + step) * math.sqrt(years), is_call=True) for step in (1e-5, -1e-5)
    )
    assert float(vegas[0]) == pytest.approx((ahead - behind) / 2e-5, abs=0.5, rel=1e-3)
