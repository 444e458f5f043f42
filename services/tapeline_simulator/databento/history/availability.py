"""Which times of a dataset are history: not before its first day, not after now, and not the last 24 hours. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from tapeline_simulator.databento.history.refusals import Refusal, times_not_ascending
from tapeline_simulator.databento.history.times import begin_of, day_after_last, day_of, days, format_time, say_time

EMBARGO_NS: Final = 86_400_000_000_000
"""What is younger is live data: a usage plan gets it by replay, not from history."""

FIRST_DAY: Final = date(2010, 6, 6)
"""Where the real history of GLBX.MDP3 begins."""

_DATASETS: Final = "https://databento.com/docs/api-reference-historical/basics/datasets"
_PRICING: Final = "https://databento.com/pricing#cme"


@dataclass(frozen=True, slots=True)
class Availability:
    """What may be asked of `dataset` at the moment `now_ns`; `embargo_ns` is 0 for an account with a live licence."""

    dataset: str
    now_ns: int
    embargo_ns: int
    first_day: date

    @property
    def start_ns(self) -> int:
        """First ns of the dataset."""
        return begin_of(self.first_day)

    @property
    def end_ns(self) -> int:
        """The first ns that this account may not ask for."""
        return self.now_ns - self.embargo_ns

    def check(self, start_ns: int, end_ns: int) -> None:
        """Raise the Refusal that the real API answers unless the whole of [start_ns, end_ns) may be asked for."""
        if start_ns >= end_ns:
            raise times_not_ascending(start_ns, end_ns)
        start, now = say_time(start_ns), say_time(self.now_ns)
        if start_ns < self.start_ns:
            message = (
                f"`start` in query ('{start}') was before the available start of dataset {self.dataset} "
                f"('{say_time(self.start_ns)}'). Try requesting with a later `start`."
            )
            raise self._refusal("data_start_before_available_start", message, start_ns, end_ns, self.now_ns)
        if start_ns >= self.now_ns:
            message = (
                f"`start` in query ('{start}') was after the available end of dataset {self.dataset} ('{now}'). "
                "Try requesting with an earlier `start`."
            )
            raise self._refusal("data_start_after_available_end", message, start_ns, end_ns, self.now_ns)
        if end_ns > self.now_ns:
            message = (
                f"The dataset {self.dataset} has data available up to '{now}'. The `end` in the query "
                f"('{say_time(end_ns)}') is after the available range. Try requesting with an earlier `end`."
            )
            raise self._refusal("data_end_after_available_end", message, start_ns, end_ns, self.now_ns)
        if end_ns > self.end_ns:
            raise self.too_young(start_ns, end_ns)

    def too_young(self, start_ns: int, end_ns: int) -> Refusal:
        """Return the refusal of a range that reaches into the embargo."""
        message = (
            f"Part or all of your request for dataset '{self.dataset}' requires a subscription and/or license to "
            f"access. Try again with an end time before {format_time(self.end_ns)}."
        )
        return self._refusal("dataset_unavailable_range", message, start_ns, end_ns, self.end_ns, _PRICING)

    def _refusal(
        self, case: str, message: str, start_ns: int, end_ns: int, available_end_ns: int, docs: str = _DATASETS
    ) -> Refusal:
        payload = {
            "dataset": self.dataset,
            "start": format_time(start_ns),
            "end": format_time(end_ns),
            "available_start": format_time(self.start_ns),
            "available_end": format_time(available_end_ns),
        }
        return Refusal(422, case, message, docs, payload)

    def dataset_range(self, schemas: tuple[str, ...]) -> dict[str, Any]:
        """Return the answer of `metadata.get_dataset_range`; its ends are exclusive."""
        bounds = {"start": format_time(self.start_ns), "end": format_time(self.end_ns)}
        return bounds | {"schema": {schema: dict(bounds) for schema in schemas}}

    def conditions(self, first: date | None, last: date | None, known: Mapping[date, str]) -> list[dict[str, Any]]:
        """Return the answer of `metadata.get_dataset_condition` for the days `first` to `last`, both inclusive.

        A day that is not history yet to its end is ``pending``; `known` names the condition of the days that are not
        simply ``available``.
        """
        end = day_after_last(self.end_ns)
        first = max(first or self.first_day, self.first_day)
        return [
            {
                "date": day.isoformat(),
                "condition": condition,
                "last_modified_date": None if condition in ("pending", "missing") else day.isoformat(),
            }
            for day in days(first, end)
            if last is None or day <= last
            for condition in (known.get(day, "pending" if day >= day_of(self.end_ns) else "available"),)
        ]
