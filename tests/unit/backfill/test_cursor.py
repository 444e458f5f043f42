"""A cursor says just where to go on, also where another back end has to."""

from __future__ import annotations

import pytest
from tests.unit.backfill.scenes import Way, a_request, an_event, bounds, of

from tapeline.errors import BadData, Bug
from tapeline_backfill.cursor import Cursor
from tapeline_backfill.windows import Part

REPLAY, HISTORY = Way("replay", lambda _: None), Way("historical", lambda _: None)
WINDOW = of(100, 200)


def test_is_the_same_after_it_was_written_and_read() -> None:
    cursor = Cursor(since=3).begin(Part(REPLAY, WINDOW), 40, an_event("started", read=5)).took(7, 2)
    assert Cursor.of(an_event("progress", cursor=cursor.encode())) == cursor
    assert Cursor.of(an_event("started")) == Cursor()


def test_goes_through_a_window_slice_by_slice() -> None:
    cursor, seen = Cursor(), []
    while left := cursor.remaining(WINDOW):
        cursor = cursor.begin(Part(REPLAY, left[0]), 40, an_event("started"))
        seen.append(cursor.in_hand.interval)
        cursor = cursor.took(3, 1).finish(10)
    assert bounds(*seen) == [(100, 140), (140, 180), (180, 200)]
    assert (cursor.frame, cursor.cost_micro_usd, bounds(*cursor.done)) == (3, 30, [(100, 200)])


def test_goes_on_in_the_slice_in_hand_though_slices_are_shorter_now() -> None:
    cursor = Cursor().begin(Part(REPLAY, WINDOW), 40, an_event("started")).took(7, 2)
    again = cursor.begin(Part(REPLAY, of(100, 190)), 10, an_event("progress", read=7))
    assert again == cursor
    assert again.in_hand.taken == 7


@pytest.mark.parametrize(
    "part",
    [Part(HISTORY, WINDOW), Part(REPLAY, of(110, 200)), Part(REPLAY, of(100, 130))],
    ids=["other", "begin", "end"],
)
def test_begins_the_slice_anew_where_a_count_of_records_says_nothing(part: Part) -> None:
    event = an_event("started", read=5, skipped=2)
    cursor = Cursor().begin(Part(REPLAY, WINDOW), 40, event).took(7, 2)
    again = cursor.begin(part, 40, an_event("progress", read=12, skipped=3))
    held = again.in_hand
    assert (held.taken, held.read, held.skipped, held.back_end) == (0, 5, 2, part.way.name)
    # Frames are numbered on: what is published stays.
    assert again.frame == 2


def test_begins_the_window_anew_with_what_was_spent() -> None:
    cursor = Cursor(since=9).begin(Part(REPLAY, WINDOW), 400, an_event("started")).took(7, 2).finish(25).anew()
    assert cursor == Cursor(since=9, frame=2, cost_micro_usd=25)


def test_refuses_what_is_no_cursor_and_what_is_not_in_hand() -> None:
    with pytest.raises(BadData, match="cursor"):
        Cursor.of(an_event("progress", a_request(), cursor='{"frame": -1}'))
    with pytest.raises(Bug):
        Cursor().took(1, 1)
