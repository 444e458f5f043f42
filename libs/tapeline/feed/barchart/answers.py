"""Whether an answer of Barchart's is data at all: not cut off, not a page of HTML, not an error. Pure."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from tapeline.errors import BadData

_TITLE: Final = re.compile(rb"<title[^>]*>\s*(.*?)\s*</title>", re.IGNORECASE | re.DOTALL)
_MOST_WORDS: Final = 200


def answer_object(payload: bytes) -> dict[str, Any]:
    """Return the JSON object of an answer. Raises BadData that says what came instead."""
    if payload.lstrip()[:1] == b"<":
        title = _TITLE.search(payload[:20_000])
        called = f" with the title {_words(title[1].decode(errors='replace'))!r}" if title else ""
        raise BadData("payload", f"must be JSON, is a page of HTML{called}", "the session was not accepted: renew it")
    try:
        document = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise BadData(
            "payload", f"must be whole JSON, {len(payload)} bytes are not: {error}", "it was cut off: ask for it again"
        ) from None
    if not isinstance(document, dict):
        raise BadData("payload", f"must be a JSON object, is {type(document).__name__}")
    if "data" not in document and (told := document.get("error") or document.get("errors") or document.get("message")):
        raise BadData("payload", f"must be data, is an error of the vendor's: {_words(told)}")
    return document


def _words(told: object) -> str:
    if isinstance(told, dict):
        told = told.get("message") or told
    words = " ".join(str(told).split())
    return words if len(words) <= _MOST_WORDS else words[:_MOST_WORDS] + "…"
