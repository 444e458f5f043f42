"""Feed events of md.feed-events.v1: what a producer says about its connections, gaps and liveness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, cast, get_args

from tapeline.errors import BadData
from tapeline.model.columns import INT64_MAX, INT64_MIN, TICK_KINDS, TickKind
from tapeline.model.documents import (
    Document,
    dump,
    gap_document,
    gap_of,
    integer,
    is_null,
    mapping,
    nanoseconds,
    object_of,
    one_of,
    text,
    texts,
)
from tapeline.model.frames import Gap
from tapeline.model.rules import check_gap

SCHEMA: Final = "feed-event.v1"

EventType = Literal[
    "connected", "disconnected", "stopped", "gap_opened", "gap_closed", "source_changed", "fetch_failed", "heartbeat"
]
EVENT_TYPES: Final[tuple[EventType, ...]] = get_args(EventType)
HeartbeatKind = TickKind | Literal["chain"]
HEARTBEAT_KINDS: Final[tuple[str, ...]] = (*TICK_KINDS, "chain")
_WITH_REASON: Final = ("disconnected", "stopped", "source_changed", "fetch_failed")

_TIMES: Final = ("ts_event", "ts_recv")
_DURATIONS: Final = ("latency_p50_ns", "latency_p99_ns", "ts_in_delta_p50_ns", "ts_in_delta_p99_ns")


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """One event of a stream. Times are ns since the epoch; `at` is the producer's clock.

    `reason` says why for `disconnected` (another session follows), `stopped` (none will), `source_changed` and
    `fetch_failed`; `gap` is there for `gap_opened` and `gap_closed`. `was` and `now` are where a stream of chains came
    from and comes from (``barchart/live``, ``none``); `captures` names the files that show what a failed fetch met.
    The rest belongs to a `heartbeat` of one `kind` and covers the time since the last one: `ticks`, and the percentiles
    of the latency (from `ts_event` until arrival at the producer) and of `ts_in_delta`, None where nothing came.
    `frame`, `ts_event` and `ts_recv` are the newest so far, None before the first. `queue_fill` of the publisher is
    from 0 to 1. A heartbeat of the kind `chain` counts chains, with the newest `as_of` and `fetched_at`.
    """

    type: EventType
    source: str
    stream: str
    session: str
    epoch: int
    at: int
    reason: str = ""
    gap: Gap | None = None
    was: str = ""
    now: str = ""
    captures: tuple[str, ...] = ()
    kind: HeartbeatKind | None = None
    frame: int | None = None
    ticks: int | None = None
    ts_event: int | None = None
    ts_recv: int | None = None
    latency_p50_ns: int | None = None
    latency_p99_ns: int | None = None
    ts_in_delta_p50_ns: int | None = None
    ts_in_delta_p99_ns: int | None = None
    queue_fill: float | None = None

    @property
    def key(self) -> str:
        """The message's key."""
        return f"{self.source}/{self.stream}"


def encode_event(event: FeedEvent) -> bytes:
    """Return the event as JSON bytes, with the fields of its type. Raises BadData where it breaks a rule."""
    _check(event)
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "type": event.type,
        "source": event.source,
        "stream": event.stream,
        "session": event.session,
        "epoch": event.epoch,
        "at": str(event.at),
    }
    if event.type in _WITH_REASON:
        document["reason"] = event.reason
    if event.gap is not None:
        document["gap"] = gap_document(event.gap)
    if event.type == "source_changed":
        document |= {"was": event.was, "now": event.now}
    if event.type == "fetch_failed":
        document["captures"] = event.captures
    if event.type == "heartbeat":
        document |= {"kind": event.kind, "frame": event.frame, "ticks": event.ticks, "queue_fill": event.queue_fill}
        document |= {name: _digits(getattr(event, name)) for name in _TIMES}
        document |= {name: getattr(event, name) for name in _DURATIONS}
    return dump(document)


def decode_event(value: bytes) -> FeedEvent:
    """Return the event in `value`. Raises BadData that names the field and the rule it breaks."""
    document = object_of(value, SCHEMA)
    kind = cast(EventType, one_of(document, "type", EVENT_TYPES))
    special: dict[str, Any] = {}
    if kind in _WITH_REASON:
        special = {"reason": text(document, "reason")}
    if kind == "source_changed":
        special |= {"was": text(document, "was"), "now": text(document, "now")}
    elif kind == "fetch_failed":
        special |= {"captures": texts(document, "captures")}
    elif kind in ("gap_opened", "gap_closed"):
        special = {"gap": gap_of(mapping(document, "gap"))}
    elif kind == "heartbeat":
        special = _heartbeat(document)
    event = FeedEvent(
        type=kind,
        source=text(document, "source"),
        stream=text(document, "stream"),
        session=text(document, "session"),
        epoch=integer(document, "epoch", 0, INT64_MAX),
        at=nanoseconds(document, "at"),
        **special,
    )
    _check(event)
    return event


def _heartbeat(document: Document) -> dict[str, Any]:
    fill = document.get("queue_fill")
    if not isinstance(fill, int | float) or isinstance(fill, bool):
        raise BadData("queue_fill", "must be a number from 0 to 1")
    fields: dict[str, Any] = {
        "kind": one_of(document, "kind", HEARTBEAT_KINDS),
        "frame": _or_none(document, "frame", 0),
        "ticks": integer(document, "ticks", 0, INT64_MAX),
        "queue_fill": float(fill),
    }
    for name in _TIMES:
        fields[name] = None if is_null(document, name) else nanoseconds(document, name)
    for name in _DURATIONS:
        fields[name] = _or_none(document, name, INT64_MIN)
    return fields


def _or_none(document: Document, name: str, low: int) -> int | None:
    return None if is_null(document, name) else integer(document, name, low, INT64_MAX)


def _digits(at: int | None) -> str | None:
    return None if at is None else str(at)


def _check(event: FeedEvent) -> None:
    for name in ("source", "stream", "session"):
        if not getattr(event, name):
            raise BadData(name, "must not be empty")
    if event.type not in EVENT_TYPES:
        raise BadData("type", f"must be one of {', '.join(EVENT_TYPES)}, is {event.type!r}")
    if not 0 <= event.epoch <= INT64_MAX:
        raise BadData("epoch", f"must be within [0, {INT64_MAX}]")
    for name in ("at", *_TIMES, *_DURATIONS):
        value = getattr(event, name)
        if value is not None and not INT64_MIN <= value <= INT64_MAX:
            raise BadData(name, "must fit 64 bits")
    if (event.type in _WITH_REASON) != bool(event.reason):
        raise BadData("reason", f"must be there for {', '.join(_WITH_REASON)}, and only there")
    for name in ("was", "now"):
        if (event.type == "source_changed") != bool(getattr(event, name)):
            raise BadData(name, "must be there for source_changed, and only there")
    if event.captures and event.type != "fetch_failed":
        raise BadData("captures", "must be there for fetch_failed, and only there")
    if not all(event.captures):
        raise BadData("captures", "must not hold an empty name")
    if (event.type in ("gap_opened", "gap_closed")) != (event.gap is not None):
        raise BadData("gap", "must be there for gap_opened and gap_closed, and only there")
    if event.gap is not None:
        check_gap(event.gap)
    if event.type == "heartbeat":
        _check_heartbeat(event)


def _check_heartbeat(event: FeedEvent) -> None:
    if event.kind not in HEARTBEAT_KINDS:
        raise BadData("kind", "must be a tick kind or chain for a heartbeat")
    if event.frame is not None and not 0 <= event.frame <= INT64_MAX:
        raise BadData("frame", f"must be within [0, {INT64_MAX}]")
    if event.ticks is None or not 0 <= event.ticks <= INT64_MAX:
        raise BadData("ticks", f"must be within [0, {INT64_MAX}]")
    if event.queue_fill is None or not 0.0 <= event.queue_fill <= 1.0:
        raise BadData("queue_fill", "must be a number from 0 to 1")
