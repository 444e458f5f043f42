"""Of two requests that bring the same exactly one shuts the other out."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.backfill.scenes import a_request, an_event, of

from tapeline.model.backfill import BackfillEvent, EventType
from tapeline_backfill.requests import Requests
from tapeline_backfill.rivals import are_rivals, is_filling, rivals_before

ONE, OTHER, APART = a_request(of(0, 100)), a_request(of(50, 150)), a_request(of(100, 200))
TAKEOVER_S = 60.0


def started(request: Any, **fields: Any) -> BackfillEvent:
    return an_event("started", request, **{"attempt": 1, **fields})


def test_those_are_rivals_that_may_bring_the_same() -> None:
    assert are_rivals(ONE, OTHER)
    assert are_rivals(OTHER, APART)
    assert not are_rivals(ONE, APART)
    assert not are_rivals(ONE, ONE)
    assert not are_rivals(ONE, OTHER.model_copy(update={"kind": "trade"}))
    assert not are_rivals(ONE, OTHER.model_copy(update={"stream": "GLBX.MDP3/ES.FUT"}))


@pytest.mark.parametrize(
    ("type_", "fields", "filling"),
    [
        ("started", {"attempt": 1}, True),
        ("progress", {"attempt": 2}, True),
        ("estimated", {"attempt": 1}, True),
        ("estimated", {"attempt": 0}, False),
        ("progress", {"attempt": 1, "worker": ""}, False),
        ("failed", {"attempt": 1}, False),
        ("completed", {"attempt": 1}, False),
    ],
)
def test_what_was_left_or_is_over_is_not_being_filled(type_: EventType, fields: dict[str, Any], filling: bool) -> None:
    assert is_filling(an_event(type_, **fields)) == filling


def test_the_later_of_two_finds_the_other_and_the_earlier_does_not() -> None:
    one, other = started(ONE, worker="one"), started(OTHER, worker="two")
    progress = one.model_copy(update={"type": "progress"})
    told = [BackfillEvent.decode(event.encode()) for event in (one, other, progress)]
    assert rivals_before(one, [], told) == []
    assert rivals_before(other, [], told) == [ONE.id]
    # One of before the events that are read, and one that ended meanwhile.
    assert rivals_before(other, [one], [other]) == [ONE.id]
    ended = one.model_copy(update={"type": "completed"})
    assert rivals_before(other, [one], [ended, other]) == []
    assert rivals_before(one, [], [started(APART), one]) == []


def test_waits_for_another_s_rival_until_that_is_silent() -> None:
    found = Requests("one", TAKEOVER_S, recomputes=False)
    for request in (ONE, OTHER, APART):
        found.take_command(request)
    found.take_event(started(ONE, worker="two"), 10.0)
    assert list(found.due(100, 10.0)) == [APART]
    assert [event.key for event in found.rivals(OTHER)] == [ONE.id]
    assert OTHER in found.due(100, 10.0 + TAKEOVER_S)
    # Nobody waits for what this worker left itself, nor to be told that it is cancelled.
    found.take_command(OTHER.model_copy(update={"command": "cancel"}))
    assert OTHER in found.due(100, 10.0)
    own = Requests("two", TAKEOVER_S, recomputes=False)
    own.take_command(OTHER)
    own.take_event(started(ONE, worker="two"), 10.0)
    assert OTHER in own.due(100, 10.0)
    own.leave(ONE.id, 10.0)
    assert OTHER not in own.due(100, 10.0)
