"""What is left of a month's budget: what is owed counts once, and backfills are held to it."""

from __future__ import annotations

from datetime import date
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.feed.bills import BUDGETS, DAYS, END_NS, MBO, USD, metered, row, the_month

from tapeline.feed.budget import EVERYTHING, Budgets, BudgetWarning, budget_caps, budget_warnings, fees, owed
from tapeline.feed.cost import Estimate, OverCap, check_caps

THIRD: Final = date(2026, 11, 3)

FEE = 179 * USD


def test_fees_are_owed_whole_and_once_whatever_the_number_of_rows_and_meters() -> None:
    usages, _ = the_month()
    usages.append(row("databento", "flat", DAYS[3], "another machine", fee_micro_usd_per_month=FEE))
    usages.append(row("databento", "licence", DAYS[0], fee_micro_usd_per_month=12 * USD))
    assert owed(usages, "2026-11") == {"barchart": 35 * USD, "databento": (179 + 66 + 12) * USD}
    assert owed(usages, "2026-12") == {}


def test_a_fee_that_changed_is_the_newest() -> None:
    usages = [
        row("databento", "flat", day, fee_micro_usd_per_month=fee) for day, fee in zip(DAYS, (9, 7), strict=False)
    ]
    assert fees(usages, "2026-11") == {("databento", "flat"): 7}
    assert fees(usages[::-1], "2026-11") == {("databento", "flat"): 7}


def test_a_backfill_may_cost_what_is_left_and_no_more() -> None:
    usages, _ = the_month()
    caps = budget_caps(usages, Budgets(281 * USD, {"databento": 246 * USD, "barchart": 1}), "databento", END_NS)
    check_caps(Estimate(USD, 56, 1), caps)
    with pytest.raises(
        OverCap, match=r"budget of the month is \$281.00 of which \$280.00 are spent.*MONTHLY_BUDGET_USD"
    ):
        check_caps(Estimate(USD + 1, 56, 1), caps)
    caps = budget_caps(usages, Budgets(None, {"databento": 245 * USD}), "databento", END_NS)
    with pytest.raises(OverCap, match=r"budget of the month for databento is \$245.00.*SOURCE_BUDGETS_USD"):
        check_caps(Estimate(1, 56, 1), caps)
    # What the plan includes is done in any case, also where all is spent and more.
    check_caps(Estimate(0, 56, 1), budget_caps(usages, Budgets(1), "databento", END_NS))


def test_what_the_asker_has_spent_itself_is_not_counted_twice() -> None:
    usages, _ = the_month()
    budgets = Budgets(281 * USD, {"databento": 246 * USD})
    caps = budget_caps(usages, budgets, "databento", END_NS, own_micro_usd=6 * USD)
    check_caps(Estimate(7 * USD, 56, 1), caps)
    with pytest.raises(OverCap):
        check_caps(Estimate(7 * USD + 1, 56, 1), caps)
    assert [cap.spent_micro_usd for cap in budget_caps([], budgets, "databento", END_NS, own_micro_usd=1)] == [0, 0]


def test_the_next_month_begins_anew() -> None:
    usages, _ = the_month()
    caps = budget_caps(usages, BUDGETS, "databento", END_NS + 1)
    assert [(cap.limit_micro_usd, cap.spent_micro_usd) for cap in caps] == [(200 * USD, 0), (260 * USD, 0)]


def test_without_a_budget_there_is_no_cap() -> None:
    assert budget_caps(the_month()[0], Budgets(None, {"barchart": 1}), "databento", END_NS) == []


def test_warnings_tell_spent_from_projected() -> None:
    budgets = Budgets(100, {"a": 50, "b": 10})
    found = budget_warnings(budgets, {"a": 39, "b": 40}, {"a": 40, "b": 60}, THIRD)
    assert found == (
        BudgetWarning(EVERYTHING, "projected", 100, 100, 100),
        BudgetWarning("a", "projected", 80, 40, 50),
        BudgetWarning("b", "spent", 100, 40, 10),
        BudgetWarning("b", "projected", 100, 60, 10),
    )
    assert budget_warnings(budgets, {"a": 39}, {"a": 39}, THIRD) == ()
    assert budget_warnings(Budgets(0), {}, {}, THIRD) == ()
    assert [warning.level_percent for warning in budget_warnings(Budgets(0), {"a": 1}, {"a": 1}, THIRD)] == [100, 100]


@given(
    st.lists(st.integers(0, 10**12), max_size=20),
    st.integers(0, 10**12),
    st.integers(0, 10**13),
    st.integers(0, 10**13),
    st.randoms(use_true_random=False),
)
def test_caps_are_those_of_the_sum_in_any_order(
    costs: list[int], fee: int, budget: int, wanted: int, random: object
) -> None:
    usages = [metered(DAYS[index], MBO, cost, USD) for index, cost in enumerate(costs)]
    usages.append(row("databento", "flat", DAYS[0], fee_micro_usd_per_month=fee))
    random.shuffle(usages)  # type: ignore[attr-defined]
    (cap,) = budget_caps(usages, Budgets(budget), "databento", END_NS)
    assert cap.spent_micro_usd == sum(costs) + fee
    try:
        check_caps(Estimate(wanted), [cap])
        fits = True
    except OverCap:
        fits = False
    assert fits == (sum(costs) + fee + wanted <= budget or not wanted)
