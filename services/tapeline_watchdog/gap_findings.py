"""What is wrong with gaps and their backfills: per stream one finding of each, and each gap as evidence. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from tapeline.model.incidents import IncidentType
from tapeline_watchdog.broker_findings import BROKER_AWAY
from tapeline_watchdog.feed_findings import absences
from tapeline_watchdog.findings import Cause, Finding, Judged
from tapeline_watchdog.gap_requests import KnownGap

GAP_TYPES: Final[frozenset[IncidentType]] = frozenset({"gap", "backfill_failed"})
_DAY_NS: Final = 86_400_000_000_000
_FAILED: Final = ("rejected", "dead_lettered")
_HOLD_NS: Final = 60_000_000_000
"""Time for the trouble that explains a gap to be found first."""


def gap_findings(gaps: Iterable[KnownGap], limit_ns: int, now_ns: int) -> Judged:
    """Return what is wrong with gaps: those with which nothing went on for `limit_ns`, what is given up, and backfills
    that failed. Of the latter two nobody can be waited for, so they are told of for a day. Times are ns."""
    by_stream: dict[tuple[str, str], list[KnownGap]] = defaultdict(list)
    for gap in gaps:
        if gap.is_missing or now_ns - _moved_ns(gap) < _DAY_NS:
            by_stream[gap.key.source, gap.key.stream].append(gap)
    findings = [
        finding
        for (source, stream), each in by_stream.items()
        for finding in _of_stream(source, stream, each, limit_ns, now_ns)
    ]
    return Judged(GAP_TYPES, tuple(findings))


def _of_stream(source: str, stream: str, gaps: Sequence[KnownGap], limit_ns: int, now_ns: int) -> Iterator[Finding]:
    behind = (*absences(source, stream), Cause.of("feed_degraded", f"{source}/{stream}"), BROKER_AWAY)
    for gap in gaps:
        yield Finding(
            type="gap",
            subject=f"{source}/{stream}/{gap.key.kind}/{gap.id}",
            severity="warning",
            summary=_line(gap),
            hold_ns=None,
            since_ns=gap.opened_at,
            evidence=(_line(gap),),
            request_ids=_requests([gap]),
            explained_by=(*behind, Cause.of("gap", f"{source}/{stream}")),
        )
    recent = [gap for gap in gaps if now_ns - _moved_ns(gap) < _DAY_NS]
    failed = [gap for gap in recent if gap.stage == "given_up" and _last(gap) in _FAILED]
    lost = [gap for gap in recent if gap.stage == "given_up" and gap.standing is None]
    waiting = [
        gap for gap in gaps if gap.is_missing and gap.stage != "given_up" and now_ns - _moved_ns(gap) >= limit_ns
    ]
    if failed:
        yield _finding("backfill_failed", source, stream, failed, f"{_backfills(failed)} of {source} {stream} failed")
    if waiting:
        summary = f"{_gaps(waiting)} of {source} {stream} {_is(waiting)} not filled"
        yield _finding("gap", source, stream, waiting, summary, explained_by=behind)
    elif lost:
        summary = f"{_gaps(lost)} of {source} {stream} cannot be filled"
        yield _finding("gap", source, stream, lost, summary, explained_by=behind, is_consequence=True)


def _finding(
    kind: IncidentType,
    source: str,
    stream: str,
    gaps: Sequence[KnownGap],
    summary: str,
    *,
    explained_by: tuple[Cause, ...] = (),
    is_consequence: bool = False,
) -> Finding:
    return Finding(
        type=kind,
        subject=f"{source}/{stream}",
        severity="warning",
        summary=f"{summary}: {_why(gaps[0])}",
        hold_ns=_HOLD_NS if explained_by else 0,
        since_ns=min(_moved_ns(gap) for gap in gaps)
        if kind == "backfill_failed"
        else min(gap.opened_at for gap in gaps),
        evidence=tuple(_line(gap) for gap in gaps),
        request_ids=_requests(gaps),
        explained_by=explained_by,
        is_consequence=is_consequence,
    )


def _moved_ns(gap: KnownGap) -> int:
    """Return when something last went on with a gap, or will by what its backfill says."""
    event = None if gap.standing is None else gap.standing.event
    asked_ns = 0 if gap.standing is None else gap.standing.request.requested_at
    told_ns = 0 if event is None else max(event.at, event.next_attempt_at or 0)
    return max(gap.opened_at, gap.bounded_ns or 0, asked_ns, told_ns)


def _last(gap: KnownGap) -> str | None:
    return None if gap.standing is None or gap.standing.event is None else gap.standing.event.type


def _requests(gaps: Iterable[KnownGap]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(gap.standing.request.id for gap in gaps if gap.standing is not None))


def _line(gap: KnownGap) -> str:
    return f"gap {gap.id} {gap.key.kind}: {_why(gap)}"


def _why(gap: KnownGap) -> str:
    event = None if gap.standing is None else gap.standing.event
    said = gap.given_up or ("" if event is None else f"{event.type} {event.reason}".strip())
    return f"{gap.stage.replace('_', ' ')}{f' ({said})' if said else ''}, {gap.reason}"


def _gaps(gaps: Sequence[KnownGap]) -> str:
    return "a gap" if len(gaps) == 1 else f"{len(gaps)} gaps"


def _backfills(gaps: Sequence[KnownGap]) -> str:
    return "the backfill" if len(gaps) == 1 else f"{len(gaps)} backfills"


def _is(gaps: Sequence[KnownGap]) -> str:
    return "is" if len(gaps) == 1 else "are"
