"""Reads feed events from Kafka, and keeps what they say of every feed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Final

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.log import Log
from tapeline.errors import BadData
from tapeline.feed.calendar import Calendar, calendar_of
from tapeline.feed.claims import EVENTS_TOPIC
from tapeline.model.events import FeedEvent, decode_event
from tapeline.ops.logs import get_logger
from tapeline.ops.metrics import BAD_FEED_EVENTS, FEED_EVENTS
from tapeline_watchdog.feeds import FeedReport, Feeds, dataset_of
from tapeline_watchdog.presence import IDLE_WAIT_MS, Presence
from tapeline_watchdog.settings import WatchdogSettings

log = get_logger("feeds")

_CLIENT_ID: Final = "tapeline-watchdog-feeds"
_FETCH_WAIT_S: Final = 0.25
_CHECK_EVERY_S: Final = 1.0
_PARTITION: Final = 0
"""Of the topic's only one: the order between streams is that of the log."""


class FeedWatch:
    """Reads the topic of feed events to its end, again and again. `report` is None until it has been there once.

    What could not be heard is held against nobody: the report is as of the last time at which the end was reached.
    """

    def __init__(self, settings: WatchdogSettings, servers: str, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._settings = settings
        self._servers = servers
        self._now_ns = now_ns
        self._stopped = asyncio.Event()
        datasets = settings.feed_datasets

        def calendar_of_stream(stream: str) -> Calendar:
            return calendar_of(dataset_of(stream, datasets))

        self._feeds = Feeds(settings.feeds, calendar_of_stream, now_ns(), settings.feed_limits())
        self._next: int | None = None
        """Offset of the next event; None until the first place to read from is known."""
        self._heard_all_ns: int | None = None
        self._kafka = Presence(log, "feed_events")
        self.report: FeedReport | None = None

    async def run(self) -> None:
        """Read until `stop`; where the broker does not answer, try again."""
        await self._kafka.watch(self._stopped, partial(asyncio.to_thread, self._read))

    def stop(self) -> None:
        """End `run` soon."""
        self._stopped.set()

    def is_fresh(self) -> bool:
        """Return whether the report is of now."""
        limit_ns = round((self._settings.heartbeat_timeout_s + self._settings.timeout_s) * 1e9)
        return self._heard_all_ns is not None and self._now_ns() - self._heard_all_ns < limit_ns

    def _read(self) -> None:
        """Read until `stop`. Raises Retryable or TopicMismatch where the broker does not answer."""
        topic = namespaced(EVENTS_TOPIC)
        with closing(
            Log(self._servers, _CLIENT_ID, timeout_s=self._settings.timeout_s, idle_wait_ms=IDLE_WAIT_MS)
        ) as events:
            events.partitions(topic)
            begin, end = events.bounds(topic, _PARTITION)
            if self._next is None or not begin <= self._next <= end:
                self._next = self._start(events, topic, begin, end)
            events.assign({(topic, _PARTITION): self._next})
            checked_s = 0.0
            while not self._stopped.is_set():
                for message in events.fetch(_FETCH_WAIT_S):
                    if message.error() is None:
                        self._take(message.offset() or 0, message.value() or b"", message.timestamp()[1])
                if self._next >= end:
                    self._heard_all()
                if time.monotonic() - checked_s >= _CHECK_EVERY_S:
                    # A broker that is away is silent: only a question that it answers tells silence from absence.
                    _, end = events.bounds(topic, _PARTITION)
                    checked_s = time.monotonic()

    def _start(self, events: Log, topic: str, begin: int, end: int) -> int:
        since_ms = round(self._now_ns() / 1e6 - self._settings.feed_history_s * 1e3)
        found = events.offset_since(topic, _PARTITION, since_ms)
        return end if found is None else max(begin, found)

    def _take(self, offset: int, value: bytes, appended_ms: int) -> None:
        self._next = offset + 1
        FEED_EVENTS.inc()
        try:
            event = decode_event(value)
        except BadData as error:
            BAD_FEED_EVENTS.inc()
            log.warning("bad_feed_event", offset=offset, reason=str(error))
            return
        self._feeds.take(event, self._heard_ns(event, appended_ms))

    def _heard_ns(self, event: FeedEvent, appended_ms: int) -> int:
        """Return when an event was heard: now; of one that was there before the watchdog, when Kafka took it."""
        now_ns = self._now_ns()
        if self._heard_all_ns is not None:
            return now_ns
        return min(now_ns, appended_ms * 1_000_000 if appended_ms > 0 else event.at)

    def _heard_all(self) -> None:
        now_ns, before_ns = self._now_ns(), self._heard_all_ns
        timeout_ns = round(self._settings.heartbeat_timeout_s * 1e9)
        if before_ns is None or self._kafka.is_away or now_ns - before_ns > timeout_ns:
            self._feeds.listen_anew(now_ns)
        self._kafka.found()
        self._heard_all_ns = now_ns
        if before_ns is None or self.report is None or now_ns - self.report.at_ns >= _CHECK_EVERY_S * 1e9:
            report = self._feeds.report(now_ns)
            _log_changes(self.report, report)
            self.report = report


def _log_changes(before: FeedReport | None, now: FeedReport) -> None:
    known = {} if before is None else {row.key: row.state for row in before.rows}
    for row in now.rows:
        was = known.get(row.key)
        if row.state is not was:
            tell = log.warning if row.state.is_fault else log.info
            tell("feed_state", feed="/".join(row.key), was=was, now=row.state, reason=row.reason)
