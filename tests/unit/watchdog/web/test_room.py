"""Symbols that are live keep their place; those that went quiet give way; the others are counted."""

from __future__ import annotations

from tapeline_watchdog.web.room import Room

S = 1_000_000_000


def test_the_live_keep_their_place_and_the_others_are_counted() -> None:
    room = Room(2, 120 * S)
    assert [room.admits(key, 1_000 * S) for key in ("NQ", "ES", "YM", "YM", "RTY")] == [True, True, False, False, False]
    assert room.left_out() == 2
    assert [room.admits(key, 1_001 * S) for key in ("NQ", "ES", "YM")] == [True, True, False]
    assert room.left_out() == 2


def test_one_that_went_quiet_gives_way() -> None:
    room = Room(2, 120 * S)
    assert room.admits("NQ", 1_000 * S)
    assert room.admits("ES", 1_000 * S)
    assert room.admits("NQ", 1_120 * S)
    assert not room.admits("ESH7", 1_120 * S)
    assert room.left_out() == 1
    # Of the two ES came later, and is the one of which nothing came since.
    assert room.admits("NQ", 1_121 * S)
    assert room.admits("ESH7", 1_121 * S)
    assert room.left_out() == 0
    assert not room.admits("ES", 1_122 * S)


def test_those_left_out_are_not_counted_once_they_are_quiet() -> None:
    room = Room(1, 120 * S)
    assert room.admits("NQ", 1_000 * S)
    assert not room.admits("ES", 1_000 * S)
    assert room.admits("NQ", 1_121 * S)
    assert room.left_out() == 0


def test_a_late_row_makes_nothing_old() -> None:
    room = Room(1, 120 * S)
    assert room.admits("NQ", 1_000 * S)
    assert room.admits("NQ", 1 * S)
    assert not room.admits("ES", 1_060 * S)


def test_cleared_it_has_room_again() -> None:
    room = Room(1, 120 * S)
    assert room.admits("NQ", 1_000 * S)
    assert not room.admits("ES", 1_000 * S)
    room.clear()
    assert room.left_out() == 0
    assert room.admits("ES", 1 * S)
