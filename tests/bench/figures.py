"""What is measured, what it must be, and how it is shown: a table for people, JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final, Literal

import orjson
from rich.console import Console
from rich.table import Table

_WIDTH: Final = 160


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure must be: at least or at most `value`, in `unit`; nothing where there is no `bound`."""

    bound: Literal["≥", "≤"] | None
    value: float
    unit: str

    def met_by(self, value: float) -> bool | None:
        """Say whether a measured value is good enough, None where nothing is asked of it."""
        if self.bound is None:
            return None
        return value >= self.value if self.bound == "≥" else value <= self.value


TARGETS: Final[Mapping[str, Target]] = {
    "end_to_end_ticks_per_s": Target("≥", 1_300_000, "ticks/s"),
    "against_faust_per_message": Target("≥", 100, "×"),
    "against_quixstreams": Target("≥", 20, "×"),
    "against_quixstreams_simple": Target(None, 0, "×"),
    "share_of_raw_limit": Target("≥", 0.6, "1"),
    "databento_records_per_s": Target("≥", 1_000_000, "records/s"),
    "first_tick_after_outage_ms": Target("≤", 1_000, "ms"),
    "kernel_ns_per_tick": Target("≤", 60, "ns"),
    "chain_ms": Target("≤", 10, "ms"),
    "chain_iv_ms": Target("≤", 10, "ms"),
    "chain_assembler_quotes_per_s": Target("≥", 20_000, "quotes/s"),
    "tick_to_row_p99_ms": Target("≤", 20, "ms"),
    "rss_mb": Target("≤", 250, "MB"),
    "rss_growth_mb": Target("≤", 10, "MB"),
    "watchdog_cpu_percent": Target("≤", 5, "%"),
    "watchdog_rss_mb": Target("≤", 150, "MB"),
}


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the result. `against` says what the value was measured on or compared with, with that one's value."""

    name: str
    value: float
    against: str

    def document(self) -> dict[str, object]:
        """Return the figure as it stands in the JSON file."""
        target = TARGETS[self.name]
        return {
            "name": self.name,
            "value": self.value,
            "unit": target.unit,
            "target": None if target.bound is None else target.value,
            "ok": target.met_by(self.value),
            "against": self.against,
        }


def middle(values: Sequence[float], digits: int) -> float:
    """Return the median, rounded."""
    return round(median(values), digits)


def write(figures: Sequence[Figure], path: Path) -> None:
    """Write the figures as a JSON list."""
    path.parent.mkdir(parents=True, exist_ok=True)
    documents = [figure.document() for figure in figures]
    path.write_bytes(orjson.dumps(documents, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def show(figures: Sequence[Figure], notes: Sequence[str]) -> None:
    """Print the figures as a table with footnotes."""
    table = Table("name", "value", "unit", "target", "", "against", title="make bench", title_justify="left")
    for column in (1, 3):
        table.columns[column].justify = "right"
    for column in range(5):
        table.columns[column].no_wrap = True
    for figure in figures:
        target = TARGETS[figure.name]
        verdict = {True: "[green]ok[/]", False: "[red]missed[/]", None: ""}[target.met_by(figure.value)]
        bound = "" if target.bound is None else f"{target.bound} {target.value:,.10g}"
        table.add_row(figure.name, f"{figure.value:,}", target.unit, bound, verdict, figure.against)
    # Where there is no terminal to fit, 80 columns would tear the words apart.
    console = Console() if sys.stdout.isatty() else Console(width=_WIDTH)
    console.print(table)
    for note in notes:
        console.print(f"· {note}", highlight=False)
