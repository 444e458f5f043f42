"""Quality events of md.quality.v1: what the rules of `tapeline.quality` found about a stream."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Literal, cast

from tapeline.errors import BadData
from tapeline.model.columns import INT64_MAX, INT64_MIN
from tapeline.model.documents import Document, dump, integer, nanoseconds, object_of, one_of, text, texts

SCHEMA: Final = "quality.v1"
TOPIC: Final = "md.quality.v1"

ExpectedFrom = Literal["definitions"]
QUALITY_TYPES: Final = ("contract_completeness",)
EXPECTED_FROM: Final[tuple[ExpectedFrom, ...]] = ("definitions",)

MOST_NAMED: Final = 100
"""Most symbols or ids that one event names; the counts are of all."""

_ID_MAX: Final = 2**32 - 1
_COUNTS: Final = ("expected", "quoted", "missing", "unlisted", "user_defined")


@dataclass(frozen=True, slots=True)
class ContractCompleteness:
    """Which of the contracts that should quote have done so, for one stream on one trading day.

    Times are ns since the epoch. Quotes count from `since` on, which is later than the day's begin where the producer
    was started during it. `expected` are the contracts that the exchange lists at `at`; each is `quoted` or `missing`.
    `unlisted` ids have quoted without a definition. `user_defined` are the spreads that members have defined; they
    are on the tape, and nothing is expected of them. `final` marks the last event of a trading day.
    """

    source: str
    stream: str
    trading_day: str
    since: int
    at: int
    final: bool
    expected: int
    quoted: int
    missing: int
    missing_symbols: tuple[str, ...]
    unlisted: int
    unlisted_ids: tuple[int, ...]
    user_defined: int
    expected_from: ExpectedFrom = "definitions"

    @property
    def key(self) -> str:
        """The message's key."""
        return self.stream


def encode_quality(event: ContractCompleteness) -> bytes:
    """Return the event as JSON bytes. Raises BadData where it breaks a rule of the schema."""
    _check(event)
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "type": "contract_completeness",
        "source": event.source,
        "stream": event.stream,
        "trading_day": event.trading_day,
        "since": str(event.since),
        "at": str(event.at),
        "final": event.final,
        "expected": event.expected,
        "expected_from": event.expected_from,
        "quoted": event.quoted,
        "missing": event.missing,
        "missing_symbols": event.missing_symbols,
        "unlisted": event.unlisted,
        "unlisted_ids": event.unlisted_ids,
        "user_defined": event.user_defined,
    }
    return dump(document)


def decode_quality(value: bytes) -> ContractCompleteness:
    """Return the event in `value`. Raises BadData that names the field and the rule it breaks."""
    document = object_of(value, SCHEMA)
    one_of(document, "type", QUALITY_TYPES)
    final = document.get("final")
    if not isinstance(final, bool):
        raise BadData("final", "must be true or false")
    event = ContractCompleteness(
        source=text(document, "source"),
        stream=text(document, "stream"),
        trading_day=text(document, "trading_day"),
        since=nanoseconds(document, "since"),
        at=nanoseconds(document, "at"),
        final=final,
        missing_symbols=texts(document, "missing_symbols"),
        unlisted_ids=_ids(document, "unlisted_ids"),
        expected_from=cast(ExpectedFrom, one_of(document, "expected_from", EXPECTED_FROM)),
        **{name: integer(document, name, 0, INT64_MAX) for name in _COUNTS},
    )
    _check(event)
    return event


def _ids(document: Document, name: str) -> tuple[int, ...]:
    values = document.get(name)
    if not isinstance(values, list) or not all(type(value) is int for value in values):
        raise BadData(name, "must be a list of integers")
    return tuple(values)


def _check(event: ContractCompleteness) -> None:
    for name in ("source", "stream"):
        if not getattr(event, name):
            raise BadData(name, "must not be empty")
    try:
        valid_day = date.fromisoformat(event.trading_day).isoformat() == event.trading_day
    except ValueError:
        valid_day = False
    if not valid_day:
        raise BadData("trading_day", f"must be a date as YYYY-MM-DD, is {event.trading_day!r}")
    for name in ("since", "at"):
        if not INT64_MIN <= getattr(event, name) <= INT64_MAX:
            raise BadData(name, "must fit 64 bits")
    if event.since > event.at:
        raise BadData("since", "must not be past at")
    for name in _COUNTS:
        if not 0 <= getattr(event, name) <= INT64_MAX:
            raise BadData(name, f"must be within [0, {INT64_MAX}]")
    if event.quoted + event.missing != event.expected:
        raise BadData("expected", "must be the sum of quoted and missing")
    if not all(event.missing_symbols):
        raise BadData("missing_symbols", "must not hold an empty symbol")
    if any(not 0 <= instrument_id <= _ID_MAX for instrument_id in event.unlisted_ids):
        raise BadData("unlisted_ids", f"must be within [0, {_ID_MAX}]")
    for name, count in (("missing_symbols", event.missing), ("unlisted_ids", event.unlisted)):
        if len(getattr(event, name)) != min(count, MOST_NAMED):
            raise BadData(name, f"must name all, at most {MOST_NAMED}")
    if event.expected_from not in EXPECTED_FROM:
        raise BadData("expected_from", f"must be one of {', '.join(EXPECTED_FROM)}")
