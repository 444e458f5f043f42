"""What was asked for, what became of it, and which requests this worker has to turn to now. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from tapeline.errors import BadData
from tapeline.model.backfill import BackfillEvent, BackfillRequest, EventType
from tapeline.model.usage import day_of
from tapeline_backfill.cursor import Cursor
from tapeline_backfill.rivals import are_rivals, is_filling

GIVEN_UP: Final[frozenset[EventType]] = frozenset({"rejected", "dead_lettered", "cancelled"})
"""After these a request may be made again."""

FILLED: Final[frozenset[EventType]] = frozenset({"completed", "proven", "recomputed"})


@dataclass(slots=True)
class Known:
    """What is known of one request. Times with `_s` are by this worker's steady clock."""

    request: BackfillRequest
    is_cancelled: bool = False
    event: BackfillEvent | None = None
    heard_s: float = 0.0
    """When its last event was heard, or this worker had to leave it to another."""
    is_left: bool = False
    """Whether another worker has taken it from this one."""


class Requests:
    """All requests, by what the log says of them. `recomputes`: what is filled is computed anew as well."""

    def __init__(self, worker: str, takeover_s: float, *, recomputes: bool) -> None:
        self._worker = worker
        self._takeover_s = takeover_s
        self._recomputes = recomputes
        self._known: dict[str, Known] = {}

    def take_command(self, command: BackfillRequest) -> None:
        """Note a command, in the order of the log: the last one holds."""
        known = self._known.setdefault(command.id, Known(command))
        known.is_cancelled = command.command == "cancel"
        if not known.is_cancelled:
            known.request = command

    def take_event(self, event: BackfillEvent, now_s: float) -> None:
        """Note an event, in the order of the log: the last one holds."""
        known = self._known.setdefault(event.key, Known(event.request))
        known.event, known.heard_s = event, now_s
        known.is_left = known.is_left and event.worker != ""

    def leave(self, request_id: str, now_s: float) -> None:
        """Note that another worker has taken a request over from this one."""
        known = self._known[request_id]
        known.is_left, known.heard_s = True, now_s

    def last_event(self, request_id: str) -> BackfillEvent | None:
        """Return the last event of a request, None where nothing has been told of it."""
        return self._known[request_id].event

    def is_cancelled(self, request_id: str) -> bool:
        """Return whether the last command on a request is to cancel it."""
        return self._known[request_id].is_cancelled

    def states(self) -> Counter[str]:
        """Return how many requests are in each state, by the types of their last events."""
        return Counter("requested" if known.event is None else known.event.type for known in self._known.values())

    def spent_in_month(self, now_ns: int, without: str, held: Mapping[str, int]) -> int:
        """Return the micro-dollars of what was begun in the month (UTC) of `now_ns`, one request left out.

        `held` is what those come to that this worker has in hand, of which the log may not tell yet.
        """
        month = day_of(now_ns)[:7]
        others = [known.event for name, known in list(self._known.items()) if name != without and name not in held]
        told = sum(_spent(event) for event in others if event is not None and day_of(event.at)[:7] == month)
        return told + sum(micro_usd for name, micro_usd in held.items() if name != without)

    def due(self, now_ns: int, now_s: float) -> Iterator[BackfillRequest]:
        """Yield the requests that something is to be done for now, those that were made first being the first.

        What another worker may be bringing for another request is waited for.
        """
        due = [known for known in self._known.values() if self._is_due(known, now_ns, now_s)]
        free = [known.request for known in due if not self._is_held_up(known, now_s)]
        yield from sorted(free, key=lambda request: request.requested_at)

    def rivals(self, request: BackfillRequest) -> list[BackfillEvent]:
        """Return the last events of the requests that may bring the same and are being filled."""
        return [known.event for known in self._rivals(request) if known.event is not None]

    def _rivals(self, request: BackfillRequest) -> list[Known]:
        return [
            known
            for known in self._known.values()
            if known.event is not None and is_filling(known.event) and are_rivals(known.request, request)
        ]

    def _is_own(self, known: Known) -> bool:
        return not known.is_left and (known.event is None or known.event.worker in ("", self._worker))

    def _is_held_up(self, known: Known, now_s: float) -> bool:
        if known.is_cancelled or (known.event is not None and known.event.type in FILLED):
            return False
        return any(
            not self._is_own(rival) and now_s < rival.heard_s + self._takeover_s
            for rival in self._rivals(known.request)
        )

    def _is_due(self, known: Known, now_ns: int, now_s: float) -> bool:
        event = known.event
        if event is None:
            return not known.is_left or now_s >= known.heard_s + self._takeover_s
        # Others get as much time to turn to it themselves as they get to say something.
        grace_s = 0.0 if self._is_own(known) else self._takeover_s
        if now_s < known.heard_s + grace_s:
            return False
        if event.type in GIVEN_UP:
            return not known.is_cancelled and is_again(event, known.request)
        if event.type in FILLED and self._recomputes and is_to_be_recomputed(event):
            return True
        if event.type in FILLED and (event.counted is not None or event.next_attempt_at is None):
            return False
        return known.is_cancelled or now_ns >= (event.next_attempt_at or 0) + round(grace_s * 1e9)


def _spent(event: BackfillEvent) -> int:
    """Return what a request comes to, micro-dollars; of one that has not begun, what it spent before it was made again.

    As much as was estimated where that cannot be read.
    """
    try:
        return (event.cost_micro_usd or 0) if event.attempt else Cursor.of(event).cost_micro_usd
    except BadData:
        return event.cost_micro_usd or 0


def is_again(event: BackfillEvent, request: BackfillRequest) -> bool:
    """Return whether a request that was given up has been made again since."""
    return event.type in GIVEN_UP and request.requested_at > event.at


def told_at_ns(now_ns: int, request: BackfillRequest) -> int:
    """Return the time of an event that is told at `now_ns`: by whichever clock, it is not before its request was made.

    What was made after an event is made again.
    """
    return max(now_ns, request.requested_at)


def is_done(event: BackfillEvent, request: BackfillRequest, *, recomputes: bool) -> bool:
    """Return whether nothing is left to be done for a request, now or later."""
    if event.type in FILLED:
        return event.counted is not None and not (recomputes and is_to_be_recomputed(event))
    return event.type in GIVEN_UP and not is_again(event, request)


def is_waiting(event: BackfillEvent, now_ns: int) -> bool:
    """Return whether a request has failed and its next attempt is still to come."""
    return event.type == "failed" and event.next_attempt_at is not None and event.next_attempt_at > now_ns


def is_to_be_recomputed(event: BackfillEvent) -> bool:
    """Return whether rows have not been computed anew yet with what is filled.

    A gap in which nothing was missed has left books and sums in doubt all the same.
    """
    is_touched = event.published > 0 or event.request.gap_id is not None
    return event.type in FILLED and is_touched and event.revised_rows is None
