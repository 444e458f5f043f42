"""What is read again, what counts of it, and how often that is done."""

from __future__ import annotations

from tests.unit.backfill.scenes import a_request, an_event, of

from tapeline.errors import Retryable
from tapeline.model.backfill import BackfillEvent
from tapeline_backfill.cursor import Cursor
from tapeline_backfill.errors import Unequal
from tapeline_backfill.rereading import anew, asked_again, lost, tries

WINDOW = of(100, 200)


def read_to(until: int, reads: int = 1) -> BackfillEvent:
    cursor = Cursor(since=9, frame=3, reads=reads, cost_micro_usd=25, done=(of(100, until),))
    counts = {"attempt": 7, "read": 11, "published": 8, "skipped": 3, "ids": "00ff"}
    return an_event("progress", a_request(WINDOW), cursor=cursor.encode(), **counts)


def test_what_is_read_again_is_begun_anew_and_counted() -> None:
    begun = {"cursor": Cursor(since=9, frame=3, reads=2, cost_micro_usd=25).encode(), "read": 0, "skipped": 0}
    assert anew(read_to(200)) == anew(read_to(150)) == begun
    assert tries(read_to(200).model_copy(update=begun), Unequal("400 of 403")) == 2


def test_only_readings_count_where_counts_disagree() -> None:
    assert tries(read_to(200), Unequal("400 of 403")) == 1
    assert tries(read_to(200), Retryable("away")) == 7
    assert tries(an_event("requested"), Retryable("away")) == 1


def test_goes_on_when_it_is_asked_for_again_and_begins_anew_where_all_was_read() -> None:
    half = read_to(150, reads=2)
    again = asked_again(half)
    assert again == {"cursor": Cursor.of(half).model_copy(update={"reads": 1}).encode()}
    begun = {"cursor": Cursor(since=9, frame=3, cost_micro_usd=25).encode(), "read": 0, "skipped": 0}
    assert asked_again(read_to(200, reads=2)) == begun


def test_nothing_counts_that_was_published_before_it_was_lost() -> None:
    event = read_to(200)
    after = event.model_copy(update=lost(event))
    assert (after.published, after.ids, after.read) == (0, "", 11)
    assert Cursor.of(after) == Cursor.of(event).model_copy(update={"since": None, "first": 3})
