"""Code, JSON Schemas and golden files say the same: what one accepts or rejects, the others do too."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator
from tests.unit.model.chain_quality_strategies import chain_qualities
from tests.unit.model.instrument_strategies import instruments, quality_events
from tests.unit.model.strategies import cursors, feed_events, frames, same, usages
from tests.unit.model.tick_quality_strategies import tick_reports

from tapeline.errors import BadData
from tapeline.model.chain_codec import decode_chain, encode_chain
from tapeline.model.chain_quality import CHAIN_CHECK, ChainQuality, decode_chain_quality, encode_chain_quality
from tapeline.model.chains import Chain
from tapeline.model.codec import decode, encode
from tapeline.model.columns import COLUMNS, MARK_KINDS
from tapeline.model.cursors import Cursor, decode_cursor, encode_cursor
from tapeline.model.events import FeedEvent, decode_event, encode_event
from tapeline.model.frames import TickFrame
from tapeline.model.instrument_codec import decode_instrument, encode_instrument
from tapeline.model.instruments import Instrument
from tapeline.model.quality import ContractCompleteness, decode_quality, encode_quality
from tapeline.model.tick_quality import TICK_QUALITY, TickReport, decode_tick_report, encode_tick_report
from tapeline.model.usage import LINES, Usage, decode_usage, encode_usage

SCHEMAS: Final = Path(__file__).parents[2] / "schemas"
ELSEWHERE: Final = ("pressure", "option-flow", "backfill-", "coverage", "incident")
"""Schemas with tests of their own: rows, which are written byte by byte, and the documents of control."""
GOLDEN: Final = sorted(path for path in (SCHEMAS / "golden").glob("*.json") if not path.name.startswith(ELSEWHERE))
Document = dict[str, Any]


def validator(schema: str) -> Draft202012Validator:
    document = orjson.loads((SCHEMAS / f"{schema}.json").read_bytes())
    Draft202012Validator.check_schema(document)
    return Draft202012Validator(document)


FRAME: Final = validator("tick-frame.v1")
CURSOR: Final = validator("cursor.v1")
EVENT: Final = validator("feed-event.v1")
USAGE: Final = validator("usage.v1")
INSTRUMENT: Final = validator("instrument.v1")
QUALITY: Final = validator("quality.v1")
CHAIN: Final = validator("option-chain.v1")
DECODERS: Final[dict[str, tuple[Draft202012Validator, Callable[[bytes], Any]]]] = {
    "tick-frame.v1": (FRAME, decode),
    "cursor.v1": (CURSOR, decode_cursor),
    "feed-event.v1": (EVENT, decode_event),
    "usage.v1": (USAGE, decode_usage),
    "instrument.v1": (INSTRUMENT, decode_instrument),
    "quality.v1": (QUALITY, decode_quality),
    "option-chain.v1": (CHAIN, decode_chain),
}
DECODERS_OF_TYPES: Final = {
    ("quality.v1", CHAIN_CHECK): (QUALITY, decode_chain_quality),
    ("quality.v1", TICK_QUALITY): (QUALITY, decode_tick_report),
}
"""Where a schema is a choice by type, of all types but the one in DECODERS."""
ENCODERS: Final[dict[type, Callable[[Any], bytes]]] = {
    TickFrame: encode,
    Cursor: encode_cursor,
    FeedEvent: encode_event,
    Usage: encode_usage,
    Instrument: encode_instrument,
    ContractCompleteness: encode_quality,
    ChainQuality: encode_chain_quality,
    TickReport: encode_tick_report,
    Chain: encode_chain,
}


@settings(deadline=None)
@given(frame=frames)
def test_every_encoded_frame_is_accepted_and_comes_back(frame: TickFrame) -> None:
    value = encode(frame)
    FRAME.validate(orjson.loads(value))
    assert same(decode(value), frame)


@settings(deadline=None)
@given(cursor=cursors())
def test_every_encoded_cursor_is_accepted_and_comes_back(cursor: Cursor) -> None:
    value = encode_cursor(cursor)
    CURSOR.validate(orjson.loads(value))
    assert decode_cursor(value) == cursor


@settings(deadline=None)
@given(event=feed_events())
def test_every_encoded_event_is_accepted_and_comes_back(event: FeedEvent) -> None:
    value = encode_event(event)
    EVENT.validate(orjson.loads(value))
    assert decode_event(value) == event


@settings(deadline=None)
@given(usage=usages())
def test_every_encoded_usage_is_accepted_and_comes_back(usage: Usage) -> None:
    value = encode_usage(usage)
    USAGE.validate(orjson.loads(value))
    assert decode_usage(value) == usage


@settings(deadline=None)
@given(instrument=instruments)
def test_every_encoded_instrument_is_accepted_and_comes_back(instrument: Instrument) -> None:
    value = encode_instrument(instrument)
    INSTRUMENT.validate(orjson.loads(value))
    assert decode_instrument(value) == instrument


@settings(deadline=None)
@given(event=quality_events())
def test_every_encoded_quality_event_is_accepted_and_comes_back(event: ContractCompleteness) -> None:
    value = encode_quality(event)
    QUALITY.validate(orjson.loads(value))
    assert decode_quality(value) == event


@settings(deadline=None)
@given(event=chain_qualities)
def test_every_encoded_chain_check_is_accepted_and_comes_back(event: ChainQuality) -> None:
    value = encode_chain_quality(event)
    QUALITY.validate(orjson.loads(value))
    assert decode_chain_quality(value) == event


@settings(deadline=None)
@given(report=tick_reports)
def test_every_encoded_tick_report_is_accepted_and_comes_back(report: TickReport) -> None:
    value = encode_tick_report(report)
    QUALITY.validate(orjson.loads(value))
    assert decode_tick_report(value) == report


def test_there_is_a_golden_file_for_each_line_of_usage() -> None:
    assert {_load(path).get("line") for path in GOLDEN if path.name.startswith("usage")} == set(LINES)


def test_there_is_a_golden_file_for_each_kind_of_each_schema() -> None:
    told = {(document["schema"], document.get("type", document.get("kind"))) for document in map(_load, GOLDEN)}
    assert {kind for schema, kind in told if schema == "tick-frame.v1"} == {*COLUMNS, *MARK_KINDS}
    assert {schema for schema, _ in told} == set(DECODERS)
    types = QUALITY.schema["properties"]["type"]["enum"]
    assert sorted(kind for schema, kind in told if schema == "quality.v1") == sorted(types)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_files_are_accepted_and_encode_to_themselves(path: Path) -> None:
    document = _load(path)
    schema, decoder = _decoding(document)
    schema.validate(document)
    value = decoder(orjson.dumps(document))
    assert orjson.loads(ENCODERS[type(value)](value)) == document


@pytest.mark.parametrize("kind", COLUMNS)
def test_the_schema_declares_the_columns_of_the_code(kind: str) -> None:
    rules = next(
        r["then"]["properties"] for r in FRAME.schema["allOf"] if r["if"]["properties"]["kind"] == {"const": kind}
    )
    columns = rules["columns"]
    declared = {column.name: column for column in COLUMNS[kind]}  # type: ignore[index]
    assert columns["required"] == list(declared)
    assert set(rules["undefined"]["properties"]) == {
        name for name, column in declared.items() if column.can_be_undefined
    }
    for name, column in declared.items():
        said = columns["properties"][name]
        if column.is_text:
            assert said["pattern"] == f"^[{column.letters}]+$"
        else:
            assert (said["items"]["minimum"], said["items"]["maximum"]) == (column.low, column.high)


def _load(path: Path) -> Document:
    document: Document = orjson.loads(path.read_bytes())
    return document


def _decoding(document: Document) -> tuple[Draft202012Validator, Callable[[bytes], Any]]:
    return DECODERS_OF_TYPES.get((document["schema"], document.get("type", "")), DECODERS[document["schema"]])


# -- mutations: every field, taken away or given a wrong value, is named by the decoder and refused by the schema -----

_WRONG: Final = (None, True, -1, 2**63, 1.5, "", "x", "é", [], ["x"], [None], [[1]], {}, {"x": 1})


def _paths(document: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, value in document.items():
        yield (*path, name)
        if isinstance(value, dict):
            yield from _paths(value, (*path, name))


def _mutations() -> Iterator[Any]:
    for file in GOLDEN:
        for path in _paths(_load(file)):
            yield pytest.param(file, path, id="-".join((file.stem, *path)))


@pytest.mark.parametrize(("file", "path"), list(_mutations()))
def test_decoder_and_schema_refuse_the_same_mutations(file: Path, path: tuple[str, ...]) -> None:
    original = _load(file)
    schema, decoder = _decoding(original)
    for document in _mutated(original, path):
        accepted = schema.is_valid(document)
        fault = _fault(decoder, document)
        if accepted:
            # A schema cannot compare two fields; where the decoder can, it names a field that is part of the rule.
            assert fault is None or _is_about(fault, path), (document, fault)
        else:
            assert fault is not None, document
            assert _is_about(fault, path), (document, str(fault))


def _mutated(original: Document, path: tuple[str, ...]) -> Iterator[Document]:
    for wrong in (..., *_WRONG):
        document = copy.deepcopy(original)
        parent = document
        for name in path[:-1]:
            parent = parent[name]
        if wrong is ...:
            del parent[path[-1]]
        else:
            parent[path[-1]] = wrong
        yield document


def _fault(decoder: Callable[[bytes], Any], document: Document) -> BadData | None:
    try:
        value = orjson.dumps(document)
    except orjson.JSONEncodeError:
        value = str(document).replace("'", '"').replace("None", "null").encode()
    try:
        decoder(value)
    except BadData as error:
        return error
    return None


# Fields that a rule ties together: a wrong value of the first may show in the others.
_TIED: Final = {
    "n": ("columns", "n"),
    "kind": ("kind", "frame", "columns", "undefined", "gap", "clock", "n"),
    "type": ("type", "reason", "gap", "kind", "ticks", "queue_fill"),
    "ts_base": ("ts_base", "columns"),
    "symbols": ("symbols", "columns"),
    "instrument_ids": ("instrument_ids", "symbols"),
    "classes": ("classes", "symbols"),
    "columns": ("columns", "n"),
    "next_offset": ("next_offset", "kinds"),
    "line": ("line", "notional", "fee_micro_usd_per_month"),
    "instrument_class": ("instrument_class", "right"),
    "at": ("at", "since"),
    "quoted": ("quoted", "expected"),
    "missing": ("missing", "expected", "missing_symbols"),
    "unlisted": ("unlisted", "unlisted_ids"),
    "underlying": ("underlying", "key"),
    "expiry": ("expiry", "key"),
    "expected": ("expected", "expected_from"),
    "contracts": ("contracts", "received"),
}


def _is_about(fault: BadData, path: tuple[str, ...]) -> bool:
    """Return whether the fault names the mutated field, what is inside it, or what a rule ties it to."""
    name = ".".join(path)
    tied = (name, f"undefined.{path[-1]}") if len(path) > 1 else _TIED.get(name, (name,))
    return any(fault.field == field or fault.field.startswith(f"{field}.") for field in tied)
