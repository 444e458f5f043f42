"""Which listed contracts have quoted: worked cases, and a set per tick as the measure of the fast path."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from tapeline.model.instruments import Instrument
from tapeline.model.quality import MOST_NAMED, decode_quality, encode_quality
from tapeline.quality.completeness import Completeness

NOON, EXPIRY = 1_000, 2_000
CALL = Instrument(
    source="databento",
    dataset="GLBX.MDP3",
    trading_day="2026-11-24",
    instrument_id=1,
    raw_symbol="Q4BX6 C1",
    instrument_class="C",
    asset="Q4B",
    group=None,
    parent="Q4B.OPT",
    underlying="NQZ6",
    underlying_id=None,
    expiry=EXPIRY,
    activation=0,
    strike=1,
    style="european",
    tick=None,
    multiplier=None,
    currency=None,
    user_defined=False,
    legs=(),
    update_action="A",
    ts_recv=0,
)


def contract(instrument_id: int, **fields: object) -> Instrument:
    return replace(CALL, instrument_id=instrument_id, raw_symbol=f"Q4BX6 C{instrument_id}", **fields)


def tracker(*instruments: Instrument) -> Completeness:
    completeness = Completeness("databento", "GLBX.MDP3/Q4B.OPT", "2026-11-24", 0)
    for instrument in instruments:
        completeness.define(instrument)
    return completeness


def ids(*instrument_ids: int) -> npt.NDArray[np.int64]:
    return np.array(instrument_ids, dtype=np.int64)


def test_what_is_listed_and_has_not_quoted_is_missing() -> None:
    completeness = tracker(contract(1), contract(2), contract(3))
    completeness.quote(ids(2, 2, 2))
    result = completeness.result(NOON)
    assert (result.expected, result.quoted, result.missing) == (3, 1, 2)
    assert result.missing_symbols == ("Q4BX6 C1", "Q4BX6 C3")
    assert (result.since, result.at, result.final, result.expected_from) == (0, NOON, False, "definitions")
    completeness.quote(ids(3, 1))
    assert completeness.result(NOON).missing == 0


def test_only_outrights_that_the_exchange_lists_are_expected() -> None:
    completeness = tracker(
        contract(1),
        contract(2, instrument_class="P"),
        contract(3, instrument_class="F"),
        contract(4, instrument_class="S"),
        contract(5, instrument_class="T", user_defined=True),
        contract(6, user_defined=True),
    )
    result = completeness.result(NOON)
    assert result.missing_symbols == ("Q4BX6 C1", "Q4BX6 C2", "Q4BX6 C3")
    assert result.user_defined == 2


def test_a_contract_is_expected_from_its_listing_until_its_expiry() -> None:
    completeness = tracker(contract(1, activation=NOON, expiry=EXPIRY), contract(2, activation=None, expiry=None))
    expected = [completeness.result(at).expected for at in (NOON - 1, NOON, EXPIRY - 1, EXPIRY)]
    assert expected == [1, 2, 2, 1]


def test_a_strike_listed_during_the_day_is_expected_and_one_deleted_no_more() -> None:
    completeness = tracker(contract(1))
    completeness.define(contract(2))
    assert completeness.result(NOON).missing_symbols == ("Q4BX6 C1", "Q4BX6 C2")
    completeness.define(contract(1, update_action="D"))
    completeness.quote(ids(1))
    result = completeness.result(NOON)
    assert result.missing_symbols == ("Q4BX6 C2",)
    assert result.unlisted == 0


def test_what_quotes_without_a_definition_is_unlisted_until_the_definition_comes() -> None:
    completeness = tracker(contract(1))
    completeness.quote(ids(9, 1, 8, 9))
    result = completeness.result(NOON)
    assert (result.unlisted, result.unlisted_ids) == (2, (8, 9))
    completeness.define(contract(9))
    result = completeness.result(NOON)
    assert (result.expected, result.quoted, result.unlisted_ids) == (2, 2, (8,))


def test_an_id_that_is_given_to_another_instrument_has_not_quoted_as_that_one() -> None:
    completeness = tracker(contract(1), contract(2))
    completeness.quote(ids(1, 2))
    completeness.define(contract(1, update_action="M"))
    assert completeness.result(NOON).missing == 0
    completeness.define(replace(contract(1), raw_symbol="Q4BX6 P99"))
    assert completeness.result(NOON).missing_symbols == ("Q4BX6 P99",)
    completeness.quote(ids(1))
    assert completeness.result(NOON).missing == 0


def test_lists_are_bounded_and_counts_are_not() -> None:
    completeness = tracker(*(contract(1_000 + each) for each in range(MOST_NAMED + 50)))
    completeness.quote(np.arange(MOST_NAMED + 1))
    result = completeness.result(NOON)
    assert (result.missing, len(result.missing_symbols)) == (MOST_NAMED + 50, MOST_NAMED)
    assert (result.unlisted, len(result.unlisted_ids)) == (MOST_NAMED + 1, MOST_NAMED)
    assert decode_quality(encode_quality(result)) == result


numbers = st.integers(0, 40) | st.integers(0, 2**32 - 1) | st.integers(0, 40).map(lambda each: each << 14)


@given(batches=st.lists(st.lists(numbers, max_size=30), max_size=20), listed=st.sets(numbers, max_size=30))
def test_the_result_is_that_of_a_set_per_tick(batches: list[list[int]], listed: set[int]) -> None:
    completeness = tracker(*map(contract, listed))
    quoted: set[int] = set()
    for batch in batches:
        completeness.quote(ids(*batch))
        quoted.update(batch)
        result = completeness.result(NOON)
        assert result.quoted == len(listed & quoted)
        assert result.unlisted_ids == tuple(sorted(quoted - listed))


def test_thousands_of_contracts_are_learnt_while_the_table_grows() -> None:
    many = np.arange(42_000_000, 42_005_000)
    completeness = tracker(*map(contract, many.tolist()))
    for begin in range(0, len(many), 100):
        completeness.quote(many[begin : begin + 100])
    assert completeness.result(NOON).missing == 0


def test_a_tick_costs_far_less_than_sorting_the_ids_would() -> None:
    random = np.random.default_rng(7)
    listed = 42_000_000 + random.choice(200_000, 10_000, replace=False)
    completeness = tracker(*map(contract, listed.tolist()))
    completeness.quote(listed)
    batches = [random.choice(listed, 4_000) for _ in range(20)]

    def cost_s(use: Callable[[npt.NDArray[np.int64]], object]) -> float:
        began_s = time.process_time()
        for batch in batches:
            use(batch)
        return time.process_time() - began_s

    assert 5 * min(cost_s(completeness.quote) for _ in range(10)) < min(cost_s(np.unique) for _ in range(10))
