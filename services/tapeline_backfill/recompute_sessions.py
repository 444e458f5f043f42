"""Recomputes once more after sessions: only then is it known for good what was traded since their beginning."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Final

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.log import Log
from tapeline.errors import BadData, Misconfigured, Retryable, TopicMismatch
from tapeline.feed.calendar import calendar_of
from tapeline.model.backfill import EVENTS_TOPIC, BackfillEvent, BackfillRequest
from tapeline.ops.logs import get_logger

log = get_logger("backfill.recompute")

Recompute = Callable[[BackfillRequest], Awaitable[int]]

GRACE_NS: Final = 120_000_000_000
"""So long after a session's end its last ticks, and the clocks that follow them, are on the tape."""
KEPT_NS: Final = 7 * 86_400_000_000_000
"""For so long ticks are kept; of an older session nothing can be recomputed."""
_LOOK_EVERY_S: Final = 60.0
_TIMEOUT_S: Final = 5.0
"""It is tried again and again, and a service that stops waits for it."""


def close_of(request: BackfillRequest) -> int:
    """Return when (ns since the epoch) the last session of a request's window is over. Raises BadData, as its calendar.

    Pure.
    """
    return calendar_of(request.dataset).day_end(request.window.ts_event_until - 1)


def to_correct(events: Iterable[BackfillEvent]) -> dict[str, BackfillRequest]:
    """Return, by id, the requests that were recomputed before their session was over, in the order of the log.

    Their delta could not be corrected then. Events in the order of the log. Pure.
    """
    recomputed = {event.key: event for event in events if event.revised_rows is not None}
    found = {}
    for event in recomputed.values():
        try:
            if event.at < close_of(event.request) + GRACE_NS:
                found[event.key] = event.request
        except BadData as error:
            log.warning("not corrected", request=event.key, reason=str(error))
    return found


class SessionCorrections:
    """Looks at what was recomputed, and does so again when its session is over.

    A restart does it once more for sessions of the last days; that publishes nothing new.
    """

    def __init__(self, bootstrap: str, recompute: Recompute, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._bootstrap = bootstrap
        self._recompute = recompute
        self._now_ns = now_ns
        self._awaited: dict[str, BackfillRequest] = {}
        """Those whose session was not over when they were recomputed: what is told of them later may hide that."""
        self._done: set[str] = set()

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            try:
                await self.look()
            except (Retryable, TopicMismatch) as error:
                log.warning("sessions not corrected", reason=str(error))
            await asyncio.sleep(_LOOK_EVERY_S)

    async def look(self) -> None:
        """Recompute what is due now. Raises Retryable, TopicMismatch."""
        self._awaited |= await asyncio.to_thread(self._recomputed_in_session)
        for name in self._done & self._awaited.keys():
            del self._awaited[name]
        now_ns = self._now_ns()
        for name, request in list(self._awaited.items()):
            since_ns = now_ns - close_of(request)
            if since_ns < GRACE_NS:
                continue
            try:
                if since_ns < KEPT_NS:
                    await self._recompute(request)
            except TopicMismatch:
                raise
            except (BadData, Misconfigured) as error:
                log.warning("not corrected", request=name, reason=str(error))
            self._done.add(name)

    def _recomputed_in_session(self) -> dict[str, BackfillRequest]:
        topic = namespaced(EVENTS_TOPIC)
        with Log(self._bootstrap, "tapeline-recompute", timeout_s=_TIMEOUT_S) as reader:
            reader.partitions(topic)
            return to_correct(_decoded(message.value() for message in reader.read(topic, 0, *reader.bounds(topic, 0))))


def _decoded(values: Iterable[bytes | None]) -> Iterator[BackfillEvent]:
    for value in values:
        try:
            yield BackfillEvent.decode(value or b"")
        except BadData:
            continue
