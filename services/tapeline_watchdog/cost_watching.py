"""Reads the bill from Kafka again and again, and keeps what the month costs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from tapeline.feed.cost_documents import Document, costs_document
from tapeline.feed.cost_settings import CostSettings
from tapeline.feed.costs import CostReport, cost_report
from tapeline.feed.savings import Savings, find_savings
from tapeline.feed.usage_log import Bill
from tapeline.ops.logs import get_logger
from tapeline_watchdog.budget import budget_findings
from tapeline_watchdog.findings import Judged
from tapeline_watchdog.presence import Presence

log = get_logger("costs")

_STALE_AFTER_READINGS: Final = 3


class CostWatch:
    """Keeps the report of the present month. `report` and `savings` are of the last reading; None and empty before it.

    It stops nothing: budgets hold backfills back, which ask for themselves, and never live data.
    """

    def __init__(
        self, settings: CostSettings, servers: str, *, timeout_s: float, now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._settings = settings
        self._timeout_s = timeout_s
        self._now_ns = now_ns
        self._bill = Bill(servers, timeout_s=timeout_s)
        self._stopped = asyncio.Event()
        self._kafka = Presence(log, "bill")
        self.report: CostReport | None = None
        self.savings = Savings()

    async def run(self) -> None:
        """Read until `stop`; where the broker does not answer, try again."""
        await self._kafka.watch(self._stopped, self._watch, self._settings.interval_s)

    def stop(self) -> None:
        """End `run` soon."""
        self._stopped.set()

    def is_fresh(self) -> bool:
        """Return whether the report is of now."""
        oldest_s = _STALE_AFTER_READINGS * self._settings.interval_s + 2 * self._timeout_s
        return self.report is not None and self._now_ns() - self.report.at_ns < oldest_s * 1e9

    def fresh_report(self) -> CostReport | None:
        """Return the report if it is of now."""
        return self.report if self.is_fresh() else None

    def judge(self, _now_ns: int) -> Judged | None:
        """Return which budgets are at their end; None while that is not known."""
        report = self.fresh_report()
        return None if report is None else budget_findings(report, self.savings)

    def document(self) -> Document | None:
        """Return the document of /v1/costs, None before the bill was read."""
        if self.report is None:
            return None
        return costs_document(self.report, self.savings) | {"fresh": self.is_fresh()}

    async def _watch(self) -> None:
        self.report, self.savings = await asyncio.to_thread(self._read)
        self._kafka.found()

    def _read(self) -> tuple[CostReport, Savings]:
        usages, events = self._bill.read()
        now_ns = self._now_ns()
        report = cost_report(usages, self._settings.budgets(), now_ns)
        return report, find_savings(usages, events, self._settings.choices(), now_ns)
