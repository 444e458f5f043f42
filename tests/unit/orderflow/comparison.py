"""Hold the compiled rows against the plain reference, field by field."""

from __future__ import annotations

import json
from collections.abc import Iterable
from fractions import Fraction
from typing import Any, Final

from tapeline.model.frames import TickFrame
from tapeline.orderflow.partition import PartitionState

Row = dict[str, Any]
Key = tuple[str, str, str, str, int, int]

ROUNDED_AT: Final = Fraction(1, 10**9)
"""Rows carry ratios rounded to nine decimals."""

FLOAT_PRECISION: Final = Fraction(1, 10**13)
WHOLE_NUMBER: Final = 0.51
"""How far a price that is rounded to a whole 1e-9 may be from the exact one, as floats."""

IN_PRICE_UNITS: Final = ("weighted_mid", "spread_time_weighted")


def rows_of(state: PartitionState, frame: TickFrame) -> list[Row]:
    """The rows that a frame closes, with what the row message says of them all, and whole numbers as `int`."""
    rows = []
    for message in state.apply(frame):
        document = json.loads(message.value)
        assert document["schema"] == "pressure.v1"
        assert message.rows == len(document["rows"]) > 0
        assert message.key == f"{document['source']}/{document['stream']}"
        for row in document["rows"]:
            assert (row["revision"], row["basis"]) == (1, "live")
            assert isinstance(row["window_start"], str)
            common = {name: document[name] for name in ("source", "stream", "kind")}
            rows.append({**common, **row, "window_start": int(row["window_start"])})
    return rows


def key(row: Row) -> Key:
    return row["source"], row["stream"], row["kind"], row["symbol"], row["window_ms"], row["window_start"]


def differences(expected: Iterable[Row], actual: Iterable[Row]) -> list[str]:
    """What differs, one line per field; rows are paired by their key, whatever their order."""
    wanted, got = sorted(expected, key=key), sorted(actual, key=key)
    if [key(row) for row in wanted] != [key(row) for row in got]:
        missing = [key(row) for row in wanted if key(row) not in {key(other) for other in got}]
        foreign = [key(row) for row in got if key(row) not in {key(other) for other in wanted}]
        return [f"rows: {len(wanted)} expected, {len(got)} given; missing {missing[:5]}; not expected {foreign[:5]}"]
    return [
        f"{key(theirs)} {name}: expected {show(value)}, given {theirs.get(name, 'no such field')!r}"
        for ours, theirs in zip(wanted, got, strict=True)
        for name, value in ours.items()
        if name not in theirs or not (in_price_units if name in IN_PRICE_UNITS else same)(value, theirs[name])
    ]


def same(expected: object, actual: object) -> bool:
    if isinstance(expected, set):
        return isinstance(actual, list) and len(actual) == len(set(actual)) and set(actual) == expected
    if isinstance(expected, Fraction) and isinstance(actual, int | float) and not isinstance(actual, bool):
        return abs(Fraction(actual) - expected) <= ROUNDED_AT + abs(expected) * FLOAT_PRECISION
    return type(expected) is type(actual) and expected == actual


def in_price_units(expected: object, actual: object) -> bool:
    """Prices are whole numbers of 1e-9 in rows as well, rounded; next to a half, floats may round to either side."""
    if isinstance(expected, Fraction):
        return type(actual) is int and abs(actual - expected) <= Fraction(1, 2) + abs(expected) * FLOAT_PRECISION
    return expected is None and actual is None


def show(value: object) -> str:
    return str(float(value)) if isinstance(value, Fraction) else repr(value)
