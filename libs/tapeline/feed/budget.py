"""What may still be spent in a month: the budgets, what is owed by now, and the caps that hold backfills to it. Pure.

Live data is never held to a budget: whoever receives it asks nobody here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal

from tapeline.feed.cost import Cap
from tapeline.model.usage import Line, Usage, day_of

EVERYTHING: Final = "all"
"""The scope of the budget of all sources together."""

Basis = Literal["spent", "projected"]
"""What is held against a budget: what is owed by now, or what will be owed by the end of the month."""

_LEVELS_PERCENT: Final = (100, 80)
_PROJECTED_FROM_DAY: Final = 3
"""Before this day of the month a projection is no reason for a warning: one purchase makes it a whole month's rate."""
_REMEDY: Final = "raise the budget with TAPELINE_COSTS_{name}, or wait for the next month (UTC)"


@dataclass(frozen=True, slots=True)
class Budgets:
    """Most micro-dollars that a month (UTC) may cost, fees included: of all sources together, and of each by its name.

    None, or a source that is not named: no limit.
    """

    total_micro_usd: int | None = None
    by_source: Mapping[str, int] = field(default_factory=dict)

    def scopes(self) -> Iterator[tuple[str, int]]:
        """Yield what there is a budget for, `EVERYTHING` or a source, and the budget."""
        if self.total_micro_usd is not None:
            yield EVERYTHING, self.total_micro_usd
        yield from sorted(self.by_source.items())


@dataclass(frozen=True, slots=True)
class BudgetWarning:
    """A budget of which 80 or 100 percent are reached, by what is spent or by what is projected."""

    scope: str
    basis: Basis
    level_percent: int
    amount_micro_usd: int
    budget_micro_usd: int


def fees(usages: Iterable[Usage], month: str) -> dict[tuple[str, Line], int]:
    """Return what each source and line costs in a month (YYYY-MM) whatever is used: the fee of its newest row.

    Every row of a line holds the fee, so fees are not added up; where rows of one day differ, the larger one counts.
    """
    newest: dict[tuple[str, Line], tuple[str, int]] = {}
    for usage in usages:
        if usage.day.startswith(month) and usage.line != "metered":
            key = usage.source, usage.line
            newest[key] = max(newest.get(key, ("", 0)), (usage.day, usage.fee_micro_usd_per_month))
    return {key: fee for key, (_, fee) in newest.items()}


def owed(usages: Iterable[Usage], month: str) -> dict[str, int]:
    """Return what each source costs in a month (YYYY-MM) by now: its fees, whole, and what was metered."""
    rows = [usage for usage in usages if usage.day.startswith(month)]
    amounts = {usage.source: 0 for usage in rows}
    for (source, _), fee in fees(rows, month).items():
        amounts[source] += fee
    for usage in rows:
        amounts[usage.source] += 0 if usage.notional else usage.cost_micro_usd
    return amounts


def budget_caps(
    usages: Iterable[Usage], budgets: Budgets, source: str, at_ns: int, *, own_micro_usd: int = 0
) -> list[Cap]:
    """Return the caps that a backfill of a source is held to in the month (UTC) of `at_ns`, for `check_caps`.

    `usages` are all rows of md.usage.v1, each key once, as `usage_rows` reads them; `own_micro_usd` is what
    of it the asker has spent itself, and counts with its estimate. Where the list is empty there is no limit; where a
    cap has nothing left, `check_caps` refuses whatever costs anything, and says which setting raises it.
    """
    amounts = owed(usages, day_of(at_ns)[:7])
    caps = []
    if budgets.total_micro_usd is not None:
        remedy = _REMEDY.format(name="MONTHLY_BUDGET_USD")
        caps.append(
            Cap("budget of the month", budgets.total_micro_usd, remedy, max(0, sum(amounts.values()) - own_micro_usd))
        )
    if source in budgets.by_source:
        remedy = _REMEDY.format(name="SOURCE_BUDGETS_USD")
        limit = budgets.by_source[source]
        caps.append(
            Cap(f"budget of the month for {source}", limit, remedy, max(0, amounts.get(source, 0) - own_micro_usd))
        )
    return caps


def budget_warnings(
    budgets: Budgets, spent: Mapping[str, int], projected: Mapping[str, int], today: date
) -> tuple[BudgetWarning, ...]:
    """Return the highest level that each budget has reached, by what is spent and by what is projected.

    Both map sources to micro-dollars. What is projected counts from the month's third day on; fees are spent from its
    first moment. A budget of nothing is reached by the first micro-dollar.
    """
    bases: list[tuple[Basis, Mapping[str, int]]] = [("spent", spent)]
    if today.day >= _PROJECTED_FROM_DAY:
        bases.append(("projected", projected))
    found = []
    for scope, budget in budgets.scopes():
        for basis, amounts in bases:
            amount = sum(amounts.values()) if scope == EVERYTHING else amounts.get(scope, 0)
            level = next((percent for percent in _LEVELS_PERCENT if amount * 100 >= budget * percent), None)
            if level is not None and amount:
                found.append(BudgetWarning(scope, basis, level, amount, budget))
    return tuple(found)
