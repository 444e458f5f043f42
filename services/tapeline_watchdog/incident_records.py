"""What becomes of an incident's record by what is found. Pure. Moments are ns since the epoch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tapeline.model.incidents import MOST_EVIDENCE, Incident
from tapeline_watchdog.findings import Cause, Finding

_UPDATE_EVERY_NS: Final = 60_000_000_000
_SLACK_NS: Final = 60_000_000_000
"""What comes of a trouble is often known a moment before it, or after it is over."""


def began_within(finding: Finding, incident: Incident) -> bool:
    """Return whether a finding began in an incident's time."""
    since_ns, closed_ns = finding.since_ns, incident.closed_at
    if since_ns is None:
        return True
    return incident.opened_at - _SLACK_NS <= since_ns and (closed_ns is None or since_ns <= closed_ns + _SLACK_NS)


def cause_of(incident: Incident) -> Cause:
    """Return what trouble an incident is of."""
    return Cause.of(incident.type, incident.subject)


def closed(incident: Incident, closed_ns: int, now_ns: int, why: str) -> Incident:
    """Return an incident that was over at `closed_ns`; `why` is told where it is not because all is well."""
    evidence = evidence_of(incident.evidence, (f"closed: {why}",) if why else ())
    update = {"state": "closed", "closed_at": closed_ns, "changed_at": now_ns, "evidence": evidence}
    return incident.model_copy(update=update)


def is_worsened(before: Incident, now: Incident) -> bool:
    """Return whether an incident that was open still is, and has become critical."""
    return before.state == now.state == "open" and before.severity != now.severity == "critical"


def merged(incident: Incident, findings: Iterable[Finding], now_ns: int) -> Incident:
    """Return an incident with what is found now: at once where it is news, else once in a while."""
    evidence, requests, severity, summary = incident.evidence, incident.request_ids, incident.severity, incident.summary
    for finding in findings:
        evidence = evidence_of(evidence, finding.evidence)
        requests = tuple(dict.fromkeys((*requests, *finding.request_ids)))
        if incident.state == "open" and finding.subject == incident.subject and cause_of(incident) == finding.cause:
            summary = finding.summary
            severity = "critical" if "critical" in (severity, finding.severity) else "warning"
    update = {"evidence": evidence, "request_ids": requests, "severity": severity, "summary": summary}
    now = incident.model_copy(update=update)
    is_news = (
        requests != incident.request_ids
        or severity != incident.severity
        or _names(evidence) != _names(incident.evidence)
        or now_ns - incident.changed_at >= _UPDATE_EVERY_NS
        or incident.changed_at == now_ns
    )
    if now == incident or not is_news:
        return incident
    return now.model_copy(update={"changed_at": now_ns})


def evidence_of(known: tuple[str, ...], lines: tuple[str, ...]) -> tuple[str, ...]:
    """Return the lines, of which a later one takes the place of an earlier one about the same; the first ones stay."""
    by_name = {_name(line): line for line in known}
    for line in lines:
        if _name(line) in by_name or len(by_name) < MOST_EVIDENCE:
            by_name[_name(line)] = line
    return tuple(by_name.values())


def _names(lines: tuple[str, ...]) -> list[str]:
    return [_name(line) for line in lines]


def _name(line: str) -> str:
    return line.partition(": ")[0]
