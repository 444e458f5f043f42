"""Rules 40 and 41, worked by hand: expiry is an instant, and the underlying's price has a moment."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.quality.chain_builders import AS_OF, check, on_surface, raised, with_columns, worked

from tapeline.model.chains import Chain, Forward, UnderlyingPrice, flag_bit
from tapeline.orderflow.volatility import with_volatility
from tapeline.quality.chains import RULES, ChainLimits
from tapeline_simulator.surface import INTEREST_RATE

SECOND_NS = 10**9
NEEDS_LIFE = {*RULES} - {"31_pairing", "32_duplicates", "36_calendar", "40_expiry"}

# -- 40 ----------------------------------------------------------------------------------------------------------------


def test_a_chain_expires_at_its_instant_and_not_before() -> None:
    chain = worked()
    assert raised(check(chain, at_ns=chain.expiry - 1)) == {}
    report = check(chain, at_ns=chain.expiry)
    found = raised(report)
    assert set(found) == {"40_expiry"}
    assert (found["40_expiry"].severity, found["40_expiry"].count) == ("error", 10)
    assert found["40_expiry"].detail == "expired 0 s ago; 0 contracts are quoted after the expiry"
    assert set(report.flags.tolist()) == {flag_bit("expired")}


def test_what_expires_today_is_alive_until_then() -> None:
    chain = replace(worked(), expiry=AS_OF + 3 * SECOND_NS, forward=None)
    assert "40_expiry" not in raised(check(chain))
    late = replace(chain, as_of=AS_OF + 4 * SECOND_NS)
    assert "40_expiry" in raised(check(late))
    assert "40_expiry" in raised(check(late, at_ns=AS_OF))  # a vendor's clock may be ahead of ours


def test_quotes_after_the_expiry_are_counted_by_their_own_time() -> None:
    chain = worked({"C80": (None, None)})
    chain = replace(chain, expiry=AS_OF - 60 * SECOND_NS)
    finding = raised(check(chain))["40_expiry"]
    assert finding.count == 9  # all that are quoted, as of a minute after
    assert finding.evidence[0].numbers == {
        "expired_ago_s": 60,
        "as_of_after_expiry_s": 60,
        "quoted": 9,
        "quoted_after_expiry": 9,
    }
    quoted_at = np.full(10, chain.expiry - 1)
    quoted_at[[2, 7]] = chain.expiry
    report = check(with_columns(chain, quote_at=quoted_at))
    assert raised(report)["40_expiry"].detail == "expired 60 s ago; 2 contracts are quoted after the expiry"
    assert raised(report)["40_expiry"].contracts == tuple(chain.symbols([2, 7]))
    assert set(report.flags.tolist()) == {flag_bit("expired")}


def test_of_an_expired_chain_only_the_structure_is_looked_at() -> None:
    # 9.00 for the call at 110 would break vertical, butterfly, parity; and two contracts never came.
    chain = worked({"C110": (9.0, 9.2)}, expected=12)
    report = check(chain, at_ns=chain.expiry)
    assert set(raised(report)) == {"30_completeness", "40_expiry"}
    assert {rule for rule, why in report.not_checked.items() if why == "the chain has expired"} == NEEDS_LIFE


# -- 41 ----------------------------------------------------------------------------------------------------------------


def at(chain: Chain, seconds: float) -> Chain:
    """Return the chain with its underlying's price of so many seconds after it."""
    return replace(chain, underlying_price=UnderlyingPrice(100 * 10**9, "quote", AS_OF + round(seconds * SECOND_NS)))


@pytest.mark.parametrize("seconds", [-2.0, 0.0, 2.0])
def test_two_seconds_are_in_step(seconds: float) -> None:
    report = check(at(worked(), seconds))
    assert raised(report) == {}
    assert "41_underlying" not in report.not_checked


@pytest.mark.parametrize("seconds", [-2.001, 2.001, 900.0])
def test_a_price_further_away_is_not_and_what_rests_on_it_is_not_believed(seconds: float) -> None:
    # The call is too dear for its put, if the forward of 100 is to be believed.
    chain = with_volatility(at(worked({"C100": (6.9, 7.1)}), seconds), rate=INTEREST_RATE)
    report = check(chain)
    finding = raised(report)["41_underlying"]
    assert (finding.severity, finding.count) == ("warning", 10)
    assert finding.evidence[0].numbers == {"apart_s": abs(seconds), "most_s": 2, "price": 100}
    assert "37_parity" not in raised(report)
    assert (
        report.not_checked["37_parity"]
        == f"its forward is the future's price, {abs(seconds):,.1f} s away from the quotes"
    )
    has_greeks = ~np.isnan(chain.contracts.columns["delta"])
    assert ((report.flags & flag_bit("greeks")) > 0).tolist() == has_greeks.tolist()
    assert has_greeks.any()
    assert raised(check(chain, limits=ChainLimits(most_out_of_step_s=900.0))).keys() == {"37_parity"}


def test_a_forward_by_parity_is_of_the_quotes_own_moment() -> None:
    chain = at(on_surface(), 60.0)
    chain = with_volatility(replace(chain, forward=Forward(25_000.0, "parity", 15, 0.01)), rate=INTEREST_RATE)
    report = check(chain)
    assert raised(report) == {}
    assert [finding.severity for finding in report.findings if finding.rule == "41_underlying"] == ["info"]
    assert not report.flags.any()
    assert "37_parity" not in report.not_checked


def test_without_a_price_or_its_time_nothing_is_known() -> None:
    assert check(worked()).not_checked["41_underlying"] == "the chain has no price of its underlying"
    timeless = replace(worked(), underlying_price=UnderlyingPrice(100 * 10**9, "quote", None))
    assert check(timeless).not_checked["41_underlying"] == "the chain has no price of its underlying with a time"
