"""Tick frames <-> JSON bytes. `encode` never produces what `decode` rejects; what `decode` rejects it names."""

from __future__ import annotations

import re
from typing import Any, Final, cast

import numpy as np
import orjson
import simdjson

from tapeline.errors import BadData
from tapeline.model.columns import COLUMNS, INT64_MAX, MARK_KINDS, Kind, TickKind
from tapeline.model.documents import gap_document, gap_of, integer, is_null, one_of, parse_nanoseconds, text
from tapeline.model.frames import ORIGINS, SCHEMA, Array, Gap, Origin, Resume, TickFrame
from tapeline.model.rules import MAX_TICKS, check_frame

_SIMDJSON_ERROR: Final = re.compile(r"[A-Z0-9_]+: ")


def encode(frame: TickFrame) -> bytes:
    """Return the frame as JSON bytes. Raises BadData where the frame breaks a rule of the schema."""
    check_frame(frame)
    columns: dict[str, Any] = {}
    for name, values in frame.columns.items():
        columns[name] = str(values.tobytes(), "ascii") if values.dtype == np.uint8 else np.ascontiguousarray(values)
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "source": frame.source,
        "dataset": frame.dataset,
        "publisher_id": frame.publisher_id,
        "stream": frame.stream,
        "kind": frame.kind,
        "session": frame.session,
        "epoch": frame.epoch,
        "frame": frame.frame,
        "origin": frame.origin,
        "n": len(frame),
        "ts_base": str(frame.ts_base),
        "opened": str(frame.opened),
        "sent": str(frame.sent),
        "continues": frame.continues,
        "trading_day": frame.trading_day,
        "symbols": frame.symbols,
        "instrument_ids": frame.instrument_ids,
        "classes": frame.classes,
        "resumes": None if frame.resumes is None else {"session": frame.resumes.session, "frame": frame.resumes.frame},
        "columns": columns,
        "undefined": {name: np.ascontiguousarray(rows) for name, rows in frame.undefined.items() if len(rows)},
    }
    if frame.gap is not None:
        document["gap"] = gap_document(frame.gap)
    if frame.gap_id is not None:
        document["gap_id"] = frame.gap_id
    if frame.clock is not None:
        document["clock"] = {kind: str(at) for kind, at in frame.clock.items()}
    try:
        return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    except orjson.JSONEncodeError as error:
        raise BadData("value", f"must be expressible as JSON: {error}") from None


class Decoder:
    """Decodes frames; keep one per thread, as the parser's memory is reused from frame to frame."""

    def __init__(self) -> None:
        self._parser = simdjson.Parser()

    def decode(self, value: bytes) -> TickFrame:
        """Return the frame in `value`. Raises BadData that names the field and the rule it breaks."""
        document = self._parse(value)
        try:
            return _frame(document)
        except BadData as error:
            fault = BadData(error.field, error.rule, error.remedy)
        finally:
            del document
        # Raised afresh, as the first one's traceback holds the document, which would block the parser while it is kept.
        raise fault

    def _parse(self, value: bytes) -> simdjson.Object:
        try:
            document = self._parser.parse(value)
        except ValueError as error:
            raise BadData("value", f"must be JSON: {error}") from None
        except RuntimeError as error:
            if _SIMDJSON_ERROR.match(str(error)):
                raise BadData("value", f"must be JSON: {error}") from None
            raise
        if not isinstance(document, simdjson.Object):
            raise BadData("value", "must be a JSON object")
        return document


def decode(value: bytes) -> TickFrame:
    """Return the frame in `value`; a `Decoder` of your own is faster for many."""
    return Decoder().decode(value)


def _frame(document: simdjson.Object) -> TickFrame:
    schema = document.get("schema")
    if schema != SCHEMA:
        raise BadData("schema", f"must be {SCHEMA!r}, is {schema!r}", "a newer Tapeline may have written it")
    kind = cast(Kind, one_of(document, "kind", (*COLUMNS, *MARK_KINDS)))
    n = integer(document, "n", 0, MAX_TICKS)
    columns = _object(document, "columns")
    undefined = _object(document, "undefined")
    frame = TickFrame(
        source=text(document, "source"),
        dataset=text(document, "dataset"),
        publisher_id=integer(document, "publisher_id", 0, 65_535),
        stream=text(document, "stream"),
        kind=kind,
        session=text(document, "session"),
        epoch=integer(document, "epoch", 0, INT64_MAX),
        frame=None if is_null(document, "frame") else integer(document, "frame", 0, INT64_MAX),
        origin=cast(Origin, one_of(document, "origin", ORIGINS)),
        ts_base=parse_nanoseconds(document.get("ts_base"), "ts_base"),
        opened=parse_nanoseconds(document.get("opened"), "opened"),
        sent=parse_nanoseconds(document.get("sent"), "sent"),
        trading_day=text(document, "trading_day"),
        symbols=_texts(document, "symbols"),
        instrument_ids=_integers(document, "instrument_ids"),
        classes=_classes(document),
        continues=_boolean(document, "continues"),
        resumes=_resume(document),
        columns=_columns(columns, kind, n) if kind in COLUMNS else {name: np.empty(0) for name in columns},
        undefined={name: _numbers(undefined.get(name), f"undefined.{name}") for name in undefined},
        gap=_gap(document),
        gap_id=text(document, "gap_id") if "gap_id" in document else None,
        clock=_clock(document),
    )
    check_frame(frame)
    if kind in MARK_KINDS and n:
        raise BadData("n", f"must be 0 for the kind {kind}, is {n}")
    return frame


def _columns(values: simdjson.Object, kind: TickKind, n: int) -> dict[str, Array]:
    out: dict[str, Array] = {}
    for column in COLUMNS[kind]:
        name = f"columns.{column.name}"
        value = values.get(column.name)
        if column.is_text:
            if not isinstance(value, str) or not value.isascii():
                raise BadData(name, f"must be a text of the letters {column.letters}")
            out[column.name] = np.frombuffer(value.encode("ascii"), dtype=np.uint8)
        else:
            out[column.name] = _numbers(value, name, column.dtype)
        if len(out[column.name]) != n:
            raise BadData(name, f"must hold n = {n} values, holds {len(out[column.name])}")
    if len(values) != len(out):
        unknown = sorted(set(values) - set(out))
        raise BadData("columns", f"must be those of the kind {kind}; unknown: {', '.join(unknown)}")
    return out


def _numbers(value: object, name: str, dtype: str = "<i8") -> Array:
    sign = "unsigned" if dtype == "<u8" else "signed"
    if not isinstance(value, simdjson.Array):
        raise BadData(name, f"must be a list of {sign} 64-bit integers")
    size = len(value)
    if not size:
        return np.empty(0, dtype=dtype)
    try:
        numbers = np.frombuffer(value.as_buffer(of_type="u" if sign == "unsigned" else "i"), dtype=dtype)
    except (TypeError, ValueError) as error:
        raise BadData(name, f"must be a list of {sign} 64-bit integers: {error}") from None
    # Lists within the list are flattened; this sees all but those of one value each after the first.
    if len(numbers) != size or not isinstance(value[0], int):
        raise BadData(name, "must not hold lists")
    return numbers


def _object(document: simdjson.Object, name: str) -> simdjson.Object:
    value = document.get(name)
    if not isinstance(value, simdjson.Object):
        raise BadData(name, "must be an object")
    return value


def _list(document: simdjson.Object, name: str) -> list[Any]:
    value = document.get(name)
    if not isinstance(value, simdjson.Array):
        raise BadData(name, "must be a list")
    return value.as_list()


def _texts(document: simdjson.Object, name: str) -> tuple[str, ...]:
    values = _list(document, name)
    if not all(isinstance(value, str) for value in values):
        raise BadData(name, "must be a list of texts")
    return tuple(values)


def _integers(document: simdjson.Object, name: str) -> tuple[int, ...]:
    values = _list(document, name)
    if not all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        raise BadData(name, "must be a list of integers")
    return tuple(values)


def _classes(document: simdjson.Object) -> str:
    value = document.get("classes")
    if not isinstance(value, str):
        raise BadData("classes", "must be a text")
    return value


def _boolean(document: simdjson.Object, name: str) -> bool:
    value = document.get(name)
    if not isinstance(value, bool):
        raise BadData(name, "must be true or false")
    return value


def _resume(document: simdjson.Object) -> Resume | None:
    if is_null(document, "resumes"):
        return None
    value = _object(document, "resumes")
    return Resume(text(value, "session", "resumes.session"), integer(value, "frame", 0, INT64_MAX, "resumes.frame"))


def _gap(document: simdjson.Object) -> Gap | None:
    return gap_of(_object(document, "gap").as_dict()) if "gap" in document else None


def _clock(document: simdjson.Object) -> dict[str, int] | None:
    if "clock" not in document:
        return None
    return {kind: parse_nanoseconds(at, f"clock.{kind}") for kind, at in _object(document, "clock").items()}
