"""Whether a fetch may be made, what was used, what the month comes to."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeline.feed.cost import Cap, CostMeter, Estimate, OverCap, Plan, check_caps, project_month, spent_in_month
from tapeline.feed.ledger import UsageLedger
from tapeline.feed.prices import UnitPrices
from tapeline.model.usage import SchemaUse, Usage, decode_usage

NS_PER_DAY = 86_400_000_000_000
JANUARY_10 = 1_768_003_200_000_000_000  # 2026-01-10T00:00:00Z
PRICES = UnitPrices({"live": {"mbo": 2**30}, "historical-streaming": {"mbo": 1_100_000}})  # a micro-dollar per byte
PLAN = Plan(flat_micro_usd=179_000_000, licence_micro_usd=32_000_000)


@pytest.fixture
def ledger(tmp_path: Path) -> UsageLedger:
    return UsageLedger(tmp_path / "usage.sqlite3")


@pytest.fixture
def meter(ledger: UsageLedger) -> CostMeter:
    return CostMeter("databento", "GLBX.MDP3", ledger, PLAN, PRICES)


def test_a_fetch_within_the_caps_may_be_made() -> None:
    check_caps(Estimate(5_000_000, 1, 1), [Cap("cap", 5_000_000, ""), Cap("budget", 6_000_000, "", 1_000_000)])


def test_a_refusal_names_estimate_cap_and_remedy() -> None:
    estimate = Estimate(12_345_678, 3 * 2**29, 28_760_000)
    with pytest.raises(OverCap) as refused:
        check_caps(estimate, [Cap("cap per fetch", 5_000_000, "raise it with --cap-usd 13")])
    told = str(refused.value)
    assert "$12.35 for 28,760,000 records (1.5 GiB)" in told
    assert "cap per fetch is $5.00." in told
    assert "Nothing was fetched" in told
    assert told.endswith("raise it with --cap-usd 13")
    assert refused.value.exit_code == 2


def test_what_is_spent_counts_towards_the_months_budget() -> None:
    with pytest.raises(OverCap, match=r"budget of the month is \$50\.00 of which \$49\.00 are spent"):
        check_caps(Estimate(1_000_001, 1, 1), [Cap("budget of the month", 50_000_000, "wait", 49_000_000)])


@given(st.integers(0, 10**12), st.integers(1, 10**12), st.lists(st.integers(0, 10**9), max_size=5))
def test_parts_of_an_estimate_never_cost_less_than_their_share(cost: int, size: int, parts: list[int]) -> None:
    estimate = Estimate(cost, size, 1)
    assert estimate.cost_of(size) == cost
    assert sum(map(estimate.cost_of, parts)) >= estimate.cost_of(sum(parts))
    assert sum(map(estimate.cost_of, parts)) <= estimate.cost_of(sum(parts)) + len(parts)


def test_an_estimate_of_nothing_costs_nothing() -> None:
    assert Estimate().cost_of(56) == 0


def test_live_records_come_under_the_plan_and_are_notional(ledger: UsageLedger, meter: CostMeter) -> None:
    meter.metered({"mbo": 1000, "status": 2})
    meter.metered({"mbo": 500})
    rows = {row.line: row for row in map(_usage, meter.announcements(JANUARY_10))}
    assert rows["flat"].notional
    assert rows["flat"].fee_micro_usd_per_month == 179_000_000
    assert rows["flat"].schemas == {
        "GLBX.MDP3/mbo": SchemaUse(1500 * 56, 2**30, 1500 * 56),
        "GLBX.MDP3/status": SchemaUse(80, None, None),
    }
    assert (rows["licence"].fee_micro_usd_per_month, rows["licence"].schemas) == (32_000_000, {})
    assert spent_in_month(ledger, "databento", JANUARY_10) == 0


def test_a_row_is_of_the_day_and_replaces_the_one_before(ledger: UsageLedger, meter: CostMeter) -> None:
    meter.metered({"mbo": 1})
    (first,) = [each for each in meter.announcements(JANUARY_10) if "/flat/" in each.key]
    # a producer that was started again goes on from the ledger
    meter = CostMeter("databento", "GLBX.MDP3", ledger, PLAN, PRICES)
    meter.metered({"mbo": 2})
    (second,) = [each for each in meter.announcements(JANUARY_10 + 1) if "/flat/" in each.key]
    assert (first.topic, first.key) == (second.topic, second.key)
    assert _usage(second).schemas["GLBX.MDP3/mbo"].bytes == 3 * 56
    meter.metered({"mbo": 4})
    flat = [_usage(each) for each in meter.announcements(JANUARY_10 + NS_PER_DAY) if "/flat/" in each.key]
    assert [(row.day, row.schemas["GLBX.MDP3/mbo"].bytes) for row in flat] == [
        ("2026-01-10", 3 * 56),
        ("2026-01-11", 4 * 56),
    ]


def test_history_is_owed_and_counts_within_its_month(ledger: UsageLedger, meter: CostMeter) -> None:
    meter.fetched("mbo", 56, 700, JANUARY_10 - 10 * NS_PER_DAY, "historical-streaming")  # in December
    meter.fetched("mbo", 56, 20, JANUARY_10 - 9 * NS_PER_DAY, "historical-streaming")
    meter.fetched("mbo", 56, 3, JANUARY_10, "historical-streaming")
    meter.metered({"mbo": 10**6})
    meter.announcements(JANUARY_10)
    assert spent_in_month(ledger, "databento", JANUARY_10) == 23


def test_the_month_is_fees_and_metered_use_at_its_rate(ledger: UsageLedger, meter: CostMeter) -> None:
    meter.fetched("mbo", 56, 9_000_000, JANUARY_10, "historical-streaming")
    meter.fetched("mbo", 56, 1_000_000, JANUARY_10 - 20 * NS_PER_DAY, "historical-streaming")
    meter.metered({"mbo": 100})
    meter.announcements(JANUARY_10)
    ledger.add("databento", "metered", "2026-01-09", cache_hits=1, saved_micro_usd=77)
    month = project_month(ledger.usages(), PLAN, JANUARY_10)
    assert (month.month, month.flat, month.licence) == ("2026-01", 179_000_000, 32_000_000)
    assert (month.metered, month.metered_projected) == (9_000_000, 27_900_000)  # ten of 31 days
    assert (month.notional, month.saved) == (5600, 77)
    assert month.total_projected == 179_000_000 + 32_000_000 + 27_900_000


def _usage(announcement: object) -> Usage:
    return decode_usage(announcement.value)  # type: ignore[attr-defined]
