"""Recomputes once more after sessions: only then is it known for good what was traded since their beginning."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.log import Log
from tapeline.errors import BadData, Retryable, TopicMismatch
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


def to_correct(events: Iterable[BackfillEvent], now_ns: int) -> list[BackfillRequest]:
    """Return the requests that were recomputed in a session that is over by now: its delta could not be corrected then.

    Events in the order of the log. Pure.
    """
    recomputed = {event.key: event for event in events if event.revised_rows is not None}
    found = []
    for event in recomputed.values():
        request = event.request
        close = calendar_of(request.dataset).day_end(request.window.ts_event_until - 1)
        if event.at < close + GRACE_NS <= now_ns < close + KEPT_NS:
            found.append(request)
    return found


class SessionCorrections:
    """Looks at what was recomputed, and does so again when its session is over.

    A restart does it once more for sessions of the last days; that publishes nothing new.
    """

    def __init__(self, bootstrap: str, recompute: Recompute, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._bootstrap = bootstrap
        self._recompute = recompute
        self._now_ns = now_ns
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
        events = await asyncio.to_thread(self._events)
        for request in to_correct(events, self._now_ns()):
            if request.id not in self._done:
                await self._recompute(request)
                self._done.add(request.id)

    def _events(self) -> list[BackfillEvent]:
        topic = namespaced(EVENTS_TOPIC)
        events = []
        with Log(self._bootstrap, "tapeline-recompute") as reader:
            for message in reader.read(topic, 0, *reader.bounds(topic, 0)):
                try:
                    events.append(BackfillEvent.decode(message.value() or b""))
                except BadData:
                    continue
        return events
