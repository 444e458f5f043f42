"""Rows are written byte by byte: every number comes back as it was meant."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from tests.unit.orderflow.builders import T0

from tapeline.orderflow.layout import (
    BOOK_IS_INVALID,
    IS_GAP,
    IS_TOUCHED,
    METRICS,
    NULL,
    RATIO_UNIT,
    REASON_NAMES,
    REPORTED_REASONS,
    ROW_REASONS,
    ROW_START,
    ROW_VALUES,
    ROW_WIDTH,
)
from tapeline.orderflow.rows import RowBuffer, RowWriter, message_head

HEAD = message_head("saved", 'GLBX.MDP3/"é"', "mbo")


def written(values: np.ndarray[Any, Any], most_bytes: int = 10**9) -> list[dict[str, Any]]:
    buffer = RowBuffer()
    writer = RowWriter((100, 1_000), buffer)
    writer.add_symbol("ESH4")
    writer.write(values, len(values))
    messages = buffer.take(HEAD, most_bytes)
    documents = [json.loads(value, parse_float=Decimal) for value, _ in messages]
    assert [len(document["rows"]) for document in documents] == [rows for _, rows in messages]
    assert all(document["stream"] == 'GLBX.MDP3/"é"' for document in documents)
    assert buffer.take(HEAD, most_bytes) == []
    return [row for document in documents for row in document["rows"]]


def numbers() -> list[int]:
    rng = random.Random(7)
    edges = [
        0,
        1,
        9,
        10,
        99,
        100,
        999,
        2**31,
        2**63 - 1,
        RATIO_UNIT - 1,
        RATIO_UNIT,
        RATIO_UNIT + 1,
        5 * RATIO_UNIT // 10,
    ]
    powers = [10**i + j for i in range(19) for j in (-1, 0, 1)]
    return [*edges, *powers, *(rng.randrange(10 ** rng.randint(1, 18)) for _ in range(500))]


def test_numbers_and_ratios() -> None:
    values = [sign * number for number in numbers() for sign in (1, -1)] + [NULL]
    rows = np.zeros((len(values), ROW_WIDTH), dtype=np.int64)
    rows[:, ROW_START] = values
    rows[:, ROW_VALUES:] = np.array(values)[:, None]
    for value, row in zip(values, written(rows[:-1]), strict=False):
        assert row["window_start"] == str(value)
        for name, is_ratio in METRICS:
            assert row[name] == (Decimal(value) / RATIO_UNIT if is_ratio else value)
    (row,) = written(rows[-1:])
    assert all(row[name] is None for name, _ in METRICS)


def test_ratios_have_no_zeros_at_their_end() -> None:
    rows = np.zeros((3, ROW_WIDTH), dtype=np.int64)
    rows[:, ROW_VALUES + 1] = 250_000_000, -3 * RATIO_UNIT, 1
    got = [str(row["order_flow_imbalance_normalized"]) for row in written(rows)]
    assert got == ["0.25", "-3", "1E-9"]


def test_reasons_and_validity() -> None:
    rows = np.zeros((REPORTED_REASONS + 1, ROW_WIDTH), dtype=np.int64)
    rows[:, ROW_REASONS] = np.arange(REPORTED_REASONS + 1)
    for bits, row in enumerate(written(rows)):
        assert row["reasons"] == [name for i, name in enumerate(REASON_NAMES) if bits >> i & 1]
        assert (row["book_valid"], row["trade_valid"]) == (not bits & BOOK_IS_INVALID, True)
    rows[:1, ROW_REASONS] = IS_TOUCHED | IS_GAP
    (row,) = written(rows[:1])
    assert (row["book_valid"], row["trade_valid"], row["reasons"]) == (False, False, ["gap"])


@pytest.mark.parametrize("most_bytes", [1, 800, 1_500, 10_000])
def test_messages_are_split_between_rows(most_bytes: int) -> None:
    rows = np.zeros((100, ROW_WIDTH), dtype=np.int64)
    rows[:, ROW_START] = T0 + np.arange(100)
    buffer = RowBuffer()
    writer = RowWriter((100,), buffer)
    writer.add_symbol("ESH4")
    for part in (rows[:30], rows[30:]):
        writer.write(part, len(part))
    messages = buffer.take(HEAD, most_bytes)
    assert [int(row["window_start"]) - T0 for value, _ in messages for row in json.loads(value)["rows"]] == list(
        range(100)
    )
    assert all(len(value) <= most_bytes or rows == 1 for value, rows in messages)
    longest = max(len(value) for value, _ in messages)
    assert longest > most_bytes * 0.9 or len(messages) == 1
