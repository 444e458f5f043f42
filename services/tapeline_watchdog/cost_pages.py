"""The path under which the watchdog tells of costs, /v1/costs, and their metrics."""

from __future__ import annotations

import math
from collections.abc import Iterator

from aiohttp import web

from tapeline.feed.budget import EVERYTHING
from tapeline.feed.costs import CostReport
from tapeline.feed.prices import MICRO_USD
from tapeline.feed.savings import Savings
from tapeline.ops import metrics
from tapeline.ops.health import json_answer
from tapeline_watchdog.cost_watching import CostWatch
from tapeline_watchdog.exporter import Row


class CostPages:
    """Answers from the last report."""

    def __init__(self, watch: CostWatch) -> None:
        self._watch = watch

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, for a server to add."""
        return [web.get("/v1/costs", self._costs)]

    async def _costs(self, _: web.Request) -> web.Response:
        document = self._watch.document()
        if document is None:
            return json_answer({"error": "the topic of usage has not been read yet"}, status=503)
        return json_answer(document)


def cost_rows(report: CostReport, savings: Savings) -> Iterator[Row]:
    """Yield every gauge's values of costs, in US dollars."""
    spent, projected = report.by_source()
    for line in report.lines:
        labels = (line.source, line.line, str(line.notional).lower())
        yield metrics.COST_TODAY_USD, labels, line.today / MICRO_USD
        yield metrics.COST_MONTH_USD, labels, line.month / MICRO_USD
        yield metrics.COST_PROJECTED_USD, labels, line.projected / MICRO_USD
    for scope, budget in report.budgets.scopes():
        yield metrics.COST_BUDGET_USD, (scope,), budget / MICRO_USD
        for basis, amounts in (("spent", spent), ("projected", projected)):
            amount = sum(amounts.values()) if scope == EVERYTHING else amounts.get(scope, 0)
            yield metrics.COST_BUDGET_RATIO, (scope, basis), _ratio(amount, budget)
    for key, use in report.cache.items():
        if use.hit_ratio is not None:
            yield metrics.COST_CACHE_HIT_RATIO, key, use.hit_ratio
            yield metrics.COST_CACHE_SAVED_USD, key, use.saved_micro_usd / MICRO_USD
    yield metrics.COST_ADVISED_SAVING_USD, (), savings.total_micro_usd / MICRO_USD


def _ratio(amount: int, budget: int) -> float:
    """Return how much of a budget an amount is: of none, infinitely much, so that alerts see it exceeded."""
    if not budget:
        return math.inf if amount else 0.0
    return amount / budget
