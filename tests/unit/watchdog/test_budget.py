"""Budgets at their end as findings, and the metrics of costs."""

from __future__ import annotations

import math

from prometheus_client import CollectorRegistry
from tests.unit.feed.bills import BUDGETS, CHOICES, DAYS, END_NS, HOUR_NS, MBO, MONTH, USD, metered, row, the_month
from tests.unit.watchdog.troubles import Topic, Watcher

from tapeline.feed.budget import Budgets
from tapeline.feed.costs import CostReport, cost_report
from tapeline.feed.savings import Savings, find_savings
from tapeline.model.usage import Usage
from tapeline.ops import metrics
from tapeline_watchdog.budget import BUDGET_TYPES, budget_findings
from tapeline_watchdog.cost_pages import cost_rows
from tapeline_watchdog.exporter import exported
from tapeline_watchdog.findings import Finding


def judged(budgets: Budgets, at_ns: int = END_NS) -> dict[str, Finding]:
    usages, events = the_month()
    usages = [usage for usage in usages if usage.day <= f"{MONTH}-10"] if at_ns < END_NS else usages
    found = budget_findings(cost_report(usages, budgets, at_ns), find_savings(usages, events, CHOICES, at_ns))
    assert found.types == BUDGET_TYPES
    assert found.subjects is None  # what is not among the findings is well
    return {finding.subject: finding for finding in found.findings}


def test_a_budget_that_is_spent_is_critical_and_names_figures_and_advice() -> None:
    found = judged(BUDGETS)
    assert set(found) == {f"budget/{scope}/2026-11" for scope in ("all", "barchart", "databento")}
    whole = found["budget/all/2026-11"]
    assert (whole.severity, whole.hold_ns) == ("critical", 0)
    assert whole.summary == "2026-11: 100 % of the budget of the month ($200.00) are spent: $280.00"
    assert whole.evidence[:2] == ("spent: $280.00, 100 % reached", "projected: $280.00, 100 % reached")
    assert whole.evidence[2].startswith("databento: take what is younger than 24 hours from the live replay")
    assert whole.evidence[2].endswith(": saves $36.00 a month")
    assert (found["budget/databento/2026-11"].severity, found["budget/databento/2026-11"].hold_ns) == ("warning", 0)
    assert "80 % of the budget of databento ($260.00) are spent" in found["budget/databento/2026-11"].summary
    assert all("databento" not in line for line in found["budget/barchart/2026-11"].evidence)


def test_what_is_only_projected_is_a_warning_that_must_last() -> None:
    # On the tenth $232.00 are spent: the plans, and 28 and 5 dollars in ten days, which lead to $298.00.
    found = judged(Budgets(295 * USD), END_NS - 20 * 24 * HOUR_NS)["budget/all/2026-11"]
    assert (found.severity, found.hold_ns) == ("warning", 600_000_000_000)
    assert found.summary == "2026-11: 100 % of the budget of the month ($295.00) are projected: $298.00"
    assert judged(Budgets(400 * USD), END_NS - 20 * 24 * HOUR_NS) == {}


def test_one_purchase_on_the_first_days_is_no_months_rate() -> None:
    usages = [metered(DAYS[0], MBO, 7 * USD, USD)]

    def found(day: int, *fees: Usage) -> list[str]:
        at_ns = END_NS - (30 - day) * 24 * HOUR_NS
        report = cost_report([*usages, *fees], Budgets(200 * USD, {"databento": 50 * USD}), at_ns)
        assert report.projected == sum(fee.fee_micro_usd_per_month for fee in fees) + 210 * USD // day
        return [finding.summary for finding in budget_findings(report, Savings()).findings]

    assert found(1) == found(2) == []
    assert found(3) == ["2026-11: 100 % of the budget of databento ($50.00) are projected: $70.00"]
    # What a plan costs is known, and owed, from the first moment on.
    fee = row("barchart", "flat", DAYS[0], fee_micro_usd_per_month=160 * USD)
    assert found(1, fee) == ["2026-11: 80 % of the budget of the month ($200.00) are spent: $167.00"]


def test_each_month_that_spends_its_budget_is_an_incident_of_its_own() -> None:
    watcher = Watcher(Topic())
    plan = [row("databento", "flat", day, fee_micro_usd_per_month=179 * USD) for day in (DAYS[29], "2026-12-01")]

    def run(at_ns: int) -> None:
        watcher.run(budget_findings(cost_report(plan, Budgets(100 * USD), at_ns), Savings()), at_ns, 120)

    run(END_NS - HOUR_NS)
    run(END_NS + 1)
    december, november = watcher.topic.incidents()
    assert (november.subject, november.state) == ("budget/all/2026-11", "closed")
    assert (december.subject, december.state) == ("budget/all/2026-12", "open")


def test_metrics_tell_lines_budgets_and_caches_apart() -> None:
    usages, events = the_month()
    report = cost_report(usages, BUDGETS, END_NS)
    registry = CollectorRegistry()

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    with exported(lambda: cost_rows(report, find_savings(usages, events, CHOICES, END_NS)), registry):
        metered = {"source": "databento", "line": "metered", "notional": "false"}
        assert value("tapeline_cost_month_usd", **metered) == 66.0
        assert value("tapeline_cost_projected_usd", **metered) == 66.0
        assert value("tapeline_cost_today_usd", source="barchart", line="metered", notional="false") == 0.5
        assert value("tapeline_cost_month_usd", source="databento", line="flat", notional="false") == 179.0
        assert value("tapeline_cost_month_usd", source="databento", line="flat", notional="true") == 2.95314
        assert value("tapeline_cost_budget_usd", scope="all") == 200.0
        assert value("tapeline_cost_budget_ratio", scope="all", basis="spent") == 1.4
        assert value("tapeline_cost_budget_ratio", scope="databento", basis="projected") == 245 / 260
        assert value("tapeline_cost_cache_hit_ratio", source="barchart", line="flat") == 0.7
        assert value("tapeline_cost_cache_saved_usd", source="databento", line="metered") == 9.0
        assert value("tapeline_cost_cache_hit_ratio", source="databento", line="flat") is None
        assert value("tapeline_cost_advised_saving_usd") == 81.031238


def test_a_budget_of_nothing_is_exceeded_by_the_first_micro_dollar() -> None:
    # On the first day: what is projected is as infinite as what is spent.
    at_ns = END_NS - 29 * 24 * HOUR_NS

    def ratios(usages: list[Usage]) -> list[tuple[tuple[str, ...], float]]:
        report = cost_report(usages, Budgets(0, {"other": 0}), at_ns)
        rows = cost_rows(report, Savings())
        return [(labels, value) for metric, labels, value in rows if metric is metrics.COST_BUDGET_RATIO]

    spent = ratios([metered(DAYS[0], MBO, 1, USD)])
    assert spent == [
        (("all", "spent"), math.inf),
        (("all", "projected"), math.inf),
        (("other", "spent"), 0.0),
        (("other", "projected"), 0.0),
    ]
    assert {value for _, value in ratios([])} == {0.0}


def test_without_use_and_budgets_there_is_nothing_to_find() -> None:
    nothing: CostReport = cost_report([], Budgets(0), END_NS)
    assert budget_findings(nothing, Savings()).findings == ()
    assert len(list(cost_rows(nothing, Savings()))) == 4
