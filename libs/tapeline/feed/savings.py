"""What to do about the bill: advice with what each piece of it saves, and what is missing for more. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tapeline.feed.choice_rules import cheaper_schemas, cheaper_sources, smaller_plans
from tapeline.feed.cost_account import Account, Advice, Choices, Missing
from tapeline.feed.saving_rules import cache_instead, market_hours_only, replay_instead, unpriced
from tapeline.model.backfill import BackfillEvent
from tapeline.model.usage import Usage

# What loses nothing comes first, then what gives something up; plans last, as they must include what others rely on.
_RULES: Final = (
    replay_instead,
    cache_instead,
    market_hours_only,
    cheaper_sources,
    cheaper_schemas,
    smaller_plans,
    unpriced,
)


@dataclass(frozen=True, slots=True)
class Savings:
    """Advice, the largest saving first, and what could not be said for want of figures.

    The savings add up: a month like this one comes to its projection less all of them.
    """

    advice: tuple[Advice, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def total_micro_usd(self) -> int:
        """What all of it saves in a month like this one."""
        return sum(advice.saves_micro_usd for advice in self.advice)


def find_savings(usages: Iterable[Usage], events: Iterable[BackfillEvent], choices: Choices, at_ns: int) -> Savings:
    """Return what would have been saved in the month of `at_ns`, of what is projected for its end.

    `usages` are rows of md.usage.v1, each key once, in any order; those of other months help where bytes and prices are
    compared. `events` are the newest event of each request of md.backfill-events.v1.
    """
    account = Account(usages, events, at_ns)
    findings = [finding for rule in _RULES for finding in rule(account, choices)]
    advice = [finding for finding in findings if isinstance(finding, Advice)]
    return Savings(
        advice=tuple(sorted(advice, key=lambda each: (-each.saves_micro_usd, each.what))),
        missing=tuple(finding.text for finding in findings if isinstance(finding, Missing)),
    )
