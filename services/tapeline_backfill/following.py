"""Follows requests, commands and events on the log."""

from __future__ import annotations

import time
from typing import Final

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.log import Log
from tapeline.errors import BadData
from tapeline.model.backfill import EVENTS_TOPIC, REQUESTS_TOPIC, BackfillEvent, BackfillRequest
from tapeline.ops.logs import get_logger
from tapeline_backfill.requests import Requests

log = get_logger("backfill")

_CLIENT_ID: Final = "tapeline-backfill"
_TIMEOUT_S: Final = 5.0
"""It is tried again and again, and a worker that stops waits for it."""

_PARTITION: Final = 0
"""Of each topic's only one."""


class Follower:
    """Reads both topics from their beginnings on. Blocking calls: use it from one thread that may wait."""

    def __init__(self, bootstrap: str, requests: Requests) -> None:
        self._requests = requests
        self._log = Log(bootstrap, _CLIENT_ID, timeout_s=_TIMEOUT_S)
        self._next: dict[str, int] = {}

    @property
    def next_event(self) -> int:
        """Offset of the first event that has not been read."""
        return self._next.get(namespaced(EVENTS_TOPIC), 0)

    def catch_up(self) -> None:
        """Read up to the present ends. Raises BrokerUnavailable, TopicMismatch where a topic is missing, Retryable."""
        for name in (EVENTS_TOPIC, REQUESTS_TOPIC):
            topic = namespaced(name)
            if topic not in self._next:
                self._log.partitions(topic)
            first, end = self._log.bounds(topic, _PARTITION)
            begin = max(first, self._next.get(topic, first))
            if begin > end:
                # The topic was made anew: it has another beginning.
                begin = first
            for message in self._log.read(topic, _PARTITION, begin, end):
                self._take(name, message.value(), message.offset() or 0)
                self._next[topic] = (message.offset() or 0) + 1
            self._next[topic] = max(begin, end)

    def close(self) -> None:
        """Leave the broker."""
        self._log.close()

    def _take(self, topic: str, value: bytes | None, offset: int) -> None:
        try:
            if value is None:
                return
            if topic == EVENTS_TOPIC:
                self._requests.take_event(BackfillEvent.decode(value), time.monotonic())
            else:
                self._requests.take_command(BackfillRequest.decode(value))
        except BadData as error:
            log.warning("bad message", topic=topic, offset=offset, reason=str(error))
