"""Reads from Kafka what the ledger of gaps is made of. Blocking: for a thread that may wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.log import Log
from tapeline.errors import BadData
from tapeline.feed.claims import EVENTS_TOPIC
from tapeline.model.backfill import EVENTS_TOPIC as BACKFILL_EVENTS_TOPIC
from tapeline.model.backfill import REQUESTS_TOPIC, BackfillEvent, BackfillRequest
from tapeline.model.coverage import TOPIC as COVERAGE_TOPIC
from tapeline.model.coverage import Coverage
from tapeline.model.events import decode_event
from tapeline.ops.logs import get_logger
from tapeline.ops.metrics import BAD_GAP_MESSAGES
from tapeline_watchdog.gaps import GapLedger

log = get_logger("gaps")

_PARTITION: Final = 0
"""Of topics that have only one."""
_READ_S: Final = 0.25
_CHECK_EVERY_S: Final = 1.0
_MARGIN_MS: Final = 600_000
"""What was told last may lack what came just before, and clocks differ by minutes: so much is read once more."""


@dataclass(slots=True)
class _Place:
    """Where one topic is read, and what a message of it is given to: its value and when Kafka took it, ms."""

    take: Callable[[bytes, int], None]
    next: int = 0
    end: int = 0


class GapReading:
    """Gives a ledger what the topics hold: first what was told before, then what came since.

    `has_all` says whether everything up to the ends, as they were a moment ago, was read.
    """

    def __init__(self, events: Log, ledger: GapLedger, now_ns: Callable[[], int], is_over: Callable[[], bool]) -> None:
        self.has_all = False
        self._log = events
        self._ledger = ledger
        self._now_ns = now_ns
        self._is_over = is_over
        self._newest_told_ns: int | None = None
        self._checked_s = 0.0
        self._places = {
            namespaced(REQUESTS_TOPIC): _Place(self._take_request),
            namespaced(BACKFILL_EVENTS_TOPIC): _Place(self._take_backfill),
            namespaced(EVENTS_TOPIC): _Place(self._take_event),
        }

    def start(self) -> None:
        """Restore the ledger. Raises Retryable or TopicMismatch where the broker does not answer."""
        for topic in (COVERAGE_TOPIC, *self._places):
            self._log.partitions(namespaced(topic) if topic == COVERAGE_TOPIC else topic)
        self._read_whole(namespaced(COVERAGE_TOPIC), _Place(self._restore))
        *whole, last = self._places
        for topic in whole:
            self._read_whole(topic, self._places[topic])
        self._ledger.restored()
        begin, end = self._log.bounds(last, _PARTITION)
        since = None
        if self._newest_told_ns is not None:
            since = self._log.offset_since(last, _PARTITION, self._newest_told_ns // 1_000_000 - _MARGIN_MS)
            since = end if since is None else since
        self._places[last].next = begin if since is None else max(begin, since)
        self._log.assign({(topic, _PARTITION): place.next for topic, place in self._places.items()})

    def read(self) -> None:
        """Read what is there, for a moment. Raises Retryable where the broker does not answer."""
        if time.monotonic() - self._checked_s >= _CHECK_EVERY_S:
            # A broker that is away is silent: only a question that it answers tells silence from absence.
            for topic, place in self._places.items():
                _, place.end = self._log.bounds(topic, _PARTITION)
            self._checked_s = time.monotonic()
        deadline_s = time.monotonic() + _READ_S
        while (remaining_s := deadline_s - time.monotonic()) > 0 and not self._is_over():
            for message in self._log.fetch(remaining_s):
                place = self._places[message.topic() or ""]
                offset = message.offset() or 0
                if message.error() is None:
                    self._take(place, message.topic() or "", offset, message.value(), message.timestamp()[1])
                # The last offsets may be those of marks that only say how a transaction ended.
                place.next = max(place.next, offset + (message.error() is None))
        self.has_all = all(place.next >= place.end for place in self._places.values())

    def _read_whole(self, topic: str, place: _Place) -> None:
        begin, place.next = self._log.bounds(topic, _PARTITION)
        for message in self._log.read(topic, _PARTITION, begin, place.next):
            if self._is_over():
                return
            self._take(place, topic, message.offset() or 0, message.value(), message.timestamp()[1])

    def _take(self, place: _Place, topic: str, offset: int, value: bytes | None, appended_ms: int) -> None:
        if value is None:
            return
        try:
            place.take(value, appended_ms)
        except BadData as error:
            BAD_GAP_MESSAGES.labels(topic).inc()
            log.warning("bad_message", topic=topic, offset=offset, reason=str(error))

    def _restore(self, value: bytes, _: int) -> None:
        told = Coverage.decode(value)
        self._ledger.restore(told)
        self._newest_told_ns = max(told.at, self._newest_told_ns or 0)

    def _take_request(self, value: bytes, _: int) -> None:
        self._ledger.take_request(BackfillRequest.decode(value))

    def _take_backfill(self, value: bytes, _: int) -> None:
        self._ledger.take_backfill(BackfillEvent.decode(value))

    def _take_event(self, value: bytes, appended_ms: int) -> None:
        event = decode_event(value)
        heard_ns = appended_ms * 1_000_000 if appended_ms > 0 else event.at
        self._ledger.take(event, min(self._now_ns(), heard_ns))
