"""Samples the cluster again and again, and keeps what the last sample says."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from typing import Any, Final

import aiohttp

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.groups import ClusterState, Groups
from tapeline.bus.record_times import RecordTimes, Stretch, StretchTimes
from tapeline.errors import BrokerUnavailable, Retryable
from tapeline.ops.logs import get_logger
from tapeline.ops.metrics import FAILED_SAMPLES, SAMPLE_SECONDS
from tapeline.ops.stopping import wait_unless
from tapeline_watchdog.burrow import Status
from tapeline_watchdog.documents import stuck_document
from tapeline_watchdog.lag import LagReport, LagRules, LagTracker
from tapeline_watchdog.presence import Presence
from tapeline_watchdog.settings import WatchdogSettings
from tapeline_watchdog.workers import StuckWorker, WorkerHealth, read_health, stuck_workers

log = get_logger("watchdog")

CLIENT_ID: Final = "tapeline-watchdog"
PROCESSOR_GROUP: Final = "tapeline-processor"
_HEALTH_TIMEOUT_S: Final = 2.0
_STALE_AFTER_SAMPLES: Final = 3

Sample = tuple[ClusterState, dict[Stretch, StretchTimes | None]]


class LagWatch:
    """Watches every group of a cluster. `report` and `stuck` are of the last sample; None and empty before it."""

    def __init__(
        self,
        settings: WatchdogSettings,
        servers: str,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._now_ms = now_ms
        self._clock = clock
        self._stopped = asyncio.Event()
        self._groups = Groups(
            servers, CLIENT_ID, wants_group=_chosen(settings.groups), wants_topic=_chosen(settings.topics)
        )
        self._times = RecordTimes(servers, CLIENT_ID)
        self._tracker = LagTracker(LagRules(settings.window, settings.minimum_window_s, settings.allowed_lag))
        self._sampled_at_s = 0.0
        self._kafka = Presence(log, "cluster")
        self.report: LagReport | None = None
        self.stuck: tuple[StuckWorker, ...] = ()

    async def run(self) -> None:
        """Take samples until `stop`; where the cluster does not answer, try again at the next one's time."""
        try:
            while not self._stopped.is_set():
                began_s = self._clock()
                await self._sample()
                await wait_unless(self._stopped, self._settings.interval_s - (self._clock() - began_s))
        finally:
            await asyncio.to_thread(self._times.close)

    def stop(self) -> None:
        """End `run` after the sample that is being taken."""
        self._stopped.set()

    def fresh_report(self) -> LagReport | None:
        """Return the last report unless it is so old that it says nothing of now."""
        oldest_s = _STALE_AFTER_SAMPLES * self._settings.interval_s + 2 * self._settings.timeout_s
        return self.report if self._clock() - self._sampled_at_s < oldest_s else None

    def status(self) -> dict[str, object]:
        """Return the facts of /readyz."""
        report = self.report
        return {
            "ready": self.fresh_report() is not None and not self._stopped.is_set(),
            "sample_age_s": None if report is None else round(self._clock() - self._sampled_at_s, 3),
            "groups": {} if report is None else {name: group.status.name for name, group in report.groups.items()},
            "stuck_workers": [stuck_document(worker) for worker in self.stuck],
        }

    async def _sample(self) -> None:
        try:
            with SAMPLE_SECONDS.time():
                cluster, times = await asyncio.to_thread(self._read)
        except BrokerUnavailable as error:
            FAILED_SAMPLES.inc()
            self._kafka.lost(error)
            return
        self._kafka.found()
        report = self._tracker.observe(cluster, times, at_ms=self._now_ms())
        stuck = stuck_workers(report, await self._healths(report))
        _log_changes(self.report, report)
        _log_stuck(self.stuck, stuck)
        self.report, self.stuck, self._sampled_at_s = report, stuck, self._clock()

    def _read(self) -> Sample:
        cluster = self._groups.read(self._settings.timeout_s)
        try:
            return cluster, self._times.read(self._tracker.unread(cluster), self._settings.timeout_s)
        except Retryable as error:
            log.warning("times_unknown", reason=str(error))
            return cluster, {}

    async def _healths(self, report: LagReport) -> list[WorkerHealth]:
        """Ask the processor's workers how they are, if their group is not well."""
        name = namespaced(PROCESSOR_GROUP)
        group = report.groups.get(name)
        if group is None or group.status is not Status.ERR:
            return []
        timeout = aiohttp.ClientTimeout(total=_HEALTH_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            urls = self._settings.processor_urls
            facts = await asyncio.gather(*(_facts(session, url) for url in urls))
        return [read_health(name, url, found) for url, found in zip(urls, facts, strict=True)]


async def _facts(session: aiohttp.ClientSession, url: str) -> dict[str, Any] | None:
    try:
        async with session.get(f"{url}/readyz") as answer:
            facts = await answer.json()
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return None
    return facts if isinstance(facts, dict) else None


def _chosen(pattern: str) -> Callable[[str], bool]:
    """Return what chooses names: those within the namespace whose rest matches."""
    within = namespaced("")
    matches = re.compile(pattern).fullmatch
    return lambda name: name.startswith(within) and matches(name.removeprefix(within)) is not None


def _log_changes(before: LagReport | None, now: LagReport) -> None:
    for name, group in now.groups.items():
        known = before.groups.get(name) if before is not None else None
        was = Status.OK if known is None else known.status
        if group.status is not was:
            bad = {
                f"{each.topic}[{each.partition}]": each.status.name
                for each in group.partitions
                if each.status is not Status.OK
            }
            tell = log.info if group.status is Status.OK else log.warning
            tell("group_status", group=name, was=was.name, now=group.status.name, partitions=bad)


def _log_stuck(before: tuple[StuckWorker, ...], now: tuple[StuckWorker, ...]) -> None:
    known = {(worker.group, worker.worker) for worker in before}
    for worker in now:
        if (worker.group, worker.worker) not in known:
            log.error("worker_stuck", **stuck_document(worker))
    stuck = {(worker.group, worker.worker) for worker in now}
    for group, name in sorted(known - stuck):
        log.info("worker_not_stuck_any_more", group=group, worker=name)
