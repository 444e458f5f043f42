"""From what is found wrong, again and again, to incidents that open and close once each. Pure.

The topic of incidents is the state: what is to change is told by `Incidents.observe`, and holds once its record was
read back by `Incidents.take`. So a watchdog that starts knows what is open, and of two that find the same the first one
on the topic is right. Moments are ns since the epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from tapeline.model.incidents import MOST_EVIDENCE, Incident, incident_id
from tapeline_watchdog.findings import Cause, Finding, Judged, family_of

_UPDATE_EVERY_NS: Final = 60_000_000_000
_UNHEARD_NS: Final = 86_400_000_000_000
_MOST_DOUBLINGS: Final = 4


@dataclass(frozen=True, slots=True)
class IncidentRules:
    """For how long it must have been well (doubled for each time that it came back), within what time an incident that
    comes back is the same one, and how long closed ones are kept."""

    well_ns: int = 60_000_000_000
    again_ns: int = 600_000_000_000
    keep_ns: int = 30 * 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class Changes:
    """Records to be written, in their order, and ids of those to be removed from the topic."""

    records: tuple[Incident, ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(slots=True)
class _Pending:
    since_ns: int
    due_ns: int


@dataclass(slots=True)
class _Support:
    """What an open incident rests on now: `own` findings keep it open, `linked` ones are its consequences."""

    own: list[Finding] = field(default_factory=list)
    linked: list[Finding] = field(default_factory=list)


class Incidents:
    """All incidents of the topic that are kept."""

    def __init__(self, rules: IncidentRules) -> None:
        self._rules = rules
        self._known: dict[str, Incident] = {}
        self._open: dict[Cause, str] = {}
        self._twins: set[str] = set()
        self._pending: dict[Cause, _Pending] = {}
        self._well: dict[str, int] = {}

    @property
    def all(self) -> tuple[Incident, ...]:
        """Every incident: the open ones first, then the one that changed last."""
        return tuple(sorted(self._known.values(), key=lambda each: (each.state != "open", -each.changed_at, each.id)))

    def get(self, number: str) -> Incident | None:
        """Return the incident with this id; None where there is none, or the topic has another one for its trouble."""
        return self._known.get(number)

    def take(self, number: str, record: Incident | None) -> None:
        """Take in a record of the topic, in the order of the topic; None where it was removed."""
        before = self._known.pop(number, None)
        if before is not None and self._open.get(_cause(before)) == number:
            del self._open[_cause(before)]
        self._twins.discard(number)
        if record is None:
            return
        if record.state == "open":
            if _cause(record) in self._open:
                self._twins.add(number)
                return
            self._open[_cause(record)] = number
        else:
            self._well.pop(number, None)
        self._known[number] = record

    def observe(self, judged: Iterable[Judged], now_ns: int) -> Changes:
        """Return what is to be written now that this was found; what nobody judges stays as it is."""
        judgements = tuple(judged)
        findings = {finding.cause: finding for each in judgements for finding in each.findings}
        self._forget_pending(judgements, findings)
        records: dict[str, Incident] = {}
        supports = {number: _Support() for number in self._open.values()}
        for finding in findings.values():
            if self._is_part(finding, supports) or any(cause in findings for cause in finding.explained_by):
                self._pending.pop(finding.cause, None)
            elif (opened := self._opened(finding, now_ns)) is not None:
                records[opened.id] = opened
            for past in self._past(finding):
                records.setdefault(past.id, _merged(past, (finding,), now_ns))
        for number, support in supports.items():
            is_judged = any(each.judges(self._known[number]) for each in judgements)
            records[number] = self._continued(self._known[number], support, now_ns, is_judged=is_judged)
        changed = tuple(record for number, record in records.items() if record != self._known.get(number))
        return Changes(changed, (*self._twins, *self._outdated(now_ns)))

    def _is_part(self, finding: Finding, supports: dict[str, _Support]) -> bool:
        """Return whether a finding belongs to an incident that is open, and note it there."""
        number = self._open.get(finding.cause)
        if number is not None:
            supports[number].own.append(finding)
            return True
        for cause in finding.explained_by:
            number = self._open.get(cause)
            if number is not None:
                support = supports[number]
                (support.own if cause.family == finding.cause.family else support.linked).append(finding)
                return True
        return False

    def _past(self, finding: Finding) -> Iterator[Incident]:
        """Yield the closed incidents in whose time began what explains a finding, or the finding itself."""
        if finding.since_ns is None or not finding.explained_by:
            return
        for incident in self._known.values():
            if (
                incident.closed_at is not None
                and _cause(incident) in finding.explained_by
                and incident.opened_at <= finding.since_ns <= incident.closed_at
            ):
                yield incident

    def _opened(self, finding: Finding, now_ns: int) -> Incident | None:
        """Return the incident that a finding becomes, None before it has lasted for long enough."""
        if finding.hold_ns is None:
            return None
        since_ns = now_ns if finding.since_ns is None else min(finding.since_ns, now_ns)
        pending = self._pending.setdefault(finding.cause, _Pending(since_ns, since_ns + finding.hold_ns))
        # What gets worse is waited for as long as is usual for the worse.
        pending.due_ns = min(pending.due_ns, now_ns + finding.hold_ns)
        if now_ns < pending.due_ns:
            return None
        number = incident_id(finding.type, finding.subject, pending.since_ns)
        before = self._known.get(number) or self._recent(finding.cause, pending.since_ns)
        if before is not None:
            again = {"state": "open", "closed_at": None, "changed_at": now_ns, "flaps": before.flaps + 1}
            return _merged(before.model_copy(update=again), (finding,), now_ns)
        return Incident(
            id=number,
            type=finding.type,
            state="open",
            severity=finding.severity,
            subject=finding.subject,
            summary=finding.summary,
            evidence=_evidence((), finding.evidence),
            request_ids=finding.request_ids,
            opened_at=pending.since_ns,
            changed_at=now_ns,
        )

    def _recent(self, cause: Cause, since_ns: int) -> Incident | None:
        """Return the last incident of a trouble if it was over only a while before it came back."""
        found = [
            each
            for each in self._known.values()
            if each.closed_at is not None
            and _cause(each) == cause
            and since_ns - each.closed_at <= self._rules.again_ns
        ]
        return max(found, key=lambda each: (each.closed_at or 0, each.id), default=None)

    def _continued(self, incident: Incident, support: _Support, now_ns: int, *, is_judged: bool) -> Incident:
        """Return an open incident as it is now."""
        well_since_ns = self._well.get(incident.id)
        if support.own:
            self._well.pop(incident.id, None)
            flaps = incident.flaps + (well_since_ns is not None)
            came_back = incident if flaps == incident.flaps else incident.model_copy(update={"flaps": flaps})
            return _merged(came_back, (*support.own, *support.linked), now_ns)
        if not is_judged:
            self._well.pop(incident.id, None)
            is_lost = now_ns - incident.changed_at > _UNHEARD_NS
            return _closed(incident, now_ns, now_ns, "not heard of for a day") if is_lost else incident
        well_since_ns = self._well.setdefault(incident.id, now_ns)
        if now_ns - well_since_ns < self._rules.well_ns << min(incident.flaps, _MOST_DOUBLINGS):
            return _merged(incident, support.linked, now_ns)
        return _closed(_merged(incident, support.linked, now_ns), well_since_ns, now_ns, "")

    def _forget_pending(self, judgements: tuple[Judged, ...], findings: dict[Cause, Finding]) -> None:
        families = {family_of(kind) for each in judgements for kind in each.types}
        self._pending = {
            cause: pending
            for cause, pending in self._pending.items()
            if cause in findings or cause.family not in families
        }

    def _outdated(self, now_ns: int) -> Iterator[str]:
        for incident in self._known.values():
            if incident.closed_at is not None and now_ns - incident.closed_at > self._rules.keep_ns:
                yield incident.id


def _cause(incident: Incident) -> Cause:
    return Cause.of(incident.type, incident.subject)


def _closed(incident: Incident, closed_ns: int, now_ns: int, why: str) -> Incident:
    evidence = _evidence(incident.evidence, (f"closed: {why}",) if why else ())
    update = {"state": "closed", "closed_at": closed_ns, "changed_at": now_ns, "evidence": evidence}
    return incident.model_copy(update=update)


def _merged(incident: Incident, findings: Iterable[Finding], now_ns: int) -> Incident:
    """Return an incident with what is found now: at once where it is news, else once in a while."""
    evidence, requests, severity, summary = incident.evidence, incident.request_ids, incident.severity, incident.summary
    for finding in findings:
        evidence = _evidence(evidence, finding.evidence)
        requests = tuple(dict.fromkeys((*requests, *finding.request_ids)))
        if incident.state == "open" and finding.subject == incident.subject and _cause(incident) == finding.cause:
            summary = finding.summary
            severity = "critical" if "critical" in (severity, finding.severity) else "warning"
    update = {"evidence": evidence, "request_ids": requests, "severity": severity, "summary": summary}
    merged = incident.model_copy(update=update)
    is_news = (
        requests != incident.request_ids
        or severity != incident.severity
        or _names(evidence) != _names(incident.evidence)
        or now_ns - incident.changed_at >= _UPDATE_EVERY_NS
        or incident.changed_at == now_ns
    )
    if merged == incident or not is_news:
        return incident
    return merged.model_copy(update={"changed_at": now_ns})


def _evidence(known: tuple[str, ...], lines: tuple[str, ...]) -> tuple[str, ...]:
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
