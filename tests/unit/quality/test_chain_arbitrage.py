"""Rules 33 to 35 and 37, worked by hand: a year to go, forward 100, discount factor 0.99, ticks of 0.05 and 0.25."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.unit.quality.chain_builders import Quote, board, check, raised, short, with_columns, worked

from tapeline.model.chain_quality import Finding
from tapeline.model.chains import ABSENT, NULL, Forward, flag_bit


def only(rule: str, quotes: dict[str, Quote], **fields: Any) -> Finding | None:
    """Return what the rule finds; nothing else may be found, or have been left unchecked for want of a forward."""
    found = raised(check(board(quotes, **fields)))
    found.pop("30_completeness", None)  # these boards have a quote here and there
    assert set(found) <= {rule}
    return found.get(rule)


def numbers(finding: Finding | None, case: int = 0) -> dict[str, float]:
    assert finding is not None
    return {name: round(number, 9) for name, number in finding.evidence[case].numbers.items()}


@pytest.mark.parametrize("style", ["european", "american", None])
def test_the_worked_board_is_clean(style: str | None) -> None:
    assert raised(check(worked(style=style))) == {}


# -- 33: D·max(F - K, 0) <= C <= D·F, D·max(K - F, 0) <= P <= D·K ------------------------------------------------------


def test_an_option_offered_below_what_exercise_is_worth_is_found() -> None:
    # A put at 120 is worth 0.99·(120 - 100) = 19.80 at least; 19.40 is 0.40 less, more than a tick of 0.25.
    finding = only("33_bounds", {"P120": (None, 19.4)})
    assert finding is not None
    assert (finding.severity, finding.count, short(finding.contracts)) == ("warning", 1, ["P120"])
    assert numbers(finding) == {"ask": 19.4, "lower": 19.8, "forward": 100, "discount": 0.99, "gain": 0.4}
    # and a call at 80 as much
    assert numbers(only("33_bounds", {"C80": (None, 19.5)}))["gain"] == 0.3


def test_an_option_bid_above_all_that_it_can_pay_is_found() -> None:
    # A call pays the future at most, 0.99·100 = 99 today; a put at 80 its strike, 79.20.
    assert numbers(only("33_bounds", {"C80": (99.5, None)})) == {
        "bid": 99.5,
        "upper": 99,
        "forward": 100,
        "discount": 0.99,
        "gain": 0.5,
    }
    assert numbers(only("33_bounds", {"P80": (80.0, None)}))["upper"] == 79.2


@pytest.mark.parametrize("ask", [19.8, 19.55])
def test_a_tie_with_a_bound_and_a_miss_by_a_tick_are_none(ask: float) -> None:
    assert only("33_bounds", {"P120": (None, ask)}) is None


def test_a_cheap_option_has_the_fine_tick() -> None:
    # A put at 105 is worth 4.95 at least; 4.85 is more than a tick of 0.05 less, 4.90 is not.
    assert only("33_bounds", {"P105": (None, 4.85)}) is not None
    assert only("33_bounds", {"P105": (None, 4.9)}) is None


def test_what_may_be_exercised_now_is_worth_that_without_discount() -> None:
    # An American put at 120 pays 20 at once; a European one pays 19.80 in today's money, and 19.60 is a tick within.
    assert numbers(only("33_bounds", {"P120": (None, 19.6)}, style="american"))["lower"] == 20
    assert only("33_bounds", {"P120": (None, 19.6)}) is None
    # Where the style is not known, neither bound is tightened: 99.30 for a call may be an American's.
    assert only("33_bounds", {"P120": (None, 19.6)}, style=None) is None
    assert only("33_bounds", {"C80": (99.3, None)}, style=None) is None
    assert only("33_bounds", {"C80": (99.3, None)}) is not None


def test_a_forward_by_parity_is_uncertain_and_the_bounds_with_it() -> None:
    # 3·0.1 and the tick of 0.25 are more than the 0.40 missed; 3·0.04 are not.
    quotes: dict[str, Quote] = {"P120": (None, 19.4)}
    assert only("33_bounds", quotes, forward=Forward(100.0, "parity", 15, 0.1)) is None
    assert only("33_bounds", quotes, forward=Forward(100.0, "parity", 15, 0.04)) is not None


# -- 34: 0 <= C(K1) - C(K2) <= D·(K2 - K1), the other way round for puts ---------------------------------------------


@pytest.mark.parametrize(
    ("quotes", "sold", "bought"),
    [
        ({"C100": (5.9, 6.1), "C110": (6.5, 6.7)}, "C110", "C100"),
        ({"P110": (5.9, 6.1), "P100": (6.5, 6.7)}, "P100", "P110"),
        # a strike between them that is quoted wide, or not at all, hides nothing
        ({"C100": (5.9, 6.1), "C105": (1.0, 30.0), "C110": (6.5, 6.7)}, "C110", "C100"),
        ({"C100": (None, 6.1), "C105": (None, None), "C110": (6.5, None)}, "C110", "C100"),
    ],
)
def test_a_farther_strike_sold_for_more_than_a_nearer_one_costs_is_found(
    quotes: dict[str, Quote], sold: str, bought: str
) -> None:
    # Sold at 6.50, bought at 6.10: 0.40 for a spread that can only pay.
    finding = only("34_vertical", quotes, forward=None)
    assert numbers(finding) == {"sell": 6.5, "buy": 6.1, "pays_at_most": 0, "gain": 0.4}
    assert finding is not None
    assert short(finding.evidence[0].contracts) == [sold, bought]
    assert (finding.count, finding.severity) == (2, "warning")


@pytest.mark.parametrize(
    ("quotes", "sold", "bought"),
    [
        ({"C90": (16.5, 16.7), "C100": (5.9, 6.1)}, "C90", "C100"),
        ({"P110": (16.5, 16.7), "P100": (5.9, 6.1)}, "P110", "P100"),
        ({"P110": (16.5, 16.7), "P105": (1.0, 30.0), "P100": (5.9, 6.1)}, "P110", "P100"),
    ],
)
def test_a_spread_sold_for_more_than_its_strikes_are_apart_is_found(
    quotes: dict[str, Quote], sold: str, bought: str
) -> None:
    # 16.50 - 6.10 = 10.40 for a spread that pays 10 in a year at most, 9.90 today.
    finding = only("34_vertical", quotes, forward=None)
    assert numbers(finding) == {"sell": 16.5, "buy": 6.1, "pays_at_most": 9.9, "gain": 0.5}
    assert finding is not None
    assert short(finding.evidence[0].contracts) == [sold, bought]


def test_early_exercise_pays_the_whole_distance() -> None:
    # 16.30 - 6.10 = 10.20: 0.30 above the European 9.90, 0.20 above the American 10, which is within a tick.
    quotes: dict[str, Quote] = {"C90": (16.3, 16.5), "C100": (5.9, 6.1)}
    assert only("34_vertical", quotes, forward=None) is not None
    assert only("34_vertical", quotes, forward=None, style="american") is None
    assert only("34_vertical", quotes, forward=None, rate=None) is None


def test_the_gravest_case_comes_first() -> None:
    # Calls gain 6.50 - 6.10, puts 7.50 - 6.10.
    quotes: dict[str, Quote] = {"C100": (5.9, 6.1), "C110": (6.5, 6.7), "P110": (5.9, 6.1), "P100": (7.5, 7.7)}
    finding = only("34_vertical", quotes, forward=None)
    assert finding is not None
    assert [round(case.numbers["gain"], 9) for case in finding.evidence] == [1.4, 0.4]
    assert finding.count == 4


@pytest.mark.parametrize("second", [(6.1, 6.3), (6.35, 6.5), (5.0, 9.0), (None, 9.0)])
def test_ties_ticks_and_wide_markets_are_no_vertical_arbitrage(second: Quote) -> None:
    assert only("34_vertical", {"C100": (5.9, 6.1), "C110": second}, forward=None) is None


# -- 35: C(K1) - (1 + w)·C(K2) + w·C(K3) >= 0 --------------------------------------------------------------------------


def test_a_strike_bid_above_its_wings_is_found() -> None:
    # (12.60 + 1.60)/2 = 7.10 for both wings, 7.40 for the middle.
    finding = only("35_butterfly", {"C90": (12.4, 12.6), "C100": (7.4, 7.6), "C110": (1.4, 1.6)}, forward=None)
    assert numbers(finding) == {"sell": 7.4, "buy_first": 12.6, "buy_last": 1.6, "first_share": 0.5, "gain": 0.3}
    assert finding is not None
    assert short(finding.evidence[0].contracts) == ["C90", "C100", "C110"]
    assert finding.count == 3


def test_wings_weigh_as_their_strikes_are_apart() -> None:
    # 100 is three quarters of the way from 130 to 90: 0.75·12.60 + 0.25·1.00 = 9.70, against a bid of 10.00.
    finding = only("35_butterfly", {"C90": (12.4, 12.6), "C100": (10.0, 10.2), "C130": (0.8, 1.0)}, forward=None)
    assert numbers(finding)["first_share"] == 0.75
    assert numbers(finding)["gain"] == 0.3
    # Puts in mirror: the first wing is the higher strike.
    finding = only("35_butterfly", {"P110": (12.4, 12.6), "P100": (10.0, 10.2), "P70": (0.8, 1.0)}, forward=None)
    assert finding is not None
    assert short(finding.evidence[0].contracts) == ["P110", "P100", "P70"]
    assert numbers(finding)["gain"] == 0.3


def test_the_cheapest_wings_are_taken_however_far() -> None:
    wide: dict[str, Quote] = {
        "C90": (12.4, 12.6),
        "C95": (1, 30),
        "C100": (7.4, 7.6),
        "C105": (1, 30),
        "C110": (1.4, 1.6),
    }
    finding = only("35_butterfly", wide, forward=None)
    assert finding is not None
    assert short(finding.evidence[0].contracts) == ["C90", "C100", "C110"]


@pytest.mark.parametrize("middle", [(7.1, 7.3), (7.35, 7.6), (1.0, 20.0), (None, 7.0)])
def test_ties_ticks_and_wide_markets_are_no_butterfly(middle: Quote) -> None:
    assert only("35_butterfly", {"C90": (12.4, 12.6), "C100": middle, "C110": (1.4, 1.6)}, forward=None) is None


# -- 37: C - P = D·(F - K); American D·F - K <= C - P <= F - D·K -------------------------------------------------------


def test_a_call_too_dear_for_its_put_is_found() -> None:
    # Call sold at 6.90, put bought at 6.10: 0.80, where the future less the strike is worth 0. A tick of 0.25 and fees
    # of 0.25 are less than that.
    found = raised(check(worked({"C100": (6.9, 7.1)})))
    assert set(found) == {"37_parity"}
    finding = found["37_parity"]
    assert numbers(finding) == {
        "call_bid_less_put_ask": 0.8,
        "highest": 0,
        "forward": 100,
        "discount": 0.99,
        "gain": 0.8,
    }
    assert (finding.severity, finding.count, short(finding.contracts)) == ("warning", 2, ["C100", "P100"])


def test_a_call_too_cheap_for_its_put_is_found() -> None:
    # At 110 the difference is 0.99·(100 - 110) = -9.90; bought at 1.70 and the put sold at 12.30 it is -10.60.
    found = raised(check(worked({"C110": (1.5, 1.7)})))
    assert set(found) == {"37_parity"}
    assert numbers(found["37_parity"]) == {
        "call_ask_less_put_bid": -10.6,
        "lowest": -9.9,
        "forward": 100,
        "discount": 0.99,
        "gain": 0.7,
    }


def test_american_parity_has_room_for_early_exercise() -> None:
    # Between 0.99·100 - 100 = -1 and 100 - 0.99·100 = 1: 0.80 is within, 7.70 - 6.10 = 1.60 is 0.60 above.
    assert raised(check(worked({"C100": (6.9, 7.1)}, style="american"))) == {}
    found = raised(check(worked({"C100": (7.7, 7.9)}, style="american")))
    assert set(found) == {"37_parity"}
    assert numbers(found["37_parity"])["highest"] == 1
    # and below: 6.00 bought, put sold at 7.60 is -1.60
    found = raised(check(worked({"P100": (7.7, 7.9)}, style="american")))
    assert numbers(found["37_parity"])["lowest"] == -1


def test_spread_tick_fees_and_an_uncertain_forward_are_allowed() -> None:
    assert raised(check(worked({"C100": (6.6, 6.8)}))) == {}  # 6.60 - 6.10 = 0.50, no more than tick and fees
    assert raised(check(worked({"C100": (4.0, 9.0)}))) == {}
    assert raised(check(worked({"C100": (6.9, 7.1)}, forward=Forward(100.0, "parity", 15, 0.2)))) == {}


# -- what they share ---------------------------------------------------------------------------------------------------


def test_found_contracts_are_flagged_and_no_others() -> None:
    chain = worked({"C100": (6.9, 7.1)})
    flags = check(chain).flags
    assert flags.dtype == np.uint32
    assert {name: int(flag) for name, flag in zip(short(tuple(chain.symbols())), flags, strict=True) if flag} == {
        "C100": flag_bit("parity"),
        "P100": flag_bit("parity"),
    }


def test_a_quote_of_nothing_and_a_size_of_nothing_are_none() -> None:
    # Both would be an arbitrage if anybody dealt at them: a call for nothing, and 6.50 for what costs 6.10 elsewhere.
    assert only("33_bounds", {"C80": (None, 0.0)}) is None
    chain = board({"C100": (5.9, 6.1), "C110": (6.5, 6.7)}, forward=None)
    assert raised(check(with_columns(chain, bid_size=np.array([1, 1, 0, 0])))).keys() == {"34_vertical"}
    assert raised(check(with_columns(chain, bid_size=np.array([1, 0, 0, 0])))).keys() == set()
    # A size that is not told is not none.
    for unknown in (NULL, ABSENT):
        assert raised(check(with_columns(chain, bid_size=np.full(4, unknown)))).keys() == {"34_vertical"}


def test_the_order_of_the_contracts_does_not_matter() -> None:
    chain = worked({"C100": (6.9, 7.1)})
    order = np.random.default_rng(7).permutation(len(chain.contracts))
    contracts = replace(
        chain.contracts,
        strike=chain.contracts.strike[order],
        is_call=chain.contracts.is_call[order],
        vendor_symbols=tuple(chain.contracts.vendor_symbols[i] for i in order),
        columns={name: column[order] for name, column in chain.contracts.columns.items()},
    )
    assert {*raised(check(replace(chain, contracts=contracts)))["37_parity"].contracts} == {
        *raised(check(chain))["37_parity"].contracts
    }


@pytest.mark.parametrize(
    ("fields", "why"),
    [({"forward": None}, "the chain has no forward"), ({"rate": None}, "the chain has no interest rate")],
)
def test_rules_that_lack_something_are_not_passed(fields: dict[str, Any], why: str) -> None:
    # The board breaks bounds and parity; without a forward nobody can say so, and nobody says that they hold.
    report = check(worked({"P120": (18.9, 19.1)}, **fields))
    assert raised(report) == {}
    assert {rule: report.not_checked[rule] for rule in ("30_completeness", "33_bounds", "37_parity")} == dict.fromkeys(
        ("30_completeness", "33_bounds", "37_parity"), why
    )
    assert "34_vertical" not in report.not_checked


@pytest.mark.parametrize("quotes", [{}, {"C100": (5.9, 6.1)}, {"C100": (None, None)}])
def test_hardly_any_contracts_are_no_obstacle(quotes: dict[str, Quote]) -> None:
    assert set(raised(check(board(quotes)))) <= {"30_completeness"}
