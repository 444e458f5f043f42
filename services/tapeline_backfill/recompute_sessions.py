"""Recomputes once more: when windows have closed that were open the first time, as the processor tells their rows after
that, and when sessions are over, as only then it is known for good what was traded since their beginning.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Final

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.log import Log
from tapeline.errors import BadData, Misconfigured, Retryable, TopicMismatch
from tapeline.feed.calendar import calendar_of
from tapeline.model.backfill import EVENTS_TOPIC, BackfillEvent, BackfillRequest
from tapeline.model.windows import all_closed_ns
from tapeline.ops.logs import get_logger
from tapeline_backfill.recompute import Recomputed
from tapeline_backfill.recompute_backfills import decoded
from tapeline_backfill.work import Recompute

log = get_logger("backfill.recompute")


GRACE_NS: Final = 120_000_000_000
"""So long after a session's end its last ticks, and the clocks that follow them, are on the tape."""
KEPT_NS: Final = 7 * 86_400_000_000_000
"""For so long ticks are kept; of an older session nothing can be recomputed."""
CLOSED_NS: Final = 3_000_000_000
"""So long after the last window could close the processor has told its rows."""
_ABOUT_NS: Final = 60_000_000_000
"""A recompute may have begun so long before it was told of."""
_TURN_S: Final = 2.0
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


def to_settle(events: Iterable[BackfillEvent], now_ns: int) -> dict[str, BackfillRequest]:
    """Return, by id, the requests that were recomputed when windows that they touch may have been open.

    Only those whose ticks are still kept at `now_ns` (ns since the epoch). Pure.
    """
    recomputed = {event.key: event for event in events if event.revised_rows is not None}
    return {
        name: event.request
        for name, event in recomputed.items()
        if event.at < all_closed_ns(event.request.window.ts_event_until) + _ABOUT_NS
        and now_ns - event.request.window.ts_event_until < KEPT_NS
    }


class SessionCorrections:
    """Recomputes once more when windows that were open are closed, and when sessions are over.

    A restart does it once more for sessions of the last days; that publishes nothing new.
    """

    def __init__(self, bootstrap: str, recompute: Recompute, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._bootstrap = bootstrap
        self._recompute = recompute
        self._now_ns = now_ns
        self._awaited: dict[str, BackfillRequest] = {}
        """Those whose session was not over when they were recomputed: what is told of them later may hide that."""
        self._done: set[str] = set()
        self._has_looked = False
        self._next = 0
        """The offset of the first event that has not been read."""
        self._open: dict[str, tuple[BackfillRequest, int]] = {}
        """Those of which windows were still open, and when (ns since the epoch) they are looked at again."""

    async def run(self) -> None:
        """Go on until cancelled."""
        look_s = 0.0
        while True:
            try:
                await self.settle()
                if time.monotonic() >= look_s:
                    look_s = time.monotonic() + _LOOK_EVERY_S
                    await self.look()
            except (Retryable, TopicMismatch) as error:
                log.warning("not recomputed once more", reason=str(error))
            await asyncio.sleep(_TURN_S)

    async def recompute(self, request: BackfillRequest) -> Recomputed:
        """Recompute what a request has touched, and again when the windows that it touched are closed."""
        recomputed = await self._recompute(request)
        self._note(request, recomputed)
        return recomputed

    async def settle(self) -> None:
        """Recompute that of which windows have closed since the last time. Raises Retryable, TopicMismatch."""
        now_ns = self._now_ns()
        for request, due_ns in list(self._open.values()):
            if now_ns < due_ns:
                continue
            try:
                self._note(request, await self._recompute(request))
            except (Retryable, TopicMismatch):
                raise
            except Exception as error:
                _log_given_up(request.id, error)
                self._open.pop(request.id, None)

    def _note(self, request: BackfillRequest, recomputed: Recomputed) -> None:
        until_ns, now_ns = request.window.ts_event_until, self._now_ns()
        # By a venue's clock that goes wrong, or where nothing comes any more, it may take long: ask less and less.
        due_ns = max(all_closed_ns(until_ns) + CLOSED_NS, now_ns + max(0, now_ns - until_ns) // 4)
        if recomputed.has_open:
            self._open[request.id] = request, due_ns
        else:
            self._open.pop(request.id, None)

    async def look(self) -> None:
        """Recompute what is due now. Raises Retryable, TopicMismatch."""
        events = await asyncio.to_thread(self._new_events)
        if not self._has_looked:
            # What this one did before it was begun anew is not known to it.
            found = to_settle(events, self._now_ns())
            self._open = {name: (request, 0) for name, request in found.items()} | self._open
        self._has_looked = True
        self._awaited |= to_correct(events)
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
            except (Retryable, TopicMismatch):
                raise
            except Exception as error:
                _log_given_up(name, error)
            self._done.add(name)
            self._open.pop(name, None)

    def _new_events(self) -> list[BackfillEvent]:
        topic = namespaced(EVENTS_TOPIC)
        with Log(self._bootstrap, "tapeline-recompute", timeout_s=_TIMEOUT_S) as reader:
            reader.partitions(topic)
            first, end = reader.bounds(topic, 0)
            # An end before that is one of a topic that was made anew.
            begin = first if end < self._next else max(first, self._next)
            events = list(decoded(message.value() for message in reader.read(topic, 0, begin, end)))
        self._next = end
        return events


def _log_given_up(name: str, error: Exception) -> None:
    """Say that a request is not corrected; of what nobody has foreseen with its trace, as all others go on."""
    is_foreseen = isinstance(error, BadData | Misconfigured)
    log.warning("not corrected", request=name, reason=str(error) or repr(error), exc_info=not is_foreseen)
