"""Reads the bill from the tape: the rows of md.usage.v1 and what backfills fetched, each key once. Blocking calls."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Generic, TypeVar

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.log import Log
from tapeline.errors import BadData, TopicMismatch
from tapeline.model.backfill import EVENTS_TOPIC, BackfillEvent
from tapeline.model.usage import TOPIC, Usage, decode_usage

_log = logging.getLogger("tapeline.feed.usage_log")

Row = TypeVar("Row")


class LatestRows(Generic[Row]):
    """The last value of every key of a topic, read on from where the last reading ended.

    What cannot be decoded is passed over: a damaged row replaces nothing. Not for several threads at once.
    """

    def __init__(self, bootstrap: str, topic: str, decode: Callable[[bytes], Row], *, timeout_s: float = 30.0) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._decode = decode
        self._timeout_s = timeout_s
        self._next: dict[int, int] = {}
        self._rows: dict[bytes, Row] = {}

    def read(self) -> list[Row]:
        """Return the rows as of now. Raises BrokerUnavailable, or TopicMismatch where there is no such topic."""
        topic = namespaced(self._topic)
        with Log(self._bootstrap, "tapeline-usage", timeout_s=self._timeout_s) as log:
            bounds = {partition: log.bounds(topic, partition) for partition in range(log.partitions(topic))}
            if any(self._next.get(partition, 0) > end for partition, (_, end) in bounds.items()):
                # The topic was made anew.
                self._next, self._rows = {}, {}
            for partition, (begin, end) in bounds.items():
                start = max(begin, self._next.get(partition, 0))
                for message in log.read(topic, partition, start, end):
                    self._take(message.key() or b"", message.value(), message.offset())
                self._next[partition] = end
        return list(self._rows.values())

    def _take(self, key: bytes, value: bytes | None, offset: int | None) -> None:
        if value is None:
            self._rows.pop(key, None)
            return
        try:
            self._rows[key] = self._decode(value)
        except BadData as error:
            _log.warning("bad row of %s at offset %s: %s", self._topic, offset, error)


def usage_rows(bootstrap: str, *, timeout_s: float = 30.0) -> LatestRows[Usage]:
    """Return what reads md.usage.v1: its `read` gives every row once, as `budget_caps` and `cost_report` take them."""
    return LatestRows(bootstrap, TOPIC, decode_usage, timeout_s=timeout_s)


class Bill:
    """All that the month's costs and the advice are made of, read on from where the last reading ended."""

    def __init__(self, bootstrap: str, *, timeout_s: float = 30.0) -> None:
        self._usages = usage_rows(bootstrap, timeout_s=timeout_s)
        self._events = LatestRows(bootstrap, EVENTS_TOPIC, BackfillEvent.decode, timeout_s=timeout_s)

    def read(self) -> tuple[list[Usage], list[BackfillEvent]]:
        """Return the rows of md.usage.v1, and the newest event of every request for a backfill, if there are any.

        Raises BrokerUnavailable, or TopicMismatch where there is no topic of usage.
        """
        usages = self._usages.read()
        try:
            return usages, self._events.read()
        except TopicMismatch:
            # Made before there were backfills: none was made.
            return usages, []
