"""Keeps the ledger of gaps: asks for what is missing, tells coverage, and says how gaps are.

It reads md.feed-events.v1 by a reader of its own: what feeds are like is of the last hour, gaps are of weeks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import closing
from typing import Final

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.log import Log
from tapeline.bus.publisher import Publisher
from tapeline.feed.calendar import Calendar, calendar_of
from tapeline.model.backfill import REQUESTS_TOPIC
from tapeline.model.coverage import TOPIC as COVERAGE_TOPIC
from tapeline.ops.logs import get_logger
from tapeline.ops.metrics import COVERAGE_TOLD, REQUESTED_GAPS
from tapeline_watchdog.feeds import dataset_of
from tapeline_watchdog.gap_reading import GapReading
from tapeline_watchdog.gaps import GapLedger, GapReport
from tapeline_watchdog.presence import IDLE_WAIT_MS, Presence
from tapeline_watchdog.settings import WatchdogSettings

log = get_logger("gaps")

_CLIENT_ID: Final = "tapeline-watchdog-gaps"
_REQUESTED_BY: Final = "tapeline-watchdog"
_REPORT_EVERY_S: Final = 1.0
_FORGET_EVERY_S: Final = 3_600.0
_WRITE_TIMEOUT_S: Final = 30.0
_FRESH_S: Final = 15.0
_DAY_NS: Final = 86_400_000_000_000


class GapWatch:
    """Rebuilds the ledger from Kafka at every start, and whenever Kafka was away. `report` is None until then."""

    def __init__(self, settings: WatchdogSettings, servers: str, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._settings = settings
        self._servers = servers
        self._now_ns = now_ns
        self._asking = settings.asking()
        self._stopped = asyncio.Event()
        self._kafka = Presence(log, "gaps")
        self.report: GapReport | None = None

    async def run(self) -> None:
        """Watch until `stop`; where the broker does not answer, begin anew."""
        await self._kafka.watch(self._stopped, self._watch)

    def stop(self) -> None:
        """End `run` soon."""
        self._stopped.set()

    def is_fresh(self) -> bool:
        """Return whether the report is of now."""
        return self.report is not None and self._now_ns() - self.report.at_ns < _FRESH_S * 1e9

    async def _watch(self) -> None:
        """Rebuild the ledger and go on with it until `stop`. Raises Retryable or TopicMismatch."""
        ledger = GapLedger(self._calendar_of, self._asking, round(self._settings.coverage_interval_s * 1e9))
        with closing(
            Log(self._servers, _CLIENT_ID, timeout_s=self._settings.timeout_s, idle_wait_ms=IDLE_WAIT_MS)
        ) as events:
            reading = GapReading(events, ledger, self._now_ns, self._stopped.is_set)
            await asyncio.to_thread(reading.start)
            publisher = Publisher(self._servers, _CLIENT_ID)
            try:
                await self._go_on(ledger, reading, publisher)
            finally:
                await publisher.close(self._settings.timeout_s)

    async def _go_on(self, ledger: GapLedger, reading: GapReading, publisher: Publisher) -> None:
        forgot_s = reported_s = float("-inf")
        while not self._stopped.is_set():
            await asyncio.to_thread(reading.read)
            # A ledger that lacks the newest would ask for what is there, and tell of days that it saw half of.
            if not reading.has_all or self._stopped.is_set():
                continue
            if time.monotonic() - forgot_s >= _FORGET_EVERY_S:
                ledger.forget(self._now_ns() - self._settings.coverage_days * _DAY_NS)
                forgot_s = time.monotonic()
            await self._tell(ledger, publisher)
            if time.monotonic() - reported_s >= _REPORT_EVERY_S:
                self._report(ledger)
                reported_s = time.monotonic()

    async def _tell(self, ledger: GapLedger, publisher: Publisher) -> None:
        now_ns = self._now_ns()
        requests = ledger.due_requests(_REQUESTED_BY, now_ns)
        for request in requests:
            await publisher.publish(namespaced(REQUESTS_TOPIC), request.id, request.encode())
            ledger.take_request(request)
            REQUESTED_GAPS.labels(request.source).inc()
            log.info("backfill_requested", request=request.id, gap=request.gap_id, stream=request.stream)
        coverage = ledger.due_coverage(now_ns)
        for told in coverage:
            await publisher.publish(namespaced(COVERAGE_TOPIC), told.key, told.encode())
            COVERAGE_TOLD.inc()
        if requests or coverage:
            await publisher.delivered(_WRITE_TIMEOUT_S)

    def _report(self, ledger: GapLedger) -> None:
        self._kafka.found()
        self.report = ledger.report(self._now_ns())

    def _calendar_of(self, stream: str) -> Calendar:
        return calendar_of(dataset_of(stream, self._settings.feed_datasets))
