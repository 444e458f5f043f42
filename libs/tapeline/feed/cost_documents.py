"""The bill as a document: what the watchdog answers at /v1/costs and `tapeline costs --json` prints. Pure."""

from __future__ import annotations

from typing import Any

from tapeline.feed.budget import EVERYTHING, BudgetWarning
from tapeline.feed.costs import CacheUse, CostReport
from tapeline.feed.prices import MICRO_USD
from tapeline.feed.savings import Savings

Document = dict[str, Any]


def costs_document(report: CostReport, savings: Savings) -> Document:
    """Return lines, totals, budgets, warnings, cache and advice. Money is in US dollars, as numbers.

    `at` is ns since the epoch as decimal text. Lines that are `notional` are in no total. `budget_used` is what is
    spent of the budget of everything; above 1 it is exceeded. `missing` says what could not be judged, and for want of
    what.
    """
    spent, projected = report.by_source()
    total_budget = report.budgets.total_micro_usd
    return {
        "at": str(report.at_ns),
        "month": report.month,
        "lines": [
            {
                "source": line.source,
                "line": line.line,
                "today_usd": _usd(line.today),
                "month_usd": _usd(line.month),
                "projected_usd": _usd(line.projected),
                "notional": line.notional,
            }
            for line in report.lines
        ],
        "total_usd": _usd(report.spent),
        "projected_usd": _usd(report.projected),
        "budget_usd": None if total_budget is None else _usd(total_budget),
        "budget_used": report.spent / total_budget if total_budget else None,
        "budgets": [
            {
                "scope": scope,
                "budget_usd": _usd(budget),
                "spent_usd": _usd(report.spent if scope == EVERYTHING else spent.get(scope, 0)),
                "projected_usd": _usd(report.projected if scope == EVERYTHING else projected.get(scope, 0)),
            }
            for scope, budget in report.budgets.scopes()
        ],
        "warnings": [_warning(warning) for warning in report.warnings],
        "advice": [
            {"what": advice.what, "why": advice.why, "saves_usd": _usd(advice.saves_micro_usd)}
            for advice in savings.advice
        ],
        "advised_usd": _usd(report.projected - savings.total_micro_usd),
        "missing": list(savings.missing),
        "cache": _cache(report.all_caches),
        "caches": [
            {"source": source, "line": line, **_cache(use)}
            for (source, line), use in report.cache.items()
            if use.hits or use.misses
        ],
    }


def _warning(warning: BudgetWarning) -> Document:
    return {
        "scope": warning.scope,
        "basis": warning.basis,
        "level_percent": warning.level_percent,
        "amount_usd": _usd(warning.amount_micro_usd),
        "budget_usd": _usd(warning.budget_micro_usd),
    }


def _cache(use: CacheUse) -> Document:
    return {
        "hits": use.hits,
        "misses": use.misses,
        "hit_ratio": use.hit_ratio,
        "saved_usd": _usd(use.saved_micro_usd),
    }


def _usd(micro: int) -> float:
    # The nearest double is written as the shortest decimal that reads as the same: the micro-dollars, exactly.
    return micro / MICRO_USD
