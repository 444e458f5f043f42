"""Gaps are evidence of what made them; those that stay, and backfills that failed, are troubles of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import pytest
from tests.unit.watchdog.troubles import BEGIN, MINUTE, S, Topic, Watcher, found, judged

from tapeline.model.backfill import BackfillEvent, BackfillRequest, request_id
from tapeline.model.control import Interval
from tapeline_watchdog.feed_findings import absences
from tapeline_watchdog.feeds import FeedKey
from tapeline_watchdog.findings import Finding
from tapeline_watchdog.gap_findings import gap_findings
from tapeline_watchdog.gap_requests import KnownGap, Standing

LIMIT: Final = 30 * MINUTE
WINDOW: Final = Interval(ts_event_from=BEGIN, ts_event_until=BEGIN + MINUTE)
GAP: Final = KnownGap(
    FeedKey("databento", "D/NQ.FUT", "mbo"),
    "g",
    ("*",),
    "reset by peer",
    opened_at=BEGIN,
    ts_event_from=BEGIN,
    ts_event_until=BEGIN + MINUTE,
    is_bounded=True,
    bounded_ns=BEGIN + MINUTE,
    stage="bounded",
)
REQUEST: Final = BackfillRequest(
    id=request_id("databento", "D", "D/NQ.FUT", "mbo", ("*",), WINDOW),
    source="databento",
    dataset="D",
    stream="D/NQ.FUT",
    kind="mbo",
    window=WINDOW,
    gap_id="g",
    requested_by="test",
    requested_at=BEGIN + MINUTE,
)


def after(kind: Any, at_ns: int, **fields: Any) -> Standing:
    return Standing(REQUEST, BackfillEvent(type=kind, request=REQUEST, at=at_ns, **fields))


def troubles(at_ns: int, *gaps: KnownGap) -> list[Finding]:
    return [finding for finding in gap_findings(gaps, LIMIT, at_ns).findings if finding.hold_ns is not None]


@pytest.mark.parametrize(
    ("gap", "moved_ns"),
    [
        (GAP, BEGIN + MINUTE),
        (replace(GAP, is_bounded=False, bounded_ns=None, stage="open"), BEGIN),
        (replace(GAP, stage="requested", standing=Standing(REQUEST)), BEGIN + MINUTE),
        (replace(GAP, stage="requested", standing=after("progress", BEGIN + 9 * MINUTE)), BEGIN + 9 * MINUTE),
        (
            replace(GAP, stage="requested", standing=after("failed", BEGIN, next_attempt_at=BEGIN + 60 * MINUTE)),
            BEGIN + 60 * MINUTE,
        ),
    ],
    ids=["bounded", "open", "requested", "in progress", "to be tried again"],
)
def test_a_gap_with_which_nothing_goes_on_for_long_is_a_trouble(gap: KnownGap, moved_ns: int) -> None:
    assert troubles(moved_ns + LIMIT - 1, gap) == []
    [finding] = troubles(moved_ns + LIMIT, gap)
    assert (finding.type, finding.subject, finding.severity) == ("gap", "databento/D/NQ.FUT", "warning")
    assert finding.explained_by[:2] == absences("databento", "D/NQ.FUT")
    assert finding.request_ids == (() if gap.standing is None else (REQUEST.id,))


def test_what_is_filled_is_no_trouble_and_evidence_for_a_day() -> None:
    gap = replace(GAP, stage="proven", standing=after("proven", BEGIN + 2 * MINUTE))
    assert troubles(BEGIN + 10 * LIMIT, gap) == []
    [note] = gap_findings([gap], LIMIT, BEGIN + 10 * LIMIT).findings
    assert (note.hold_ns, note.evidence) == (None, ("gap g mbo: proven (proven), reset by peer",))
    assert gap_findings([gap], LIMIT, BEGIN + 86_400 * S + 2 * MINUTE).findings == ()


def test_a_backfill_that_failed_is_told_for_a_day_and_one_that_was_cancelled_is_not() -> None:
    dead = replace(GAP, stage="given_up", standing=after("dead_lettered", BEGIN + 5 * MINUTE, reason="over the cap"))
    [finding] = troubles(BEGIN + 6 * MINUTE, dead, replace(dead, id="h"))
    assert (finding.type, finding.hold_ns, finding.request_ids) == ("backfill_failed", 0, (REQUEST.id,))
    assert "2 backfills of databento D/NQ.FUT failed: given up (dead_lettered over the cap)" in finding.summary
    assert troubles(BEGIN + 5 * MINUTE + 86_400 * S, dead) == []
    assert troubles(BEGIN + 6 * MINUTE, replace(dead, standing=after("cancelled", BEGIN, reason="by hand"))) == []


def test_a_disconnect_and_its_gap_are_one_incident_with_the_request_that_fills_it() -> None:
    watcher = Watcher(Topic())
    away = found(explained_by=absences("databento", "D/NQ.FUT")[1:])
    for second in range(400):
        at_ns = BEGIN + second * S
        gap = replace(GAP, is_bounded=False, bounded_ns=None, stage="open")
        if second >= 62:
            gap = replace(GAP, stage="requested", standing=Standing(REQUEST))
        if second >= 300:
            gap = replace(GAP, stage="proven", standing=after("proven", BEGIN + 300 * S))
        watcher.step([judged(away) if second < 60 else judged(), gap_findings([gap], LIMIT, at_ns)], at_ns)
    [incident] = watcher.topic.incidents()
    assert (incident.type, incident.state, incident.request_ids) == ("feed_disconnected", "closed", (REQUEST.id,))
    assert incident.evidence == ("gap g mbo: proven (proven), reset by peer",)
    assert [record.state for record in watcher.turns] == ["open", "closed"]


def test_a_gap_that_cannot_be_filled_belongs_to_what_made_it_and_else_is_told_itself() -> None:
    lost = replace(GAP, stage="given_up", given_up="gaps of databento are not asked for: it cannot be backfilled")
    for begins_with, types in ((judged(found()), ["feed_disconnected"]), (judged(), ["gap"])):
        watcher = Watcher(Topic())
        for second in range(0, 600, 5):
            at_ns = BEGIN + second * S
            watcher.step([begins_with if second < 60 else judged(), gap_findings([lost], LIMIT, at_ns)], at_ns)
        assert [incident.type for incident in watcher.topic.incidents()] == types


def test_a_gap_of_yesterday_is_no_evidence_of_todays_trouble() -> None:
    watcher = Watcher(Topic())
    at_ns = BEGIN + 3_600 * S
    old = replace(GAP, stage="requested", standing=after("progress", at_ns))
    for second in range(0, 120, 30):
        now_ns = at_ns + second * S
        watcher.step([judged(found()), gap_findings([old], LIMIT, now_ns)], now_ns)
    [incident] = watcher.topic.incidents()
    assert (incident.type, incident.evidence) == ("feed_disconnected", ())
