"""The books of midnight: what history tells of that instant is what the records before it add up to."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from tapeline.feed.dbn_records import Array
from tapeline_simulator.databento.midnight import MidnightBooks
from tapeline_simulator.databento.tape import VendorTape
from tapeline_simulator.exchange import MAX_LATENCY_NS
from tapeline_simulator.market import instrument_id
from tapeline_simulator.venue import OptionSettings, Venue

DAY_NS = 86_400 * 10**9
MIDNIGHT = 1_790_000_000_000_000_000 // DAY_NS * DAY_NS + DAY_NS
START = MIDNIGHT - 50_000_000
FUTURES = ("NQZ6", "NQH7")

Queues = dict[tuple[int, str, int], list[tuple[int, int]]]


def pass_midnight(folder: Path, steps_ns: list[int]) -> tuple[VendorTape, VendorTape]:
    """Return the tape and the books of a market that is busy enough for the last millisecond to matter."""
    tapes = []
    for name in ("live", "books"):
        (folder / name).mkdir(parents=True)
        tapes.append(VendorTape("GLBX.MDP3", folder / name))
    live, books = tapes
    options = OptionSettings(expiries=1, quotes_per_s=10)
    venue = Venue(live, seed=3, start_ns=START, records_per_s=400_000, futures=FUTURES, options=options)
    passing = MidnightBooks(venue, live, books, start_ns=START)
    for until_ns in steps_ns:
        passing.advance(until_ns)
    return live, books


def queues(records: Array, number: int) -> Queues:
    """Return (order, size) in order of priority by (instrument, side, price), after DBN's rules, the slow way."""
    orders: dict[int, tuple[str, int, int]] = {}
    filled: dict[int, int] = defaultdict(int)
    for record in records[records["instrument_id"] == number]:
        order, action = int(record["order_id"]), chr(record["action"])
        price, size = int(record["price"]), int(record["size"])
        if action == "R":
            orders.clear()
        elif action == "C":
            side, at, left = orders[order]
            orders[order] = (side, at, left - size)
            if left == size:
                del orders[order]
        elif action == "F":
            filled[order] += size
        elif action in "AM":
            if order in orders and (orders[order][1] != price or orders[order][2] - filled.pop(order, 0) < size):
                del orders[order]
            orders[order] = (chr(record["side"]), price, size)
    by_level: Queues = defaultdict(list)
    for order, (side, price, size) in orders.items():
        by_level[number, side, price].append((order, size))
    return by_level


@pytest.mark.parametrize("symbol", FUTURES)
def test_midnights_book_is_what_was_captured_before_it(tmp_path: Path, symbol: str) -> None:
    live, books = pass_midnight(tmp_path, [MIDNIGHT + 20_000_000])
    number = instrument_id(symbol)
    records = live.read("mbo", 0, live.end("mbo"))
    late = (records["ts_recv"] < MIDNIGHT) & (records["ts_event"] > MIDNIGHT - MAX_LATENCY_NS)
    assert late.sum() > 50, "nothing was captured in the last moments"
    told = books.read("mbo", 0, books.end("mbo"))
    assert queues(told, number) == queues(records[records["ts_recv"] < MIDNIGHT], number)
    # And the records after midnight go on from it.
    later = records[records["ts_recv"] >= MIDNIGHT]
    assert queues(np.concatenate([told, later]), number) == queues(records, number)


def test_snapshots_are_marked_as_such_and_are_of_midnight_exactly(tmp_path: Path) -> None:
    _, books = pass_midnight(tmp_path, [MIDNIGHT + 20_000_000])
    told = books.read("mbo", 0, books.end("mbo"))
    assert set(told["ts_recv"].tolist()) == {MIDNIGHT}
    for symbol in FUTURES:
        book = told[told["instrument_id"] == instrument_id(symbol)]
        assert bytes(book["action"]) == b"R" + b"A" * (len(book) - 1)
        assert book["flags"].tolist() == [40] * (len(book) - 1) + [168]
        assert (book["ts_event"] < MIDNIGHT).all()


def test_the_cuts_of_the_calls_do_not_matter(tmp_path: Path) -> None:
    end_ns = MIDNIGHT + 20_000_000
    cuts = [MIDNIGHT - 1, MIDNIGHT, MIDNIGHT + 1, MIDNIGHT + MAX_LATENCY_NS, end_ns]
    once, often = pass_midnight(tmp_path / "once", [end_ns]), pass_midnight(tmp_path / "often", cuts)
    for one, other in zip(once, often, strict=True):
        assert one.end("mbo") == other.end("mbo")
        assert one.read("mbo", 0, one.end("mbo")).tobytes() == other.read("mbo", 0, other.end("mbo")).tobytes()


def test_every_midnight_is_told_and_none_before_its_time(tmp_path: Path) -> None:
    _, books = pass_midnight(tmp_path, [MIDNIGHT + MAX_LATENCY_NS - 1])
    assert books.end("mbo") == 0
