"""A recompute takes in all that requests have brought, whatever became of them and however often they were made."""

from __future__ import annotations

from tests.unit.backfill.scenes import a_request, an_event, of

from tapeline.model.backfill import BackfillEvent, EventType
from tapeline_backfill.cursor import Cursor
from tapeline_backfill.recompute_backfills import backfills_of

WANTED = a_request(of(100, 200))


def brought(type_: EventType, until: int, since: int | None = 3, published: int = 5, at: int = 1) -> BackfillEvent:
    cursor = None if since is None else Cursor(since=since).encode()
    return an_event(type_, a_request(of(100, until), at=at), published=published, cursor=cursor)


def test_takes_in_what_was_given_up_half_way_and_what_goes_on() -> None:
    given_up, going_on = brought("dead_lettered", 201), brought("progress", 202)
    nothing = brought("cancelled", 203, published=0)
    filled, empty = brought("proven", 204), brought("proven", 205, None, published=0)
    found = backfills_of([given_up, going_on, nothing, filled, empty], WANTED, None)
    assert found.completed == [filled.request, empty.request, WANTED]
    assert found.partial == [given_up.request, going_on.request]
    assert found.since.keys() == {given_up.key, going_on.key, filled.key}


def test_the_last_event_of_a_request_counts() -> None:
    events = [brought("cancelled", 300), brought("requested", 300, at=9), brought("completed", 300, published=8, at=9)]
    last = events[-1]
    assert backfills_of(events, WANTED, None) == ([last.request, WANTED], [], {last.key: 3})


def test_one_that_was_made_again_has_its_first_frames_from_before_that() -> None:
    long_after = 10**18
    found = backfills_of([brought("completed", 200, since=7, at=long_after)], WANTED, None)
    assert found.since == {WANTED.id: 7}
    assert backfills_of([brought("completed", 200, since=None)], WANTED, None).since == {WANTED.id: 0}
    damaged = brought("completed", 200).model_copy(update={"cursor": "{"})
    assert backfills_of([damaged], WANTED, None).since == {WANTED.id: 0}


def test_what_the_tape_has_not_lost_counts() -> None:
    before = Cursor(since=9, first=4, frame=4)
    lost = brought("dead_lettered", 300, published=0).model_copy(update={"cursor": before.encode()})
    assert backfills_of([lost], WANTED, None) == ([WANTED], [lost.request], {lost.key: 0})


def test_leaves_out_what_is_over_and_what_is_of_other_streams() -> None:
    over, other = brought("proven", 150), brought("proven", 201)
    other = other.model_copy(update={"request": other.request.model_copy(update={"kind": "l1"})})
    assert backfills_of([over, other], WANTED, 150) == ([WANTED], [], {})
    assert backfills_of([over], WANTED, 149).completed == [over.request, WANTED]
