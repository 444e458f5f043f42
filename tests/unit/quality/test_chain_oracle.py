"""The arbitrage rules against an independent implementation of the constraints (Cohen, Reisinger, Wang 2020).

Their constraints are on mid prices of calls, so the quotes are locked here: bid and ask are the price.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from arbitragerepair import constraints
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.quality.chain_builders import AS_OF, EXACT, chain_of, check, on_surface, raised

from tapeline.model.chains import Chain, Forward
from tapeline.quality.chains import check_calendar
from tapeline_simulator.surface import INTEREST_RATE, option_values

Floats = npt.NDArray[np.float64]

FUTURE: Final = 25_000.0
STRIKES: Final = np.arange(24_000.0, 26_001.0, 100.0)
DAYS: Final = (7.0, 30.0)
ARBITRAGE: Final = {"33_bounds", "34_vertical", "35_butterfly", "37_parity"}


@dataclass(frozen=True)
class Violations:
    """How many constraints of each family the oracle finds broken, those of a call at strike 0 among the bounds."""

    bounds: int
    vertical: int
    butterfly: int
    calendar: int


def prepared(T: Floats, K: Floats, C: Floats) -> pd.DataFrame:  # noqa: N803 (the oracle's own names)
    """Do what the oracle's own function does, which pandas 3 cannot run: add strike 0, and neighbours in strike."""
    frame = pd.DataFrame({"T": T, "K": K, "C": C})
    frame["raw_index"] = frame.index.to_numpy()
    zero = pd.DataFrame({"T": np.unique(T), "K": 0.0, "C": 1.0})
    frame = pd.concat([frame, zero], sort=True).sort_values(["T", "K"]).reset_index(drop=True)
    frame["T_order"] = frame.groupby("T").ngroup()
    by_expiry = frame.groupby("T_order")
    frame["K_m1"], frame["K_m2"] = by_expiry["K"].shift(1).fillna(0), by_expiry["K"].shift(2).fillna(0)
    frame["K_p1"] = by_expiry["K"].shift(-1).fillna(1e10)
    frame["K_order"] = by_expiry.cumcount()
    frame["K_order_max"] = frame.groupby("T_order")["K_order"].transform("max")
    return frame


def oracle(prices: Mapping[float, Floats]) -> Violations:
    """Return what is wrong with calls at STRIKES, given their discounted prices by the days to their expiry."""
    days = np.repeat(list(prices), len(STRIKES)) / 365
    calls = np.concatenate(list(prices.values())) * np.exp(INTEREST_RATE * days) / FUTURE
    strikes = np.tile(STRIKES, len(prices)) / FUTURE
    frame = prepared(days, strikes, calls)
    numbers = (frame, len(calls), len(prices))
    families = {
        "vertical": constraints._constrain_vs(*numbers),
        "butterfly": constraints._constrain_vb(*numbers),
        "calendar": constraints._constrain_cs(frame, len(calls)),
    }
    broken = {}
    with_zero = 0
    for name, (matrix, limit) in families.items():
        lacks = matrix @ calls - limit < -1e-9
        has_zero = limit != 0.0
        broken[name] = int(np.count_nonzero(lacks & ~has_zero))
        with_zero += int(np.count_nonzero(lacks & has_zero))
    return Violations(bounds=with_zero, **broken)


def clean(days: float) -> Floats:
    values, _ = option_values(
        np.full(len(STRIKES), FUTURE), STRIKES, np.full(len(STRIKES), days / 365), np.ones(len(STRIKES), dtype=bool)
    )
    return values


def locked(calls: Floats, days: float) -> Chain:
    """Return a chain quoted at these prices exactly; puts are what parity makes of them."""
    discount = np.exp(-INTEREST_RATE * days / 365)
    prices = np.concatenate([calls, calls - discount * (FUTURE - STRIKES)])
    return chain_of(
        np.tile(STRIKES, 2),
        np.arange(2 * len(STRIKES)) < len(STRIKES),
        prices,
        prices,
        days=days,
        forward=Forward(FUTURE, "future"),
        rate=INTEREST_RATE,
    )


def found(chain: Chain) -> set[str]:
    return set(raised(check(chain, limits=EXACT))) & ARBITRAGE


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of the oracle, about the strike 0 that it adds itself
        yield


@pytest.mark.parametrize("days", [0.1, 1.0, 7.0, 30.0, 120.0])
def test_the_surface_is_clean_for_both(days: float) -> None:
    assert oracle({days: clean(days)}) == Violations(0, 0, 0, 0)
    assert found(locked(clean(days), days)) == set()


@settings(deadline=None, max_examples=150)
@given(
    shifts=st.dictionaries(
        st.integers(1, len(STRIKES) - 2),
        st.floats(-60.0, 60.0).filter(lambda shift: abs(shift) > 0.01),
        min_size=1,
        max_size=3,
    )
)
def test_planted_arbitrage_is_found_exactly_where_the_constraints_are_broken(shifts: dict[int, float]) -> None:
    calls = clean(7.0)
    for place, shift in shifts.items():
        calls[place] += shift
    broken, rules = oracle({7.0: calls}), found(locked(calls, 7.0))
    assert ("35_butterfly" in rules) == bool(broken.butterfly)
    if broken.vertical:
        assert "34_vertical" in rules
    # Theirs says of the slope only that it is none too steep from strike 0 on, and leaves the rest to convexity.
    slope = np.exp(-INTEREST_RATE * 7 / 365) * 100.0
    is_steep = bool((calls[:-1] - calls[1:] > slope + 1e-6).any())
    assert ("34_vertical" in rules) == (bool(broken.vertical) or is_steep)
    assert "37_parity" not in rules


@settings(deadline=None, max_examples=50)
@given(shift=st.floats(-200.0, 200.0).filter(lambda shift: abs(shift) > 0.01))
def test_a_lowest_strike_below_what_exercise_is_worth_is_found_by_both(shift: float) -> None:
    calls = clean(7.0)
    calls[0] += shift
    intrinsic = np.exp(-INTEREST_RATE * 7 / 365) * (FUTURE - STRIKES[0])
    is_below = calls[0] < intrinsic - 1e-6
    assert ("33_bounds" in found(locked(calls, 7.0))) == is_below
    if is_below:
        assert oracle({7.0: calls}).bounds


@settings(deadline=None, max_examples=50)
@given(place=st.integers(0, len(STRIKES) - 1), share=st.floats(0.001, 0.999))
def test_a_calendar_arbitrage_is_found_exactly_where_the_constraints_are_broken(place: int, share: float) -> None:
    near, far = clean(DAYS[0]), clean(DAYS[1])
    intrinsic = np.exp(-INTEREST_RATE * DAYS[1] / 365) * max(FUTURE - STRIKES[place], 0.0)
    far[place] = intrinsic + share * (far[place] - intrinsic)  # below, the put would be worth less than nothing
    broken = oracle(dict(zip(DAYS, (near, far), strict=True))).calendar
    chains = [locked(near, DAYS[0]), locked(far, DAYS[1])]
    report = check_calendar(chains, at_ns=AS_OF, limits=EXACT)[chains[1].key]
    assert bool(report.findings) == bool(broken)
    if report.findings:
        # the call and the put at the forward's own strike, else the one out of the money
        assert report.findings[0].count == (2 if STRIKES[place] == FUTURE else 1)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    days=st.sampled_from([0.05, 1.0, 7.0, 90.0]),
    style=st.sampled_from(["european", None]),
)
def test_quotes_around_what_options_are_worth_never_break_a_rule(seed: int, days: float, style: Any) -> None:
    chain = on_surface(days=days, half_spread=0.0, wide=0.04)
    random = np.random.default_rng(seed)
    worth = chain.contracts.points("ask")
    count = len(worth)
    bid = worth - random.exponential(2.0, count) * (random.random(count) < 0.8)
    ask = worth + random.exponential(2.0, count) * (random.random(count) < 0.8)
    quoted = random.random((2, count)) < 0.9
    around = chain_of(
        chain.contracts.strike / 1e9,
        chain.contracts.is_call,
        np.where(quoted[0] & (bid > 0), bid, np.nan),
        np.where(quoted[1], ask, np.nan),
        days=days,
        forward=chain.forward,
        rate=chain.rate,
        style=style,
    )
    assert found(around) == set()
