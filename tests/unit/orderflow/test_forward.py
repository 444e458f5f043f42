"""The forward that a chain's quotes say, against the future of the simulator's surface and worked cases."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.orderflow.chains import AS_OF, RATE, changed, e9, make_chain, quoted, true_surface

from tapeline.model.chains import NULL, Chain, Forward, UnderlyingPrice
from tapeline.orderflow.forward import with_forward

DAYS = 7.0


def future_at(points: float, **changes: object) -> UnderlyingPrice:
    return replace(UnderlyingPrice(int(e9(points)), "quote", AS_OF), **changes)


def forward_of(chain: Chain, future: UnderlyingPrice | None = None) -> Forward:
    forward = with_forward(chain, rate=RATE, future=future).forward
    assert forward is not None
    return forward


def test_a_worked_case() -> None:
    # call - put: 120 - 100 = 20 at 25,000, 95 - 125 = -30 at 25,050, 146 - 76 = 70 at 24,950; a year at 4 %.
    strikes = [25_000.0, 25_050.0, 24_950.0] * 2
    middles = np.array([120.0, 95.0, 146.0, 100.0, 125.0, 76.0])
    chain = make_chain(strikes, [True] * 3 + [False] * 3, middles - 1, middles + 1, days=365)
    growth = math.exp(0.04)
    expected = [25_000 + 20 * growth, 25_050 - 30 * growth, 24_950 + 70 * growth]
    found = with_forward(chain, rate=0.04, future=None)
    assert found.forward is not None
    assert found.forward.value == pytest.approx(sorted(expected)[1], abs=1e-9)
    assert found.forward.deviation == pytest.approx(np.std(expected, ddof=1), abs=1e-9)
    assert (found.forward.source, found.forward.pairs, found.rate, found.flags) == ("parity", 3, 0.04, ())


@given(st.floats(20_000, 30_000), st.floats(1, 90))
def test_the_simulator_s_future_is_found(future: float, days: float) -> None:
    surface = true_surface(future, days, step=50.0)
    forward = forward_of(quoted(surface, 1 + 0.01 * surface.values, days=days))
    assert forward.value == pytest.approx(future, abs=1e-6)
    assert forward.pairs == 15
    assert forward.deviation == pytest.approx(0, abs=1e-6)


def test_stale_and_crossed_quotes_do_not_count() -> None:
    surface = true_surface(25_000, DAYS)
    chain = quoted(surface, 2.0, days=DAYS)
    near = np.flatnonzero(surface.is_call & (np.abs(surface.strikes - 25_000) <= 100))
    bid, ask = chain.contracts.columns["bid"].copy(), chain.contracts.columns["ask"].copy()
    for row in near[:4]:  # tighter than all others, and from when the future was 60 points higher
        bid[row] += e9(61)
        ask[row] += e9(59)
    bid[near[4]], ask[near[4]] = ask[near[4]] + e9(40), bid[near[4]] + e9(40)
    forward = forward_of(changed(chain, {"bid": bid, "ask": ask}))
    assert forward.value == pytest.approx(25_000, abs=1e-6)
    assert forward.deviation == pytest.approx(0, abs=1e-6)
    assert forward.pairs == 15


def test_the_tightest_pairs_near_the_money_decide() -> None:
    surface = true_surface(25_000, DAYS)
    distance = np.abs(surface.strikes - 25_000)
    tight = (distance <= 300) & (surface.strikes % 50 == 0)
    # what is quoted wider, or tighter but far away, is 1 point off
    shift = np.where(surface.is_call & ~tight, 1.0, 0.0)
    half_spreads = np.where(tight, 1.0, np.where(distance > 800, 0.9, 5.0))
    forward = forward_of(quoted(surface, half_spreads, days=DAYS, shift=shift))
    assert forward.value == pytest.approx(25_000, abs=1e-6)


@pytest.mark.parametrize("pairs", [0, 2])
def test_too_few_pairs_leave_the_future(pairs: int) -> None:
    surface = true_surface(25_000, DAYS)
    chain = quoted(surface, 2.0, days=DAYS)
    bid = chain.contracts.columns["bid"].copy()
    bid[pairs : len(bid) // 2] = NULL
    one_sided = changed(chain, {"bid": bid})
    assert with_forward(one_sided, rate=RATE, future=None).forward is None
    assert forward_of(one_sided, future_at(25_010.25)) == Forward(25_010.25, "future")


def test_a_bid_of_nothing_makes_no_pair() -> None:
    surface = true_surface(25_000, DAYS)
    chain = quoted(surface, 2.0, days=DAYS)
    bid = np.where(surface.is_call, 0, chain.contracts.columns["bid"])
    assert with_forward(changed(chain, {"bid": bid}), rate=RATE, future=None).forward is None


def test_settlements_of_the_future_are_of_another_time() -> None:
    surface = true_surface(25_000, DAYS)
    chain = quoted(surface, 2.0, days=DAYS)
    settled = future_at(25_364, source="settlement")
    found = with_forward(chain, rate=RATE, future=settled)
    assert found.flags == ()
    nothing = changed(chain, {"bid": np.full(len(surface.strikes), NULL)})
    assert with_forward(nothing, rate=RATE, future=settled).forward is None


@pytest.mark.parametrize(
    ("off", "flags"), [(12.0, ()), (-12.0, ()), (13.0, ("forward_disagrees",)), (-13.0, ("forward_disagrees",))]
)
def test_a_future_that_disagrees_is_told_and_not_taken(off: float, flags: tuple[str, ...]) -> None:
    surface = true_surface(25_000, DAYS)
    chain = replace(quoted(surface, 2.0, days=DAYS), flags=("partial", "forward_disagrees"))
    found = with_forward(chain, rate=RATE, future=future_at(25_000 + off))
    assert found.forward is not None
    assert found.forward.value == pytest.approx(25_000, abs=1e-6)
    assert found.flags == ("partial", *flags)
    assert found.underlying_price == future_at(25_000 + off)


def test_what_the_pairs_leave_open_is_no_disagreement() -> None:
    surface = true_surface(25_000, DAYS)
    noise = np.where(surface.is_call & (surface.strikes % 50 == 0), 10.0, 0.0)
    chain = quoted(surface, 12.0, days=DAYS, shift=noise)
    found = with_forward(chain, rate=RATE, future=future_at(25_020))
    assert found.forward is not None
    assert found.forward.deviation == pytest.approx(5.2, abs=0.5)
    assert found.flags == ()


def test_an_expired_chain_has_no_forward() -> None:
    chain = quoted(true_surface(25_000, DAYS), 2.0, days=DAYS)
    found = with_forward(replace(chain, expiry=AS_OF), rate=RATE, future=future_at(25_000))
    assert found.forward is None
    assert found.flags == ("expired",)
