"""What the month costs, exact to the micro-dollar, whatever the order of the rows."""

from __future__ import annotations

import random

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.feed.bills import BUDGETS, CHOICES, DAYS, END_NS, MBO, USD, metered, row, the_month

from tapeline.errors import Misconfigured
from tapeline.feed.budget import Budgets
from tapeline.feed.cost_documents import costs_document
from tapeline.feed.costs import CacheUse, CostLine, cost_report, moment_of
from tapeline.feed.savings import Savings, find_savings
from tapeline.model.usage import LINES, SchemaUse, Usage, day_of

DAY_NS = 86_400_000_000_000
TENTH_NS = END_NS - 20 * DAY_NS


def lines_of(usages: list[Usage], at_ns: int) -> dict[tuple[str, str, bool], tuple[int, int, int]]:
    report = cost_report(usages, Budgets(), at_ns)
    return {(each.source, each.line, each.notional): (each.today, each.month, each.projected) for each in report.lines}


def test_each_line_today_this_month_and_by_its_end() -> None:
    usages, _ = the_month()
    usages.append(row("databento", "licence", DAYS[0], fee_micro_usd_per_month=12 * USD))
    by_the_tenth = [usage for usage in usages if usage.day <= "2026-11-10"]
    found = lines_of(by_the_tenth, TENTH_NS)
    assert found == {
        ("barchart", "flat", False): (666_666, 20 * USD, 20 * USD),  # a 30th, and all days together the fee
        ("barchart", "metered", False): (500_000, 5_000_000, 15_000_000),
        ("databento", "flat", False): (5_966_666, 179 * USD, 179 * USD),
        ("databento", "flat", True): (98_438, 984_380, 2_953_140),
        ("databento", "licence", False): (400_000, 12 * USD, 12 * USD),
        ("databento", "metered", False): (4_000_000, 28_000_000, 84_000_000),
    }
    report = cost_report(by_the_tenth, Budgets(), TENTH_NS)
    assert (report.spent, report.projected) == (244_000_000, 310_000_000)  # without what is notional


def test_the_days_shares_of_a_fee_add_up_to_it() -> None:
    usages = [row("databento", "flat", DAYS[0], fee_micro_usd_per_month=179_000_001)]
    shares = [cost_report(usages, Budgets(), END_NS - day * DAY_NS).lines[0].today for day in range(30)]
    assert sum(shares) == 179_000_001


def test_a_month_that_is_over_is_what_it_was() -> None:
    usages, _ = the_month()
    report = cost_report([*usages, metered("2026-12-01", MBO, USD, USD)], Budgets(), END_NS)
    assert (report.month, report.spent, report.projected) == ("2026-11", 280 * USD, 280 * USD)


def test_caches_are_told_by_source_and_line() -> None:
    report = cost_report(the_month()[0], Budgets(), END_NS)
    assert report.cache["barchart", "flat"].hit_ratio == 0.7
    assert report.cache["databento", "metered"] == CacheUse(4, 21, 9 * USD)
    assert report.cache["databento", "flat"].hit_ratio is None
    assert report.all_caches == CacheUse(21_004, 9_021, 9 * USD)


USES = st.builds(SchemaUse, st.integers(0, 10**12), st.just(USD), st.none() | st.integers(0, 10**12))
ROWS = st.builds(
    lambda source, line, day, meter, fee, counts, uses: row(
        source,
        line,
        day,
        meter,
        fee_micro_usd_per_month=0 if line == "metered" else fee,
        cache_hits=counts[0],
        cache_misses=counts[1],
        saved_micro_usd=counts[2],
        schemas=uses,
    ),
    st.sampled_from(("databento", "barchart")),
    st.sampled_from(LINES),
    st.sampled_from([*DAYS, "2026-10-31", "2026-12-01"]),
    st.sampled_from(("one", "two")),
    st.integers(0, 10**9),
    st.tuples(*[st.integers(0, 10**6)] * 3),
    st.dictionaries(st.sampled_from((MBO, "GLBX.MDP3/trades")), USES),
)


@given(st.lists(ROWS, max_size=30), st.integers(0, 29), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(rows: list[Usage], days: int, chance: random.Random) -> None:
    rows = list({usage.key: usage for usage in rows}.values())
    mixed = chance.sample(rows, len(rows))
    at_ns = END_NS - days * DAY_NS
    report = cost_report(rows, BUDGETS, at_ns)
    assert cost_report(mixed, BUDGETS, at_ns) == report
    assert find_savings(mixed, [], CHOICES, at_ns) == find_savings(rows, [], CHOICES, at_ns)
    of_month = [usage for usage in rows if usage.day.startswith("2026-11")]
    used = sum(usage.cost_micro_usd for usage in of_month if usage.line == "metered")
    assert sum(line.month for line in report.lines if line.line == "metered") == used
    for line in report.lines:
        assert line.projected >= line.month
        assert line.today <= line.month


def test_the_document_has_every_figure_in_us_dollars() -> None:
    usages, events = the_month()
    report = cost_report(usages, BUDGETS, END_NS)
    document = orjson.loads(orjson.dumps(costs_document(report, find_savings(usages, events, CHOICES, END_NS))))
    assert document["at"] == str(END_NS)
    assert document["month"] == "2026-11"
    assert document["lines"][0] == {
        "source": "barchart",
        "line": "flat",
        "today_usd": 0.666667,
        "month_usd": 20.0,
        "projected_usd": 20.0,
        "notional": False,
    }
    assert (document["total_usd"], document["projected_usd"], document["budget_usd"]) == (280.0, 280.0, 200.0)
    assert document["budget_used"] == 1.4
    assert document["budgets"][1] == {
        "scope": "barchart",
        "budget_usd": 35.0,
        "spent_usd": 35.0,
        "projected_usd": 35.0,
    }
    assert document["warnings"][-1] == {
        "scope": "databento",
        "basis": "projected",
        "level_percent": 80,
        "amount_usd": 245.0,
        "budget_usd": 260.0,
    }
    assert document["cache"] == {"hits": 21_004, "misses": 9_021, "hit_ratio": 21_004 / 30_025, "saved_usd": 9.0}
    assert [(each["source"], each["line"]) for each in document["caches"]] == [
        ("barchart", "flat"),
        ("databento", "metered"),
    ]
    assert document["advised_usd"] == 198.968762


def test_the_document_of_nothing_and_without_budgets() -> None:
    document = costs_document(cost_report([], Budgets(), END_NS), Savings())
    assert document["lines"] == document["budgets"] == document["warnings"] == document["advice"] == []
    assert (document["total_usd"], document["budget_usd"], document["budget_used"]) == (0.0, None, None)
    assert document["cache"]["hit_ratio"] is None


def test_what_has_no_price_has_no_notional_line() -> None:
    usages = [row("barchart", "flat", DAYS[0], schemas={"barchart/option-chain": SchemaUse(1, None, None)})]
    assert cost_report(usages, Budgets(), TENTH_NS).lines == (CostLine("barchart", "flat", False, 0, 0, 0),)


@pytest.mark.parametrize(
    ("month", "at"), [("2026-11", "2026-11-10"), ("2026-10", "2026-10-31"), ("2025-12", "2025-12-31")]
)
def test_a_month_is_looked_at_as_of_now_or_of_its_end(month: str, at: str) -> None:
    assert day_of(moment_of(month, TENTH_NS)) == at


@pytest.mark.parametrize("month", ["2026-13", "november", "2026-12", "2026-11-01"])
def test_a_wrong_month_is_named(month: str) -> None:
    with pytest.raises(Misconfigured, match=f"--month.*{month}"):
        moment_of(month, TENTH_NS)
