"""A subscription that stalls is found; a halted market, a closed one and a process that stood still are not it."""

from __future__ import annotations

import pytest
from tests.unit.databento.records import STREAM, ticks

from tapeline.feed.source import Pair
from tapeline_databento.watching import StallWatch, TradingStatus

ORDERS: Pair = (STREAM, "mbo")
QUOTES: Pair = (STREAM, "l1")


def status(watched: TradingStatus, ids: list[int], letters: str) -> None:
    watched.note(ticks("status", ids, is_trading=[ord(letter) for letter in letters]))


def test_a_stream_is_halted_when_none_of_its_instruments_trades() -> None:
    known = TradingStatus()
    assert not known.is_halted([7, 8]), "nothing is known"
    status(known, [7], "N")
    assert known.is_halted([7, 8])
    status(known, [8], "Y")
    assert not known.is_halted([7, 8])
    assert known.is_halted([7])
    status(known, [8, 8], "N~")
    assert known.is_halted([7, 8]), "an unknown state changes nothing"


def test_silence_beyond_the_limit_is_a_stall() -> None:
    watch = StallWatch({ORDERS: 60.0}, now_s=0.0, longest_check_s=20.0)
    for now_s in (15.0, 30.0, 45.0, 60.0):
        assert watch.stalled(now_s, ()) is None
    assert watch.stalled(60.1, ()) == (ORDERS, pytest.approx(60.1))
    watch.heard(ORDERS, 61.0)
    assert watch.stalled(75.0, ()) is None


def test_only_what_has_a_limit_can_stall() -> None:
    watch = StallWatch({ORDERS: 5.0}, now_s=0.0, longest_check_s=20.0)
    watch.heard(QUOTES, 3.0)
    watch.heard(ORDERS, 4.0)
    assert watch.stalled(9.0, ()) is None
    assert watch.stalled(9.1, ()) == (ORDERS, pytest.approx(5.1))


def test_a_market_that_need_not_send_is_not_silent_and_has_its_whole_limit_once_it_must() -> None:
    watch = StallWatch({ORDERS: 5.0, QUOTES: 5.0}, now_s=0.0, longest_check_s=20.0)
    assert watch.stalled(10.0, [ORDERS, QUOTES, (STREAM, "trade")]) is None
    watch.heard(QUOTES, 14.0)
    assert watch.stalled(15.0, ()) is None
    assert watch.stalled(15.1, ()) == (ORDERS, pytest.approx(5.1))


def test_after_this_process_stood_still_the_limit_begins_anew() -> None:
    watch = StallWatch({ORDERS: 5.0}, now_s=0.0, longest_check_s=20.0)
    assert watch.stalled(20.1, ()) is None
    assert watch.stalled(25.2, ()) == (ORDERS, pytest.approx(5.1))
