"""Rules 38 and 39, worked by hand: volatilities that cannot be, greeks that do not fit, and a vendor that disagrees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.quality.chain_builders import DISCOUNT, check, on_surface, raised, short, with_columns, worked

from tapeline.model.chains import Chain, flag_bit
from tapeline.orderflow.volatility import with_volatility
from tapeline.quality.chains import ChainLimits
from tapeline_simulator.surface import INTEREST_RATE

CALLS, PUTS = slice(0, 5), slice(5, 10)
"""Of the worked board: strikes from 80 to 120."""


def with_volatilities(chain: Chain, **changes: dict[int, float]) -> Chain:
    """Return the chain with volatilities of 0.19, 0.20 and 0.21, but for some rows."""
    columns = {name: np.full(10, value) for name, value in (("iv_bid", 0.19), ("iv_mid", 0.20), ("iv_ask", 0.21))}
    for name, rows in changes.items():
        column = columns.setdefault(name, np.full(10, 0.20))
        for row, value in rows.items():
            column[row] = value
    return with_columns(chain, **columns)


def with_greeks(chain: Chain, prefix: str = "", **changes: dict[int, float]) -> Chain:
    """Return the chain with possible greeks, but for some rows: a call's delta and a put's differ by 0.99."""
    calls = np.array([0.95, 0.8, 0.5, 0.2, 0.05])
    columns = {"delta": np.concatenate([calls, calls - DISCOUNT]), "gamma": np.full(10, 0.02), "vega": np.full(10, 0.3)}
    for name, rows in changes.items():
        for row, value in rows.items():
            columns[name][row] = value
    return with_columns(chain, **{prefix + name: column for name, column in columns.items()})


# -- 38 ----------------------------------------------------------------------------------------------------------------


def test_a_bid_above_the_ask_has_volatilities_the_wrong_way_round_and_breaks_no_other_rule() -> None:
    report = check(worked({"C110": (2.6, 2.4)}, forward=None))
    found = raised(report)
    assert set(found) == {"38_iv"}
    assert (found["38_iv"].severity, found["38_iv"].count, found["38_iv"].detail) == ("warning", 1, "bid above ask")
    assert found["38_iv"].evidence[0].numbers == {"bid": 2.6, "ask": 2.4}
    assert report.flags[3] == flag_bit("iv")
    # Of a quote that contradicts itself neither side is believed: 9.00 is not sold against the 6.10 of the strike 100,
    # nor is 1.00 paid for what is sold at 2.40 at 110.
    assert set(raised(check(worked({"C110": (9.0, 2.4)})))) == {"38_iv"}
    assert set(raised(check(worked({"C105": (5.9, 1.0), "P105": (None, None)})))) == {"38_iv"}
    assert raised(check(worked({"C110": (2.5, 2.5)}))) == {}


@pytest.mark.parametrize("name", ["iv_bid", "iv_mid", "iv_ask", "vendor_iv"])
@pytest.mark.parametrize(
    ("volatility", "is_sane"), [(0.001, False), (0.0011, True), (4.9, True), (5.0, False), (21.5, False)]
)
def test_volatilities_are_above_a_tenth_of_a_percent_and_below_500(name: str, volatility: float, is_sane: bool) -> None:
    # 21.5 is what becomes of 21.5 % where somebody forgets to divide.
    around = {"iv_bid": {2: min(volatility, 0.19)}, "iv_ask": {2: max(volatility, 0.21)}} if is_sane else {}
    report = check(with_volatilities(worked(), **{**around, name: {2: volatility}}))
    out_of_range = [finding for finding in report.findings if "outside" in finding.detail]
    assert [finding.detail for finding in out_of_range] == ([] if is_sane else [f"{name} outside 0.001 to 5"])
    if not is_sane:
        assert short(out_of_range[0].contracts) == ["C100"]
        assert out_of_range[0].evidence[0].numbers == {name: volatility}
        assert report.flags[2] & flag_bit("iv")


def test_the_asks_volatility_is_not_below_the_bids() -> None:
    found = raised(check(with_volatilities(worked(), iv_bid={7: 0.22})))
    assert set(found) == {"38_iv"}
    assert found["38_iv"].detail == "volatility of the bid above that of the ask"
    assert short(found["38_iv"].contracts) == ["P100"]
    assert found["38_iv"].evidence[0].numbers == {"iv_bid": 0.22, "iv_ask": 0.21}
    assert raised(check(with_volatilities(worked(), iv_bid={7: 0.21}))) == {}


def test_a_quote_out_of_the_money_that_no_volatility_gives_is_found() -> None:
    nan = float("nan")
    missing = {"iv_bid": {0: nan, 3: nan}, "iv_mid": {0: nan, 3: nan}, "iv_ask": {0: nan, 3: nan}}
    chain = with_volatilities(worked(), **missing)  # the call at 80 is in the money: its own is not asked for
    assert raised(check(chain)) == {}
    found = raised(check(replace(chain, computed=("iv_bid", "iv_mid", "iv_ask"))))
    assert found["38_iv"].detail == "no volatility gives the quoted prices"
    assert short(found["38_iv"].contracts) == ["C110"]
    assert found["38_iv"].evidence[0].numbers == {"bid": 2.4, "ask": 2.6, "forward": 100}
    # where there is no quote there is nothing to solve
    unquoted = with_volatilities(worked({"C110": (None, 2.6)}), **missing)
    assert raised(check(replace(unquoted, computed=("iv_bid", "iv_mid", "iv_ask")))) == {}


def test_without_volatilities_and_greeks_their_rules_are_not_checked() -> None:
    report = check(worked())
    assert report.not_checked["38_iv"] == "the chain has no implied volatilities"
    assert report.not_checked["39_greeks"] == "the chain has no greeks"
    nothing = np.full(10, np.nan)
    report = check(with_columns(worked(), iv_mid=nothing, vendor_iv=nothing, delta=nothing))
    assert {"38_iv", "39_greeks"} <= set(report.not_checked)
    report = check(with_greeks(with_volatilities(worked())))
    assert not {"38_iv", "39_greeks"} & set(report.not_checked)


def test_in_the_last_minutes_volatilities_and_greeks_say_nothing() -> None:
    chain = with_greeks(with_volatilities(worked(), iv_mid={2: 9.0}), delta={2: -0.5})
    soon = replace(chain, expiry=chain.as_of + 599 * 10**9)
    report = check(soon)
    assert report.not_checked["38_iv"] == "the chain expires in 599 s, less than 600 s"
    assert report.not_checked["39_greeks"] == report.not_checked["38_iv"]
    assert not {"38_iv", "39_greeks"} & {finding.rule for finding in report.findings}
    later = check(soon, limits=ChainLimits(volatility_until_s=599.0))
    assert {"38_iv", "39_greeks"} <= {finding.rule for finding in later.findings}


# -- 39 ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "vendor_"])
@pytest.mark.parametrize(
    ("name", "row", "value"),
    [
        ("delta", 0, 1.0),  # a call's is at most 0.99
        ("delta", 4, -0.01),
        ("delta", 9, -1.0),  # a put's is at least -0.99
        ("delta", 5, 0.01),
        ("gamma", 2, -0.001),
        ("vega", 7, -0.001),
    ],
)
def test_greeks_outside_their_bounds_are_found(prefix: str, name: str, row: int, value: float) -> None:
    # The other contract of the strike is moved along, so that the two still fit.
    other = {(row + 5) % 10: value + (DISCOUNT if row >= 5 else -DISCOUNT)} if name == "delta" else {}
    report = check(with_greeks(worked(), prefix, **{name: {row: value, **other}}))
    (finding,) = raised(report).values()
    assert (finding.rule, finding.severity) == ("39_greeks", "warning")
    assert finding.detail == prefix + name + (" outside its bounds" if name == "delta" else " negative")
    assert worked().symbols([row])[0] in finding.contracts
    assert report.flags[row] == flag_bit("greeks")


@pytest.mark.parametrize(("row", "value"), [(0, 0.994), (4, -0.004), (9, -0.994), (5, 0.004)])
def test_a_delta_may_be_rounded(row: int, value: float) -> None:
    assert raised(check(with_greeks(worked(style="american"), delta={row: value}))) == {}


def test_an_american_delta_may_reach_one() -> None:
    assert raised(check(with_greeks(worked(style="american"), delta={0: 1.0, 9: -1.0}))) == {}
    found = raised(check(with_greeks(worked(style="american"), delta={0: 1.01})))
    assert found["39_greeks"].evidence[0].numbers == {"delta": 1.01}


@pytest.mark.parametrize("prefix", ["", "vendor_"])
def test_deltas_of_call_and_put_that_do_not_differ_by_the_discount_are_found(prefix: str) -> None:
    # At 100 they are 0.50 and -0.49; -0.46 leaves 0.96, 0.03 off. 0.02 are allowed.
    chain = with_greeks(worked(), prefix, delta={7: -0.46})
    found = raised(check(chain))
    assert (
        found["39_greeks"].detail == f"{prefix}delta of call and put of a strike do not differ by the discount factor"
    )
    assert short(found["39_greeks"].contracts) == ["C100", "P100"]
    assert found["39_greeks"].evidence[0].numbers == {"call": 0.5, "put": -0.46, "difference": 0.99}
    assert raised(check(with_greeks(worked(), prefix, delta={7: -0.475}))) == {}
    assert raised(check(replace(chain, style="american"))) == {}


def test_a_vendors_delta_that_is_not_ours_is_found() -> None:
    ours = with_greeks(worked(style="american"))
    found = raised(check(with_greeks(ours, "vendor_", delta={2: 0.53, 6: -0.23})))
    assert found["39_greeks"].detail == "the vendor's delta differs from ours"
    assert short(found["39_greeks"].contracts) == ["C100", "P90"]
    assert found["39_greeks"].evidence[0].numbers == {"delta": pytest.approx(-0.19), "vendor_delta": -0.23}
    assert raised(check(with_greeks(ours, "vendor_", delta={2: 0.515}))) == {}


# -- what we compute ourselves -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("days", [0.2, 7.0, 90.0])
@pytest.mark.parametrize("style", ["european", "american"])
def test_what_we_compute_ourselves_breaks_no_rule(days: float, style: str) -> None:
    chain = with_volatility(replace(on_surface(days=days), style=style), rate=INTEREST_RATE)
    report = check(chain)
    assert raised(report) == {}
    assert not {"38_iv", "39_greeks"} & set(report.not_checked)
