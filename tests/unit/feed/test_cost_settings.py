"""Settings of budgets and choices: what they mean, and a user's mistake named with its rule."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.feed.bills import HOUR_NS, USD

from tapeline.errors import Misconfigured
from tapeline.feed.budget import Budgets
from tapeline.feed.cost_account import Choices, OfferedPlan
from tapeline.feed.cost_settings import CostSettings


def load(**names: str) -> CostSettings:
    environment = {f"TAPELINE_COSTS_{name.upper()}": value for name, value in names.items()}
    return CostSettings.load(environment, dotenv=Path("/nowhere/.env"))


def test_by_default_there_is_no_budget() -> None:
    assert load().budgets() == Budgets()
    assert load().choices() == Choices(replay_ns={"databento": 24 * HOUR_NS})


def test_each_setting_is_read_as_people_write_it() -> None:
    settings = load(
        monthly_budget_usd="200",
        source_budgets_usd="databento=150.50, barchart=30",
        replay_hours="databento=12",
        streamed="barchart=GLBX.MDP3",
        cheaper_schemas="databento/GLBX.MDP3/mbo=trades",
        cheaper_sources="databento/GLBX.MDP3/statistics=barchart",
        plans="databento/Standard = 179: *; barchart/Basic=9.95: option-chain, quotes;",
    )
    assert settings.budgets() == Budgets(200 * USD, {"databento": 150_500_000, "barchart": 30 * USD})
    assert settings.choices() == Choices(
        replay_ns={"databento": 12 * HOUR_NS},
        streamed={"barchart": "GLBX.MDP3"},
        cheaper_schemas={"databento/GLBX.MDP3/mbo": "trades"},
        cheaper_sources={"databento/GLBX.MDP3/statistics": "barchart"},
        plans=(
            OfferedPlan("databento", "Standard", 179 * USD, frozenset({"*"})),
            OfferedPlan("barchart", "Basic", 9_950_000, frozenset({"option-chain", "quotes"})),
        ),
    )


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("monthly_budget_usd", "-1", "greater than or equal to 0"),
        ("monthly_budget_usd", "much", "valid decimal"),
        ("source_budgets_usd", "databento", "must be source=US dollars"),
        ("source_budgets_usd", "databento=-1", "greater than or equal to 0"),
        ("source_budgets_usd", "databento=1, databento=2", "each of them once"),
        ("replay_hours", "databento=0", "greater than 0"),
        ("cheaper_schemas", "=trades", "must be source/dataset/schema=schema"),
        ("plans", "databento=179: *", "must be source/plan=US dollars"),
        ("plans", "databento/Standard=1.2.3: *", "must be source/plan=US dollars"),
        ("plans", "databento/Standard=179", "must be source/plan=US dollars"),
    ],
)
def test_a_wrong_one_is_named(name: str, value: str, rule: str) -> None:
    with pytest.raises(Misconfigured, match=rf"TAPELINE_COSTS_{name.upper()}.*{rule}"):
        load(**{name: value})
