"""Says, by the last events of requests, which of them have records on a stream's tape and from where on. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tapeline.errors import BadData
from tapeline.model.backfill import BackfillEvent, BackfillRequest
from tapeline_backfill.cursor import Cursor
from tapeline_backfill.requests import FILLED


class Backfills(NamedTuple):
    """Requests of one stream and kind.

    The records of those that are `completed` are all on the tape, of those that are `partial` some. `since` gives, by
    the id of each that has frames, an offset of the backfill topic before which there are none of it.
    """

    completed: list[BackfillRequest]
    partial: list[BackfillRequest]
    since: dict[str, int]


def backfills_of(events: Iterable[BackfillEvent], wanted: BackfillRequest, watermark: int | None) -> Backfills:
    """Return the requests of `wanted`'s stream and kind of which something is on the tape; it itself is completed.

    Those whose window ends by the `watermark` (ns since the epoch) are left out. Events in the order of the log.
    """
    last = {event.key: event for event in events if _is_like(event.request, wanted)}
    completed = {name: event.request for name, event in last.items() if event.type in FILLED} | {wanted.id: wanted}
    since = {name: offset for name, event in last.items() if (offset := _since(event)) is not None}
    partial = {name: last[name].request for name in since if name not in completed}
    return Backfills(
        [request for request in completed.values() if _is_after(request, watermark)],
        [request for request in partial.values() if _is_after(request, watermark)],
        {name: offset for name, offset in since.items() if _is_after(last[name].request, watermark)},
    )


def _since(event: BackfillEvent) -> int | None:
    """Return an offset before which no frame of a request is, also of one that was made again; None: it has none.

    Where the tape has lost some, the request counts from there on, and others may still be there.
    """
    try:
        cursor = Cursor.of(event)
    except BadData:
        return 0
    if not event.published and not cursor.frame:
        return None
    return 0 if cursor.first else cursor.since or 0


def decoded(values: Iterable[bytes | None]) -> Iterator[BackfillEvent]:
    """Yield the events that messages hold; those that hold none are passed over."""
    for value in values:
        try:
            yield BackfillEvent.decode(value or b"")
        except BadData:
            continue


def _is_like(request: BackfillRequest, wanted: BackfillRequest) -> bool:
    of_wanted = wanted.source, wanted.stream, wanted.kind
    return (request.source, request.stream, request.kind) == of_wanted


def _is_after(request: BackfillRequest, watermark: int | None) -> bool:
    return watermark is None or request.window.ts_event_until > watermark
