"""Requests for backfills, and what became of them, as their two topics say."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import orjson

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.log import Log
from tapeline.bus.probe import absence
from tapeline.errors import BadData, BrokerUnavailable, Misconfigured
from tapeline.model.backfill import EVENTS_TOPIC, REQUESTS_TOPIC, BackfillEvent, BackfillRequest, EventType

_TIMEOUT_S: Final = 10.0
_PARTITION: Final = 0
"""Of topics that have only one."""
_GIVEN_UP: Final[frozenset[EventType]] = frozenset({"rejected", "dead_lettered", "cancelled"})
_FILLED: Final[frozenset[EventType]] = frozenset({"completed", "proven", "recomputed"})


@dataclass(frozen=True, slots=True)
class Backfill:
    """A request with the last that was heard of it: nothing, before the backfill service turned to it."""

    request: BackfillRequest
    event: BackfillEvent | None = None

    @property
    def state(self) -> EventType:
        """What it is in: the type of its last event."""
        return "requested" if self.event is None or self.is_asked_again else self.event.type

    @property
    def is_asked_again(self) -> bool:
        """Whether it was made again after it was given up."""
        event = self.event
        return event is not None and event.type in _GIVEN_UP and self.request.requested_at > event.at

    @property
    def is_given_up(self) -> bool:
        """Whether it ended without what it asked for."""
        return self.state in _GIVEN_UP

    @property
    def is_over(self) -> bool:
        """Whether it ended: it is given up, or on the tape with no further attempt to prove it ahead."""
        event = self.event
        return self.is_given_up or (event is not None and event.type in _FILLED and event.next_attempt_at is None)

    def again(self, request: BackfillRequest) -> BackfillRequest:
        """Return a request for the same as one that is made after what was heard of this, by whichever clock."""
        if self.event is None:
            return request
        return request.model_copy(update={"requested_at": max(request.requested_at, self.event.at + 1)})

    def document(self) -> dict[str, Any]:
        """Return the state, the request, and its last event with all that is known, or null."""
        found: dict[str, Any] = {"id": self.request.id, "state": self.state}
        found["request"] = orjson.loads(self.request.encode())
        found["event"] = None if self.event is None else orjson.loads(self.event.encode())
        return found


class BackfillLog:
    """The two topics, read up to now; and then on. Raises BrokerUnavailable or TopicMismatch from everything."""

    def __init__(self, servers: str) -> None:
        self._servers = servers
        self._log = Log(servers, "tapeline-backfill-command", timeout_s=_TIMEOUT_S)
        self._takes = {namespaced(REQUESTS_TOPIC): self._take_request, namespaced(EVENTS_TOPIC): self._take_event}
        self._ends: dict[tuple[str, int], int] = {}
        self.found: dict[str, Backfill] = {}
        """By id, in the order in which they were made first."""

    def __enter__(self) -> Self:
        if reason := asyncio.run(absence(self._servers)):
            raise BrokerUnavailable(reason)
        for topic, take in self._takes.items():
            self._log.partitions(topic)
            begin, end = self._log.bounds(topic, _PARTITION)
            self._ends[topic, _PARTITION] = end
            for message in self._log.read(topic, _PARTITION, begin, end):
                take(message.value())
        return self

    def __exit__(self, *_: object) -> None:
        self._log.close()

    def get(self, name: str) -> Backfill:
        """Return the one whose id is, or begins with, `name`. Raises Misconfigured where there is not one."""
        found = [each for number, each in self.found.items() if number.startswith(name)]
        if len(found) != 1:
            what = f"{len(found)} requests have an id that begins" if found else "no request has an id that begins"
            raise Misconfigured(f"{what} with {name!r}; `tapeline backfill list --all` shows them")
        return found[0]

    def follow(self, number: str) -> Iterator[Backfill]:
        """Yield the request as it is now, and again whenever something is heard of it, until it is over."""
        yield self.found[number]
        self._log.assign(self._ends)
        while not self.found[number].is_over:
            for message in self._log.fetch(0.25):
                if message.error() is None and self._takes[message.topic() or ""](message.value()) == number:
                    yield self.found[number]

    def _take_request(self, value: bytes | None) -> str | None:
        """Take in a request; return its id, None for what tells nothing new of one."""
        try:
            request = BackfillRequest.decode(value or b"")
        except BadData:
            return None
        if request.command != "backfill":
            return None
        known = self.found.get(request.id)
        self.found[request.id] = Backfill(request) if known is None else replace(known, request=request)
        return request.id

    def _take_event(self, value: bytes | None) -> str | None:
        try:
            event = BackfillEvent.decode(value or b"")
        except BadData:
            return None
        known = self.found.get(event.key)
        self.found[event.key] = Backfill(event.request, event) if known is None else replace(known, event=event)
        return event.key
