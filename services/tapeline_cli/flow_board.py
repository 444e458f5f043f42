"""A table of the newest option flow per expiry, kind and window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from tapeline_cli.fitting import Fitting
from tapeline_cli.ladder import Wanted, chicago

Row = Mapping[str, Any]

_MOST_STRIKES: Final = 2
_HEADINGS: Final = (
    "expiry",
    "kind",
    "window",
    "at",
    "calls\n+/−",
    "puts\n+/−",
    "call\npremium",
    "put\npremium",
    "delta\nflow",
    "vega\nflow",
    "most traded",
    "state",
)
_LEFT: Final = ("expiry", "kind", "most traded", "state")
_SHAPES: Final[tuple[frozenset[str], ...]] = (
    frozenset(),
    frozenset({"most traded"}),
    frozenset({"most traded", "vega\nflow"}),
    frozenset({"most traded", "vega\nflow", "kind"}),
    frozenset({"most traded", "vega\nflow", "kind", "at"}),
    frozenset({"most traded", "vega\nflow", "kind", "at", "state"}),
)
"""Which columns are left out, from the widest screen to the narrowest."""


class FlowBoard:
    """Keeps the newest row per stream, kind, expiry and window; a revision replaces what it revises.

    `most_rows` are shown.
    """

    def __init__(self, wanted: Wanted, most_rows: int = 60) -> None:
        self._wanted = wanted
        self._most_rows = most_rows
        self._rows: dict[tuple[int, str, str, str, str, int], Row] = {}

    def update(self, row: Row) -> None:
        """Take a row of md.option-flow.v1, with the fields of its message."""
        if not self._wanted.covers(row):
            return
        key = (int(row["expiry"]), row["key"], row["source"], row["stream"], row["kind"], row["window_ms"])
        known = self._rows.get(key)
        if known is None or int(known["window_start"]) <= int(row["window_start"]):
            self._rows[key] = row

    def table(self) -> RenderableType:
        """Return the table: one line per expiry, kind and window, the next expiry first."""
        keys = sorted(self._rows)
        rows = [self._rows[key] for key in keys[: self._most_rows]]
        return Fitting(_SHAPES, lambda left_out: _draw(rows, len(keys) - len(rows), left_out))


def _draw(rows: Sequence[Row], more: int, left_out: frozenset[str]) -> Table:
    is_narrowest = left_out == _SHAPES[-1]
    table = Table(title="option flow", expand=False, padding=(0, 0 if is_narrowest else 1))
    shown = [at for at, heading in enumerate(_HEADINGS) if heading not in left_out]
    for heading in (_HEADINGS[at] for at in shown):
        table.add_column(heading, justify="left" if heading in _LEFT else "right", no_wrap=heading == "expiry")
    previous = ""
    for row in rows:
        name = f"{row['underlying']} {chicago(row['expiry']):%d %b %H:%M}"
        cells = ["" if name == previous else name, *_cells(row)]
        table.add_row(*(cells[at] for at in shown))
        previous = name
    if more:
        table.caption = f"{more} more lines are not shown; choose with --expiry"
    return table


def _cells(row: Row) -> list[str | Text]:
    close_ns = int(row["window_start"]) + row["window_ms"] * 1_000_000
    return [
        row["kind"],
        f"{row['window_ms'] / 1000:g} s",
        f"{datetime.fromtimestamp(close_ns / 1e9, UTC):%H:%M:%S}",
        _sides(row, "call"),
        _sides(row, "put"),
        _signed(row["premium_call"], "{:+,.0f} $"),
        _signed(row["premium_put"], "{:+,.0f} $"),
        _signed(row["delta_flow"], "{:+,.1f}") + _missing(row),
        _signed(row["vega_flow"], "{:+,.1f}"),
        _most_traded(row),
        Text("valid", "green") if row["trade_valid"] else Text(" ".join(row["reasons"]) or "invalid", "yellow"),
    ]


def _sides(row: Row, right: str) -> str:
    bought, sold, unsigned = (row[f"{right}_{side}_volume"] for side in ("buy", "sell", "unsigned"))
    if bought is None or sold is None:
        return "–"
    return f"{bought:,}/{sold:,}" + (f" ({unsigned:,}?)" if unsigned else "")


def _missing(row: Row) -> str:
    """Say how many contracts the delta flow is without, for want of a chain."""
    return f" (−{row['delta_missing_volume']:,})" if row["delta_missing_volume"] else ""


def _most_traded(row: Row) -> str:
    volumes = [
        (sum(strike[f"{side}_volume"] or 0 for side in ("buy", "sell", "unsigned")), strike)
        for strike in row["strikes"] or ()
    ]
    volumes.sort(key=lambda each: -each[0])
    named = [f"{strike['right'][0].upper()}{strike['strike']:g} × {volume:,}" for volume, strike in volumes]
    return ", ".join(named[:_MOST_STRIKES])


def _signed(value: float | None, form: str) -> str:
    """Return the value in `form`; what is not defined is shown as such, never as 0."""
    return "–" if value is None else form.format(value)
