"""Rule 36, worked by hand: of two expiries on one future the later option is worth no less."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.quality.chain_builders import AS_OF, DAY_NS, EXACT, Quote, board, check, on_surface, short

from tapeline.model.chain_quality import Finding
from tapeline.model.chains import Chain, Forward
from tapeline.quality.chains import ChainLimits, ChainReport, check_calendar

RATE = -math.log(0.98)
"""Of a year: the half year of the earlier board has a discount factor of 0.98995, the later one 0.98."""


def half_year(quotes: dict[str, Quote], **fields: Any) -> Chain:
    return board(quotes, **{"rate": RATE, "expiry": AS_OF + round(182.5 * DAY_NS), **fields})


def year(quotes: dict[str, Quote], **fields: Any) -> Chain:
    return board(quotes, **{"rate": RATE, **fields})


def calendar(*chains: Chain, limits: ChainLimits = EXACT) -> ChainReport:
    """Return what is said of the last of the chains."""
    return check_calendar(chains, at_ns=AS_OF, limits=limits)[chains[-1].key]


def found(*chains: Chain, limits: ChainLimits = EXACT) -> Finding | None:
    report = calendar(*chains, limits=limits)
    assert report.not_checked == {}
    return report.findings[0] if report.findings else None


@pytest.mark.parametrize("name", ["C110", "P90"])
def test_a_later_option_offered_below_the_earlier_ones_bid_is_found(name: str) -> None:
    # 2.60 for the half year are 2.60/0.98995 = 2.6264 without discount; 2.40 for the year 2.40/0.98 = 2.4490.
    finding = found(half_year({name: (2.6, 2.8)}), year({name: (2.2, 2.4)}))
    assert finding is not None
    assert (finding.rule, finding.severity, finding.count, short(finding.contracts)) == (
        "36_calendar",
        "warning",
        1,
        [name],
    )
    assert finding.detail == "cheaper than the same options of NQZ6/2027-05-25T03:00:00Z, which expire earlier"
    (case,) = finding.evidence
    assert case.contracts == (f"NQZ6 2027-05-25T03:00Z {name}", f"NQZ6 2027-11-23T15:00Z {name}")
    assert {key: round(number, 4) for key, number in case.numbers.items()} == {
        "sell_earlier": 2.6,
        "buy_later": 2.4,
        "earlier_forward": 100,
        "later_forward": 100,
        "gain": 0.1774,
    }


def test_european_prices_are_compared_before_discount_and_american_ones_as_they_are() -> None:
    # 2.60/0.98995 = 2.6264 against 2.58/0.98 = 2.6327: the later European may cost less by two cents, as it is paid
    # later. A later American that costs less than any earlier option is an arbitrage.
    earlier, later = half_year({"C110": (2.6, 2.8)}), year({"C110": (2.4, 2.58)})
    assert found(earlier, later) is None
    assert found(earlier, replace(later, style="american")) is not None
    assert found(earlier, replace(later, style=None)) is None
    # An earlier American is worth 2.60 before discount at least, a European 2.6264: against 2.56/0.98 = 2.6122.
    later = year({"C110": (2.4, 2.56)})
    assert found(earlier, later) is not None
    assert found(replace(earlier, style="american"), later) is None


def test_strikes_are_compared_in_their_share_of_the_forward() -> None:
    # 110 at a forward of 100 is 121 at one of 110, and 2.60 are 2.86.
    earlier = half_year({"C110": (2.6, 2.8)}, rate=0.0)
    assert found(earlier, year({"C121": (2.5, 2.87)}, rate=0.0, forward=Forward(110.0, "future"))) is None
    finding = found(earlier, year({"C121": (2.5, 2.84)}, rate=0.0, forward=Forward(110.0, "future")))
    assert finding is not None
    assert round(finding.evidence[0].numbers["buy_later"], 4) == round(2.84 / 1.1, 4)


def test_between_two_strikes_the_later_price_is_at_most_what_both_would_cost() -> None:
    # 110 lies midway: (3.30 + 1.70)/2 = 2.50 buys at least what the option at 110 would be.
    later = year({"C105": (3.1, 3.3), "C115": (1.5, 1.7)}, rate=0.0)
    assert found(half_year({"C110": (2.5, 2.8)}, rate=0.0), later) is None
    finding = found(half_year({"C110": (2.6, 2.8)}, rate=0.0), later)
    assert finding is not None
    assert round(finding.evidence[0].numbers["gain"], 9) == 0.1
    # beyond its strikes nothing is known
    assert found(half_year({"C116": (2.6, 2.8)}, rate=0.0), later) is None


def test_in_the_money_ties_ticks_wide_markets_and_uncertain_forwards_are_none() -> None:
    earlier = half_year({"C110": (2.6, 2.8), "C90": (12.6, 12.8)}, rate=0.0)
    assert found(earlier, year({"C90": (11.0, 12.0)}, rate=0.0)) is None
    assert found(earlier, year({"C110": (2.2, 2.6)}, rate=0.0)) is None
    assert found(earlier, year({"C110": (2.2, 2.55)}, rate=0.0), limits=ChainLimits()) is None
    assert found(earlier, year({"C110": (0.5, 9.0)}, rate=0.0)) is None
    by_parity = Forward(100.0, "parity", 15, 0.1)
    later = year({"C110": (2.2, 2.3)}, rate=0.0, forward=by_parity)
    assert found(earlier, later, limits=EXACT) is not None
    assert found(earlier, later, limits=ChainLimits(slack_ticks=0.0)) is None


def test_expiries_on_different_futures_are_not_bound_together() -> None:
    earlier, later = half_year({"C110": (2.6, 2.8)}), year({"C110": (1.0, 1.2)}, underlying="NQH7")
    reports = check_calendar([later, earlier], at_ns=AS_OF, limits=EXACT)
    assert set(reports) == {earlier.key, later.key}
    assert all(report.findings == () and report.not_checked == {} for report in reports.values())


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"forward": None}, "NQZ6/2027-05-25T03:00:00Z: the chain has no forward"),
        ({"rate": None}, "NQZ6/2027-05-25T03:00:00Z: the chain has no interest rate"),
        ({"as_of": AS_OF - 61 * 10**9}, "NQZ6/2027-05-25T03:00:00Z is 61 s away"),
        ({"expiry": AS_OF}, "NQZ6/2026-11-23T15:00:00Z: the chain has expired"),
    ],
)
def test_what_cannot_be_compared_is_not_passed(fields: dict[str, Any], why: str) -> None:
    report = calendar(half_year({"C110": (2.6, 2.8)}, **fields), year({"C110": (1.0, 1.2)}))
    assert report.findings == ()
    assert report.not_checked == {"36_calendar": why}


def test_all_earlier_expiries_count_not_the_last_one_only() -> None:
    # The one between is quoted too wide to say anything.
    first, wide = half_year({"C110": (2.6, 2.8)}), half_year({"C110": (0.1, 9.0)}, expiry=AS_OF + 300 * DAY_NS)
    finding = found(first, wide, year({"C110": (2.2, 2.4)}))
    assert finding is not None
    assert first.key in finding.detail


def test_a_report_takes_up_what_the_calendar_says() -> None:
    earlier, later = half_year({"C110": (2.6, 2.8)}), year({"C110": (2.2, 2.4)})
    own = check(later)
    assert own.not_checked["36_calendar"] == "the chain was not compared with other expiries"
    reports = check_calendar([earlier, later], at_ns=AS_OF, limits=EXACT)
    report = own.with_calendar(reports[later.key])
    assert report.verdict.rules["36_calendar"] == 1
    assert report.verdict.warnings == own.verdict.warnings + 1
    assert "36_calendar" not in report.not_checked
    assert reports[earlier.key].findings == ()


@pytest.mark.parametrize("styles", [("european", "european"), ("european", "american")])
def test_expiries_on_one_surface_break_nothing_however_tight_the_market(styles: tuple[str, str]) -> None:
    chains = [
        replace(on_surface(days=days, half_spread=0.0), style=style)
        for days, style in zip((0.3, 7.0), styles, strict=True)
    ]
    assert found(*chains) is None
