"""Volatilities and greeks, against the simulator's true surface and an independent implementation (vollib)."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from tests.unit.orderflow.chains import AS_OF, RATE, TrueSurface, changed, e9, make_chain, quoted, true_surface
from vollib.black import black
from vollib.black.greeks import analytical
from vollib.black.implied_volatility import implied_volatility

from tapeline.model.chains import NULL, Chain, Forward, flag_bit
from tapeline.orderflow.forward import with_forward
from tapeline.orderflow.greeks import black_76
from tapeline.orderflow.volatility import COMPUTED, implied_volatilities, with_volatility

DAYS = 7.0
FUTURE = 25_000.0
IV_FLAG = flag_bit("iv")


def computed(chain: Chain, forward: float = FUTURE) -> Chain:
    return with_volatility(replace(chain, forward=Forward(forward, "future")), rate=RATE)


def outside(surface: TrueSurface) -> np.ndarray:
    return np.where(surface.is_call, surface.strikes >= surface.future, surface.strikes <= surface.future)


@pytest.mark.parametrize("days", [1 / 24, 1.0, 7.0, 90.0])
def test_the_true_surface_is_recovered_from_values(days: float) -> None:
    surface = true_surface(FUTURE, days)
    which = outside(surface) & (surface.vegas > 0.1)  # else a float cannot hold the difference
    assert np.count_nonzero(which) > 20
    found = implied_volatilities(
        surface.values[which], surface.strikes[which], surface.is_call[which], FUTURE, surface.years, RATE
    )
    assert found == pytest.approx(surface.volatilities[which], abs=1e-8)


def test_the_true_surface_lies_within_the_quotes() -> None:
    surface = true_surface(FUTURE + 3.3, DAYS)
    half_spreads = 0.03 + 0.001 * surface.vegas + 0.0008 * surface.values
    random = np.random.default_rng(7)
    shift = half_spreads * random.uniform(-0.4, 0.4, len(half_spreads))
    chain = with_forward(quoted(surface, half_spreads, days=DAYS, shift=shift), rate=RATE, future=None)
    columns = with_volatility(chain, rate=RATE).contracts.columns
    which = outside(surface) & (surface.values > half_spreads * 1.5)
    truth = surface.volatilities[which]
    assert np.count_nonzero(which) > 100
    assert (columns["iv_bid"][which] <= truth).all()
    assert (columns["iv_ask"][which] >= truth).all()
    half = (columns["iv_ask"] - columns["iv_bid"])[which] / 2
    assert (np.abs(columns["iv_mid"][which] - truth) <= half).all()


def test_a_contract_in_the_money_has_the_volatility_of_its_strike() -> None:
    surface = true_surface(FUTURE + 3.3, DAYS)
    columns = computed(quoted(surface, 0.05, days=DAYS), FUTURE + 3.3).contracts.columns
    half = len(surface.strikes) // 2
    assert not np.isnan(columns["iv_mid"]).any()
    assert columns["iv_mid"][:half].tolist() == columns["iv_mid"][half:].tolist()
    assert (np.isnan(columns["iv_bid"]) == ~outside(surface)).all()
    assert (np.isnan(columns["iv_ask"]) == ~outside(surface)).all()
    discount = math.exp(-RATE * surface.years)
    assert columns["delta"][:half] - columns["delta"][half:] == pytest.approx(discount)


def test_at_the_money_each_has_its_own() -> None:
    chain = make_chain([FUTURE] * 2, [True, False], [199.0, 209.0], [201.0, 211.0])
    columns = computed(chain).contracts.columns
    assert not np.isnan(columns["iv_bid"]).any()
    assert columns["iv_mid"][1] > columns["iv_mid"][0] * 1.04


def test_the_strike_of_another_does_not_stand_in() -> None:
    surface = true_surface(FUTURE, DAYS, step=100.0)
    chain = quoted(surface, 0.05, days=DAYS)
    rows = np.flatnonzero(surface.strikes == 25_500)
    ask = chain.contracts.columns["ask"].copy()
    ask[rows[0]] = NULL  # the call, out of the money
    columns = computed(changed(chain, {"ask": ask})).contracts.columns
    for name in COMPUTED:
        assert np.isnan(columns[name][rows]).all()
        assert np.isnan(columns[name]).sum() == 2 if name not in ("iv_bid", "iv_ask") else True


@pytest.mark.parametrize(
    ("bid", "ask"), [(math.nan, 10.0), (10.0, math.nan), (math.nan, math.nan), (11.0, 10.0), (0.0, 10.0)]
)
def test_only_two_sided_quotes_are_solved(bid: float, ask: float) -> None:
    found = computed(make_chain([26_000.0] * 2, [True, False], [bid, 990.0], [ask, 1_000.0]))
    for name in COMPUTED:
        assert np.isnan(found.contracts.columns[name]).all()
    assert not found.contracts.flags.any()
    assert found.computed == COMPUTED


def test_a_locked_quote_is_solved() -> None:
    columns = computed(make_chain([26_000.0], [True], [10.0], [10.0])).contracts.columns
    assert columns["iv_bid"] == columns["iv_mid"] == columns["iv_ask"]
    assert columns["iv_mid"][0] == pytest.approx(
        implied_volatility(10.0, FUTURE, 26_000.0, RATE, DAYS / 365, "c"), abs=1e-9
    )


def test_a_price_that_no_volatility_gives_is_flagged() -> None:
    chain = make_chain([26_000.0, 26_100.0], [True, True], [10.0, 9.0], [25_000.0, 10.0])
    stale = np.array([0, IV_FLAG | flag_bit("crossed")], dtype=np.uint32)
    found = computed(replace(chain, contracts=replace(chain.contracts, flags=stale)))
    columns = found.contracts.columns
    assert found.contracts.flags.tolist() == [IV_FLAG, flag_bit("crossed")]
    assert np.isnan(columns["iv_ask"]).tolist() == [True, False]
    assert not np.isnan(columns["iv_bid"]).any()


def test_bounds_are_not_passed() -> None:
    discount = math.exp(-RATE)
    for is_call, strike in ((True, 24_000.0), (False, 26_000.0)):
        lowest, highest = 1_000 * discount, (FUTURE if is_call else strike) * discount
        prices = np.array([math.nan, -1.0, 0.0, lowest - 1, lowest, lowest + 1, highest - 1, highest, highest + 1])
        strikes, rights = np.full(len(prices), strike), np.full(len(prices), is_call)
        found = implied_volatilities(prices, strikes, rights, FUTURE, 1.0, RATE)
        assert np.isnan(found).tolist() == [True] * 5 + [False] * 2 + [True] * 2


@pytest.mark.parametrize("days", [0.25, 7.0, 90.0])
@pytest.mark.parametrize("is_call", [True, False])
def test_value_and_greeks_are_those_of_vollib(days: float, is_call: bool) -> None:
    strikes = np.arange(22_000.0, 28_001.0, 250.0)
    years = days / 365
    volatilities = 0.2 + 0.1 * np.abs(np.log(strikes / FUTURE))
    found = black_76(FUTURE, strikes, years, volatilities, np.full(len(strikes), is_call), RATE)
    letter = "c" if is_call else "p"
    for row, (strike, sigma) in enumerate(zip(strikes.tolist(), volatilities.tolist(), strict=True)):
        arguments = letter, FUTURE, strike, years, RATE, sigma
        assert found.value[row] == pytest.approx(black(*arguments), abs=1e-8)
        for name in ("delta", "gamma", "vega", "theta"):
            expected = getattr(analytical, name)(*arguments)
            assert getattr(found, name)[row] == pytest.approx(expected, abs=1e-10, rel=1e-8), name


def test_theta_is_what_a_day_takes_and_vega_a_hundredth() -> None:
    strikes, is_call = np.array([25_200.0]), np.array([True])
    now = black_76(FUTURE, strikes, 30 / 365, np.array([0.2]), is_call, RATE)
    later = black_76(FUTURE, strikes, (30 - 1e-4) / 365, np.array([0.2]), is_call, RATE)
    assert (later.value - now.value) / 1e-4 == pytest.approx(now.theta, rel=1e-4)
    higher = black_76(FUTURE, strikes, 30 / 365, np.array([0.2 + 1e-6]), is_call, RATE)
    assert (higher.value - now.value) / 1e-4 == pytest.approx(now.vega, rel=1e-4)


@pytest.mark.parametrize(("style", "approximate"), [("european", False), ("american", True), (None, True)])
def test_american_options_are_approximate(style: str | None, approximate: bool) -> None:
    found = computed(make_chain([26_000.0], [True], [9.0], [10.0], style=style))  # type: ignore[arg-type]
    assert found.approximate is approximate
    assert (found.rate, found.flags) == (RATE, ())


def test_nothing_is_computed_from_the_expiry_on() -> None:
    before = computed(make_chain([26_000.0], [True], [9.0], [10.0]))
    after = with_volatility(replace(before, expiry=AS_OF, style="american"), rate=RATE)
    assert after.flags == ("expired",)
    assert (after.computed, after.approximate) == ((), False)
    assert set(after.contracts.columns) == {"bid", "ask"}


@pytest.mark.parametrize("forward", [None, Forward(0.0, "future"), Forward(-1.0, "parity")])
def test_nothing_is_computed_without_a_forward(forward: Forward | None) -> None:
    found = with_volatility(replace(make_chain([26_000.0], [True], [9.0], [10.0]), forward=forward), rate=RATE)
    assert (found.flags, found.computed) == (("no_forward",), ())
    assert set(found.contracts.columns) == {"bid", "ask"}
    assert computed(found).flags == ()


def test_what_others_computed_stays_named() -> None:
    chain = replace(make_chain([26_000.0], [True], [9.0], [10.0]), computed=("premium", "iv_mid"))
    assert computed(chain).computed == ("premium", *COMPUTED)


def test_an_empty_chain_stays_empty() -> None:
    chain = with_forward(make_chain([], [], [], []), rate=RATE, future=None)
    assert chain.forward is None
    assert len(computed(chain).contracts) == 0


def test_prices_are_taken_as_they_are_on_the_wire() -> None:
    chain = make_chain([26_000.0], [True], [9.05], [10.25])
    assert chain.contracts.columns["bid"].tolist() == e9([9.05]).tolist()
    columns = computed(chain).contracts.columns
    for name, price in (("iv_bid", 9.05), ("iv_mid", 9.65), ("iv_ask", 10.25)):
        expected = implied_volatility(price, FUTURE, 26_000.0, RATE, DAYS / 365, "c")
        assert columns[name][0] == pytest.approx(expected, abs=1e-9)
