"""The command `tapeline fetch databento`."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import orjson
import typer

from tapeline.bus.bootstrap import bootstrap_servers
from tapeline.errors import DeliveryFailed, Misconfigured
from tapeline.feed.cache import FileCache
from tapeline.feed.cache_settings import CacheSettings, open_cache, open_ledger
from tapeline.feed.cost import CostMeter, MonthProjection, Plan, project_month
from tapeline.feed.ledger import UsageLedger
from tapeline.feed.prices import UnitPrices, micro_usd
from tapeline.ops.logs import configure_logs
from tapeline.ops.state import state_folder
from tapeline_databento.history.client import HistoryClient
from tapeline_databento.history.fetch import FetchedFile, FetchPlan, HistoryFetcher, Limits
from tapeline_databento.history.files import file_name, put
from tapeline_databento.history.prices import daily_prices
from tapeline_databento.history.progress import FetchProgress
from tapeline_databento.history.query import SOURCE, HistoryQuery, history_query
from tapeline_databento.history.report import document, month_line, plan_lines, result_lines
from tapeline_databento.history.usage import publish_usage
from tapeline_databento.settings import DatabentoSettings

fetch = typer.Typer(no_args_is_help=True, add_completion=False, help="Fetch a vendor's history into the cache.")


@fetch.callback()
def _fetch() -> None:
    """Fetch a vendor's history into the cache."""


@fetch.command()
def databento(
    schema: Annotated[str, typer.Option(help="mbo, mbp-1, trades, definition, …")],
    symbols: Annotated[str, typer.Option(help="With commas: parents (NQ.FUT), raw (NQZ6) or continuous (NQ.c.0).")],
    start: Annotated[str, typer.Option(help="First moment: a date or a time in ISO 8601, UTC.")],
    end: Annotated[
        str | None, typer.Option(help="The moment after the last; default: the end of --start's day.")
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Instead of the setting.")] = None,
    cap_usd: Annotated[
        str | None, typer.Option(help="Most US dollars that it may cost, instead of the setting.")
    ] = None,
    estimate: Annotated[bool, typer.Option("--estimate", help="Only tell what it would cost.")] = False,
    output: Annotated[Path | None, typer.Option(help="Folder to put the files into, for `tapeline replay`.")] = None,
    cache_dir: Annotated[Path | None, typer.Option(help="The cache's folder, instead of the setting.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Fetch Databento's history; what is in the cache is not paid for again.

    The vendor's estimate comes first: above the cap, or above what the month's budget leaves, nothing is fetched.
    """
    configure_logs(SOURCE, default_level="warning")
    settings = DatabentoSettings.load(overrides={"dataset": dataset, "cap_usd": cap_usd})
    query = history_query(settings.dataset, schema, symbols, start, end)
    with _usable_files():
        desk = _Desk(settings, CacheSettings.load(overrides={"dir": cache_dir}))
        plan = desk.fetcher.plan(query)
        if not json:
            _print(plan_lines(query, plan, desk.limits))
        if estimate:
            month = desk.month()
            _print([_json(document(query, plan, desk.limits, month)) if json else month_line(month, desk.limits)])
            return
        files, spent = desk.fetch(query, plan)
        paths = [file.path if output is None else _put(file, output) for file in files]
        desk.cache.evict(keep=[file.entry for file in files])
        month = desk.month()
    if json:
        _print([_json(document(query, plan, desk.limits, month, files, paths, spent))])
    else:
        _print([*result_lines(files, paths, spent), month_line(month, desk.limits)])


class _Desk:
    """All that a fetch needs, as the settings say."""

    def __init__(self, settings: DatabentoSettings, cache_settings: CacheSettings) -> None:
        self.limits = Limits(micro_usd(settings.cap_usd), micro_usd(settings.monthly_budget_usd))
        self._plan = Plan(micro_usd(settings.flat_usd), micro_usd(settings.licence_usd))
        self._ledger: UsageLedger = open_ledger()
        self.cache: FileCache = open_cache(cache_settings, self._ledger, time.time_ns)
        self.fetcher = HistoryFetcher(
            HistoryClient(settings.api_key, settings.history_gateway),
            self.cache,
            self._ledger,
            self.limits,
            now_ns=time.time_ns,
            sleep=time.sleep,
            random=random.random,
        )

    def month(self) -> MonthProjection:
        """Return what the month costs."""
        return project_month(self._ledger.usages(source=SOURCE), self._plan, time.time_ns())

    def fetch(self, query: HistoryQuery, plan: FetchPlan) -> tuple[list[FetchedFile], int]:
        """Carry a plan out, showing how it goes; return its files and the micro-dollars spent."""
        self.fetcher.check(plan.estimate)
        prices = self._prices(query.dataset) if plan.missing else None
        meter = CostMeter(SOURCE, query.dataset, self._ledger, self._plan, prices)
        try:
            with FetchProgress(len(plan.missing)) as progress:
                files = self.fetcher.run(plan, meter, progress.begin)
        finally:
            self._publish()
        return files, meter.fetched_micro_usd

    def _prices(self, dataset: str) -> UnitPrices:
        return daily_prices(state_folder() / "unit-prices", dataset, self.fetcher.unit_prices, time.time_ns())

    def _publish(self) -> None:
        bootstrap = bootstrap_servers()
        try:
            if asyncio.run(publish_usage(self._ledger, bootstrap)) is None:
                _warn(f"no broker answers at {bootstrap}: the usage is kept, and published with the next fetch")
        except DeliveryFailed as error:
            _warn(
                f"{error}; the usage is kept, and published with the next fetch (`tapeline topics apply` makes topics)"
            )


def _put(file: FetchedFile, folder: Path) -> Path:
    return put(file.path, folder, file_name(file.entry.request))


@contextmanager
def _usable_files() -> Iterator[None]:
    """Tell which file or folder cannot be used as a user's mistake."""
    try:
        yield
    except OSError as error:
        raise Misconfigured(f"{error.filename or 'the cache'}: {error.strerror}") from None


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.write(line + "\n")


def _warn(line: str) -> None:
    sys.stderr.write(f"tapeline: {line}\n")
