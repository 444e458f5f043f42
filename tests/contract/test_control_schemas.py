"""Requests, their events, coverage and incidents: code, JSON Schemas and golden files say the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from jsonschema import Draft202012Validator

from tapeline.errors import BadData
from tapeline.model.backfill import BackfillEvent, BackfillRequest, request_id
from tapeline.model.control import ControlDocument, Interval
from tapeline.model.coverage import Coverage
from tapeline.model.incidents import Incident

SCHEMAS: Final = Path(__file__).parents[2] / "schemas"
DOCUMENTS: Final[dict[str, type[ControlDocument]]] = {
    "backfill-request.v1": BackfillRequest,
    "backfill-event.v1": BackfillEvent,
    "coverage.v1": Coverage,
    "incident.v1": Incident,
}


@pytest.mark.parametrize("schema", DOCUMENTS)
def test_the_schema_is_that_of_the_code(schema: str) -> None:
    document = _load(SCHEMAS / f"{schema}.json")
    Draft202012Validator.check_schema(document)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"{schema}.json"}
    assert document == {**head, **DOCUMENTS[schema].model_json_schema(by_alias=True, mode="serialization")}


@pytest.mark.parametrize("schema", DOCUMENTS)
def test_golden_files_are_accepted_and_encode_to_themselves(schema: str) -> None:
    document = _load(SCHEMAS / "golden" / f"{schema}.json")
    Draft202012Validator(_load(SCHEMAS / f"{schema}.json")).validate(document)
    value = DOCUMENTS[schema].decode(orjson.dumps(document))
    assert orjson.loads(value.encode()) == document


@pytest.mark.parametrize("schema", DOCUMENTS)
def test_a_wrong_field_is_named(schema: str) -> None:
    document = _load(SCHEMAS / "golden" / f"{schema}.json")
    for name in document:
        with pytest.raises(BadData) as told:
            DOCUMENTS[schema].decode(orjson.dumps({**document, name: {"x": []}}))
        assert told.value.field.split(".")[0] == name
        if not isinstance(document[name], bool):
            with pytest.raises(BadData):
                DOCUMENTS[schema].decode(orjson.dumps({**document, name: True}))
    newer = orjson.dumps({**document, "later": 1})
    assert DOCUMENTS[schema].decode(newer) == DOCUMENTS[schema].decode(orjson.dumps(document))


@pytest.mark.parametrize("value", [b"", b"[]", b"\xff", b"{}", b'{"schema": "backfill-request.v9"}'])
def test_what_is_no_such_document_is_told(value: bytes) -> None:
    with pytest.raises(BadData):
        BackfillRequest.decode(value)


def test_a_request_has_the_id_of_what_it_asks_for() -> None:
    golden = BackfillRequest.decode((SCHEMAS / "golden" / "backfill-request.v1.json").read_bytes())
    fields = golden.model_dump()
    for change in ({"window": Interval(ts_event_from=1, ts_event_until=2)}, {"symbols": ("NQH4",)}, {"kind": "trade"}):
        with pytest.raises(ValueError, match="uuid5"):
            BackfillRequest(**{**fields, **change})
    with pytest.raises(ValueError, match="end after it begins"):
        BackfillRequest(**{**fields, "window": Interval(ts_event_from=2, ts_event_until=2)})
    window = Interval(ts_event_from=1, ts_event_until=2)
    ids = [request_id("databento", "D", "D/S", "mbo", symbols, window) for symbols in (("a", "b"), ("b", "a"), ("ab",))]
    assert ids[0] == ids[1] != ids[2]


def _load(path: Path) -> Any:
    return orjson.loads(path.read_bytes())
