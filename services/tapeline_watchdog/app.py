"""The watchdog as a process: what watches, what tells, and the signals that end it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from prometheus_client import REGISTRY

from tapeline.errors import cause_of
from tapeline.feed.cost_settings import CostSettings
from tapeline.ops.health import HealthEndpoint
from tapeline.ops.logs import get_logger
from tapeline.ops.stopping import stopped_by_signals
from tapeline_watchdog.cost_pages import CostPages, cost_rows
from tapeline_watchdog.cost_watching import CostWatch
from tapeline_watchdog.dead_letter_watching import DeadLetterWatch
from tapeline_watchdog.exporter import Row, exported, feed_rows, gap_rows, incident_rows, rows
from tapeline_watchdog.feed_findings import feed_findings
from tapeline_watchdog.feed_pages import FeedPages
from tapeline_watchdog.feed_watching import FeedWatch
from tapeline_watchdog.findings import Judged
from tapeline_watchdog.gap_findings import gap_findings
from tapeline_watchdog.gap_pages import GapPages
from tapeline_watchdog.gap_watching import GapWatch
from tapeline_watchdog.group_findings import GroupJudge
from tapeline_watchdog.incident_pages import IncidentPages
from tapeline_watchdog.incident_watching import IncidentWatch
from tapeline_watchdog.lag_pages import LagPages
from tapeline_watchdog.settings import WatchdogSettings
from tapeline_watchdog.watching import LagWatch
from tapeline_watchdog.web.guard import guard
from tapeline_watchdog.web.pages import Page

log = get_logger("watchdog")

_THREADS: Final = 16
"""While the broker is away each part waits for it in a thread; webhooks must be told all the same, which takes one."""


async def run(settings: WatchdogSettings, servers: str) -> None:
    """Watch until SIGTERM or SIGINT. Raises what ends a part of it for good."""
    watch, feeds = LagWatch(settings, servers), FeedWatch(settings, servers)
    costs = CostWatch(CostSettings.load(), servers, timeout_s=settings.timeout_s)
    gaps, letters = GapWatch(settings, servers), DeadLetterWatch(settings, servers)
    gap_pages = GapPages(gaps)
    lag_pages, feed_pages = LagPages(watch, settings, servers), FeedPages(feeds, watch.fresh_report)

    groups = GroupJudge(settings.lag_limits())

    def judge_feeds(_: int) -> Judged | None:
        report = feeds.report if feeds.is_fresh() else None
        return None if report is None else feed_findings(report, settings.feed_holds())

    def judge_groups(_: int) -> Judged | None:
        report = watch.fresh_report()
        return None if report is None else groups.judge(report, watch.stuck)

    def judge_gaps(now_ns: int) -> Judged | None:
        report = gaps.report if gaps.is_fresh() else None
        limit_ns = round(settings.incident_gap_s * 1e9)
        return None if report is None else gap_findings((gap for gap, _ in report.gaps), limit_ns, now_ns)

    judges = (judge_feeds, judge_groups, judge_gaps, costs.judge, letters.judge)
    incidents = IncidentWatch(settings, servers, judges, timeout_s=settings.timeout_s)
    incident_pages = IncidentPages(incidents)
    documents = {
        "feeds": feed_pages.document,
        "lag": lag_pages.document,
        "gaps": gap_pages.document,
        "incidents": incident_pages.page_document,
        "costs": costs.document,
    }
    page = Page(documents, settings, servers)
    pages = (lag_pages, feed_pages, gap_pages, incident_pages, CostPages(costs), page)
    routes = [route for each in pages for route in each.routes()]
    parts = (watch, feeds, gaps, letters, incidents, costs, page)

    def values() -> Iterator[Row]:
        # Of a cluster that does not answer no figure is better than an old one.
        report = watch.fresh_report()
        if report is not None:
            yield from rows(report, watch.stuck, settings.cluster)
        if feeds.report is not None and feeds.is_fresh():
            yield from feed_rows(feeds.report)
        if gaps.report is not None and gaps.is_fresh():
            yield from gap_rows(gaps.report)
        if incidents.is_fresh():
            yield from incident_rows(incidents.incidents)
        bill = costs.fresh_report()
        if bill is not None:
            yield from cost_rows(bill, costs.savings)

    def stop() -> None:
        for part in parts:
            part.stop()

    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, "tapeline-watchdog"))
    with stopped_by_signals(stop), exported(values, REGISTRY):
        async with HealthEndpoint(
            watch.status, port=settings.health_port, routes=routes, middlewares=(guard(settings.hosts),)
        ) as health:
            log.info("started", health=health.url, cluster=settings.cluster)
            try:
                async with asyncio.TaskGroup() as group:
                    for part in parts:
                        group.create_task(part.run())
            except ExceptionGroup as failed:
                raise cause_of(failed) from None
    log.info("stopped")
