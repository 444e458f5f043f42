"""What the month costs, and what of it is owed; worked by hand."""

from __future__ import annotations

from dataclasses import replace

from tapeline.feed.cost import MonthProjection
from tapeline.feed.prices import GIB, MICRO_USD, UnitPrices
from tapeline_databento.doctor.month import LiveRates, cost_check, notional_month

MONTH = MonthProjection(
    month="2026-11",
    flat=179 * MICRO_USD,
    licence=100 * MICRO_USD,
    metered=5 * MICRO_USD,
    metered_projected=15 * MICRO_USD,
    notional=7 * MICRO_USD,
    saved=0,
)
PRICES = UnitPrices({"live": {"mbo": 2 * MICRO_USD, "mbp-1": 3 * MICRO_USD}})


def test_flat_licence_and_metered_add_up_and_notional_is_labelled_and_left_out() -> None:
    check = cost_check(MONTH, 50 * MICRO_USD, None, None)
    assert (check.name, check.status, check.remedy) == ("cost", "ok", None)
    assert "2026-11: $294.00 expected = $179.00 flat + $100.00 licence + $15.00 metered" in check.detail
    assert "($5.00 so far; budget $50.00)" in check.detail
    assert "notional, not owed: $7.00 of live data so far (--live measures what comes)" in check.detail
    assert "not set" not in check.detail


def test_above_the_budget_is_a_warning_and_the_budget_itself_is_not() -> None:
    assert cost_check(MONTH, 15 * MICRO_USD, None, None).status == "ok"
    check = cost_check(MONTH, 15 * MICRO_USD - 1, None, None)
    assert check.status == "warning"
    assert check.remedy is not None
    assert "TAPELINE_DATABENTO_MONTHLY_BUDGET_USD" in check.remedy


def test_fees_that_are_not_set_are_named() -> None:
    check = cost_check(replace(MONTH, flat=0, licence=0), 50 * MICRO_USD, None, None)
    assert "not set: TAPELINE_DATABENTO_FLAT_USD, TAPELINE_DATABENTO_LICENCE_USD" in check.detail


def test_a_month_of_live_records_at_the_rate_measured_and_list_prices() -> None:
    # 2^30 / 56 s of one order of 56 bytes per s are one GiB; quotes have 80 bytes
    open_s = GIB / 56
    assert notional_month(LiveRates({"mbo": 1.0}, open_s), PRICES) in (2 * MICRO_USD - 1, 2 * MICRO_USD)
    both = notional_month(LiveRates({"mbo": 1.0, "mbp-1": 0.7}, open_s), PRICES)
    assert both is not None
    assert abs(both - 5 * MICRO_USD) <= 2
    assert notional_month(LiveRates({"trades": 1.0}, open_s), PRICES) is None
    told = cost_check(MONTH, 50 * MICRO_USD, LiveRates({"mbo": 100.0}, open_s), PRICES).detail
    assert "$200.00 for a whole month at the rate measured now and list prices" in told
    assert "$294.00 expected" in told


def test_prices_that_are_not_known_are_said_to_be() -> None:
    rates = LiveRates({"trades": 1.0}, 1.0)
    assert "list prices are not known" in cost_check(MONTH, 0, rates, None).detail
    assert "some list prices are not known" in cost_check(MONTH, 0, rates, PRICES).detail
