"""Tick frames <-> JSON bytes. `encode` never produces what `decode` rejects; what `decode` rejects it names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, Final, cast

import numpy as np
import orjson
import simdjson

from tapeline.errors import BadData
from tapeline.model.columns import COLUMNS, INT64_MAX, INT64_MIN, MARK_KINDS, Column, Kind, TickKind
from tapeline.model.frames import ORIGINS, SCHEMA, Array, Gap, Origin, Resume, TickFrame

MAX_TICKS: Final = 65_536
"""Most ticks that one frame may carry; the framer's own limit is far below."""

_DIGITS: Final = re.compile(r"-?[0-9]{1,19}")
_LETTER_OK: Final = {
    column.letters: np.isin(np.arange(256), list(column.letters.encode("ascii")))
    for columns in COLUMNS.values()
    for column in columns
    if column.is_text
}


def encode(frame: TickFrame) -> bytes:
    """Return the frame as JSON bytes. Raises BadData where the frame breaks a rule of the schema."""
    columns: dict[str, Any] = {}
    undefined: dict[str, Any] = {}
    if frame.kind in COLUMNS:
        _check_columns(frame)
        for column in COLUMNS[cast(TickKind, frame.kind)]:
            values = frame.columns[column.name]
            columns[column.name] = (
                values.tobytes().decode("ascii") if column.is_text else np.ascontiguousarray(values, dtype=column.dtype)
            )
        undefined = {name: np.ascontiguousarray(rows, dtype="<i8") for name, rows in frame.undefined.items() if len(rows)}
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
        "undefined": undefined,
    }
    if frame.gap is not None:
        document["gap"] = _gap_document(frame.gap)
    if frame.gap_id is not None:
        document["gap_id"] = frame.gap_id
    if frame.clock is not None:
        document["clock"] = {kind: str(at) for kind, at in frame.clock.items()}
    _check_header(frame)
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)


class Decoder:
    """Decodes frames; keep one per thread, as the parser's memory is reused from frame to frame."""

    def __init__(self) -> None:
        self._parser = simdjson.Parser()

    def decode(self, value: bytes) -> TickFrame:
        """Return the frame in `value`. Raises BadData that names the field and the rule it breaks."""
        try:
            document = self._parser.parse(value)
        except ValueError as error:
            raise BadData("value", f"must be JSON: {error}") from None
        try:
            if not isinstance(document, simdjson.Object):
                raise BadData("value", "must be a JSON object")
            return _frame(document)
        finally:
            del document


def decode(value: bytes) -> TickFrame:
    """Return the frame in `value`; a `Decoder` of your own is faster for many."""
    return Decoder().decode(value)


def _frame(document: simdjson.Object) -> TickFrame:
    schema = document.get("schema")
    if schema != SCHEMA:
        raise BadData("schema", f"must be {SCHEMA!r}, is {schema!r}", "a newer Tapeline may have written it")
    kind = _one_of(document, "kind", (*COLUMNS, *MARK_KINDS))
    n = _integer(document, "n", 0, MAX_TICKS)
    symbols = _texts(document, "symbols")
    frame = TickFrame(
        source=_text(document, "source"),
        dataset=_text(document, "dataset"),
        publisher_id=_integer(document, "publisher_id", 0, 65_535),
        stream=_text(document, "stream"),
        kind=cast(Kind, kind),
        session=_text(document, "session"),
        epoch=_integer(document, "epoch", 0, INT64_MAX),
        frame=None if document.get("frame") is None else _integer(document, "frame", 0, INT64_MAX),
        origin=cast(Origin, _one_of(document, "origin", ORIGINS)),
        ts_base=_nanoseconds(document, "ts_base"),
        opened=_nanoseconds(document, "opened"),
        sent=_nanoseconds(document, "sent"),
        trading_day=_text(document, "trading_day"),
        symbols=symbols,
        instrument_ids=_integers(document, "instrument_ids"),
        classes=_text(document, "classes", may_be_empty=True),
        continues=_boolean(document, "continues"),
        resumes=_resume(document),
        columns=_columns(document, cast(TickKind, kind), n) if kind in COLUMNS else {},
        undefined=_undefined(document) if kind in COLUMNS else {},
        gap=_gap(document) if kind == "gap" else None,
        gap_id=_text(document, "gap_id") if "gap_id" in document else None,
        clock=_clock(document) if kind == "clock" else None,
    )
    _check_header(frame)
    if kind in COLUMNS:
        _check_columns(frame)
    elif n:
        raise BadData("n", f"must be 0 for a {kind}, is {n}")
    return frame


# -- rules that hold for a frame however it came about --------------------------------------------------------------


def _check_header(frame: TickFrame) -> None:
    is_tick = frame.kind in COLUMNS
    if is_tick == (frame.frame is None):
        raise BadData("frame", "must be a number for ticks and null for gap, clock and claim")
    if frame.frame is not None and not 0 <= frame.frame <= INT64_MAX:
        raise BadData("frame", f"must be within [0, {INT64_MAX}]")
    if not 0 <= frame.epoch <= INT64_MAX:
        raise BadData("epoch", f"must be within [0, {INT64_MAX}]")
    if not 0 <= frame.publisher_id <= 65_535:
        raise BadData("publisher_id", "must be within [0, 65535]")
    for name in ("source", "dataset", "stream", "session"):
        if not getattr(frame, name):
            raise BadData(name, "must not be empty")
    if frame.origin not in ORIGINS:
        raise BadData("origin", f"must be one of {', '.join(ORIGINS)}, is {frame.origin!r}")
    for name in ("ts_base", "opened", "sent"):
        if not INT64_MIN <= getattr(frame, name) <= INT64_MAX:
            raise BadData(name, "must fit 64 bits")
    try:
        valid_day = date.fromisoformat(frame.trading_day).isoformat() == frame.trading_day
    except ValueError:
        valid_day = False
    if not valid_day:
        raise BadData("trading_day", f"must be a date as YYYY-MM-DD, is {frame.trading_day!r}")
    if not len(frame.symbols) == len(frame.instrument_ids) == len(frame.classes):
        raise BadData("symbols", "symbols, instrument_ids and classes must have one length")
    if any(not symbol for symbol in frame.symbols):
        raise BadData("symbols", "must not hold an empty symbol")
    if any(not 0 <= instrument_id < 2**32 for instrument_id in frame.instrument_ids):
        raise BadData("instrument_ids", "must be within [0, 4294967295]")
    if not frame.classes.isascii():
        raise BadData("classes", "must be ASCII letters")
    if frame.resumes is not None and (not frame.resumes.session or not 0 <= frame.resumes.frame <= INT64_MAX):
        raise BadData("resumes", "must name a session and a frame")
    if (frame.kind == "gap") != (frame.gap is not None):
        raise BadData("gap", "must be there for the kind gap, and only there")
    if (frame.kind == "clock") != (frame.clock is not None):
        raise BadData("clock", "must be there for the kind clock, and only there")
    if frame.gap is not None:
        _check_gap(frame.gap)
    if frame.clock is not None:
        for kind, at in frame.clock.items():
            if kind not in COLUMNS or not INT64_MIN <= at <= INT64_MAX:
                raise BadData(f"clock.{kind}", "must map a tick kind to ns since the epoch")
    if not is_tick and frame.columns:
        raise BadData("columns", f"must be empty for the kind {frame.kind}")


def _check_gap(gap: Gap) -> None:
    if not gap.id or not gap.reason:
        raise BadData("gap", "must have an id and a reason")
    if gap.state not in ("open", "bounded"):
        raise BadData("gap.state", f"must be open or bounded, is {gap.state!r}")
    if not gap.kinds or any(kind not in COLUMNS for kind in gap.kinds):
        raise BadData("gap.kinds", "must name at least one tick kind, and only tick kinds")
    if not gap.symbols or not all(gap.symbols):
        raise BadData("gap.symbols", "must name symbols, or be ['*']")
    for name in ("ts_event_from", "ts_event_to", "ts_recv_from", "ts_recv_to"):
        at = getattr(gap, name)
        if at is not None and not INT64_MIN <= at <= INT64_MAX:
            raise BadData(f"gap.{name}", "must fit 64 bits")


def _check_columns(frame: TickFrame) -> None:
    declared = COLUMNS[cast(TickKind, frame.kind)]
    if len(frame.columns) != len(declared):
        extra = set(frame.columns) ^ {column.name for column in declared}
        raise BadData("columns", f"must be those of the kind {frame.kind}; differs in {', '.join(sorted(extra))}")
    n = len(frame.columns.get("ts_event", ()))
    if not 0 < n <= MAX_TICKS:
        raise BadData("n", f"must be within [1, {MAX_TICKS}], is {n}")
    for column in declared:
        if column.name not in frame.columns:
            raise BadData(f"columns.{column.name}", f"is missing in a frame of the kind {frame.kind}")
        _check_column(column, frame.columns[column.name], n)
    if int(frame.columns["symbol"].max()) >= len(frame.symbols):
        raise BadData("columns.symbol", f"must index the {len(frame.symbols)} symbols")
    for name, rows in frame.undefined.items():
        _check_undefined(name, rows, declared, frame.columns, n)
    # Absolute times must fit 64 bits, or they would wrap round in silence.
    for name in ("ts_event", "ts_recv", "ts_ref"):
        if name in frame.columns:
            offsets = frame.columns[name]
            low, high = int(offsets.min()), int(offsets.max())
            if frame.ts_base + low < INT64_MIN or frame.ts_base + high > INT64_MAX:
                raise BadData(f"columns.{name}", "must fit 64 bits when added to ts_base")


def _check_column(column: Column, values: Array, n: int) -> None:
    if values.ndim != 1 or len(values) != n:
        raise BadData(f"columns.{column.name}", f"must hold n = {n} values, holds {values.size}")
    if values.dtype != np.dtype(column.dtype):
        raise BadData(f"columns.{column.name}", f"must have dtype {np.dtype(column.dtype)}, has {values.dtype}")
    if column.is_text:
        if not _LETTER_OK[column.letters][values].all():
            raise BadData(f"columns.{column.name}", f"must hold only the letters {column.letters}")
    elif column.low > INT64_MIN and (int(values.min()) < column.low or int(values.max()) > column.high):
        raise BadData(f"columns.{column.name}", f"must be within [{column.low}, {column.high}]")


def _check_undefined(
    name: str, rows: Array, declared: tuple[Column, ...], columns: Mapping[str, Array], n: int
) -> None:
    if not any(column.name == name and column.can_be_undefined for column in declared):
        raise BadData(f"undefined.{name}", "is not a column that can be undefined")
    if rows.ndim != 1 or (len(rows) and (int(rows[0]) < 0 or int(rows[-1]) >= n or not (np.diff(rows) > 0).all())):
        raise BadData(f"undefined.{name}", "must be increasing row numbers of the frame")
    if columns[name][rows].any():
        raise BadData(f"undefined.{name}", "undefined values must be stored as 0")


# -- reading a document ----------------------------------------------------------------------------------------------


def _text(document: simdjson.Object, name: str, *, may_be_empty: bool = False) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not (value or may_be_empty):
        raise BadData(name, "must be a text" + ("" if may_be_empty else " that is not empty"))
    return value


def _one_of(document: simdjson.Object, name: str, allowed: tuple[str, ...]) -> str:
    value = _text(document, name)
    if value not in allowed:
        raise BadData(name, f"must be one of {', '.join(allowed)}, is {value!r}")
    return value


def _integer(document: simdjson.Object, name: str, low: int, high: int) -> int:
    value = document.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise BadData(name, f"must be an integer within [{low}, {high}]")
    return value


def _boolean(document: simdjson.Object, name: str) -> bool:
    value = document.get(name)
    if not isinstance(value, bool):
        raise BadData(name, "must be true or false")
    return value


def _parse_nanoseconds(name: str, value: object) -> int:
    if not isinstance(value, str) or not _DIGITS.fullmatch(value):
        raise BadData(name, "must be nanoseconds since the epoch as a decimal text")
    return int(value)


def _nanoseconds(document: simdjson.Object, name: str) -> int:
    return _parse_nanoseconds(name, document.get(name))


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


def _object(document: simdjson.Object, name: str) -> simdjson.Object:
    value = document.get(name)
    if not isinstance(value, simdjson.Object):
        raise BadData(name, "must be an object")
    return value


def _columns(document: simdjson.Object, kind: TickKind, n: int) -> dict[str, Array]:
    values = _object(document, "columns")
    out: dict[str, Array] = {}
    for column in COLUMNS[kind]:
        name = f"columns.{column.name}"
        value = values.get(column.name)
        if column.is_text:
            if not isinstance(value, str) or not value.isascii():
                raise BadData(name, "must be a text of one letter per tick")
            out[column.name] = np.frombuffer(value.encode("ascii"), dtype=np.uint8)
        else:
            out[column.name] = _numbers(value, name, unsigned=column.is_unsigned)
        if len(out[column.name]) != n:
            raise BadData(name, f"must hold n = {n} values, holds {len(out[column.name])}")
    if len(values) != len(out):
        unknown = sorted(set(values) - set(out))
        raise BadData("columns", f"must be those of the kind {kind}; unknown: {', '.join(unknown)}")
    return out


def _numbers(value: object, name: str, *, unsigned: bool = False) -> Array:
    if not isinstance(value, simdjson.Array):
        raise BadData(name, "must be a list of integers")
    if not len(value):
        return np.empty(0, dtype="<u8" if unsigned else "<i8")
    try:
        buffer = value.as_buffer(of_type="u" if unsigned else "i")
    except (TypeError, ValueError) as error:
        raise BadData(name, f"must be a list of {'un' if unsigned else ''}signed 64-bit integers: {error}") from None
    return np.frombuffer(buffer, dtype="<u8" if unsigned else "<i8")


def _undefined(document: simdjson.Object) -> dict[str, Array]:
    values = _object(document, "undefined")
    return {name: _numbers(value, f"undefined.{name}") for name, value in values.items()}


def _resume(document: simdjson.Object) -> Resume | None:
    if document.get("resumes") is None:
        return None
    value = _object(document, "resumes")
    return Resume(session=_text(value, "session"), frame=_integer(value, "frame", 0, INT64_MAX))


_GAP_TIMES: Final = ("ts_event_from", "ts_event_to", "ts_recv_from", "ts_recv_to")


def _gap(document: simdjson.Object) -> Gap:
    value = _object(document, "gap")
    times = {
        name: None if value.get(name) is None else _parse_nanoseconds(f"gap.{name}", value.get(name))
        for name in _GAP_TIMES
    }
    state = _one_of(value, "state", ("open", "bounded"))
    return Gap(
        id=_text(value, "id"),
        state="open" if state == "open" else "bounded",
        kinds=_texts(value, "kinds"),
        symbols=_texts(value, "symbols"),
        reason=_text(value, "reason"),
        **times,
    )


def _gap_document(gap: Gap) -> dict[str, Any]:
    times = {name: None if getattr(gap, name) is None else str(getattr(gap, name)) for name in _GAP_TIMES}
    return {
        "id": gap.id,
        "state": gap.state,
        "kinds": gap.kinds,
        "symbols": gap.symbols,
        "reason": gap.reason,
        **times,
    }


def _clock(document: simdjson.Object) -> dict[str, int]:
    value = _object(document, "clock")
    return {kind: _parse_nanoseconds(f"clock.{kind}", at) for kind, at in value.items()}
