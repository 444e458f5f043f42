"""What a fetch tells: for people in lines, for programs as one JSON object. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tapeline.feed.cost import Estimate, MonthProjection
from tapeline.feed.prices import GIB, dollars, usd_text
from tapeline_databento.history.fetch import FetchedFile, FetchPlan, Limits
from tapeline_databento.history.query import HistoryQuery, say_time


def plan_lines(query: HistoryQuery, plan: FetchPlan, limits: Limits) -> Iterator[str]:
    """Yield what is there, and what the rest is estimated to cost."""
    there, missing = len(plan.found), len(plan.missing)
    what = f"{query.dataset} {query.schema} of {_some(query.symbols)}"
    span = f"{say_time(query.start_ns)} to {say_time(query.end_ns)}"
    yield f"{what}, {span}: {there + missing} files, {there} in the cache"
    if plan.unresolved:
        days = _some([say_time(request.start_ns)[:10] for request in plan.unresolved])
        yield f"the symbols mean nothing on {len(plan.unresolved)} days, left out: {days}"
    if missing:
        estimate = plan.estimate
        yield (
            f"to fetch: {missing} files, {estimate.records:,} records, {estimate.bytes / GIB:.3g} GiB; the vendor's"
            f" estimate is {dollars(estimate.cost_micro_usd)} (cap {dollars(limits.fetch_micro_usd)})"
        )


def result_lines(files: Sequence[FetchedFile], paths: Sequence[Path], spent_micro_usd: int) -> Iterator[str]:
    """Yield a line per file, and hits, misses and money."""
    for file, path in zip(files, paths, strict=True):
        yield f"{'cached ' if file.hit else 'fetched'}  {file.entry.records:>12,} records  {path}"
    hits = sum(file.hit for file in files)
    saved = sum(file.entry.cost_micro_usd for file in files if file.hit)
    yield (f"{hits} hits, {len(files) - hits} misses; spent {dollars(spent_micro_usd)}, saved {dollars(saved)}")


def month_line(month: MonthProjection, limits: Limits) -> str:
    """Return what the month costs."""
    fees = f"{dollars(month.flat)} plan, {dollars(month.licence)} licences"
    return (
        f"{month.month}: metered {dollars(month.metered)} of a budget of {dollars(limits.month_micro_usd)}; at this"
        f" rate {dollars(month.total_projected)} by its end ({fees}, {dollars(month.metered_projected)} metered)"
    )


def document(
    query: HistoryQuery,
    plan: FetchPlan,
    limits: Limits,
    month: MonthProjection,
    files: Sequence[FetchedFile] = (),
    paths: Sequence[Path] = (),
    spent_micro_usd: int = 0,
) -> dict[str, Any]:
    """Return all of it for programs; money is decimal text in US dollars, times are ns since the epoch as text."""
    return {
        "source": "databento",
        "dataset": query.dataset,
        "schema": query.schema,
        "symbols": list(query.symbols),
        "stype_in": query.stype_in,
        "start": str(query.start_ns),
        "end": str(query.end_ns),
        "found": len(plan.found),
        "missing": len(plan.missing),
        "unresolved": [str(request.start_ns) for request in plan.unresolved],
        "estimate": _estimate(plan.estimate),
        "cap_usd": usd_text(limits.fetch_micro_usd),
        "hits": sum(file.hit for file in files),
        "misses": sum(not file.hit for file in files),
        "spent_usd": usd_text(spent_micro_usd),
        "saved_usd": usd_text(sum(file.entry.cost_micro_usd for file in files if file.hit)),
        "month": {
            "month": month.month,
            "metered_usd": usd_text(month.metered),
            "budget_usd": usd_text(limits.month_micro_usd),
            "flat_usd": usd_text(month.flat),
            "licence_usd": usd_text(month.licence),
            "projected_usd": usd_text(month.total_projected),
            "notional_usd": usd_text(month.notional),
            "saved_usd": usd_text(month.saved),
        },
        "files": [_file(file, path) for file, path in zip(files, paths, strict=True)],
    }


def _estimate(estimate: Estimate) -> dict[str, Any]:
    return {"usd": usd_text(estimate.cost_micro_usd), "bytes": estimate.bytes, "records": estimate.records}


def _file(file: FetchedFile, path: Path) -> dict[str, Any]:
    entry = file.entry
    return {
        "path": str(path),
        "hit": file.hit,
        "records": entry.records,
        "bytes": entry.bytes,
        "start": str(entry.request.start_ns),
        "end": str(entry.request.end_ns),
        "sha256": entry.sha256,
        "valid_until": None if entry.valid_until_ns is None else str(entry.valid_until_ns),
    }


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
