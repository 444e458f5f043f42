"""The event ids of a stream's end on the tape, so that what a vendor sends again is published once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final, NamedTuple

from tapeline.bus.log import Log
from tapeline.bus.tail import TailState, frames_of, ticks_topic
from tapeline.model.columns import TickKind
from tapeline.model.cursors import Span
from tapeline.model.frames import Resume
from tapeline.model.ids import Rows, TapeIds

_NEAR_OFFSETS: Final = 1_000
"""Spans that lie closer together than this are read as one."""


async def read_ids(bootstrap: str, tail: TailState, starts: Mapping[TickKind, int]) -> dict[TickKind, TapeIds]:
    """Return, per kind of `starts`, the ids of its ticks on the tape whose `ts_event` is at its start (ns) or after it.

    Only frames that count are looked at: the last one of the tail, and what it continues. Raises BrokerUnavailable.
    """
    return await asyncio.to_thread(_read_ids, bootstrap, tail, dict(starts))


class _Part(NamedTuple):
    session: str
    frame: int
    resumes: Resume | None
    rows: Rows


def _read_ids(bootstrap: str, tail: TailState, starts: dict[TickKind, int]) -> dict[TickKind, TapeIds]:
    parts: dict[TickKind, list[_Part]] = {kind: [] for kind in starts}
    topic = ticks_topic(tail.source)
    with Log(bootstrap, "tapeline-overlap") as log:
        first, _ = log.bounds(topic, tail.partition)
        for begin, end in _joined([tail.overlaps[kind] for kind in starts]):
            for _, frame in frames_of(log, topic, tail.partition, tail.stream, max(first, begin), end):
                if frame.kind in parts and frame.frame is not None:
                    rows = Rows.of_frame(frame)
                    recent = rows.only(frame.ts_event() >= starts[frame.kind])
                    parts[frame.kind].append(_Part(frame.session, frame.frame, frame.resumes, recent))
    found: dict[TickKind, TapeIds] = {}
    for kind, of_kind in parts.items():
        ids = found[kind] = TapeIds()
        last = tail.kinds[kind]
        for part in _counting(of_kind, Resume(last.session, last.frame)):
            ids.add(part.rows)
    return found


def _joined(spans: list[Span]) -> list[Span]:
    """Return the spans in order, those that overlap or nearly touch as one. Pure."""
    joined: list[Span] = []
    for span in sorted(spans):
        if joined and span.begin <= joined[-1].end + _NEAR_OFFSETS:
            joined[-1] = Span(joined[-1].begin, max(joined[-1].end, span.end))
        else:
            joined.append(span)
    return joined


def _counting(parts: list[_Part], last: Resume) -> list[_Part]:
    """Return the frames up to `last` that its session wrote or continues, without what a fenced producer added. Pure.

    A session that was taken over from ends, for those who come after it, at the frame that they resumed from.
    """
    counting: list[_Part] = []
    upto: Resume | None = last
    while upto is not None:
        of_session = {part.frame: part for part in parts if part.session == upto.session and part.frame <= upto.frame}
        counting += of_session.values()
        before = of_session.get(0)
        upto = None if before is None else before.resumes
    return counting
