"""What is wrong with feeds: one finding per stream, and one where everything of a source is away. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tapeline.model.incidents import IncidentType
from tapeline_watchdog.broker_findings import BROKER_AWAY
from tapeline_watchdog.feeds import FeedReport, FeedRow
from tapeline_watchdog.findings import Cause, Finding, Judged
from tapeline_watchdog.lane import FeedState

FEED_TYPES: Final[frozenset[IncidentType]] = frozenset({"feed_disconnected", "feed_silent", "feed_degraded"})
_TYPES: Final[dict[FeedState, IncidentType]] = {
    # The worst first.
    FeedState.DISCONNECTED: "feed_disconnected",
    FeedState.SILENT: "feed_silent",
    FeedState.DEGRADED: "feed_degraded",
}
_WORDS: Final[dict[IncidentType, str]] = {
    "feed_disconnected": "is disconnected",
    "feed_silent": "is silent",
    "feed_degraded": "is degraded",
}
_STOPPED: Final = "stopped"
"""The reason of a producer that was told to end, and did."""
_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class FeedHolds:
    """For how long a feed must have been disconnected (ns), silent or degraded, before that is an incident.

    A service that was ended in order has `restart_ns` to come back.
    """

    disconnected_ns: int = 15_000_000_000
    silent_ns: int = 15_000_000_000
    degraded_ns: int = 120_000_000_000
    restart_ns: int = 300_000_000_000


def absences(source: str, stream: str) -> tuple[Cause, Cause]:
    """Return the troubles of a stream's being away, and its whole source's."""
    return (
        Cause.of("feed_disconnected", f"{source}/{stream}"),
        Cause.of("feed_disconnected", source),
    )


def feed_findings(report: FeedReport, holds: FeedHolds) -> Judged:
    """Return what is wrong with feeds. What nobody expects may be ended in order for good."""
    streams: dict[tuple[str, str], list[FeedRow]] = defaultdict(list)
    for row in report.rows:
        streams[row.key.source, row.key.stream].append(row)
    by_source: dict[str, list[Finding | None]] = defaultdict(list)
    for (source, stream), rows in streams.items():
        trades = any(row.state is not FeedState.CLOSED for row in rows)
        found = _of_stream(source, stream, rows, holds)
        if trades or found is not None:
            by_source[source].append(found)
    findings = [finding for each in by_source.values() for finding in each if finding is not None]
    for source, each in by_source.items():
        away = [finding for finding in each if finding is not None and finding.type == "feed_disconnected"]
        if len(away) == len(each) > 1:
            findings.append(_of_source(source, away))
    subjects = {f"{source}/{stream}" for source, stream in streams} | {source for source, _ in streams}
    return Judged(FEED_TYPES, tuple(findings), frozenset(subjects))


def _of_stream(source: str, stream: str, rows: Sequence[FeedRow], holds: FeedHolds) -> Finding | None:
    bad = [row for row in rows if row.state.is_fault and not _is_ended(row)]
    if not bad:
        return None
    state = next(state for state in _TYPES if any(row.state is state for row in bad))
    worst = [row for row in bad if row.state is state]
    kind = _TYPES[state]
    own, all_of_source = absences(source, stream)
    explained_by = (own, all_of_source) if kind == "feed_degraded" else (all_of_source,)
    return Finding(
        type=kind,
        subject=f"{source}/{stream}",
        severity="warning" if kind == "feed_degraded" else "critical",
        summary=f"{source} {stream} {_WORDS[kind]} ({', '.join(row.key.kind for row in worst)}): {worst[0].reason}",
        hold_ns=_hold_ns(kind, worst, holds),
        since_ns=min(row.since_ns for row in worst),
        evidence=tuple(f"{stream} {row.key.kind}: {row.state}, {row.reason}" for row in bad),
        explained_by=(*explained_by, BROKER_AWAY) if _may_be_brokers(kind, worst) else explained_by,
    )


def _of_source(source: str, away: Sequence[Finding]) -> Finding:
    names = [finding.subject.removeprefix(f"{source}/") for finding in away]
    why = _reason(away[0])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return Finding(
        type="feed_disconnected",
        subject=source,
        severity="critical",
        summary=f"all {len(away)} feeds of {source} are disconnected ({', '.join(names[:_SHOWN])}{more}): {why}",
        hold_ns=min(finding.hold_ns or 0 for finding in away),
        since_ns=max(finding.since_ns or 0 for finding in away),
        evidence=tuple(line for finding in away for line in finding.evidence),
        explained_by=(BROKER_AWAY,) if all(BROKER_AWAY in finding.explained_by for finding in away) else (),
    )


def _reason(finding: Finding) -> str:
    return finding.evidence[0].partition(", ")[2]


def _is_ended(row: FeedRow) -> bool:
    return row.state is FeedState.DISCONNECTED and row.reason == _STOPPED and not row.is_expected


def _may_be_brokers(kind: IncidentType, rows: Sequence[FeedRow]) -> bool:
    """Return whether it can come of Kafka's absence: late events do, and that none come; a vendor's cut does not."""
    if kind == "feed_disconnected":
        return not any(row.is_beating for row in rows)
    return kind == "feed_degraded"


def _hold_ns(kind: IncidentType, rows: Sequence[FeedRow], holds: FeedHolds) -> int:
    if kind == "feed_degraded":
        # What comes and goes is degraded for a moment each time, and has been all the while.
        known_ns = max(row.since_ns - min(row.since_ns, row.unsteady_ns or row.since_ns) for row in rows)
        return max(0, holds.degraded_ns - known_ns)
    if kind == "feed_silent":
        return holds.silent_ns
    return holds.restart_ns if all(row.reason == _STOPPED for row in rows) else holds.disconnected_ns
