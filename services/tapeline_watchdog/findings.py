"""What the parts of the watchdog find wrong, in one form for all of them. Pure. Moments are ns since the epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from tapeline.model.incidents import Incident, IncidentType

_FAMILIES: Final[dict[IncidentType, str]] = {
    # A feed that breaks is silent first or disconnected first, and a worker that is stuck lags: that is one trouble.
    "feed_disconnected": "absence",
    "feed_silent": "absence",
    "consumer_lag": "consumer",
    "stuck_worker": "consumer",
}


class Cause(NamedTuple):
    """A trouble that a subject can have; types that are of one family are the same trouble."""

    family: str
    subject: str

    @classmethod
    def of(cls, kind: IncidentType, subject: str) -> Cause:
        """Return the trouble of this type."""
        return cls(family_of(kind), subject)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong now.

    It becomes an incident once it has lasted for `hold_ns` since `since_ns` (None: since it is found); where `hold_ns`
    is None it never does, and only counts as evidence for what explains it. `explained_by` are the troubles behind it:
    while there is an incident of one, this is a part of that one, if it began with or after it; where it
    `is_consequence`, of one that is over as well. `evidence` is lines of ``what: how``; a later one
    takes the place of an earlier one about the same.
    """

    type: IncidentType
    subject: str
    severity: Literal["warning", "critical"]
    summary: str
    hold_ns: int | None
    since_ns: int | None = None
    evidence: tuple[str, ...] = ()
    request_ids: tuple[str, ...] = ()
    explained_by: tuple[Cause, ...] = ()
    is_consequence: bool = False

    @property
    def cause(self) -> Cause:
        """What trouble it is."""
        return Cause.of(self.type, self.subject)


@dataclass(frozen=True, slots=True)
class Judged:
    """All that is wrong as far as these types go. Subjects that could not be judged are not in `subjects` (None: all
    could), so that nothing is said to be well by not being heard of."""

    types: frozenset[IncidentType]
    findings: tuple[Finding, ...]
    subjects: frozenset[str] | None = None

    def judges(self, incident: Incident) -> bool:
        """Return whether an incident would be found here, if it were not over."""
        return incident.type in self.types and (self.subjects is None or incident.subject in self.subjects)


def family_of(kind: IncidentType) -> str:
    """Return the family of a type."""
    return _FAMILIES.get(kind, kind)
