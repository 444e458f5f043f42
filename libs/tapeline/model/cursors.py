"""Cursors of md.cursors.v1: where on the tape a stream's end is to be looked for. The tape itself decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, cast

import numpy as np

from tapeline.errors import BadData, Bug
from tapeline.model.columns import COLUMNS, F_SNAPSHOT, INT64_MAX, INT64_MIN, TICK_KINDS, TickKind
from tapeline.model.documents import (
    Document,
    dump,
    gap_document,
    gap_of,
    integer,
    is_null,
    mapping,
    mappings,
    nanoseconds,
    object_of,
    text,
)
from tapeline.model.frames import Gap, TickFrame
from tapeline.model.rules import check_gap

SCHEMA: Final = "cursor.v1"


@dataclass(frozen=True, slots=True)
class LastFrame:
    """The end of one kind on the tape.

    `frame` counts within `session`. `ts_event` is the largest defined venue time that is not a snapshot's, in ns since
    the epoch, since the kind last began anew; None where there was none.
    """

    session: str
    frame: int
    ts_event: int | None


class Span(NamedTuple):
    """Offsets [begin, end) that hold every event of a kind's last `resume_overlap_s` of venue time."""

    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Cursor:
    """What one producer of a stream had delivered at some moment.

    `next_offset` is the offset after the last delivered frame in `partition` of the source's ticks topic. `overlaps`
    has the span of each kind of `kinds`; `gaps` are those that are open.
    """

    source: str
    stream: str
    epoch: int
    session: str
    partition: int
    next_offset: int
    kinds: Mapping[TickKind, LastFrame]
    overlaps: Mapping[TickKind, Span]
    gaps: tuple[Gap, ...] = ()

    @property
    def key(self) -> str:
        """The message's key: one cursor is kept per source, stream and epoch."""
        return f"{self.source}/{self.stream}/{self.epoch}"


def encode_cursor(cursor: Cursor) -> bytes:
    """Return the cursor as JSON bytes. Raises BadData where it breaks a rule of the schema."""
    _check(cursor)
    kinds = {
        kind: {
            "session": last.session,
            "frame": last.frame,
            "ts_event": None if last.ts_event is None else str(last.ts_event),
            "overlap": list(cursor.overlaps[kind]),
        }
        for kind, last in cursor.kinds.items()
    }
    return dump(
        {
            "schema": SCHEMA,
            "source": cursor.source,
            "stream": cursor.stream,
            "epoch": cursor.epoch,
            "session": cursor.session,
            "partition": cursor.partition,
            "next_offset": cursor.next_offset,
            "kinds": kinds,
            "gaps": [gap_document(gap) for gap in cursor.gaps],
        }
    )


def decode_cursor(value: bytes) -> Cursor:
    """Return the cursor in `value`. Raises BadData that names the field and the rule it breaks."""
    document = object_of(value, SCHEMA)
    kinds = mapping(document, "kinds")
    for kind in kinds:
        if kind not in COLUMNS:
            raise BadData("kinds", f"must name tick kinds, names {kind!r}")
    cursor = Cursor(
        source=text(document, "source"),
        stream=text(document, "stream"),
        epoch=integer(document, "epoch", 0, INT64_MAX),
        session=text(document, "session"),
        partition=integer(document, "partition", 0, 2**31 - 1),
        next_offset=integer(document, "next_offset", 0, INT64_MAX),
        kinds={cast(TickKind, kind): _last_frame(kind, mapping(kinds, kind, f"kinds.{kind}")) for kind in kinds},
        overlaps={cast(TickKind, kind): _span(kind, mapping(kinds, kind, f"kinds.{kind}")) for kind in kinds},
        gaps=tuple(gap_of(gap) for gap in mappings(document, "gaps")),
    )
    _check(cursor)
    return cursor


def last_ts_event(frame: TickFrame) -> int | None:
    """Return the largest defined `ts_event` of the frame's ticks that are no snapshot, ns; None where there is none."""
    counts = None
    if "flags" in frame.columns:
        snapshot = frame.columns["flags"] & F_SNAPSHOT
        if snapshot.any():
            counts = snapshot == 0
    undefined = frame.undefined.get("ts_event")
    if undefined is not None and len(undefined):
        counts = np.ones(len(frame), dtype=bool) if counts is None else counts
        counts[undefined] = False
    offsets = frame.columns["ts_event"] if counts is None else frame.columns["ts_event"][counts]
    return frame.ts_base + int(offsets.max()) if len(offsets) else None


def last_frame(previous: LastFrame | None, frame: TickFrame) -> LastFrame:
    """Return the end of a kind after one more tick frame of it; `previous` is the end before, None at the beginning."""
    if frame.frame is None:
        raise Bug(f"a {frame.kind} is not the end of a kind")
    times = [last_ts_event(frame)]
    if previous is not None and not begins_anew(previous, frame):
        times.append(previous.ts_event)
    return LastFrame(frame.session, frame.frame, max((at for at in times if at is not None), default=None))


def begins_anew(previous: LastFrame, frame: TickFrame) -> bool:
    """Return whether a tick frame starts a session that continues nothing, so that what was before is settled."""
    return frame.session != previous.session and frame.resumes is None


def _last_frame(kind: str, document: Mapping[str, Any]) -> LastFrame:
    name = f"kinds.{kind}"
    at = (
        None
        if is_null(document, "ts_event", f"{name}.ts_event")
        else nanoseconds(document, "ts_event", f"{name}.ts_event")
    )
    return LastFrame(
        session=text(document, "session", f"{name}.session"),
        frame=integer(document, "frame", 0, INT64_MAX, f"{name}.frame"),
        ts_event=at,
    )


def _span(kind: str, document: Document) -> Span:
    name = f"kinds.{kind}.overlap"
    value = document.get("overlap")
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        raise BadData(name, "must be two offsets")
    offsets = {"begin": value[0], "end": value[1]}
    return Span(integer(offsets, "begin", 0, INT64_MAX, name), integer(offsets, "end", 0, INT64_MAX, name))


def _check(cursor: Cursor) -> None:
    for name in ("source", "stream", "session"):
        if not getattr(cursor, name):
            raise BadData(name, "must not be empty")
    for name in ("epoch", "partition", "next_offset"):
        if not 0 <= getattr(cursor, name) <= INT64_MAX:
            raise BadData(name, f"must be within [0, {INT64_MAX}]")
    if set(cursor.overlaps) != set(cursor.kinds):
        raise BadData("kinds", "must each have an overlap")
    for gap in cursor.gaps:
        check_gap(gap)
        if gap.state != "open":
            raise BadData("gaps", "must be open")
    for kind, last in cursor.kinds.items():
        if kind not in TICK_KINDS:
            raise BadData("kinds", f"must name tick kinds, names {kind!r}")
        if not last.session:
            raise BadData(f"kinds.{kind}.session", "must not be empty")
        if not 0 <= last.frame <= INT64_MAX:
            raise BadData(f"kinds.{kind}.frame", f"must be within [0, {INT64_MAX}]")
        begin, end = cursor.overlaps[kind]
        if not 0 <= begin <= end <= cursor.next_offset:
            raise BadData(f"kinds.{kind}.overlap", "must begin before it ends, and end by next_offset")
        if last.ts_event is not None and not INT64_MIN <= last.ts_event <= INT64_MAX:
            raise BadData(f"kinds.{kind}.ts_event", "must fit 64 bits")
