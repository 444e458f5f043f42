"""Barchart's names and labels of option series: what each says of weekday, week, month and year. Pure.

The table of names holds for NQ, measured on the vendor's pages of June 2025: ``MC`` + week is Wednesday's, ``MC`` +
(week + 5) Monday's; ``MM`` Tuesday's and Thursday's; ``MQ`` + week Friday's, ``MQ6`` the month's end. Other products'
tables are not known, and the vendor has changed one before: a page's label decides, where there is a page.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from tapeline.errors import BadData
from tapeline.feed.barchart.products import MONTHS, PRODUCTS

Kind = Literal["weekly", "month_end", "quarterly"]

WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")

_NAME: Final = re.compile(rf"([A-Z]{{2,3}}?)(\d{{1,2}})?([{MONTHS}])(\d{{1,2}})", re.ASCII)
_MONTH_NAMES: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH: Final = re.compile(rf"\b({'|'.join(_MONTH_NAMES)})[a-z]*\.?\s*(?:['’](\d\d)|(20\d\d))\b", re.IGNORECASE)
_WEEKDAY: Final = re.compile(r"\b(Mon|Tue|Wed|Thu|Fri)(?:s|nes|rs)?(?:day)?\b", re.IGNORECASE)
_WEEK: Final = re.compile(r"\b(?:Week|Wk)\s*#?\s*(\d)\b", re.IGNORECASE)
_MONTH_END: Final = re.compile(r"\b(?:End[- ]of[- ]Month|Month[- ]End|EOM)\b", re.IGNORECASE)
_FIRST_AND_LATER_DAYS: Final = {"MC": (2, 0), "MM": (1, 3), "MQ": (4, None)}
"""By root: the weekday (0: Monday) of its numbers 1 to 5, and of 6 to 10."""
_MONTH_END_NAME: Final = ("MQ", 6)


@dataclass(frozen=True, slots=True)
class SeriesName:
    """A series' name in its parts: ``MC2M25`` is root MC, number 2, month 6, year "25". A future's has no number."""

    root: str
    number: int | None
    month: int
    year_digits: str

    @property
    def is_quarterly(self) -> bool:
        """Whether it is the name of a future, which stands for the options that expire with it."""
        return self.number is None

    def text(self, year: int) -> str:
        """Return the name with a two-digit year."""
        return f"{self._head}{year % 100:02d}"

    def row_heads(self, year: int) -> frozenset[str]:
        """Return how rows may name the series: they have a one-digit year (``MC2M5|21350C``)."""
        return frozenset((f"{self._head}{year % 10}", self.text(year)))

    @property
    def _head(self) -> str:
        return f"{self.root}{'' if self.number is None else self.number}{MONTHS[self.month - 1]}"


@dataclass(frozen=True, slots=True)
class Told:
    """What a name or a label says; None for what it does not. `weekday`: 0 is Monday; `week`: of its month."""

    kind: Kind | None = None
    weekday: int | None = None
    week: int | None = None
    month: int | None = None
    year: int | None = None

    def words(self) -> str:
        """Return it in words."""
        parts = [
            "" if self.kind is None or self.kind == "weekly" else self.kind.replace("_", " "),
            "" if self.weekday is None else WEEKDAYS[self.weekday],
            "" if self.week is None else f"week {self.week}",
            "" if self.month is None else _MONTH_NAMES[self.month - 1],
            "" if self.year is None else str(self.year),
        ]
        return " ".join(part for part in parts if part) or "nothing"


def parse_name(text: str) -> SeriesName:
    """Return the parts of a series' name. Raises BadData where it is none."""
    form = _NAME.fullmatch(text)
    if form is None or (form[2] is None and form[1] not in PRODUCTS):
        raise BadData("vendor_series", f"must be a series such as MC2M25 or a future such as NQM25, is {text!r}")
    return SeriesName(form[1], None if form[2] is None else int(form[2]), MONTHS.index(form[3]) + 1, form[4])


def year_of(name: SeriesName, at_year: int) -> int:
    """Return the year a name means for data of `at_year`: one digit is that of the nearest year, 4 back to 5 ahead."""
    if len(name.year_digits) > 1:
        return 2000 + int(name.year_digits)
    return at_year - 4 + (int(name.year_digits) - (at_year - 4)) % 10


def told_by_name(name: SeriesName, year: int) -> Told:
    """Return what a name says by the table; without kind and day where the table does not know it."""
    if name.number is None:
        return Told("quarterly", month=name.month, year=year)
    if (name.root, name.number) == _MONTH_END_NAME:
        return Told("month_end", month=name.month, year=year)
    first, later = _FIRST_AND_LATER_DAYS.get(name.root, (None, None))
    weekday = first if name.number <= 5 else later
    if weekday is None or not 1 <= name.number <= 10:
        return Told(month=name.month, year=year)
    return Told("weekly", weekday, (name.number - 1) % 5 + 1, name.month, year)


def told_by_label(label: str) -> Told:
    """Return what a label such as ``Monday Week 3 Options Jun '25`` says."""
    weekday, week, month = _WEEKDAY.search(label), _WEEK.search(label), _MONTH.search(label)
    kind: Kind | None = "month_end" if _MONTH_END.search(label) else "weekly" if weekday or week else None
    return Told(
        kind,
        None if weekday is None else [name[:3] for name in WEEKDAYS].index(weekday[1].title()),
        None if week is None else int(week[1]),
        None if month is None else _MONTH_NAMES.index(month[1].title()) + 1,
        None if month is None else 2000 + int(month[2]) if month[2] else int(month[3]),
    )


def agreed(by_name: Told, by_label: Told, name: str, label: str) -> Told:
    """Return what name and label say together. Raises BadData where they contradict each other."""
    merged = {}
    for part in ("kind", "weekday", "week", "month", "year"):
        one, other = getattr(by_name, part), getattr(by_label, part)
        if one is not None and other is not None and one != other:
            raise BadData(
                "label",
                f"must agree with the name: {name} is {by_name.words()}, {label!r} says {by_label.words()}",
                "the vendor's names may have changed: look at its page",
            )
        merged[part] = one if other is None else other
    return Told(**merged)
