"""Where events end, across records, instruments and frames."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from tests.unit.orderflow.builders import LAST, MS, T0, mbo_frame
from tests.unit.orderflow.reading import always, closed, rows_of, value

BOOK = [(T0 - 9, "R", "N", None, 0, 0, 40), (T0 - 9, "A", "B", 100, 1, 1, 40), (T0 - 8, "A", "A", 200, 1, 2, 168)]
FIRST = (T0, "N", "N", None, 0, 0, LAST)


def add(ts: int, price: int, size: int, order_id: int, flags: int = LAST, symbol: int = 0) -> tuple[Any, ...]:
    return ts, "A", "B", price, size, order_id, flags, 0, symbol


def test_a_change_of_time_ends_an_event() -> None:
    """Two events: up 10, then up 20. One event would only see the end."""
    rows = closed(always(), [mbo_frame([*BOOK, FIRST, add(T0 + 1, 110, 10, 3, 0), add(T0 + 2, 120, 20, 4, 0)])])
    assert value(rows[0], "order_flow_imbalance", "added_bid") == (30, 30)
    rows = closed(always(), [mbo_frame([*BOOK, FIRST, add(T0 + 1, 110, 10, 3, 0), add(T0 + 1, 120, 20, 4, 0)])])
    assert value(rows[0], "order_flow_imbalance", "added_bid") == (20, 30)


def test_the_last_flag_ends_an_event_within_one_time() -> None:
    rows = closed(always(), [mbo_frame([*BOOK, FIRST, add(T0 + 1, 110, 10, 3), add(T0 + 1, 120, 20, 4)])])
    assert rows[0]["order_flow_imbalance"] == 30


def test_a_change_of_the_snapshot_flag_ends_an_event() -> None:
    """Without a last flag the snapshot ends at the first live record, which only sets the previous top."""
    snapshot = [(ts, action, side, price, size, number, 40) for ts, action, side, price, size, number, _ in BOOK]
    rows = closed(always(), [mbo_frame([*snapshot, add(T0 + 1, 110, 10, 3), add(T0 + 2, 120, 20, 4)])])
    assert value(rows[0], "order_flow_imbalance", "added_bid", "book_valid") == (20, 30, True)


def test_a_snapshot_is_one_event_and_replaces_the_book() -> None:
    again = [(T0 - 60 + i, "A", "B", 50 + i, 5, 10 + i, 40) for i in range(3)]
    records = [*BOOK, FIRST, (T0 - 60, "R", "N", None, 0, 0, 40), *again, (T0 - 1, "A", "A", 60, 5, 20, 168)]
    records += [add(T0 + 1, 53, 1, 30), add(T0 + 2, 53, 1, 31)]
    (row,) = closed(always(), [mbo_frame(records)])
    assert value(row, "order_flow_imbalance", "added_bid", "cancelled_bid", "book_valid") == (1, 2, 0, True)
    assert row["weighted_mid"] == 53 + round(7 * 2 / 7)


def test_events_of_instruments_interleave() -> None:
    symbols = ("ESH4", "ESM4")
    both = [(*record, 0, symbol) for symbol in (0, 1) for record in [*BOOK, FIRST]]
    records = [
        add(T0 + 1, 110, 10, 3, 0),
        add(T0 + 1, 110, 50, 3, 0, 1),
        (T0 + 1, "M", "B", 120, 20, 3, LAST, 0, 0),
        (T0 + 1, "C", "B", 110, 50, 3, 0, 0, 1),
        (T0 + 1, "N", "N", None, 0, 0, LAST, 0, 1),
    ]
    rows = closed(always(), [mbo_frame([*both, *records], symbols=symbols)])
    assert [value(row, "symbol", "order_flow_imbalance", "added_bid", "cancelled_bid") for row in rows] == [
        ("ESH4", 20, 20, 0),
        ("ESM4", 0, 0, 0),
    ]


def test_an_event_goes_on_in_the_next_frame() -> None:
    first = mbo_frame([*BOOK, FIRST, add(T0 + 1, 110, 10, 3, 0)], continues=True)
    second = mbo_frame([(T0 + 1, "C", "B", 110, 10, 3, 0), add(T0 + 1, 120, 20, 4, 0)], frame=1, continues=True)
    third = mbo_frame([(T0 + 1, "N", "N", None, 0, 0, LAST), add(T0 + 2, 130, 5, 5)], frame=2)
    (row,) = closed(always(), [first, second, third])
    assert value(row, "order_flow_imbalance", "added_bid", "cancelled_bid") == (25, 25, 0)


def test_other_actions_do_not_touch_the_book() -> None:
    records = [*BOOK, FIRST]
    records += [(T0 + 1, action, "B", 150, 3, 7, LAST) for action in "TFN"]
    (row,) = closed(always(), [mbo_frame(records)])
    assert value(row, "order_flow_imbalance", "added_bid", "buy_volume") == (0, 0, 3)
    assert row["weighted_mid"] == 150


def test_undefined_values_do_no_harm() -> None:
    records = [
        *BOOK,
        FIRST,
        (T0 + 1, "A", "B", None, 3, 7, LAST),
        (T0 + 2, "A", "B", 120, None, 8, LAST),
        (T0 + 3, "T", "B", 120, None, 8, LAST),
        (T0 + 4, "A", "N", 120, 4, 9, LAST),
        (T0 + 5, "C", "B", None, None, 1, LAST),
    ]
    (row,) = closed(always(), [mbo_frame(records)])
    assert value(row, "added_bid", "cancelled_bid", "buy_volume", "reasons") == (0, 1, 0, ["one_sided"])


def test_an_undefined_time_is_the_time_of_receipt() -> None:
    frame = mbo_frame([*BOOK, FIRST, add(T0 + 20 * MS, 110, 1, 3)])
    undefined = {**frame.undefined, "ts_event": np.array([len(frame) - 1])}
    frame = replace(frame, undefined=undefined)
    frame.columns["ts_event"][-1] = 0
    rows = rows_of(always(), [frame, mbo_frame([add(T0 + 300 * MS, 111, 1, 4)], frame=1)])
    assert [row["added_bid"] for row in rows] == [1]


def test_an_event_is_out_of_scope_with_its_class() -> None:
    symbols = ("ESH4", "ESH4-ESM4", "ESM4 P5250", "NQH4")
    records = [(T0 + number, "T", "B", 100, 1, 0, LAST, 0, number) for number in range(4)]
    rows = closed(always(), [mbo_frame(records, symbols=symbols, classes="FSP?")])
    assert [row["symbol"] for row in rows] == ["ESH4", "NQH4"]


def test_records_out_of_scope_tell_the_time() -> None:
    symbols = ("ESM4 P5250", "ESH4")
    before = mbo_frame([(T0 + 400 * MS, "T", "B", 100, 1, 0, LAST)], symbols=symbols, classes="PF")
    within = mbo_frame([(T0, "T", "B", 100, 1, 0, LAST, 0, 1)], symbols=symbols, classes="PF", frame=1)
    rows = closed(always(), [before, within], None)
    assert [(row["window_ms"], row["late_count"]) for row in rows] == [(1_000, 0), (10_000, 0), (60_000, 0)]
