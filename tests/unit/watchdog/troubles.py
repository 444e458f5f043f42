"""A topic of incidents with watchdogs that read and write it, as the tests of incidents need them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from tapeline.model.incidents import Incident
from tapeline_watchdog.feed_findings import FEED_TYPES
from tapeline_watchdog.feeds import FeedKey, FeedReport, FeedRow
from tapeline_watchdog.findings import Finding, Judged
from tapeline_watchdog.incidents import Changes, IncidentRules, Incidents
from tapeline_watchdog.lane import FeedState

S: Final = 1_000_000_000
MINUTE: Final = 60 * S
BEGIN: Final = 1_800_000_000 * S
RULES: Final = IncidentRules(well_ns=60 * S, again_ns=600 * S, keep_ns=30 * 86_400 * S)


@dataclass
class Topic:
    """Records in their order."""

    records: list[tuple[str, Incident | None]] = field(default_factory=list)

    def compacted(self) -> Topic:
        """Return the topic as the broker keeps it: the last record of each key, in the order of those."""
        last = {key: offset for offset, (key, _) in enumerate(self.records)}
        return Topic([self.records[offset] for offset in sorted(last.values())])

    def incidents(self) -> list[Incident]:
        return [record for _, record in self.compacted().records if record is not None]


class Watcher:
    """A watchdog that keeps incidents on a topic. `turns` is what it would tell people."""

    def __init__(self, topic: Topic, rules: IncidentRules = RULES) -> None:
        self.topic = topic
        self.incidents = Incidents(rules)
        self.turns: list[Incident] = []
        self._next = 0
        self.read()

    def read(self) -> list[Incident]:
        """Take in what is new; return what opened or closed an incident."""
        turned = []
        for key, record in self.topic.records[self._next :]:
            before = self.incidents.get(key)
            self.incidents.take(key, record)
            now = self.incidents.get(key)
            if now is not None and (before is None or before.state != now.state):
                turned.append(now)
        self._next = len(self.topic.records)
        return turned

    def step(self, judged: Iterable[Judged], now_ns: int) -> Changes:
        """Read, judge, write, and read what was written."""
        self.read()
        return self.write(self.incidents.observe(judged, now_ns))

    def write(self, changes: Changes) -> Changes:
        self.topic.records += [(record.id, record) for record in changes.records]
        self.topic.records += [(number, None) for number in changes.removed]
        self.turns += [record for record in self.read() if record in changes.records]
        return changes

    def run(self, judged: Judged, begin_ns: int, seconds: int, every_s: int = 1) -> int:
        """Step through a time in which all stays as it is; return its end."""
        for second in range(0, seconds, every_s):
            self.step([judged], begin_ns + second * S)
        return begin_ns + seconds * S


def found(**fields: Any) -> Finding:
    """Return a finding: a stream that is disconnected, at once an incident, unless told otherwise."""
    usual: dict[str, Any] = {
        "type": "feed_disconnected",
        "subject": "databento/D/NQ.FUT",
        "severity": "critical",
        "summary": "it is away",
        "hold_ns": 0,
    }
    return Finding(**(usual | fields))


def judged(*findings: Finding, subjects: frozenset[str] | None = None) -> Judged:
    """Return what is said of feeds."""
    return Judged(FEED_TYPES, findings, subjects)


def row(stream: str, kind: str, state: FeedState, reason: str = "", **fields: Any) -> FeedRow:
    """Return a feed of Databento in a state since `since_ns`."""
    usual: dict[str, Any] = {
        "since_ns": BEGIN,
        "flags": (),
        "is_expected": True,
        "is_beating": True,
        "session": "s",
        "epoch": 1,
        "heard_ns": BEGIN,
        "tick_ns": BEGIN,
        "silence_ns": 0,
        "silence_limit_ns": None,
        "rate": None,
        "latency": None,
        "reconnects": 0,
        "reconnects_per_hour": 0,
        "queue_fill": 0.0,
    }
    return FeedRow(key=FeedKey("databento", stream, kind), state=state, reason=reason, **(usual | fields))


def report(*rows: FeedRow, at_ns: int = BEGIN) -> FeedReport:
    return FeedReport(at_ns, rows, ())
