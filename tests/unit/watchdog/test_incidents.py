"""Incidents open and close once each, whoever watches, and however often what is wrong comes back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.watchdog.troubles import BEGIN, MINUTE, RULES, S, Topic, Watcher, found, judged

from tapeline.model.incidents import incident_id
from tapeline_watchdog.findings import Cause, Judged
from tapeline_watchdog.incidents import IncidentRules

WELL = judged()


def test_a_fault_opens_once_and_closes_once() -> None:
    watcher = Watcher(Topic())
    away = judged(found(hold_ns=15 * S, evidence=("mbo: away",), request_ids=("r1",)))
    at_ns = watcher.run(away, BEGIN, 15)
    assert watcher.topic.records == []
    at_ns = watcher.run(away, at_ns, 3_600)
    [incident] = watcher.topic.incidents()
    assert incident.id == incident_id("feed_disconnected", "databento/D/NQ.FUT", BEGIN)
    assert (incident.state, incident.opened_at, incident.evidence) == ("open", BEGIN, ("mbo: away",))
    assert incident.request_ids == ("r1",)
    end_ns = at_ns
    at_ns = watcher.run(WELL, at_ns, 60)
    assert watcher.topic.incidents()[0].state == "open"
    watcher.run(WELL, at_ns, 3_600)
    [incident] = watcher.topic.incidents()
    assert (incident.state, incident.closed_at, incident.flaps) == ("closed", end_ns, 0)
    assert [record.state for record in watcher.turns] == ["open", "closed"]
    # What does not change is not written again and again.
    assert len(watcher.topic.records) == 2


def test_what_is_over_before_its_hold_is_no_incident() -> None:
    watcher = Watcher(Topic())
    at_ns = BEGIN
    for _ in range(100):
        at_ns = watcher.run(judged(found(hold_ns=15 * S)), at_ns, 14)
        at_ns = watcher.run(WELL, at_ns, 5)
    assert watcher.topic.records == []


def test_what_gets_worse_is_waited_for_as_long_as_is_usual_for_the_worse() -> None:
    watcher = Watcher(Topic())
    at_ns = watcher.run(judged(found(hold_ns=300 * S)), BEGIN, 100)
    at_ns = watcher.run(judged(found(hold_ns=15 * S)), at_ns, 15)
    assert watcher.topic.records == []
    watcher.run(judged(found(hold_ns=15 * S)), at_ns, 1)
    [incident] = watcher.topic.incidents()
    assert incident.opened_at == BEGIN


def test_a_fault_that_began_before_it_could_be_found_has_its_own_time() -> None:
    watcher = Watcher(Topic())
    watcher.step([judged(found(hold_ns=15 * S, since_ns=BEGIN - MINUTE))], BEGIN)
    [incident] = watcher.topic.incidents()
    assert incident.opened_at == BEGIN - MINUTE


def test_a_flapping_fault_is_one_incident_that_must_be_well_for_longer_each_time() -> None:
    watcher = Watcher(Topic())
    at_ns = BEGIN
    for _ in range(3):
        at_ns = watcher.run(judged(found()), at_ns, 10)
        at_ns = watcher.run(WELL, at_ns, 50)
    [incident] = watcher.topic.incidents()
    assert (incident.state, incident.flaps) == ("open", 2)
    # Once more than twice a minute doubled: four minutes, of which fifty seconds are over.
    at_ns = watcher.run(WELL, at_ns, 4 * 60 - 50)
    assert watcher.topic.incidents()[0].state == "open"
    at_ns = watcher.run(WELL, at_ns, 1)
    assert watcher.topic.incidents()[0].state == "closed"
    assert [record.state for record in watcher.turns] == ["open", "closed"]
    # It comes back a while later: the same one. Long after: another one.
    at_ns = watcher.run(judged(found()), at_ns + 300 * S, 10)
    [incident] = watcher.topic.incidents()
    assert (incident.state, incident.flaps, incident.closed_at) == ("open", 3, None)
    at_ns = watcher.run(WELL, at_ns, 500)
    watcher.run(judged(found()), at_ns + 7_200 * S, 10)
    assert [(each.state, each.flaps) for each in watcher.topic.incidents()] == [("closed", 3), ("open", 0)]


def test_what_nobody_judges_stays_as_it_is() -> None:
    watcher = Watcher(Topic())
    at_ns = watcher.run(judged(found()), BEGIN, 10)
    for silence in (Judged(frozenset({"gap"}), ()), judged(subjects=frozenset({"databento/D/ES.FUT"}))):
        at_ns = watcher.run(silence, at_ns, 3_600, 60)
    for _ in range(100):
        at_ns += MINUTE
        watcher.step([], at_ns)
    assert [record.state for record in watcher.turns] == ["open"]
    # A stream that was taken out of the settings is not waited for for ever.
    watcher.run(judged(subjects=frozenset()), at_ns, 86_400, 600)
    [incident] = watcher.topic.incidents()
    assert incident.state == "closed"
    assert incident.evidence == ("closed: not heard of for a day",)


@pytest.mark.parametrize("restarts", [False, True])
def test_what_does_not_change_for_days_is_not_taken_for_unheard_of(restarts: bool) -> None:
    topic = Topic()
    watcher = Watcher(topic)
    spent = judged(found(evidence=("budget: reached",)))
    at_ns = watcher.run(spent, BEGIN, 3 * 86_400, 600)
    if restarts:
        watcher = Watcher(topic.compacted())
    # For a moment nobody knows: Kafka was away, or the bill is not read yet.
    at_ns = watcher.run(Judged(frozenset({"gap"}), ()), at_ns, 60)
    watcher.run(spent, at_ns, 3_600, 60)
    assert [each.state for each in watcher.topic.incidents()] == ["open"]
    assert [each.state for each in watcher.turns] == ([] if restarts else ["open"])


def test_a_watchdog_that_starts_goes_on_where_the_last_one_ended() -> None:
    topic = Topic()
    away = judged(found(evidence=("mbo: away",)))
    at_ns = Watcher(topic).run(away, BEGIN, 10)
    second = Watcher(topic.compacted())
    at_ns = second.run(away, at_ns, 10)
    assert second.turns == []
    second.run(WELL, at_ns, 61)
    assert [record.state for record in second.turns] == ["closed"]
    third = Watcher(second.topic.compacted())
    third.run(WELL, at_ns + 61 * S, 100)
    assert third.turns == []
    assert len(third.topic.incidents()) == 1


@pytest.mark.parametrize("apart_ns", [0, S // 2, 20 * S])
def test_two_watchdogs_open_and_close_it_once(apart_ns: int) -> None:
    topic = Topic()
    one, other = Watcher(topic), Watcher(topic)
    away = judged(found())
    for second in range(120):
        for watcher, late_ns in ((one, 0), (other, apart_ns)):
            at_ns = BEGIN + second * S + late_ns
            watcher.step([away if second * S + late_ns < 40 * S else WELL], at_ns)
    [incident] = topic.incidents()
    assert incident.state == "closed"
    assert sorted(record.state for record in (*one.turns, *other.turns)) == ["closed", "open"]


def test_of_two_that_write_at_the_same_moment_the_first_on_the_topic_is_right() -> None:
    topic = Topic()
    one, other = Watcher(topic), Watcher(topic)
    first = one.incidents.observe([judged(found())], BEGIN)
    second = other.incidents.observe([judged(found())], BEGIN + S)
    assert first.records[0].id != second.records[0].id
    one.write(first)
    other.write(second)
    assert [len(one.turns), len(other.turns)] == [1, 0]
    other.step([judged(found())], BEGIN + 2 * S)
    one.step([judged(found())], BEGIN + 2 * S)
    assert [incident.id for incident in topic.incidents()] == [first.records[0].id]
    # Both find that it is over at the same moment.
    for watcher in (one, other):
        watcher.step([WELL], BEGIN + 3 * S)
    over = [watcher.incidents.observe([WELL], BEGIN + (70 + late) * S) for late, watcher in enumerate((one, other))]
    one.write(over[0])
    other.write(over[1])
    assert [incident.state for incident in topic.incidents()] == ["closed"]
    assert [record.state for record in (*one.turns, *other.turns)] == ["open", "closed"]


def test_consequences_are_evidence_of_their_cause_and_no_incidents() -> None:
    watcher = Watcher(Topic())
    source = Cause.of("feed_disconnected", "databento")
    stream = found(explained_by=(source,))
    gap = found(
        type="gap",
        severity="warning",
        hold_ns=1_800 * S,
        evidence=("gap g: open",),
        since_ns=BEGIN + S,
        explained_by=(stream.cause, source),
    )
    of_gaps = Judged(frozenset({"gap"}), (gap,))
    for second in range(600):
        watcher.step([judged(found(subject="databento"), stream), of_gaps], BEGIN + second * S)
    [incident] = watcher.topic.incidents()
    assert (incident.subject, incident.type, incident.evidence) == ("databento", "feed_disconnected", ("gap g: open",))
    # The stream is still away when the others are back: that is the same trouble. Its gap does not keep it open.
    for second in range(600, 700):
        watcher.step([judged(stream), of_gaps], BEGIN + second * S)
    assert [(each.state, each.flaps) for each in watcher.topic.incidents()] == [("open", 0)]
    for second in range(700, 770):
        watcher.step([WELL, of_gaps], BEGIN + second * S)
    assert [each.state for each in watcher.topic.incidents()] == ["closed"]
    # What is done about the gap afterwards is still told there.
    filling = replace(gap, hold_ns=None, evidence=("gap g: filled",), request_ids=("r",))
    watcher.step([WELL, Judged(frozenset({"gap"}), (filling,))], BEGIN + 900 * S)
    [incident] = watcher.topic.incidents()
    assert (incident.state, incident.evidence, incident.request_ids) == ("closed", ("gap g: filled",), ("r",))
    # A gap that is not filled for too long is a trouble of its own.
    watcher.step([WELL, of_gaps], BEGIN + 1_801 * S)
    states = {each.type: each.state for each in watcher.topic.incidents()}
    assert states == {"feed_disconnected": "closed", "gap": "open"}


def test_silence_and_disconnection_of_a_stream_are_one_trouble() -> None:
    watcher = Watcher(Topic())
    at_ns = watcher.run(judged(found(type="feed_silent", summary="silent")), BEGIN, 30)
    at_ns = watcher.run(judged(found(summary="disconnected")), at_ns, 120)
    watcher.run(WELL, at_ns, 61)
    [incident] = watcher.topic.incidents()
    assert (incident.type, incident.state, incident.summary) == ("feed_silent", "closed", "disconnected")


def test_evidence_is_bounded_and_a_later_line_takes_the_place_of_an_earlier_one() -> None:
    watcher = Watcher(Topic())
    watcher.step([judged(found(evidence=tuple(f"{number}: a" for number in range(30))))], BEGIN)
    watcher.step([judged(found(evidence=("3: b",)))], BEGIN + S)
    assert watcher.topic.incidents()[0].evidence[3] == "3: a"
    watcher.step([judged(found(evidence=("3: b",)))], BEGIN + 61 * S)
    [incident] = watcher.topic.incidents()
    assert incident.evidence[2:5] == ("2: a", "3: b", "4: a")
    assert len(incident.evidence) == 20


def test_news_are_written_at_once_and_other_figures_once_in_a_while() -> None:
    watcher = Watcher(Topic())
    for second, lines in enumerate((["a: 1 s"], ["a: 2 s"], ["a: 3 s", "b: gap"])):
        watcher.step([judged(found(evidence=tuple(lines)))], BEGIN + second * S)
        assert watcher.topic.incidents()[0].evidence == (("a: 1 s",), ("a: 1 s",), ("a: 3 s", "b: gap"))[second]


def test_a_worse_severity_is_kept() -> None:
    watcher = Watcher(Topic())
    lag = Judged(frozenset({"consumer_lag", "stuck_worker"}), (found(type="consumer_lag", severity="warning"),))
    stuck = Judged(lag.types, (found(type="stuck_worker"),))
    for second, each in enumerate((lag, stuck, lag)):
        watcher.step([each], BEGIN + second * S)
    [incident] = watcher.topic.incidents()
    assert (incident.type, incident.severity) == ("consumer_lag", "critical")


def test_old_ones_are_removed_from_the_topic() -> None:
    watcher = Watcher(Topic(), IncidentRules(RULES.well_ns, RULES.again_ns, keep_ns=3_600 * S))
    at_ns = watcher.run(judged(found()), BEGIN, 1)
    at_ns = watcher.run(WELL, at_ns, 100)
    assert len(watcher.topic.incidents()) == 1
    watcher.run(WELL, at_ns + 3_600 * S, 2)
    assert watcher.topic.incidents() == []
    assert watcher.incidents.all == ()
