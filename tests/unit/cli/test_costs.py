"""The words of `tapeline costs`, and its errors."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from tests.unit.feed.bills import BUDGETS, CHOICES, END_NS, the_month

from tapeline.errors import Misconfigured
from tapeline.feed.budget import Budgets
from tapeline.feed.cost_settings import CostSettings
from tapeline.feed.costs import cost_report
from tapeline.feed.prices import usd_text
from tapeline.feed.savings import Savings, find_savings
from tapeline_cli.costs import advice_lines, cost_table, costs, summary_lines

USAGES, EVENTS = the_month()
EXAMPLE = (Path(__file__).parents[3] / "deploy" / "docs" / "costs.md").read_text(encoding="utf-8")
REPORT = cost_report(USAGES, BUDGETS, END_NS)


def test_the_table_has_a_row_per_line_and_what_is_not_owed_in_brackets() -> None:
    console = Console(width=120)
    with console.capture() as captured:
        console.print(cost_table(REPORT))
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in captured.get().splitlines() if "│" in line]
    assert rows == [
        ["barchart", "flat", "$0.666667", "$20.00", "$20.00", "70.0%"],
        ["barchart", "metered", "$0.50", "$15.00", "$15.00", ""],
        ["databento", "flat", "$5.97", "$179.00", "$179.00", ""],
        ["databento", "not owed", "($0.098438)", "($2.95)", "($2.95)", ""],
        ["databento", "metered", "$0.00", "$66.00", "$66.00", "16.0%"],
        ["all", "", "$7.13", "$280.00", "$280.00", ""],
    ]


def test_budgets_and_caches_are_told() -> None:
    assert list(summary_lines(REPORT)) == [
        "budget of all: $280.00 of $200.00 spent, $280.00 projected; EXCEEDED by what is spent;"
        " EXCEEDED by what is projected",
        "budget of barchart: $35.00 of $35.00 spent, $35.00 projected; 100 % reached by what is spent;"
        " 100 % reached by what is projected",
        "budget of databento: $245.00 of $260.00 spent, $245.00 projected; 80 % reached by what is spent;"
        " 80 % reached by what is projected",
        "caches: 21,004 hits, 9,021 misses (70.0%), saved $9.00",
    ]
    told = list(summary_lines(cost_report([], Budgets(), END_NS)))
    assert told == [
        "2026-11: nothing was counted yet; producers and `tapeline fetch` write what they use",
        "no budget is set (TAPELINE_COSTS_MONTHLY_BUDGET_USD)",
    ]


def test_advice_adds_up_and_says_what_is_missing() -> None:
    told = list(advice_lines(REPORT, find_savings(USAGES, EVENTS, CHOICES, END_NS)))
    assert told[0].startswith("saves $36.00: databento: take what is younger than 24 hours from the live replay")
    assert told[-1] == "all of it saves $81.03: $280.00 would have been $198.97"
    assert list(advice_lines(REPORT, Savings(missing=("x: y",)))) == [
        "no advice that saves anything",
        "not known: x: y",
    ]


def test_the_example_of_the_documentation_is_what_is_printed() -> None:
    settings = dict(re.findall(r"^(TAPELINE_COSTS_\w+)='?([^'\n]+)'?$", EXAMPLE, re.MULTILINE))
    loaded = CostSettings.load(settings, dotenv=Path("/nowhere/.env"))
    assert (loaded.budgets(), loaded.choices()) == (BUDGETS, CHOICES)
    savings = find_savings(USAGES, EVENTS, CHOICES, END_NS)
    console = Console(width=120, soft_wrap=True)
    with console.capture() as captured:
        console.print(cost_table(REPORT))
    printed = [line.rstrip() for line in captured.get().splitlines()]
    printed += [*summary_lines(REPORT), *advice_lines(REPORT, savings)]
    assert "\n".join(printed) in EXAMPLE
    left = REPORT.projected
    for advice in savings.advice:
        left -= advice.saves_micro_usd
        assert f"| {advice.what} | {usd_text(advice.saves_micro_usd)} | {usd_text(left)} |" in EXAMPLE


@pytest.mark.parametrize(
    ("month", "setting", "told"),
    [
        ("June", "MONTHLY_BUDGET_USD=1", "--month must be a month as YYYY-MM, is 'June'"),
        ("2999-01", "MONTHLY_BUDGET_USD=1", "--month 2999-01 is still to come"),
        (None, "MONTHLY_BUDGET_USD=-1", "TAPELINE_COSTS_MONTHLY_BUDGET_USD"),
        (None, "BUDGET=1", r"TAPELINE_COSTS_BUDGET \(in the environment\) is not a setting of costs"),
    ],
)
def test_a_users_mistake_is_named(month: str | None, setting: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, _, value = setting.partition("=")
    monkeypatch.setenv(f"TAPELINE_COSTS_{name}", value)
    with pytest.raises(Misconfigured, match=told):
        costs(month)


def test_where_no_broker_answers_the_remedy_is_told() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tapeline_cli", "costs"],
        env=os.environ | {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("tapeline: no Kafka broker answers at 127.0.0.1:1")
    assert "tapeline kafka up" in done.stderr
    assert "Traceback" not in done.stderr
