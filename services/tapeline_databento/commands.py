"""The command `tapeline fetch databento`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import orjson
import typer

from tapeline.errors import Misconfigured
from tapeline.feed.cache_settings import CacheSettings
from tapeline.ops.logs import configure_logs
from tapeline_databento.history.desk import HistoryDesk
from tapeline_databento.history.fetch import FetchedFile, FetchPlan
from tapeline_databento.history.files import file_name, put
from tapeline_databento.history.progress import FetchProgress
from tapeline_databento.history.query import SOURCE, HistoryQuery, history_query
from tapeline_databento.history.report import document, month_line, plan_lines, result_lines
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
        desk = HistoryDesk(settings, CacheSettings.load(overrides={"dir": cache_dir}))
        plan = desk.fetcher.plan(query)
        if not json:
            _print(plan_lines(query, plan, desk.limits))
        if estimate:
            month = desk.month()
            _print([_json(document(query, plan, desk.limits, month)) if json else month_line(month, desk.limits)])
            return
        files, spent = _fetch_shown(desk, query, plan)
        paths = [file.path if output is None else _put(file, output) for file in files]
        desk.cache.evict(keep=[file.entry for file in files])
        month = desk.month()
    if json:
        _print([_json(document(query, plan, desk.limits, month, files, paths, spent))])
    else:
        _print([*result_lines(files, paths, spent), month_line(month, desk.limits)])


def _fetch_shown(desk: HistoryDesk, query: HistoryQuery, plan: FetchPlan) -> tuple[list[FetchedFile], int]:
    """Carry a plan out, showing how it goes; return its files and the micro-dollars spent."""
    # Above the caps there is no progress to be shown.
    desk.fetcher.check(plan.estimate)
    try:
        with FetchProgress(len(plan.missing)) as progress:
            return desk.fetch(query.dataset, plan, progress.begin)
    finally:
        unpublished = desk.publish()
        if unpublished:
            _warn(unpublished)


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
