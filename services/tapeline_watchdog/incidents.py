"""From what is found wrong, again and again, to incidents that open and close once each. Pure.

The topic of incidents is the state: what is to change is told by `Incidents.observe`, and holds once its record was
read back by `Incidents.take`. So a watchdog that starts knows what is open, and of two that find the same the first one
on the topic is right. Moments are ns since the epoch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from tapeline.model.incidents import Incident, incident_id
from tapeline_watchdog.findings import Cause, Finding, Judged, family_of
from tapeline_watchdog.incident_records import began_within, cause_of, closed, evidence_of, merged

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
        self._by_cause: dict[Cause, set[str]] = defaultdict(set)
        self._twins: set[str] = set()
        self._pending: dict[Cause, _Pending] = {}
        self._well: dict[str, int] = {}
        self._judged: dict[str, int] = {}
        """When open incidents were last judged: found again, or well. First, when they were first seen."""

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
        if before is not None:
            self._by_cause[cause_of(before)].discard(number)
            if self._open.get(cause_of(before)) == number:
                del self._open[cause_of(before)]
        self._twins.discard(number)
        if record is None or record.state == "closed":
            self._well.pop(number, None)
            self._judged.pop(number, None)
        if record is None:
            return
        if record.state == "open":
            if cause_of(record) in self._open:
                self._twins.add(number)
                return
            self._open[cause_of(record)] = number
        self._known[number] = record
        self._by_cause[cause_of(record)].add(number)

    def observe(self, judged: Iterable[Judged], now_ns: int) -> Changes:
        """Return what is to be written now that this was found; what nobody judges stays as it is."""
        judgements = tuple(judged)
        findings = {finding.cause: finding for each in judgements for finding in each.findings}
        self._forget_pending(judgements, findings)
        records: dict[str, Incident] = {}
        supports = {number: _Support() for number in self._open.values()}
        for finding in findings.values():
            past = tuple(self._past(finding))
            records |= {each.id: merged(records.get(each.id, each), (finding,), now_ns) for each in past}
            if (
                self._is_part(finding, supports)
                or any(cause in findings for cause in finding.explained_by)
                or (finding.is_consequence and past)
            ):
                self._pending.pop(finding.cause, None)
            elif (opened := self._opened(finding, now_ns)) is not None:
                records[opened.id] = opened
        for number, support in supports.items():
            is_judged = any(each.judges(self._known[number]) for each in judgements)
            records[number] = self._continued(self._known[number], support, now_ns, is_judged=is_judged)
        changed = tuple(record for number, record in records.items() if record != self._known.get(number))
        return Changes(changed, (*self._twins, *self._outdated(now_ns)))

    def opening(self, finding: Finding, now_ns: int) -> Incident | None:
        """Return the incident that a finding becomes; None where it has not lasted for long enough, or one is open."""
        return None if finding.cause in self._open else self._opened(finding, now_ns)

    def _is_part(self, finding: Finding, supports: dict[str, _Support]) -> bool:
        """Return whether a finding belongs to an incident that is open, and note it there."""
        number = self._open.get(finding.cause)
        if number is not None:
            supports[number].own.append(finding)
            return True
        for cause in finding.explained_by:
            number = self._open.get(cause)
            if number is None:
                continue
            support, is_same = supports[number], cause.family == finding.cause.family
            if is_same or began_within(finding, self._known[number]):
                (support.own if is_same else support.linked).append(finding)
                return True
        return False

    def _past(self, finding: Finding) -> Iterator[Incident]:
        """Yield the closed incidents that explain a finding and in whose time it began."""
        if finding.since_ns is None:
            return
        for cause in finding.explained_by:
            for incident in self._closed_of(cause):
                if began_within(finding, incident):
                    yield incident

    def _closed_of(self, cause: Cause) -> Iterator[Incident]:
        for number in self._by_cause.get(cause, ()):
            incident = self._known[number]
            if incident.state == "closed":
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
            return merged(before.model_copy(update=again), (finding,), now_ns)
        return Incident(
            id=number,
            type=finding.type,
            state="open",
            severity=finding.severity,
            subject=finding.subject,
            summary=finding.summary,
            evidence=evidence_of((), finding.evidence),
            request_ids=finding.request_ids,
            opened_at=pending.since_ns,
            changed_at=now_ns,
        )

    def _recent(self, cause: Cause, since_ns: int) -> Incident | None:
        """Return the last incident of a trouble if it was over only a while before it came back."""
        found = [each for each in self._closed_of(cause) if since_ns - (each.closed_at or 0) <= self._rules.again_ns]
        return max(found, key=lambda each: (each.closed_at or 0, each.id), default=None)

    def _continued(self, incident: Incident, support: _Support, now_ns: int, *, is_judged: bool) -> Incident:
        """Return an open incident as it is now."""
        well_since_ns = self._well.get(incident.id)
        if support.own or is_judged:
            self._judged[incident.id] = now_ns
        if support.own:
            self._well.pop(incident.id, None)
            flaps = incident.flaps + (well_since_ns is not None)
            came_back = incident if flaps == incident.flaps else incident.model_copy(update={"flaps": flaps})
            return merged(came_back, (*support.own, *support.linked), now_ns)
        if not is_judged:
            self._well.pop(incident.id, None)
            heard_ns = max(incident.changed_at, self._judged.setdefault(incident.id, now_ns))
            is_lost = now_ns - heard_ns > _UNHEARD_NS
            return closed(incident, now_ns, now_ns, "not heard of for a day") if is_lost else incident
        well_since_ns = self._well.setdefault(incident.id, now_ns)
        if now_ns - well_since_ns < self._rules.well_ns << min(incident.flaps, _MOST_DOUBLINGS):
            return merged(incident, support.linked, now_ns)
        return closed(merged(incident, support.linked, now_ns), well_since_ns, now_ns, "")

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
