"""schemas/golden/pressure.v1.json is what these two events give."""

from __future__ import annotations

import json

from jsonschema import Draft202012Validator
from tests.unit.orderflow.builders import LAST, T0, S, clock_frame, mbo_frame
from tests.unit.orderflow.reading import always

from tapeline.ops.resources import resource

P = 1_000_000_000
SNAPSHOT = 32


def test_the_golden_row_message() -> None:
    rows = [
        (T0 - 5, "R", "N", None, 0, 0, SNAPSHOT),
        (T0 - 5, "A", "B", 4800 * P, 4, 1, SNAPSHOT),
        (T0 - 5, "A", "A", 4800 * P + P // 4, 2, 270, SNAPSHOT),
        (T0 - 5, "A", "A", 4800 * P + P // 2, 12, 982, SNAPSHOT | LAST),
        (T0, "N", "N", None, 0, 0, LAST),
        (T0 + 1_000_000, "T", "B", 4800 * P + P // 4, 2, 521, 0),
        (T0 + 1_000_000, "F", "A", 4800 * P + P // 4, 2, 270, 0),
        (T0 + 1_000_000, "T", "B", 4800 * P + P // 2, 1, 521, 0),
        (T0 + 1_000_000, "F", "A", 4800 * P + P // 2, 1, 982, 0),
        (T0 + 1_000_000, "C", "A", 4800 * P + P // 4, 2, 270, 0),
        (T0 + 1_000_000, "M", "A", 4800 * P + P // 2, 11, 982, LAST),
        (T0 + 120 * S, "N", "N", None, 0, 0, LAST),
    ]
    state = always()
    assert state.apply(mbo_frame(rows[:-1])) == []
    (message,) = state.apply(mbo_frame(rows[-1:], frame=1))
    golden = json.loads(resource("schemas", "golden", "pressure.v1.json").read_bytes())
    assert json.loads(message.value) == golden
    Draft202012Validator(json.loads(resource("schemas", "pressure.v1.json").read_bytes())).validate(golden)
    assert state.apply(clock_frame({"l1": T0 + 300 * S})) == []
