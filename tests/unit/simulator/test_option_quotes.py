"""The grid of option prices, and who of a chain is quoted when."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeline_simulator.option_quotes import SLICE_NS, Contract, OptionQuotes
from tapeline_simulator.option_rows import on_tick_above, on_tick_below

START = 1_790_000_000_000_000_000
WEEK = 7 * 86_400 * 10**9
GRID = [Fraction(n, 20) for n in range(101)] + [5 + Fraction(n, 4) for n in range(1, 40_000)]
"""Every price up to 10,000 points: nickels up to 5.00, quarters above."""
FLOATS = np.array([float(price) for price in GRID])


@given(st.floats(0, 9_000) | st.sampled_from(GRID[:30_000]).map(float))
def test_prices_go_to_the_nearest_tick(points: float) -> None:
    below, above = int(on_tick_below(np.array([points]))[0]), int(on_tick_above(np.array([points]))[0])
    # 0.05 and its multiples are no binary fractions: what is computed from one may land on its neighbour.
    near = Fraction(points)
    assert Fraction(below, 20) in _around(near)
    assert Fraction(above, 20) in _around(near)
    assert Fraction(below, 20) <= near + Fraction(1, 10**9)
    assert Fraction(above, 20) >= near - Fraction(1, 10**9)


def _around(points: Fraction) -> set[Fraction]:
    """The highest price of the grid at or below, the lowest at or above, and their neighbours within rounding."""
    low = int(np.searchsorted(FLOATS, float(points)))
    return {
        each for each in GRID[max(0, low - 2) : low + 3] if abs(each - points) < Fraction(1, 4) + Fraction(1, 10**9)
    }


def chain(count: int = 40) -> list[Contract]:
    return [
        Contract(number, 25_000 + 25 * (number // 2 - count // 4), number % 2 == 0, START + WEEK, 0, 1.0 / (1 + number))
        for number in range(count)
    ]


def slices(quotes: OptionQuotes, futures: list[float]) -> list[np.ndarray]:
    return [
        quotes.next_slice(START + i * SLICE_NS, np.array([future]), np.array([True]))[0]
        for i, future in enumerate(futures)
    ]


def test_all_are_quoted_at_once_and_new_ones_as_they_come() -> None:
    quotes = OptionQuotes(1, 0.0, 0.0)
    quotes.add(chain(40)[:30])
    first, second = slices(quotes, [25_000.0, 25_000.0])
    assert sorted(first["instrument_id"].tolist()) == list(range(30))
    assert set(first["action"].tolist()) == {ord("A")}
    assert len(second) == 0
    quotes.add(chain(40)[30:])
    (third,) = slices(quotes, [25_000.0])
    assert sorted(third["instrument_id"].tolist()) == list(range(30, 40))


def test_when_the_future_jumps_those_furthest_behind_are_quoted_first() -> None:
    quotes = OptionQuotes(1, 400.0, 0.0)  # 10 a slice
    quotes.add(chain(40))
    slices(quotes, [25_000.0])
    rows = np.concatenate(slices(quotes, [25_050.0] * 2))
    deep_calls = {each.instrument_id for each in chain(40) if each.is_call and each.strike_points < 24_900}
    assert deep_calls <= set(rows["instrument_id"].tolist())


def test_active_contracts_are_quoted_more_often() -> None:
    quotes = OptionQuotes(1, 400.0, 0.0)
    quotes.add(chain(40))
    rows = np.concatenate(slices(quotes, [25_000.0] * 200)[1:])
    counts = Counter(rows["instrument_id"].tolist())
    assert counts[0] > 2 * counts[20] > 0
    assert all(len(set(each["instrument_id"].tolist())) == len(each) for each in slices(quotes, [25_000.0] * 5))


def test_a_stopped_market_and_an_expired_one_are_silent() -> None:
    quotes = OptionQuotes(1, 400.0, 40.0)
    quotes.add(chain(40))
    stopped, trades = quotes.next_slice(START, np.array([25_000.0]), np.array([False]))
    assert (len(stopped), len(trades)) == (0, 0)
    gone, trades = quotes.next_slice(START + WEEK - SLICE_NS, np.array([25_000.0]), np.array([True]))
    assert (len(gone), len(trades)) == (0, 0)


@given(st.floats(15_000, 35_000), st.integers(0, 2**32), st.floats(0.0001, 0.5))
def test_a_quote_holds_the_value_between_bid_and_ask(future: float, seed: int, years: float) -> None:
    quotes = OptionQuotes(seed, 0.0, 0.0)
    quotes.add([Contract(1, 25_000, True, START + int(years * 365 * 86_400e9), 0, 1.0)])
    quotes.add([Contract(2, 25_000, False, START + int(years * 365 * 86_400e9), 0, 1.0)])
    rows = slices(quotes, [future])[0]
    tops = {int(row["instrument_id"]): (row["bid_price"] / 1e9, row["ask_price"] / 1e9) for row in rows}
    discounted = np.exp(-0.04 * years) * (future - 25_000)
    bids = {number: 0.0 if bid > 1e9 else bid for number, (bid, _) in tops.items()}
    assert bids[1] - tops[2][1] <= discounted + 1e-6
    assert tops[1][1] - bids[2] >= discounted - 1e-6
    assert all(bids[number] < tops[number][1] for number in tops)


@pytest.mark.parametrize("futures", [[25_000.0] * 400, [25_000.0 + 30 * (i % 40 == 0) for i in range(400)]])
def test_the_mean_rate_holds_in_calm_and_in_storms(futures: list[float]) -> None:
    quotes = OptionQuotes(3, 1_000.0, 0.0)
    quotes.add(chain(400))
    rows = np.concatenate(slices(quotes, futures)[1:])
    assert len(rows) == pytest.approx(1_000 * 399 * SLICE_NS / 1e9, rel=0.15)
