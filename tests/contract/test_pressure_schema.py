"""schemas/pressure.v1.json describes the rows that the processor really sends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import pytest
from jsonschema import Draft202012Validator
from tests.unit.model.esh4 import frames_of, records

from tapeline.orderflow.layout import METRICS, REASON_NAMES
from tapeline.orderflow.partition import PartitionState
from tapeline.orderflow.sessions import Sessions

SCHEMA: Final = orjson.loads((Path(__file__).parents[2] / "schemas" / "pressure.v1.json").read_bytes())
VALIDATOR: Final = Draft202012Validator(SCHEMA)
ROW: Final = SCHEMA["properties"]["rows"]["items"]
HOUR_NS: Final = 3_600_000_000_000
OPEN_NS: Final = 1_703_545_200_000_000_000  # 2023-12-25T23:00:00Z


@pytest.fixture(scope="module")
def messages(real_data: Path) -> list[dict[str, Any]]:
    """The row messages of the real file's first 32,000 records."""
    day = Sessions(np.array([OPEN_NS]), np.array([OPEN_NS + 23 * HOUR_NS]), np.array([20231226], dtype=np.int32))
    state = PartitionState(day)
    return [
        orjson.loads(message.value)
        for frame in frames_of(records(real_data)[:32_000], 1_000)
        for message in state.apply(frame)
    ]


def test_the_schema_is_a_schema_and_names_every_metric_and_reason() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    metrics = [name for name, _ in METRICS]
    assert ROW["required"] == list(ROW["properties"])
    assert [name for name in ROW["required"] if name in metrics] == metrics
    assert ROW["properties"]["reasons"]["items"]["enum"] == list(REASON_NAMES)
    for name, ratio in METRICS:
        assert ROW["properties"][name]["type"] == [("number" if ratio else "integer"), "null"], name


def test_rows_of_real_flow_are_accepted(messages: list[dict[str, Any]]) -> None:
    assert sum(len(message["rows"]) for message in messages) > 100
    for message in messages:
        VALIDATOR.validate({**message, "rows": message["rows"][:20]})
        assert all(list(row) == ROW["required"] for row in message["rows"])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda row: row.pop("order_flow_imbalance"),
        lambda row: row.update(window_start=1),
        lambda row: row.update(queue_imbalance=1.5),
        lambda row: row.update(buy_volume=0.5),
        lambda row: row.update(reasons=["mood"]),
        lambda row: row.update(revision=0),
        lambda row: row.update(extra=1),
    ],
)
def test_spoiled_rows_are_refused(messages: list[dict[str, Any]], spoil: Callable[[dict[str, Any]], Any]) -> None:
    row = dict(messages[0]["rows"][0])
    spoil(row)
    assert not VALIDATOR.is_valid({**messages[0], "rows": [row]})
