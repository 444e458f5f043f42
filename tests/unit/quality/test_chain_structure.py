"""Rules 30 to 32, worked by hand: what is not there, what is there without its partner, and what is there twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.unit.quality.chain_builders import (
    Quote,
    board,
    chain_of,
    check,
    on_surface,
    raised,
    short,
    with_columns,
    worked,
)

from tapeline.model.chains import NULL, Chain, Forward, flag_bit
from tapeline.model.quality import MOST_NAMED
from tapeline.quality.chains import ChainLimits


def without(chain: Chain, *rows: int) -> Chain:
    """Return the chain as if some contracts had never come."""
    kept = np.setdiff1d(np.arange(len(chain.contracts)), rows)
    contracts = replace(
        chain.contracts,
        strike=chain.contracts.strike[kept],
        is_call=chain.contracts.is_call[kept],
        vendor_symbols=tuple(chain.contracts.vendor_symbols[i] for i in kept),
        columns={name: column[kept] for name, column in chain.contracts.columns.items()},
        flags=chain.contracts.flags[kept],
    )
    return replace(chain, contracts=contracts)


def unquoted(chain: Chain, side: str, rows: Any) -> Chain:
    column = chain.contracts.columns[side].copy()
    column[rows] = NULL
    return with_columns(chain, **{side: column})


def near(chain: Chain, share: float) -> Any:
    assert chain.forward is not None
    return np.flatnonzero(np.abs(chain.contracts.strike / 1e9 - chain.forward.value) <= share * chain.forward.value)


# -- 30 ----------------------------------------------------------------------------------------------------------------


def test_contracts_that_are_expected_and_did_not_come_are_an_error() -> None:
    chain = without(worked(), 3, 8)  # the call and the put at 110: both, so that pairing holds
    found = raised(check(chain))
    assert set(found) == {"30_completeness"}
    finding = found["30_completeness"]
    assert (finding.severity, finding.count) == ("error", 2)
    assert finding.detail == "8 of 10 contracts are there; expected by definitions"
    assert finding.evidence[0].numbers == {"expected": 10, "received": 8}


def test_what_is_expected_names_who_says_so() -> None:
    chain = without(worked(), 3, 8)
    said = [
        raised(check(replace(chain, expected_from=source)))["30_completeness"].detail.split("; ")[1]
        for source in ("definitions", "vendor_total")
    ]
    assert said == ["expected by definitions", "expected by a vendor's total, which proves transport only"]
    unknown = check(replace(chain, expected=None, expected_from=None))
    assert raised(unknown) == {}
    assert unknown.findings[0].detail.endswith("; how many are listed is not known")


def test_below_98_percent_near_the_forward_is_an_error() -> None:
    # A week to go: the deviation is about 850 points, so 2 % of 25,000 it is: 24,500 to 25,500 in steps of 25, 41
    # strikes, 82 contracts. 80 of them are 97.6 %, 81 are 98.8 %.
    chain = on_surface()
    band = near(chain, 0.02)
    assert len(band) == 82
    assert raised(check(unquoted(chain, "bid", band[:1]))) == {}
    found = raised(check(unquoted(chain, "bid", band[[0, 50]])))
    assert set(found) == {"30_completeness"}
    finding = found["30_completeness"]
    assert (finding.severity, finding.count) == ("error", 2)
    assert finding.detail == (
        "80 of 82 contracts within 2.00% of the forward have a bid and an ask; expected by definitions"
    )
    assert short(finding.contracts) == ["C24500", "P24725"]
    assert finding.evidence[0].numbers == {
        "forward": 25_000,
        "within_points": pytest.approx(500),
        "contracts": 82,
        "two_sided": 80,
    }


@pytest.mark.parametrize("side", ["bid", "ask"])
def test_far_strikes_need_no_quotes_and_are_reported(side: str) -> None:
    chain = on_surface()
    far = np.setdiff1d(np.arange(len(chain.contracts)), near(chain, 0.02))
    report = check(unquoted(chain, side, far))
    assert raised(report) == {}
    (finding,) = report.findings
    assert (finding.rule, finding.severity) == ("30_completeness", "info")
    # 23,500 to 26,500 by 25: 121 strikes; within 5 % 101 of them. All that are quoted are within 2 %.
    assert [
        tuple(case.numbers.get(name) for name in ("within_percent", "contracts", "two_sided"))
        for case in finding.evidence
    ] == [
        (2, 82, 82),
        (5, 202, 82),
        (10, 242, 82),
        (20, 242, 82),
        (None, 242, 82),
    ]
    assert finding.count == 160


def test_what_expires_today_needs_no_quotes_where_nobody_would_bid() -> None:
    # 3 and 3 for call and put at the money: the future will move by 2·3·1.2533 = 7.5 at expiry, so twice that, 15
    # points, must be quoted, and 2 % would be 500.
    quotes: dict[str, Quote] = {"C25000": (2.9, 3.1), "P25000": (2.9, 3.1)}
    quotes |= {f"C{strike}": (None, 0.05) for strike in (25_025, 25_100, 25_400)}
    quotes |= {f"P{strike}": (None, 0.05) for strike in (24_975, 24_900, 24_600)}
    chain = board(quotes, forward=Forward(25_000.0, "future"), rate=0.0)
    assert raised(check(chain)) == {}
    assert "within 1.00%" in raised(check(chain, limits=ChainLimits(near_deviations=33.3)))["30_completeness"].detail
    # the nearest strike must be quoted, however near the expiry
    assert set(raised(check(unquoted(chain, "bid", np.flatnonzero(chain.contracts.strike == 25_000 * 10**9)[:1])))) == {
        "30_completeness"
    }


def test_strikes_that_are_all_far_from_the_forward_prove_nothing() -> None:
    finding = raised(check(worked(forward=Forward(130.0, "future"))))["30_completeness"]
    assert (
        finding.detail == "0 of 0 contracts within 2.00% of the forward have a bid and an ask; expected by definitions"
    )
    assert (finding.severity, finding.count) == ("error", 0)


def test_where_nothing_is_quoted_no_forward_is_needed_to_say_so() -> None:
    found = raised(check(worked(dict.fromkeys(("C80", "P80"), (None, None)), forward=None)))
    assert found == {}
    chain = unquoted(worked(forward=None), "bid", slice(None))
    finding = raised(check(chain))["30_completeness"]
    assert finding.detail == "none of 10 contracts has a bid and an ask; expected by definitions"
    assert (finding.severity, finding.count) == ("error", 10)


def test_many_are_counted_and_some_are_named() -> None:
    chain = on_surface(step=5.0)
    finding = raised(check(unquoted(chain, "ask", near(chain, 0.02)[:300])))["30_completeness"]
    assert (finding.count, len(finding.contracts)) == (300, MOST_NAMED)


# -- 31 ----------------------------------------------------------------------------------------------------------------


def test_a_strike_without_its_put_is_found_though_neither_is_quoted() -> None:
    chain = without(worked(dict.fromkeys(("C80", "P80"), (None, None)), expected=None), 5, 9)  # the puts at 80 and 120
    report = check(chain)
    found = raised(report)
    assert set(found) == {"31_pairing"}
    finding = found["31_pairing"]
    assert (finding.severity, finding.count, short(finding.contracts)) == ("warning", 2, ["C80", "C120"])
    assert finding.detail == "2 calls without a put of their strike, 0 puts without a call"
    assert np.flatnonzero(report.flags & flag_bit("unpaired")).tolist() == [0, 4]
    assert finding.evidence[0].numbers == {"calls": 5, "puts": 3}


def test_as_many_calls_as_puts_are_not_yet_pairs() -> None:
    chain = without(worked(expected=None), 0, 9)  # the call at 80, the put at 120
    assert short(raised(check(chain))["31_pairing"].contracts) == ["C120", "P80"]


# -- 32 ----------------------------------------------------------------------------------------------------------------


def twice(chain: Chain, row: int, bid: float | None = None) -> Chain:
    """Return the chain with one contract once more, under another symbol of the vendor."""
    contracts = chain.contracts
    rows = np.append(np.arange(len(contracts)), row)
    columns = {name: column[rows].copy() for name, column in contracts.columns.items()}
    if bid is not None:
        columns["bid"][-1] = round(bid * 1e9)
    again = replace(
        contracts,
        strike=contracts.strike[rows],
        is_call=contracts.is_call[rows],
        vendor_symbols=(*contracts.vendor_symbols, "again"),
        columns=columns,
        flags=contracts.flags[rows],
    )
    return replace(chain, contracts=again, expected=len(rows))


@pytest.mark.parametrize("bid", [None, 20.0])
def test_a_contract_that_is_there_twice_is_an_error_and_its_second_quote_breaks_nothing_else(bid: float | None) -> None:
    report = check(twice(worked(), 3, bid))
    found = raised(report)
    assert set(found) - {"38_iv"} == {"32_duplicates"}  # 20 is bid for what is offered at 2.60
    finding = found["32_duplicates"]
    assert (finding.severity, finding.count, short(finding.contracts)) == ("error", 2, ["C110", "C110"])
    assert finding.evidence[0].numbers == {"times": 2, "strike": 110}
    assert np.flatnonzero(report.flags & flag_bit("duplicate")).tolist() == [3, 10]


def test_two_contracts_of_one_vendor_symbol_are_an_error() -> None:
    chain = worked()
    symbols = ("X1", *chain.contracts.vendor_symbols[1:])
    chain = replace(chain, contracts=replace(chain.contracts, vendor_symbols=symbols))
    assert short(raised(check(chain))["32_duplicates"].contracts) == ["C80", "C90"]


def test_call_and_put_of_a_strike_are_no_duplicates_nor_are_adjacent_strikes() -> None:
    strikes = np.array([100.0, 100.000000001, 100.0, 100.000000001])
    nothing = np.full(4, np.nan)
    chain = chain_of(strikes, np.array([True, True, False, False]), nothing, nothing, days=7)
    assert set(raised(check(chain))) == {"30_completeness"}
