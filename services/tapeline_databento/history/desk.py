"""All that fetching history needs, as the settings say: cache, account, limits, prices, and telling what was used."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable

from tapeline.bus.bootstrap import bootstrap_servers
from tapeline.errors import DeliveryFailed
from tapeline.feed.cache import FileCache
from tapeline.feed.cache_settings import CacheSettings, open_cache, open_ledger
from tapeline.feed.cost import CostMeter, MonthProjection, Plan, project_month
from tapeline.feed.ledger import UsageLedger
from tapeline.feed.prices import UnitPrices, micro_usd
from tapeline.ops.state import state_folder
from tapeline_databento.history.client import HistoryClient
from tapeline_databento.history.fetch import FetchedFile, FetchPlan, HistoryFetcher, Limits, OnBegin
from tapeline_databento.history.prices import daily_prices
from tapeline_databento.history.query import SOURCE
from tapeline_databento.history.usage import publish_usage
from tapeline_databento.settings import DatabentoSettings


class HistoryDesk:
    """Fetches as the settings say; its calls block. `cap_micro_usd` stands in for the settings' cap of one fetch."""

    def __init__(
        self,
        settings: DatabentoSettings,
        cache_settings: CacheSettings,
        cap_micro_usd: int | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        cap = micro_usd(settings.cap_usd) if cap_micro_usd is None else cap_micro_usd
        self.limits = Limits(cap, micro_usd(settings.monthly_budget_usd))
        self._clock_ns = clock_ns
        self._plan = Plan(micro_usd(settings.flat_usd), micro_usd(settings.licence_usd))
        self._ledger: UsageLedger = open_ledger()
        self.cache: FileCache = open_cache(cache_settings, self._ledger, clock_ns)
        self.fetcher = HistoryFetcher(
            HistoryClient(settings.api_key, settings.history_gateway),
            self.cache,
            self._ledger,
            self.limits,
            now_ns=clock_ns,
            sleep=time.sleep,
            random=random.random,
        )

    def month(self) -> MonthProjection:
        """Return what the month costs."""
        return project_month(self._ledger.usages(source=SOURCE), self._plan, self._clock_ns())

    def fetch(self, dataset: str, plan: FetchPlan, on_begin: OnBegin) -> tuple[list[FetchedFile], int]:
        """Carry a plan out; return its files and the micro-dollars spent. Raises as `HistoryFetcher.run` does."""
        self.fetcher.check(plan.estimate)
        prices = self._prices(dataset) if plan.missing else None
        meter = CostMeter(SOURCE, dataset, self._ledger, self._plan, prices)
        files = self.fetcher.run(plan, meter, on_begin)
        return files, meter.fetched_micro_usd

    def publish(self) -> str:
        """Put the account on md.usage.v1; return why it could not be, which the next call makes good, or nothing."""
        bootstrap = bootstrap_servers()
        try:
            if asyncio.run(publish_usage(self._ledger, bootstrap)) is None:
                return f"no broker answers at {bootstrap}: the usage is kept, and published with the next fetch"
        except DeliveryFailed as error:
            return (
                f"{error}; the usage is kept, and published with the next fetch (`tapeline topics apply` makes topics)"
            )
        return ""

    def _prices(self, dataset: str) -> UnitPrices:
        return daily_prices(state_folder() / "unit-prices", dataset, self.fetcher.unit_prices, self._clock_ns())
