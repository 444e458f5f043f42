"""Nothing is bounded: levels, orders, symbols, aggressors of an event, rows of a frame."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.unit.orderflow.builders import LAST, STREAM, T0, S, clock_frame, mbo_frame, trade_frame
from tests.unit.orderflow.reading import always, closed, rows_of, value

from tapeline.orderflow.layout import WIDTHS
from tapeline.orderflow.partition import MESSAGE_BYTES, pack, unpack
from tapeline.orderflow.sessions import Sessions

FRAME = 50_000


def frames_of(records: list[tuple[Any, ...]]) -> list[Any]:
    return [mbo_frame(records[i : i + FRAME], frame=i // FRAME) for i in range(0, len(records), FRAME)]


@pytest.mark.parametrize("order", ["rising", "falling", "random"])
def test_a_hundred_thousand_levels(order: str) -> None:
    levels = 100_000
    prices = list(range(1, levels + 1))
    if order == "falling":
        prices.reverse()
    elif order == "random":
        random.Random(1).shuffle(prices)
    records: list[tuple[Any, ...]] = [(T0, "R", "N", None, 0, 0, LAST)]
    records += [(T0, "A", "B", price, 1 + price % 7, price, LAST) for price in prices]
    records += [(T0, "A", "A", 2 * levels, 3, 10**6, LAST)]
    records += [(T0, "C", "B", price, 9, price, LAST) for price in range(1, levels + 1) if price > 10 and price % 100]
    (row,) = closed(always(), frames_of(records))
    best_five = [levels - 100 * i for i in range(5)]
    size = sum(1 + price % 7 for price in best_five)
    assert row["depth_imbalance_5"] == round((size - 3) / (size + 3), 9)
    assert row["added_bid"] == sum(1 + price % 7 for price in prices)
    assert row["cancelled_bid"] == sum(1 + price % 7 for price in prices if price > 10 and price % 100)


def test_sides_of_many_books_grow_side_by_side() -> None:
    symbols = ("ESH4", "ESM4", "NQH4")
    prices = list(range(1, 3_001))
    random.Random(2).shuffle(prices)
    records: list[tuple[Any, ...]] = [(T0, "R", "N", None, 0, 0, LAST, 0, symbol) for symbol in range(3)]
    for price in prices:
        for symbol in range(3):
            records.append((T0, "A", "B", price, 1 + price % (5 + symbol), price, LAST, 0, symbol))
            records.append((T0, "A", "A", 10_000 - price, 1 + price % (8 + symbol), 10_000 + price, LAST, 0, symbol))
    rows = closed(always(), [mbo_frame(records, symbols=symbols)])
    for symbol, row in enumerate(rows):
        bids = sum(1 + price % (5 + symbol) for price in range(2_996, 3_001))
        asks = sum(1 + price % (8 + symbol) for price in range(2_996, 3_001))
        assert row["depth_imbalance_5"] == round((bids - asks) / (bids + asks), 9)


def test_arrays_are_as_wide_as_the_kernels_are_promised() -> None:
    state = always()
    prices = range(1, 300)
    adds = [(T0, "A", "B", price, 1, price, LAST, 0, price % 9) for price in prices]
    trades = [(T0 + 1, "T", "B", price, 1, price, 0) for price in prices]
    state.apply(mbo_frame([*adds, *trades], symbols=tuple(f"S{number}" for number in range(9))))
    for grown in (state, unpack(pack(state.copy()), Sessions.always())):
        arrays = grown._streams["saved", STREAM].flows["mbo"].arrays
        assert len(arrays.prints) > 16
        widths = {name: array.shape[1] for name, array in arrays._asdict().items() if array.ndim == 2}
        assert widths == {**WIDTHS, "sessions": 5}


def test_a_million_orders() -> None:
    count = 1_000_000
    state = always()
    ids = np.random.default_rng(1).permutation(np.arange(1, count + 1, dtype=np.int64)) * 12_345_678_901
    template = mbo_frame([(T0, "A", "B", 100, 1, 1, LAST)] * FRAME)
    letters = np.zeros(FRAME, dtype=np.uint8)
    rows: list[Any] = []
    for turn, action in enumerate("AMC"):
        for i in range(0, count, FRAME):
            part = ids[i : i + FRAME]
            columns = {
                **template.columns,
                "order_id": part.view(np.uint64),
                "action": letters + np.uint8(ord(action)),
                "price": 100 + part % 50 + turn,
                "size": np.full(FRAME, 1 + turn),
            }
            rows += rows_of(state, [replace(template, frame=(turn * count + i) // FRAME, columns=columns)])
        if action == "M":
            state = unpack(pack(state.copy()), Sessions.always())
    rows += rows_of(state, [clock_frame({"mbo": T0 + S})])
    (row,) = rows
    assert value(row, "modify_unknown_count", "reasons") == (0, ["warming"])
    flow = next(iter(state._streams.values())).flows["mbo"]
    assert not flow.arrays.table.any()
    assert not flow.arrays.symbols[0, 9]  # levels left on the bid side


def test_many_symbols_and_a_message_split_at_its_limit() -> None:
    symbols = [f"SYM{i:05d}" for i in range(2_000)]
    records = [(T0, "B", 100, 1 + i, 0, i) for i in range(len(symbols))]
    state = always()
    assert state.apply(trade_frame(records, symbols=symbols)) == []
    messages = state.apply(clock_frame({"trade": T0 + 100 * S}))
    assert len(messages) > 1
    assert all(MESSAGE_BYTES * 0.99 < len(message.value) <= MESSAGE_BYTES for message in messages[:-1])
    assert sum(message.rows for message in messages) == 4 * len(symbols)
    rows = closed(always(), [trade_frame(records, symbols=symbols)])
    assert [(row["symbol"], row["buy_volume"]) for row in rows] == [(name, 1 + i) for i, name in enumerate(symbols)]


def test_an_event_with_many_aggressors() -> None:
    count = 5_000
    records = [(T0, "T", "B", 100 + turn, 1, 1 + i, 0) for turn in range(2) for i in range(count)]
    rows = closed(always(), [mbo_frame([*records, (T0, "N", "N", None, 0, 0, LAST), *records[:1]])])
    assert value(rows[0], "sweeps_buy", "sweep_volume") == (count, 2 * count)


def test_a_frame_with_more_rows_than_fit_at_once() -> None:
    records = [(T0 + i * S, "B", 100, 1) for i in range(10_000)]
    rows = closed(always(), [trade_frame(records)], 1_000)
    assert [row["window_start"] for row in rows] == [str(T0 + i * S) for i in range(10_000)]


def test_a_very_long_symbol() -> None:
    name = 'A"\\é' * 100
    (row,) = closed(always(), [trade_frame([(T0, "B", 100, 1)], symbols=(name,))])
    assert row["symbol"] == name


def test_extreme_numbers() -> None:
    high, low, size = 2**63 - 2, -(2**63) + 2, 2**32 - 1
    records: list[tuple[Any, ...]] = [(T0, "R", "N", None, 0, 0, LAST)]
    for i, price in enumerate((low, 0, high, 5, low + 1, high - 1)):
        records += [(T0, "A", "B", price, size, 2**64 - 1 - i, LAST)]
    records += [(T0, "C", "B", price, size, 2**64 - 1 - i, LAST) for i, price in enumerate((low, 0, high))]
    (row,) = closed(always(), [mbo_frame(records)])
    assert value(row, "added_bid", "cancelled_bid", "reasons") == (6 * size, 3 * size, ["one_sided"])
