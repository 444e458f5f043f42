"""What of a month's bill is still to be saved on, and what the user says could be had for less. Pure.

Savings are taken from the account one after the other, so that no dollar is saved twice and all of them add up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final, NamedTuple

from tapeline.feed.budget import fees
from tapeline.feed.cost import by_months_end
from tapeline.model.backfill import BackfillEvent, EventType
from tapeline.model.columns import TickKind
from tapeline.model.usage import Line, Usage, day_of

EVERY_SCHEMA: Final = "*"
_LOOK_BACK_DAYS: Final = 61
_PAID: Final[frozenset[EventType]] = frozenset({"completed", "proven", "recomputed"})
_SCHEMA_OF: Final[Mapping[TickKind, str]] = {
    "mbo": "mbo",
    "l1": "mbp-1",
    "trade": "trades",
    "status": "status",
    "statistics": "statistics",
}


class Item(NamedTuple):
    """A metered position of the bill: a source, and ``<dataset>/<schema>`` of it."""

    source: str
    name: str

    def __str__(self) -> str:
        return f"{self.source}/{self.name}"


@dataclass(frozen=True, slots=True)
class OfferedPlan:
    """A plan that a vendor offers, with its fee a month; `schemas` holds EVERY_SCHEMA where it includes all."""

    source: str
    name: str
    fee_micro_usd: int
    schemas: frozenset[str]

    def includes(self, schemas: Iterable[str]) -> bool:
        """Return whether all of these schemas are part of it."""
        return EVERY_SCHEMA in self.schemas or self.schemas.issuperset(schemas)


@dataclass(frozen=True, slots=True)
class Choices:
    """What could be had for less, as the settings of the same names say; see CostSettings."""

    replay_ns: Mapping[str, int] = field(default_factory=dict)
    streamed: Mapping[str, str] = field(default_factory=dict)
    cheaper_schemas: Mapping[str, str] = field(default_factory=dict)
    cheaper_sources: Mapping[str, str] = field(default_factory=dict)
    plans: tuple[OfferedPlan, ...] = ()


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do, why, and what it saves in a month like this one."""

    what: str
    why: str
    saves_micro_usd: int


@dataclass(frozen=True, slots=True)
class Missing:
    """A figure that is not there, so that nothing can be said."""

    text: str


Finding = Advice | Missing


class Account:
    """The bill of the month of `at_ns`: metered use by item, fees by line, and what backfills fetched for it.

    `usages` are rows of md.usage.v1, each key once, in any order, of that month and of others; `events` the newest
    event of each request for a backfill.
    """

    def __init__(self, usages: Iterable[Usage], events: Iterable[BackfillEvent], at_ns: int) -> None:
        self.at_ns = at_ns
        self.today = date.fromisoformat(day_of(at_ns))
        month, first, last = day_of(at_ns)[:7], day_of(at_ns, -_LOOK_BACK_DAYS), day_of(at_ns)
        self.usages = sorted(
            (usage for usage in usages if first <= usage.day <= last or usage.day.startswith(month)),
            key=lambda usage: usage.key,
        )
        """The rows of the last two months."""
        self.rows = [usage for usage in self.usages if usage.day.startswith(month)]
        self.fees: Mapping[tuple[str, Line], int] = fees(self.rows, month)
        self.paid = sorted(
            (
                event
                for event in events
                if event.type in _PAID
                and event.back_end == "historical"
                and event.cost_micro_usd
                and day_of(event.request.requested_at).startswith(month)
            ),
            key=lambda event: (event.request.requested_at, event.key),
        )
        """What backfills of this month fetched of history for money, in the order in which it was asked for.

        A request is of the month that asked for it: its newest event may be its proof, a day or more after it was paid.
        """
        self.days: dict[Item, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        """Metered micro-dollars by item and day."""
        self.needed: dict[str, set[str]] = defaultdict(set)
        """Schemas by source that advice relies on, so that no smaller plan may lack them."""
        for usage in self.rows:
            if usage.line == "metered":
                for name, use in usage.schemas.items():
                    self.days[Item(usage.source, name)][usage.day] += use.cost_micro_usd or 0
        self.left = {item: sum(days.values()) for item, days in sorted(self.days.items())}
        """Micro-dollars of the month so far that nothing was saved of yet, by item."""

    def save(self, item: Item, micro_usd: int) -> int:
        """Take an amount of the month so far off an item, at most what is left; return what that saves by its end."""
        if item not in self.left:
            return 0
        before = self._projected(item.source)
        self.left[item] -= min(micro_usd, self.left[item])
        return before - self._projected(item.source)

    def _projected(self, source: str) -> int:
        return by_months_end(sum(left for item, left in self.left.items() if item.source == source), self.today)


def item_of(event: BackfillEvent) -> Item:
    """Return the item of the bill that a backfill's history is under."""
    request = event.request
    return Item(request.source, f"{request.dataset}/{_SCHEMA_OF[request.kind]}")


def counted(number: int, noun: str) -> str:
    """Return a number and what it counts."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
