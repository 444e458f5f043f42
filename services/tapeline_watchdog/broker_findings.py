"""Whether Kafka answers: from looks at it to the one finding that explains what nobody could do meanwhile. Pure.

Incidents are kept in Kafka, so that of an absence is written when it is over. Moments are ns since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tapeline.model.incidents import IncidentType
from tapeline_watchdog.findings import Cause, Finding, Judged

BROKER_TYPES: Final[frozenset[IncidentType]] = frozenset({"broker_away"})
_SUBJECT: Final = "kafka"
BROKER_AWAY: Final = Cause.of("broker_away", _SUBJECT)
"""What explains that groups did not commit and producers were not heard."""
_LEAST_LOOKS: Final = 2
"""A look that a watchdog which was suspended comes back from fails, too, and the next one does not."""


@dataclass(slots=True)
class _Absence:
    since_ns: int
    back_ns: int | None = None
    looks: int = 0
    reason: str = ""


class BrokerLooks:
    """What looks at the broker say. An absence longer than `limit_ns` is found until it `was_written`."""

    def __init__(self, limit_ns: int) -> None:
        self._limit_ns = limit_ns
        self._answered_ns: int | None = None
        self._absence: _Absence | None = None

    def answered(self, now_ns: int) -> None:
        """Take note that the broker answered."""
        self._answered_ns = now_ns
        if self._absence is not None and self._absence.back_ns is None:
            self._absence.back_ns = now_ns
            if not self._is_long(self._absence, now_ns):
                self._absence = None

    def failed(self, began_ns: int, reason: str) -> None:
        """Take note that it did not, of a look that began at `began_ns`."""
        if self._absence is None:
            self._absence = _Absence(began_ns if self._answered_ns is None else self._answered_ns)
        # One that comes back for too short a time to be written to was not back.
        self._absence.back_ns = None
        self._absence.looks += 1
        self._absence.reason = reason

    def was_written(self) -> None:
        """Take note that what was judged is on the topic of incidents."""
        if self._absence is not None and self._absence.back_ns is not None:
            self._absence = None

    def finding(self, now_ns: int) -> Finding | None:
        """Return the absence that lasts, or is over and was not written yet; None where there is none."""
        absence = self._absence
        if absence is None or not self._is_long(absence, now_ns):
            return None
        lasted_s = ((now_ns if absence.back_ns is None else absence.back_ns) - absence.since_ns) / 1e9
        has_not, can = ("has not answered", "can") if absence.back_ns is None else ("did not answer", "could")
        return Finding(
            type="broker_away",
            subject=_SUBJECT,
            severity="critical",
            summary=f"Kafka {has_not} for {lasted_s:.0f} s: nothing {can} be written or read",
            hold_ns=0,
            since_ns=absence.since_ns,
            evidence=(f"away: for {lasted_s:.0f} s, {absence.looks} looks in vain", f"reason: {absence.reason}"),
        )

    def judge(self, now_ns: int) -> Judged:
        """Return what there is to be said of the broker."""
        finding = self.finding(now_ns)
        return Judged(BROKER_TYPES, () if finding is None else (finding,))

    def _is_long(self, absence: _Absence, now_ns: int) -> bool:
        end_ns = now_ns if absence.back_ns is None else absence.back_ns
        return absence.looks >= _LEAST_LOOKS and end_ns - absence.since_ns > self._limit_ns
