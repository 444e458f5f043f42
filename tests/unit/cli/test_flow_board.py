"""The table of option flow: what it shows of a row, and which rows it keeps."""

from __future__ import annotations

import copy
import io
from pathlib import Path
from typing import Any, Final

import orjson
from rich.console import Console

from tapeline_cli.flow_board import FlowBoard
from tapeline_cli.ladder import Wanted, parse_expiry

MESSAGE: Final = orjson.loads((Path(__file__).parents[3] / "schemas" / "golden" / "option-flow.v1.json").read_bytes())
ROW: Final = {name: held for name, held in MESSAGE.items() if name != "rows"} | MESSAGE["rows"][0]


def cells(*rows: dict[str, Any], wanted: Wanted = Wanted()) -> list[list[str]]:  # noqa: B008 (it is frozen)
    board = FlowBoard(wanted)
    for row in rows:
        board.update(row)
    console = Console(width=240, file=io.StringIO())
    console.print(board.table())
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]


def changed(**fields: Any) -> dict[str, Any]:
    return copy.deepcopy(ROW) | fields


def test_a_row_says_what_was_bought_and_sold_and_what_the_sums_are_without() -> None:
    assert cells(ROW) == [
        [
            *("NQZ6 26 Nov 15:00", "trade", "1 s", "15:00:01", "2/0 (1?)", "4/3", "+4,820 $", "+1,560 $"),
            *("+2.5 (−4)", "-3.5", "P25000 × 7, C25000 × 2", "valid"),
        ]
    ]


def test_what_is_not_defined_is_not_zero() -> None:
    sides = {f"{right}_{side}_volume": None for right in ("call", "put") for side in ("buy", "sell", "unsigned")}
    nulls = dict.fromkeys(("premium_call", "premium_put", "delta_flow", "vega_flow", "delta_missing_volume", "strikes"))
    row = cells(changed(**sides, **nulls, trade_valid=False, reasons=["gap"]))[0]
    assert row[4:] == ["–", "–", "–", "–", "–", "–", "", "gap"]


def test_the_newest_row_of_a_window_counts_and_windows_stand_side_by_side() -> None:
    newer = changed(window_start=str(int(ROW["window_start"]) + 10**9), put_buy_volume=9)
    rows = cells(newer, ROW, changed(window_ms=10_000))
    assert [(row[2], row[5]) for row in rows] == [("1 s", "9/3"), ("10 s", "4/3")]
    assert rows[1][0] == ""


def test_a_narrow_screen_shows_fewer_columns_and_cuts_none() -> None:
    board = FlowBoard(Wanted())
    board.update(ROW)
    for width in (120, 100, 80):
        console = Console(width=width, file=io.StringIO())
        console.print(board.table())
        text = console.file.getvalue()  # type: ignore[attr-defined]
        assert "…" not in text
        assert all(said in text for said in ("NQZ6 26 Nov 15:00", "+4,820 $", "+1,560 $", "+2.5 (−4)"))


def test_only_what_is_wanted_is_shown() -> None:
    assert cells(ROW, wanted=Wanted("ES")) == []
    assert cells(ROW, wanted=Wanted("NQ", parse_expiry("2026-11-27"))) == []
    assert len(cells(ROW, wanted=Wanted("NQ", parse_expiry("2026-11-26")))) == 1
