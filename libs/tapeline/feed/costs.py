"""What all sources cost: per source and line today, this month and by its end; what the cache saved. Pure.

Made of rows of md.usage.v1, each key once, in any order. Amounts are whole micro-dollars, days and months those of UTC.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from tapeline.errors import Misconfigured
from tapeline.feed.budget import Budgets, BudgetWarning, budget_warnings, fees
from tapeline.feed.cost import by_months_end
from tapeline.model.usage import Line, Usage, day_of

_NS_PER_S: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class CacheUse:
    """How often what was asked for was there, and what those hits would have cost."""

    hits: int = 0
    misses: int = 0
    saved_micro_usd: int = 0

    @property
    def hit_ratio(self) -> float | None:
        """Hits of all that was asked for; None where nothing was."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else None


@dataclass(frozen=True, slots=True)
class CostLine:
    """What one line of a source costs. Nothing is owed for a `notional` one: it tells what flat use would have cost.

    A fee is owed whole from the month's first day on; `today` has a day's share of it, which add up to the fee.
    """

    source: str
    line: Line
    notional: bool
    today: int
    month: int
    projected: int


@dataclass(frozen=True, slots=True)
class CostReport:
    """All lines as of `at_ns` in its month (YYYY-MM), against the budgets."""

    at_ns: int
    month: str
    lines: tuple[CostLine, ...]
    cache: Mapping[tuple[str, Line], CacheUse]
    budgets: Budgets
    warnings: tuple[BudgetWarning, ...]

    @property
    def spent(self) -> int:
        """What is owed for the month by now."""
        return sum(line.month for line in self.lines if not line.notional)

    @property
    def projected(self) -> int:
        """What will be owed by the end of the month."""
        return sum(line.projected for line in self.lines if not line.notional)

    def by_source(self) -> tuple[dict[str, int], dict[str, int]]:
        """Return what is owed by now and by the end of the month, by source."""
        return _sums(self.lines)

    @property
    def all_caches(self) -> CacheUse:
        """What the caches of all lines did."""
        uses = self.cache.values()
        return CacheUse(
            hits=sum(use.hits for use in uses),
            misses=sum(use.misses for use in uses),
            saved_micro_usd=sum(use.saved_micro_usd for use in uses),
        )


def cost_report(usages: Iterable[Usage], budgets: Budgets, at_ns: int) -> CostReport:
    """Return what the month of `at_ns` costs. For a month that is over, `at_ns` is within its last day."""
    today = date.fromisoformat(day_of(at_ns))
    month = today.isoformat()[:7]
    rows = [usage for usage in usages if usage.day.startswith(month)]
    of_month = fees(rows, month)
    lines = []
    for source, line in sorted({(usage.source, usage.line) for usage in rows}):
        of_line = [usage for usage in rows if (usage.source, usage.line) == (source, line)]
        if line != "metered":
            fee = of_month[source, line]
            lines.append(CostLine(source, line, False, _share_of_day(fee, today), fee, fee))
        is_priced = any(use.cost_micro_usd is not None for usage in of_line for use in usage.schemas.values())
        if line == "metered" or (line == "flat" and is_priced):
            used = sum(usage.cost_micro_usd for usage in of_line)
            used_today = sum(usage.cost_micro_usd for usage in of_line if usage.day == today.isoformat())
            lines.append(CostLine(source, line, line == "flat", used_today, used, by_months_end(used, today)))
    cache: dict[tuple[str, Line], CacheUse] = {}
    for usage in rows:
        key = usage.source, usage.line
        known = cache.get(key, CacheUse())
        cache[key] = CacheUse(
            known.hits + usage.cache_hits,
            known.misses + usage.cache_misses,
            known.saved_micro_usd + usage.saved_micro_usd,
        )
    return CostReport(
        at_ns=at_ns,
        month=month,
        lines=tuple(lines),
        cache=dict(sorted(cache.items())),
        budgets=budgets,
        warnings=budget_warnings(budgets, *_sums(lines), today),
    )


def moment_of(month: str, now_ns: int) -> int:
    """Return `now_ns` where it is within `month` (YYYY-MM), the last moment of a month that is over otherwise.

    Raises Misconfigured where it is no month, or one to come.
    """
    try:
        first = date.fromisoformat(f"{month}-01")
    except ValueError:
        raise Misconfigured(f"--month must be a month as YYYY-MM, is {month!r}") from None
    now = day_of(now_ns)[:7]
    if month > now:
        raise Misconfigured(f"--month {month} is still to come; the present one is {now} (UTC)")
    if month == now:
        return now_ns
    after = first + timedelta(days=monthrange(first.year, first.month)[1])
    return int(datetime(after.year, after.month, after.day, tzinfo=UTC).timestamp()) * _NS_PER_S - 1


def _share_of_day(fee: int, today: date) -> int:
    days = monthrange(today.year, today.month)[1]
    return fee * today.day // days - fee * (today.day - 1) // days


def _sums(lines: Iterable[CostLine]) -> tuple[dict[str, int], dict[str, int]]:
    spent: dict[str, int] = {}
    projected: dict[str, int] = {}
    for line in lines:
        if not line.notional:
            spent[line.source] = spent.get(line.source, 0) + line.month
            projected[line.source] = projected.get(line.source, 0) + line.projected
    return spent, projected
