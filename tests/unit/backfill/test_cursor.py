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
        cursor = cursor.pays(10).took(3, 1).finish()
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
    cursor = Cursor(since=9).begin(Part(REPLAY, WINDOW), 400, an_event("started")).pays(25).took(7, 2)
    assert cursor.finish().anew() == cursor.anew() == Cursor(since=9, frame=2, cost_micro_usd=25)


def begun(taken: int = 0) -> Cursor:
    """Return the cursor of a worker that dies in a slice, which cost it 25, after so many records of it."""
    cursor = Cursor(cost_micro_usd=100).begin(Part(HISTORY, WINDOW), 40, an_event("started")).pays(25).took(taken, 0)
    assert cursor.cost_micro_usd == 125
    return Cursor.of(an_event("progress", cursor=cursor.encode()))


def test_what_a_slice_costs_is_not_forgotten_with_whom_began_it() -> None:
    for taken in (0, 7):
        cached = begun(taken).begin(Part(HISTORY, WINDOW), 40, an_event("progress")).pays(0)
        assert cached.finish().cost_micro_usd == 125
        left = begun(taken).begin(Part(REPLAY, WINDOW), 40, an_event("progress")).pays(0)
        assert left.finish().cost_micro_usd == 125


def test_what_may_not_have_been_paid_is_counted_once_and_what_came_is_paid_for_again() -> None:
    assert begun().pays(25).pays(25).cost_micro_usd == 125
    assert begun().pays(30).cost_micro_usd == 130
    assert begun().sure_micro_usd == 100
    assert begun(7).pays(25).cost_micro_usd == 150
    assert begun(7).sure_micro_usd == begun().finish().sure_micro_usd == 125


def test_the_price_of_what_is_in_hand_is_asked_for_on_its_own() -> None:
    assert bounds(*begun().pieces(Part(HISTORY, WINDOW))) == [(100, 140), (140, 200)]
    assert bounds(*begun().pieces(Part(HISTORY, of(100, 140)))) == [(100, 140)]
    assert bounds(*begun().pieces(Part(HISTORY, of(100, 139)))) == [(100, 139)]
    assert bounds(*begun().pieces(Part(REPLAY, WINDOW))) == [(100, 200)]
    assert bounds(*begun().finish().pieces(Part(HISTORY, of(140, 200)))) == [(140, 200)]
    rest = begun().due("historical", of(140, 200), 30)
    assert (rest, begun().due("historical", of(100, 140), 30), begun().due("replay", of(100, 140), 30)) == (30, 5, 30)


def test_refuses_what_is_no_cursor_and_what_is_not_in_hand() -> None:
    with pytest.raises(BadData, match="cursor"):
        Cursor.of(an_event("progress", a_request(), cursor='{"frame": -1}'))
    with pytest.raises(Bug):
        Cursor().took(1, 1)
