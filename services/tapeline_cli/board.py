"""A table of the newest pressure per symbol and window."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from rich.table import Table
from rich.text import Text

Row = Mapping[str, Any]

_PRICE_SCALE: Final = 1e9
_MOST_ROWS: Final = 60
"""Rows of the table; symbols beyond them are counted, not shown."""
_BAR_CELLS: Final = 9


class Board:
    """Keeps the newest row per symbol and window; a revision replaces what it revises."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str, str, int], Row] = {}

    def update(self, source: str, stream: str, row: Row) -> None:
        """Take one row of md.pressure.v1."""
        key = (source, stream, row["symbol"], row["window_ms"])
        known = self._rows.get(key)
        if known is None or int(known["window_start"]) <= int(row["window_start"]):
            self._rows[key] = row

    def table(self, title: str) -> Table:
        """Return the table: one line per symbol and window."""
        table = Table(title=title, expand=False)
        for heading in (
            "symbol",
            "window",
            "at",
            "mid",
            "spread",
            "OFI",
            "queue",
            "pressure",
            "buy",
            "sell",
            "CVD",
            "state",
        ):
            table.add_column(heading, justify="left" if heading in ("symbol", "pressure", "state") else "right")
        keys = sorted(self._rows)
        previous = ""
        for key in keys[:_MOST_ROWS]:
            _, _, symbol, window_ms = key
            row = self._rows[key]
            table.add_row("" if symbol == previous else symbol, *_cells(row, window_ms))
            previous = symbol
        if len(keys) > _MOST_ROWS:
            table.caption = f"{len(keys) - _MOST_ROWS} more lines are not shown; choose with --symbol"
        return table


def _cells(row: Row, window_ms: int) -> list[str | Text]:
    close_ns = int(row["window_start"]) + window_ms * 1_000_000
    return [
        f"{window_ms / 1000:g} s",
        f"{datetime.fromtimestamp(close_ns / 1e9, UTC):%H:%M:%S.%f}"[:-5],
        _number(row["weighted_mid"], "{:,.2f}", _PRICE_SCALE),
        _number(row["spread_time_weighted"], "{:.2f}", _PRICE_SCALE),
        _number(row["order_flow_imbalance"], "{:+,d}"),
        _number(row["queue_imbalance_time_weighted"], "{:+.2f}"),
        _bar(row["queue_imbalance_time_weighted"]),
        _number(row["buy_volume"], "{:,d}"),
        _number(row["sell_volume"], "{:,d}"),
        _number(row["cumulative_volume_delta"], "{:+,d}"),
        Text("valid", "green") if row["book_valid"] else Text(" ".join(row["reasons"]) or "invalid", "yellow"),
    ]


def _number(value: float | None, form: str, scale: float = 0) -> str:
    """Return the value in `form`; what is not defined is shown as such, never as 0."""
    if value is None:
        return "–"
    return form.format(value / scale if scale else value)


def _bar(imbalance: float | None) -> Text:
    """Return a bar from the middle: to the right and green for buying, to the left and red for selling pressure."""
    if imbalance is None:
        return Text(" " * (2 * _BAR_CELLS))
    cells = round(abs(imbalance) * _BAR_CELLS)
    if imbalance < 0:
        return Text(" " * (_BAR_CELLS - cells) + "█" * cells + " " * _BAR_CELLS, "red")
    return Text(" " * _BAR_CELLS + "█" * cells + " " * (_BAR_CELLS - cells), "green")
