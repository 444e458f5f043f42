"""`tapeline costs`: what the month costs, against the budgets, and what would cost less."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from tapeline.bus.bootstrap import bootstrap_servers
from tapeline.bus.probe import is_listening
from tapeline.errors import BrokerUnavailable
from tapeline.feed.budget import EVERYTHING, BudgetWarning
from tapeline.feed.cost_documents import costs_document
from tapeline.feed.cost_settings import CostSettings
from tapeline.feed.costs import CacheUse, CostReport, cost_report, moment_of
from tapeline.feed.prices import dollars
from tapeline.feed.savings import Savings, find_savings
from tapeline.feed.usage_log import Bill
from tapeline.model.usage import day_of

_WIDTH = 120


def costs(
    month: Annotated[str | None, typer.Option(help="YYYY-MM (UTC), instead of the present one.")] = None,
    advice: Annotated[bool, typer.Option("--advice", help="Tell what would cost less, and how much.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object, advice and all.")] = False,
) -> None:
    """Show what each source costs by line: today, this month, and by its end; against the budgets.

    Read from the topic of usage, so no watchdog need run. Budgets, and what could be had for less, are settings:
    TAPELINE_COSTS_MONTHLY_BUDGET_USD, _SOURCE_BUDGETS_USD, _PLANS, _STREAMED, _CHEAPER_SCHEMAS, _CHEAPER_SOURCES.
    """
    settings = CostSettings.load()
    now_ns = time.time_ns()
    at_ns = moment_of(month or day_of(now_ns)[:7], now_ns)
    servers = bootstrap_servers()
    if not asyncio.run(is_listening(servers)):
        raise BrokerUnavailable(
            f"no Kafka broker answers at {servers}, and the bill is there; start it with `tapeline kafka up`, or name"
            " another in KAFKA_BOOTSTRAP_SERVERS"
        )
    usages, events = Bill(servers).read()
    report = cost_report(usages, settings.budgets(), at_ns)
    savings = find_savings(usages, events, settings.choices(), at_ns)
    if json:
        sys.stdout.write(orjson.dumps(costs_document(report, savings)).decode() + "\n")
        return
    console = Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False, markup=False, soft_wrap=True)
    if report.lines:
        console.print(cost_table(report))
    for line in summary_lines(report):
        console.print(line)
    if advice:
        for line in advice_lines(report, savings):
            console.print(line)


def cost_table(report: CostReport) -> Table:
    """Return a row per source and line; what nothing is owed for stands in brackets."""
    table = Table(title=f"costs of {report.month} (UTC)")
    for heading in ("source", "line", "today", "this month", "by its end", "cache hits"):
        table.add_column(heading, justify="left" if heading in ("source", "line") else "right")
    for line in report.lines:
        amounts = [dollars(amount) for amount in (line.today, line.month, line.projected)]
        if line.notional:
            table.add_row(line.source, "not owed", *(f"({amount})" for amount in amounts), "")
        else:
            table.add_row(line.source, line.line, *amounts, _ratio(report.cache[line.source, line.line]))
    table.add_section()
    table.add_row("all", "", dollars(_today(report)), dollars(report.spent), dollars(report.projected), "")
    return table


def summary_lines(report: CostReport) -> Iterator[str]:
    """Yield the budgets and how far they are used, and what the cache did."""
    if not report.lines:
        yield f"{report.month}: nothing was counted yet; producers and `tapeline fetch` write what they use"
    for scope, budget in report.budgets.scopes():
        amounts = (each if scope == EVERYTHING else {scope: each.get(scope, 0)} for each in report.by_source())
        spent, projected = (dollars(sum(each.values())) for each in amounts)
        reached = [_reached(warning) for warning in report.warnings if warning.scope == scope]
        yield (
            f"budget of {scope}: {spent} of {dollars(budget)} spent, {projected} projected"
            + "".join(f"; {each}" for each in reached)
        )
    if not list(report.budgets.scopes()):
        yield "no budget is set (TAPELINE_COSTS_MONTHLY_BUDGET_USD)"
    use = report.all_caches
    if use.hit_ratio is not None:
        yield f"caches: {use.hits:,} hits, {use.misses:,} misses ({_ratio(use)}), saved {dollars(use.saved_micro_usd)}"


def advice_lines(report: CostReport, savings: Savings) -> Iterator[str]:
    """Yield each piece of advice with its saving, what all of it comes to, and what is missing for more."""
    for each in savings.advice:
        yield f"saves {dollars(each.saves_micro_usd)}: {each.what}"
        yield f"    {each.why}"
    if savings.advice:
        after = report.projected - savings.total_micro_usd
        yield (
            f"all of it saves {dollars(savings.total_micro_usd)}: {dollars(report.projected)} would have been"
            f" {dollars(after)}"
        )
    else:
        yield "no advice that saves anything"
    for text in savings.missing:
        yield f"not known: {text}"


def _today(report: CostReport) -> int:
    return sum(line.today for line in report.lines if not line.notional)


def _ratio(use: CacheUse) -> str:
    return "" if use.hit_ratio is None else f"{use.hit_ratio:.1%}"


def _reached(warning: BudgetWarning) -> str:
    mark = "EXCEEDED" if warning.amount_micro_usd > warning.budget_micro_usd else f"{warning.level_percent} % reached"
    return f"{mark} by what is {warning.basis}"
