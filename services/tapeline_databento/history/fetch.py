"""History by way of the cache: what is there already, what the rest costs, whether it may, and fetching it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from tapeline.feed.cache import Fetched, FileCache
from tapeline.feed.cache_entry import CacheEntry, CacheRequest, valid_until
from tapeline.feed.calendar import calendar_of
from tapeline.feed.cost import Cap, CostMeter, Estimate, check_caps, spent_in_month
from tapeline.feed.ledger import UsageLedger
from tapeline.feed.prices import UnitPrices
from tapeline_databento.errors import NotHistory, NotYetHistory, Unresolved
from tapeline_databento.history.client import HistoryClient
from tapeline_databento.history.download import Downloader
from tapeline_databento.history.query import SOURCE, HistoryQuery, say_time
from tapeline_databento.history.retry import retrying

DOWNLOADS: Final = 3
"""Most downloads of one file: each is billed for what it brings."""

OnBegin = Callable[[CacheRequest, Path], None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be spent, in micro-dollars."""

    fetch_micro_usd: int
    month_micro_usd: int


@dataclass(frozen=True, slots=True)
class FetchPlan:
    """What a query comes to: the files that are there, and what the others cost.

    `unresolved` are days on which no symbol means anything: there is nothing to fetch.
    """

    found: tuple[CacheEntry, ...]
    missing: tuple[tuple[CacheRequest, Estimate], ...] = ()
    unresolved: tuple[CacheRequest, ...] = ()
    available_until_ns: int = 0

    @property
    def estimate(self) -> Estimate:
        """What all that is missing comes to."""
        return sum((estimate for _, estimate in self.missing), Estimate())


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """One file of a query; `hit`: it was there."""

    entry: CacheEntry
    path: Path
    hit: bool


class HistoryFetcher:
    """Plans queries and carries them out. Its calls block; `now_ns`, `sleep` and `random` are time and chance."""

    def __init__(
        self,
        client: HistoryClient,
        cache: FileCache,
        ledger: UsageLedger,
        limits: Limits,
        *,
        now_ns: Callable[[], int],
        sleep: Callable[[float], None],
        random: Callable[[], float],
    ) -> None:
        self._client = client
        self._cache = cache
        self._ledger = ledger
        self._limits = limits
        self._now_ns = now_ns
        self._sleep = sleep
        self._random = random

    def plan(self, query: HistoryQuery) -> FetchPlan:
        """Return what is there and what the rest would cost; asks the vendor only about the rest, and pays nothing.

        Raises NotHistory where some of the rest is not history, Unresolved where no symbol means anything on any day.
        """
        looked = [(request, self._cache.find(request)) for request in query.requests()]
        found = tuple(entry for _, entry in looked if entry is not None)
        missing = [request for request, entry in looked if entry is None]
        if not missing:
            return FetchPlan(found)
        until_ns = self._check_available(query, missing)
        estimated: list[tuple[CacheRequest, Estimate]] = []
        unresolved: list[CacheRequest] = []
        for request in missing:
            try:
                estimated.append((request, self._estimate(request)))
            except Unresolved:
                unresolved.append(request)
                if not found and len(unresolved) == len(missing):
                    raise
        return FetchPlan(found, tuple(estimated), tuple(unresolved), until_ns)

    def holds(self, query: HistoryQuery) -> bool:
        """Return whether all of a query is there; asks nobody."""
        return all(self._cache.find(request) is not None for request in query.requests())

    def count(self, query: HistoryQuery) -> int:
        """Return how many records the vendor counts for a query by now, whatever is there of it; costs nothing."""
        total = 0
        for request in query.requests():
            try:
                total += self._ask(partial(self._client.count, request))
            except Unresolved:
                continue  # no symbol means anything on that day
        return total

    def raw_symbol(self, dataset: str, instrument_id: int, day: str) -> str | None:
        """Return the raw symbol of an instrument on a day (YYYY-MM-DD), None where the vendor knows none."""
        return self._ask(partial(self._client.raw_symbol, dataset, instrument_id, day))

    def check(self, estimate: Estimate) -> None:
        """Raise OverCap where an estimate is above the cap of a fetch, or more than the month's budget leaves."""
        fetch = Cap(
            "cap per fetch",
            self._limits.fetch_micro_usd,
            "raise the cap with --cap-usd or TAPELINE_DATABENTO_CAP_USD",
        )
        check_caps(estimate, [fetch])
        self._check_month(estimate)

    def unit_prices(self, dataset: str) -> UnitPrices:
        """Return the vendor's list prices."""
        return self._ask(lambda: self._client.unit_prices(dataset))

    def run(self, plan: FetchPlan, meter: CostMeter, on_begin: OnBegin) -> list[FetchedFile]:
        """Return the files of a plan in order of time, once those that are missing are fetched.

        `on_begin` is told each request when its download begins, and the path that it grows at. What is fetched before
        an error stays. Raises OverCap before anything is fetched; and later, if others spend what was left meanwhile.
        """
        self.check(plan.estimate)
        files = [FetchedFile(entry, self._cache.use(entry), hit=True) for entry in plan.found]
        downloader = Downloader(self._client, meter, self._estimate, self._now_ns)
        for request, estimate in plan.missing:

            def download(path: Path, request: CacheRequest = request, estimate: Estimate = estimate) -> Fetched:
                on_begin(request, path)
                return self._download(downloader, request, estimate, path, plan.available_until_ns)

            entry, was_there = self._cache.fetch(request, download)
            path = self._cache.use(entry) if was_there else self._cache.path(entry)
            files.append(FetchedFile(entry, path, was_there))
        return sorted(files, key=lambda file: file.entry.request.start_ns)

    def _download(
        self, downloader: Downloader, request: CacheRequest, estimate: Estimate, path: Path, available_until_ns: int
    ) -> Fetched:
        def attempt() -> int:
            self._check_month(estimate)
            return downloader.download(request, estimate, path)

        records = retrying(attempt, self._sleep, self._random, DOWNLOADS)
        holds_until_ns = valid_until(request, calendar_of(request.dataset), available_until_ns, self._now_ns())
        return Fetched(records, estimate.cost_micro_usd, holds_until_ns)

    def _check_available(self, query: HistoryQuery, missing: list[CacheRequest]) -> int:
        """Return until when there is history. Raises NotHistory where something that is missing is outside it."""
        from_ns, until_ns = self._ask(lambda: self._client.available(query.dataset, query.schema))
        what = f"{query.dataset} {query.schema}"
        if missing[-1].end_ns > until_ns:
            raise NotYetHistory(
                f"history of {what} ends at {say_time(until_ns)} for this account, and {say_time(query.end_ns)} is"
                " asked for. What is younger is live data, which the live producer replays (24 hours; mbo and"
                f" definition the whole week). Ask for --end {say_time(until_ns)} or earlier",
                until_ns,
            )
        if missing[0].start_ns < from_ns:
            raise NotHistory(
                f"history of {what} begins at {say_time(from_ns)}, and {say_time(query.start_ns)} is asked for."
                f" Ask for --start {say_time(from_ns)} or later"
            )
        return until_ns

    def _check_month(self, estimate: Estimate) -> None:
        month = Cap(
            "budget of the month",
            self._limits.month_micro_usd,
            "raise the budget with TAPELINE_DATABENTO_MONTHLY_BUDGET_USD",
            spent_in_month(self._ledger, SOURCE, self._now_ns()),
        )
        check_caps(estimate, [month])

    def _estimate(self, request: CacheRequest) -> Estimate:
        return self._ask(partial(self._client.estimate, request))

    def _ask(self, call: Callable[[], T]) -> T:
        return retrying(call, self._sleep, self._random)
