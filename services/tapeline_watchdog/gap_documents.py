"""What the watchdog answers over HTTP about gaps and coverage. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tapeline_watchdog.gap_requests import KnownGap, Standing
from tapeline_watchdog.gaps import GapReport

Document = dict[str, Any]

_RECENT_NS: Final = 2 * 86_400_000_000_000
_RECENT_DAYS: Final = 2
_MOST_GAPS: Final = 500


def gaps_document(report: GapReport, *, is_fresh: bool) -> Document:
    """Return the gaps that are not settled, then those of the last two days, the newest first; and what is covered.

    Of very many gaps some are `left_out`. Coverage is that of the last two trading days of each stream and kind, as it
    was last told. `is_fresh` is false where nothing newer could be read. Moments are in ns since the epoch, as decimal
    text; what is not known is null.
    """
    since_ns = report.at_ns - _RECENT_NS
    gaps = [
        each for each in report.gaps if not each[0].is_settled or max(each[0].opened_at, changed_at(each[0])) > since_ns
    ]
    # What is awaited must not be left out for what is over.
    gaps.sort(key=lambda each: (each[0].is_settled, -each[0].opened_at, each[0].id))
    return {
        "at": str(report.at_ns),
        "fresh": is_fresh,
        "gaps": [_gap(gap, missing_ns) for gap, missing_ns in gaps[:_MOST_GAPS]],
        "left_out": max(0, len(gaps) - _MOST_GAPS),
        "coverage": list(_coverage(report)),
    }


def changed_at(gap: KnownGap) -> int:
    """Return when (ns) something was last heard of a gap's request; 0 where nothing was."""
    standing = gap.standing
    if standing is None:
        return 0
    return standing.request.requested_at if standing.event is None else standing.event.at


def _gap(gap: KnownGap, missing_ns: int) -> Document:
    return {
        "id": gap.id,
        "source": gap.key.source,
        "stream": gap.key.stream,
        "kind": gap.key.kind,
        "symbols": gap.symbols,
        "stage": gap.stage,
        "reason": f"{gap.reason}; {gap.given_up}" if gap.given_up else gap.reason,
        "ts_event_from": _moment(gap.ts_event_from),
        "ts_event_until": _moment(gap.ts_event_until),
        "opened_at": str(gap.opened_at),
        "missing_s": missing_ns / 1e9,
        "request": None if gap.standing is None else _request(gap.standing),
    }


def _request(standing: Standing) -> Document:
    request, event = standing.request, standing.event
    if event is None:
        empty = dict.fromkeys(("back_end", "estimated_records", "counted", "cost_usd"))
        counts = dict.fromkeys(("read", "published", "skipped", "attempt"), 0)
        return {"id": request.id, "type": "requested", **empty, **counts, "reason": "", "at": str(request.requested_at)}
    return {
        "id": request.id,
        "type": event.type,
        "back_end": event.back_end,
        "estimated_records": event.estimated_records,
        "read": event.read,
        "published": event.published,
        "skipped": event.skipped,
        "counted": event.counted,
        "cost_usd": None if event.cost_micro_usd is None else event.cost_micro_usd / 1e6,
        "attempt": event.attempt,
        "reason": event.reason,
        "at": str(event.at),
    }


def _coverage(report: GapReport) -> Iterator[Document]:
    days: dict[tuple[str, str, str], list[str]] = {}
    for told in report.coverage:
        days.setdefault((told.source, told.stream, told.kind), []).append(told.trading_day)
    newest = {key: set(sorted(each)[-_RECENT_DAYS:]) for key, each in days.items()}
    for told in sorted(report.coverage, key=lambda told: told.key):
        if told.trading_day in newest[told.source, told.stream, told.kind]:
            yield told.model_dump(mode="json", by_alias=True)


def _moment(at_ns: int | None) -> str | None:
    return None if at_ns is None else str(at_ns)
