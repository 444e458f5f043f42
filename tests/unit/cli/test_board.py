"""The table of pressure: newest row per symbol and window, and nothing that looks like a number where there is none."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from tapeline_cli.board import Board


def row(**values: Any) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        "symbol": "NQZ6",
        "window_ms": 1_000,
        "window_start": "1795446000000000000",
        "weighted_mid": 25_000_250_000_000,
        "spread_time_weighted": 250_000_000,
        "order_flow_imbalance": 12,
        "queue_imbalance_time_weighted": 0.5,
        "buy_volume": 3,
        "sell_volume": 1,
        "cumulative_volume_delta": -7,
        "book_valid": True,
        "reasons": [],
    }
    return defaults | values


def shown(board: Board) -> str:
    console = Console(width=160, force_terminal=False)
    with console.capture() as captured:
        console.print(board.table("pressure"))
    return captured.get()


def test_shows_values_in_points_and_contracts() -> None:
    board = Board()
    board.update("saved", "s", row())
    text = shown(board)
    for value in ("NQZ6", "1 s", "15:00:01.0", "25,000.25", "0.25", "+12", "+0.50", "-7", "valid"):
        assert value in text


def test_a_newer_window_and_a_revision_replace_an_older_one_does_not() -> None:
    board = Board()
    board.update("saved", "s", row(order_flow_imbalance=1))
    board.update("saved", "s", row(order_flow_imbalance=2))
    board.update("saved", "s", row(order_flow_imbalance=3, window_start="1795445999000000000"))
    text = shown(board)
    assert "+2" in text
    assert "+1" not in text
    assert "+3" not in text


def test_what_is_not_defined_is_no_number_and_the_reason_is_given() -> None:
    board = Board()
    undefined = dict.fromkeys(("order_flow_imbalance", "weighted_mid", "queue_imbalance_time_weighted"))
    board.update("saved", "s", row(**undefined, book_valid=False, reasons=["gap", "one_sided"]))
    text = shown(board)
    assert "–" in text
    assert "gap one_sided" in text
    assert "25,000" not in text


def test_many_symbols_are_counted_instead_of_shown() -> None:
    board = Board()
    for number in range(100):
        board.update("saved", "s", row(symbol=f"S{number:03}"))
    text = shown(board)
    assert "S059" in text
    assert "S060" not in text
    assert "40 more lines" in text
