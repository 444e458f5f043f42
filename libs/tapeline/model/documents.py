"""Small JSON documents: reading one field at a time, with BadData that names the field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, cast

import orjson

from tapeline.errors import BadData
from tapeline.model.columns import INT64_MAX, INT64_MIN
from tapeline.model.frames import GAP_STATES, GAP_TIMES, Gap, GapState

_DIGITS: Final = re.compile(r"-?[0-9]{1,19}")

Document = Mapping[str, Any]


def dump(document: Document) -> bytes:
    """Return the document as JSON bytes. Raises BadData where it cannot be written as UTF-8 JSON."""
    try:
        return orjson.dumps(document)
    except orjson.JSONEncodeError as error:
        raise BadData("value", f"must be expressible as JSON: {error}") from None


def object_of(value: bytes, schema: str) -> Document:
    """Return the JSON object in `value`. Raises BadData unless it is one and says that it follows `schema`."""
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise BadData("value", f"must be JSON: {error}") from None
    if not isinstance(document, dict):
        raise BadData("value", "must be a JSON object")
    if document.get("schema") != schema:
        raise BadData(
            "schema", f"must be {schema!r}, is {document.get('schema')!r}", "a newer Tapeline may have written it"
        )
    return document


def is_null(document: Document, name: str, path: str = "") -> bool:
    """Return whether a field that may be null is. Raises BadData where it is left out."""
    if name not in document:
        raise BadData(path or name, "must be there, if only as null")
    return document[name] is None


def text(document: Document, name: str, path: str = "") -> str:
    """Return a text that is not empty."""
    value = document.get(name)
    if not isinstance(value, str) or not value:
        raise BadData(path or name, "must be a text that is not empty")
    return value


def texts(document: Document, name: str, path: str = "") -> tuple[str, ...]:
    """Return a list of texts."""
    values = document.get(name)
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise BadData(path or name, "must be a list of texts")
    return tuple(values)


def integer(document: Document, name: str, low: int, high: int, path: str = "") -> int:
    """Return an integer within [low, high]."""
    value = document.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise BadData(path or name, f"must be an integer within [{low}, {high}]")
    return value


def nanoseconds(document: Document, name: str, path: str = "") -> int:
    """Return ns since the epoch, which JSON holds as decimal text since they pass 2^53."""
    return parse_nanoseconds(document.get(name), path or name)


def parse_nanoseconds(value: object, path: str) -> int:
    """Return the ns since the epoch that `value`, found at `path`, holds as decimal text."""
    if not isinstance(value, str) or not _DIGITS.fullmatch(value) or not INT64_MIN <= int(value) <= INT64_MAX:
        raise BadData(path, "must be nanoseconds since the epoch as a decimal text that fits 64 bits")
    return int(value)


def one_of(document: Document, name: str, allowed: tuple[str, ...], path: str = "") -> str:
    """Return a text that is one of `allowed`."""
    value = document.get(name)
    if value not in allowed:
        raise BadData(path or name, f"must be one of {', '.join(allowed)}, is {value!r}")
    return cast(str, value)


def gap_of(document: Document) -> Gap:
    """Return the gap that a gap frame or a feed event carries under `gap`."""
    times = {
        name: None if document.get(name) is None else nanoseconds(document, name, f"gap.{name}") for name in GAP_TIMES
    }
    return Gap(
        id=text(document, "id", "gap.id"),
        state=cast(GapState, one_of(document, "state", GAP_STATES, "gap.state")),
        kinds=texts(document, "kinds", "gap.kinds"),
        symbols=texts(document, "symbols", "gap.symbols"),
        reason=text(document, "reason", "gap.reason"),
        **times,
    )


def gap_document(gap: Gap) -> dict[str, Any]:
    """Return the gap as the object that stands under `gap`."""
    times = {name: None if getattr(gap, name) is None else str(getattr(gap, name)) for name in GAP_TIMES}
    return {
        "id": gap.id,
        "state": gap.state,
        "kinds": gap.kinds,
        "symbols": gap.symbols,
        "reason": gap.reason,
        **times,
    }


def mapping(document: Document, name: str, path: str = "") -> Document:
    """Return an object within the document."""
    value = document.get(name)
    if not isinstance(value, dict):
        raise BadData(path or name, "must be an object")
    return value


def mappings(document: Document, name: str, path: str = "") -> list[Document]:
    """Return a list of objects within the document."""
    value = document.get(name)
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise BadData(path or name, "must be a list of objects")
    return value
