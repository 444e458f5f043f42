"""From its first doubtful record on, an instrument's orders are held back, and only that one's."""

from __future__ import annotations

from tests.unit.databento.records import START_NS, STREAM, ticks

from tapeline.model.columns import F_LAST, F_MAYBE_BAD_BOOK, F_SNAPSHOT
from tapeline_databento.books import Books, Doubt

BAD = F_LAST | F_MAYBE_BAD_BOOK
MS = 1_000_000


def test_good_orders_are_handed_on_as_they_are() -> None:
    orders = ticks("mbo", [7, 8], flags=[F_LAST, 0])
    assert Books().sift(orders) == (orders, [])


def test_a_doubtful_book_is_held_back_from_its_first_flagged_record_on() -> None:
    books = Books()
    orders = ticks("mbo", [7, 8, 7, 7, 8, 7], flags=[0, 0, 0, BAD, 0, 0], sequence=[1, 2, 3, 4, 5, 6])
    good, doubts = books.sift(orders)
    assert good.columns["sequence"].tolist() == [1, 2, 3, 5]
    assert doubts == [Doubt(STREAM, 7, "NQ7", START_NS + 2 * MS)]
    good, doubts = books.sift(ticks("mbo", [7, 8, 7], flags=[BAD, 0, 0], sequence=[7, 8, 9]))
    assert good.columns["sequence"].tolist() == [8]
    assert doubts == [], "a book is doubted once"
    assert books.last_good(8) == START_NS + MS
    assert books.last_good(7) == START_NS + 2 * MS


def test_several_books_may_be_doubtful_at_once() -> None:
    good, doubts = Books().sift(ticks("mbo", [7, 8, 9, 8, 7], flags=[BAD, 0, 0, BAD, 0]))
    assert good.instrument_ids.tolist() == [8, 9]
    assert doubts == [Doubt(STREAM, 7, "NQ7", None), Doubt(STREAM, 8, "NQ8", START_NS + MS)]


def test_the_last_good_record_may_be_of_an_earlier_batch_and_is_no_snapshots() -> None:
    books = Books()
    books.sift(ticks("mbo", [7, 8, 7], flags=[0, 0, F_SNAPSHOT]))
    assert books.last_good(7) == START_NS
    _, (doubt,) = books.sift(ticks("mbo", [7], flags=[BAD]))
    assert doubt.ts_event_from == START_NS


def test_of_a_long_batch_an_older_good_record_serves() -> None:
    books = Books()
    books.sift(ticks("mbo", [9] + [7] * 70, flags=[0] * 71))
    assert books.last_good(7) == START_NS + 70 * MS
    assert books.last_good(9) is None
