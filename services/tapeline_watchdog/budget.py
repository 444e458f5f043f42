"""What is wrong with the month's costs: budgets of which 80 or 100 percent are reached, by now or by its end. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tapeline.feed.budget import EVERYTHING, BudgetWarning
from tapeline.feed.costs import CostReport
from tapeline.feed.prices import dollars
from tapeline.feed.savings import Savings
from tapeline.model.incidents import IncidentType
from tapeline_watchdog.findings import Finding, Judged

BUDGET_TYPES: Final[frozenset[IncidentType]] = frozenset({"budget"})
_PROJECTED_HOLD_NS: Final = 600_000_000_000
"""A projection must hold for so long: one that a single purchase pushes up may fall again."""
_MOST_ADVICE: Final = 3
_EXCEEDED_PERCENT: Final = 100


def budget_findings(report: CostReport, savings: Savings) -> Judged:
    """Return one finding per budget that 80 percent or more are reached of; critical once all of it is spent.

    What is only projected is a warning, whatever the level. The month is part of the subject: with it the trouble ends.
    """
    by_scope: dict[str, list[BudgetWarning]] = {}
    for warning in report.warnings:
        by_scope.setdefault(warning.scope, []).append(warning)
    findings = (_of_scope(scope, warnings, report.month, savings) for scope, warnings in by_scope.items())
    return Judged(BUDGET_TYPES, tuple(findings))


def _of_scope(scope: str, warnings: Sequence[BudgetWarning], month: str, savings: Savings) -> Finding:
    # What is spent comes first, and weighs more than what is projected.
    first = warnings[0]
    is_spent = first.basis == "spent"
    whose = "the month" if scope == EVERYTHING else scope
    advice = [
        each for each in savings.advice if scope == EVERYTHING or each.what.startswith((f"{scope}:", f"{scope}/"))
    ]
    return Finding(
        type="budget",
        subject=f"budget/{scope}/{month}",
        severity="critical" if is_spent and first.level_percent == _EXCEEDED_PERCENT else "warning",
        summary=f"{month}: {first.level_percent} % of the budget of {whose} ({dollars(first.budget_micro_usd)}) are"
        f" {'spent' if is_spent else 'projected'}: {dollars(first.amount_micro_usd)}",
        hold_ns=0 if is_spent else _PROJECTED_HOLD_NS,
        evidence=(
            *(f"{each.basis}: {dollars(each.amount_micro_usd)}, {each.level_percent} % reached" for each in warnings),
            *(f"{each.what}: saves {dollars(each.saves_micro_usd)} a month" for each in advice[:_MOST_ADVICE]),
        ),
    )
