"""Requests that bring the same: of two that are filled at the same time, neither would see what the other brings."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from tapeline.bus.transactions import TransactionalPublisher
from tapeline.errors import Fenced
from tapeline.model.backfill import BackfillEvent, BackfillRequest, EventType

_FILLING: Final[frozenset[EventType]] = frozenset({"estimated", "started", "progress"})


def transactional_id(request_id: str) -> str:
    """Return the id under which whoever works on a request publishes."""
    return f"backfill.{request_id}"


def are_rivals(one: BackfillRequest, other: BackfillRequest) -> bool:
    """Return whether two requests may bring the same records. Pure."""
    where, there = (one.source, one.stream, one.kind), (other.source, other.stream, other.kind)
    begin = max(one.window.ts_event_from, other.window.ts_event_from)
    return one.id != other.id and where == there and begin < min(one.window.ts_event_until, other.window.ts_event_until)


def is_filling(event: BackfillEvent) -> bool:
    """Return whether somebody may be bringing records, by the last event of a request. Pure.

    What comes to more than it was said to is estimated anew in the middle.
    """
    return event.type in _FILLING and event.attempt > 0 and event.worker != ""


def rivals_before(started: BackfillEvent, known: Iterable[BackfillEvent], events: Iterable[BackfillEvent]) -> list[str]:
    """Return the ids of the rivals that are being filled when a request is started, by the events before that. Pure.

    `known` are last events, and `events` those that followed, in the order of the log. Whoever is started later finds
    this one, and so of two exactly one finds the other.
    """
    found: dict[str, bool] = {event.key: is_filling(event) for event in known}
    for event in events:
        if event == started:
            break
        if are_rivals(event.request, started.request):
            found[event.key] = is_filling(event)
    return [name for name, filling in found.items() if filling]


def shut_out(bootstrap: str, request_ids: Iterable[str], timeout_s: float) -> None:
    """End what is being published for these requests; whoever did so is fenced. A blocking call.

    What they had committed is to be seen after that. Raises BrokerUnavailable.
    """
    for request_id in request_ids:
        # Where another has opened it meanwhile, that one is still to start, and shuts this one out then.
        publisher = TransactionalPublisher(bootstrap, transactional_id(request_id), timeout_s=timeout_s)
        with suppress(Fenced), publisher:
            publisher.open()
