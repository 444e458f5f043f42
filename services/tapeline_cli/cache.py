"""`tapeline cache`: what the cache holds, and what it has saved."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from tapeline.feed.cache import Holdings
from tapeline.feed.cache_settings import CacheSettings, open_cache, open_ledger
from tapeline.feed.prices import dollars, micro_usd, usd_text
from tapeline.model.usage import Usage


def cache(
    cache_dir: Annotated[Path | None, typer.Option(help="The cache's folder, instead of the setting.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per source.")] = False,
) -> None:
    """Show per source what the cache holds, and over all runs its hits and misses, and the money spent and saved."""
    settings = CacheSettings.load(overrides={"dir": cache_dir})
    ledger = open_ledger()
    holdings = open_cache(settings, ledger, time.time_ns).holdings()
    usages = ledger.usages()
    sources = sorted({*holdings, *(usage.source for usage in usages if usage.cache_hits or usage.cache_misses)})
    reports = [
        _report(source, holdings.get(source, Holdings(0, 0)), [usage for usage in usages if usage.source == source])
        for source in sources
    ]
    if json:
        for report in reports:
            sys.stdout.write(orjson.dumps(report).decode() + "\n")
        return
    if not reports:
        sys.stdout.write(f"{settings.folder()}: holds nothing yet; `tapeline fetch` fills it\n")
    for report in reports:
        sys.stdout.write(_line(report) + "\n")


def _report(source: str, held: Holdings, usages: Sequence[Usage]) -> dict[str, Any]:
    hits = sum(usage.cache_hits for usage in usages)
    misses = sum(usage.cache_misses for usage in usages)
    spent = sum(usage.cost_micro_usd for usage in usages if not usage.notional)
    return {
        "source": source,
        "entries": held.entries,
        "bytes": held.bytes,
        "hits": hits,
        "misses": misses,
        "hit_ratio": hits / (hits + misses) if hits + misses else None,
        "spent_usd": usd_text(spent),
        "saved_usd": usd_text(sum(usage.saved_micro_usd for usage in usages)),
    }


def _line(report: dict[str, Any]) -> str:
    ratio = "" if report["hit_ratio"] is None else f" ({report['hit_ratio']:.1%})"
    spent, saved = (dollars(micro_usd(report[name])) for name in ("spent_usd", "saved_usd"))
    return (
        f"{report['source']}: {report['entries']:,} files, {report['bytes'] / 2**20:,.1f} MiB;"
        f" {report['hits']:,} hits, {report['misses']:,} misses{ratio}; spent {spent}, saved {saved}"
    )
