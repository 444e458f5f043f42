"""schemas/option-flow.v1.json takes the rows that are sent, and no others."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from jsonschema import Draft202012Validator

from tapeline.orderflow.flow_rows import REASONS, SCHEMA

SCHEMAS: Final = Path(__file__).parents[2] / "schemas"
DOCUMENT: Final = orjson.loads((SCHEMAS / "option-flow.v1.json").read_bytes())
VALIDATOR: Final = Draft202012Validator(DOCUMENT)
GOLDEN: Final = orjson.loads((SCHEMAS / "golden" / "option-flow.v1.json").read_bytes())
ROW: Final = DOCUMENT["properties"]["rows"]["items"]


def test_the_schema_is_a_schema_and_names_every_field_and_reason() -> None:
    Draft202012Validator.check_schema(DOCUMENT)
    assert DOCUMENT["properties"]["schema"]["const"] == SCHEMA
    assert ROW["properties"]["reasons"]["items"]["enum"] == list(REASONS)
    assert ROW["required"] == list(ROW["properties"])
    VALIDATOR.validate(GOLDEN)
    assert all(list(row) == ROW["required"] for row in GOLDEN["rows"])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda row: row.pop("premium_call"),
        lambda row: row.update(window_start=1),
        lambda row: row.update(call_buy_volume=0.5),
        lambda row: row.update(put_sell_volume=-1),
        lambda row: row.update(chain_as_of="now"),
        lambda row: row.update(reasons=["mood"]),
        lambda row: row.update(revision=0),
        lambda row: row.update(extra=1),
        lambda row: row["strikes"][0].update(right="C"),
        lambda row: row["strikes"][0].pop("unsigned_volume"),
    ],
)
def test_spoiled_rows_are_refused(spoil: Callable[[dict[str, Any]], Any]) -> None:
    row = deepcopy(GOLDEN["rows"][0])
    spoil(row)
    assert not VALIDATOR.is_valid({**GOLDEN, "rows": [row]})
