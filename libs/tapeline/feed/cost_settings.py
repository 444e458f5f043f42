"""Settings of what may be spent and what could be spent less on: of the watchdog, backfills and `tapeline costs`."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final

from pydantic import BeforeValidator, Field

from tapeline.errors import BadData
from tapeline.feed.budget import Budgets
from tapeline.feed.cost_account import Choices, OfferedPlan
from tapeline.feed.prices import micro_usd
from tapeline.ops.settings import ServiceSettings

_PLAN: Final = re.compile(r"(?P<source>[^/=:\s]+)/(?P<name>[^/=:]+?)\s*=\s*(?P<usd>[0-9.]+)\s*:\s*(?P<schemas>[^=:]+)")


def _pairs(form: str) -> Callable[[Any], Any]:
    """Return what reads ``first=second, first=second``; `form` is how an error says that it must look."""

    def read(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        pairs = [part.partition("=") for part in value.split(",") if part.strip()]
        if not all(equals and first.strip() and second.strip() for first, equals, second in pairs):
            raise ValueError(f"must be {form}")
        found = {first.strip(): second.strip() for first, _, second in pairs}
        if len(found) < len(pairs):
            raise ValueError(f"must be {form}, each of them once")
        return found

    return read


def _plans(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    plans = []
    for part in filter(None, map(str.strip, value.split(";"))):
        found = _PLAN.fullmatch(part)
        try:
            fee = micro_usd(found["usd"]) if found else 0
        except BadData:
            found, fee = None, 0
        if found is None:
            raise ValueError(f"must be source/plan=US dollars: schema,schema; … (* for all schemas), not {part!r}")
        schemas = frozenset(filter(None, map(str.strip, found["schemas"].split(","))))
        plans.append(OfferedPlan(found["source"], found["name"], fee, schemas))
    return tuple(plans)


Usd = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]


class CostSettings(ServiceSettings):
    """Budgets, and what the user says could be had for less; read from ``TAPELINE_COSTS_<NAME>``.

    A schema is written ``<source>/<dataset>/<schema>``, as rows of md.usage.v1 name it after their source.
    """

    service: ClassVar[str] = "costs"

    monthly_budget_usd: Usd | None = None
    """Most US dollars that all sources together may cost a month (UTC), fees included. It holds backfills back, and is
    warned of at 80 % and 100 %; live data is never stopped."""
    source_budgets_usd: Annotated[dict[str, Usd], BeforeValidator(_pairs("source=US dollars, …"))] = Field({})
    """The same for single sources: `databento=150, barchart=30`."""
    replay_hours: Annotated[
        dict[str, Annotated[float, Field(gt=0)]], BeforeValidator(_pairs("source=hours, source=hours, …"))
    ] = Field({"databento": 24.0})
    """How far back (hours) a source's live plan replays without a charge: `source=hours, …`."""
    streamed: Annotated[dict[str, str], BeforeValidator(_pairs("source=dataset, …"))] = Field({})
    """What is metered and comes, or is asked for, all the time, and the dataset whose market hours would do: sources,
    or schemas as above: `barchart=GLBX.MDP3, …`."""
    cheaper_schemas: Annotated[dict[str, str], BeforeValidator(_pairs("source/dataset/schema=schema, …"))] = Field({})
    """Schemas that would do in place of metered ones: `databento/GLBX.MDP3/mbo=mbp-1, …`."""
    cheaper_sources: Annotated[dict[str, str], BeforeValidator(_pairs("source/dataset/schema=source, …"))] = Field({})
    """Metered schemas that are not critical, and a source that has the same within its plan:
    `databento/GLBX.MDP3/statistics=barchart, …`."""
    plans: Annotated[tuple[OfferedPlan, ...], BeforeValidator(_plans)] = ()
    """Plans that vendors offer, by the month: `source/plan=US dollars: schema,schema; …`; `*` stands for all schemas:
    `databento/Standard=179: mbo,mbp-1,trades; barchart/Basic=10: *`."""

    interval_s: float = Field(30.0, gt=0.0, le=3_600.0)
    """How often (s) the watchdog reads the bill."""

    def budgets(self) -> Budgets:
        """Return the budgets in micro-dollars."""
        total = None if self.monthly_budget_usd is None else micro_usd(self.monthly_budget_usd)
        return Budgets(total, {source: micro_usd(usd) for source, usd in self.source_budgets_usd.items()})

    def choices(self) -> Choices:
        """Return what could be had for less."""
        return Choices(
            replay_ns={source: round(hours * 3_600e9) for source, hours in self.replay_hours.items()},
            streamed=self.streamed,
            cheaper_schemas=self.cheaper_schemas,
            cheaper_sources=self.cheaper_sources,
            plans=self.plans,
        )
