"""What the rules for ticks need of the definitions: which instruments a day has, and how their prices step. Pure."""

from __future__ import annotations

from typing import Final

from tapeline.model.columns import INT64_MAX
from tapeline.model.instruments import Instrument, TickRule

Steps = tuple[int, int, int]
"""The step of prices up to and including a limit, that limit, and the step above it; 0 is not known."""

UNKNOWN_STEPS: Final[Steps] = (0, INT64_MAX, 0)
_DAYS_KEPT: Final = 8


class Definitions:
    """The definitions of the newest days of each dataset. `version` grows with every one that says something new."""

    def __init__(self) -> None:
        self.version = 0
        self._days: dict[str, dict[str, dict[int, Steps]]] = {}

    def define(self, instrument: Instrument) -> None:
        """Take a definition; one that deletes leaves what is known, for ticks of it may still come."""
        days = self._days.setdefault(instrument.dataset, {})
        if instrument.trading_day not in days:
            days[instrument.trading_day] = {}
            for name in sorted(days)[:-_DAYS_KEPT]:
                del days[name]
        day = days.get(instrument.trading_day)
        if day is not None and instrument.update_action != "D":
            steps = steps_of(instrument.tick)
            if day.get(instrument.instrument_id) != steps:
                day[instrument.instrument_id] = steps
                self.version += 1

    def has(self, dataset: str, trading_day: str) -> bool:
        """Say whether anything is defined on a day."""
        return bool(self._days.get(dataset, {}).get(trading_day))

    def of(self, dataset: str, trading_day: str, instrument_id: int) -> Steps | None:
        """Return the steps of an instrument, None where it is not defined on that day."""
        return self._days.get(dataset, {}).get(trading_day, {}).get(instrument_id)


def steps_of(rule: TickRule | None) -> Steps:
    """Return the steps that a tick rule allows; of more than two, those above the first are not known."""
    if rule is None or not rule.steps:
        return UNKNOWN_STEPS
    first, *others = rule.steps
    if not others:
        return first.increment, INT64_MAX, first.increment
    limit = INT64_MAX if first.up_to is None else first.up_to
    return first.increment, limit, others[0].increment if len(others) == 1 else 1
