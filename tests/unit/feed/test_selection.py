"""Some of a source's ticks: which ones, and what stays with them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from tests.unit.databento.records import START_NS, ticks

from tapeline.feed.selection import of_symbols, received_within, rows, within
from tapeline.model.columns import F_LAST, F_SNAPSHOT
from tapeline.model.control import Interval

WINDOW = Interval(ts_event_from=START_NS, ts_event_until=START_NS + 10)


def test_a_window_is_half_open_and_holds_no_snapshots_and_nothing_without_a_time() -> None:
    times = [START_NS - 1, START_NS, START_NS + 9, START_NS + 10, 0, START_NS + 5]
    flags = [F_LAST] * 5 + [F_SNAPSHOT]
    every = ticks("mbo", [7] * 6, ts_event=times, flags=flags, sequence=range(6))
    assert within(every, WINDOW).columns["sequence"].tolist() == [1, 2]
    ever = Interval(ts_event_from=-(2**63), ts_event_until=2**63 - 1)
    assert within(every, ever).columns["sequence"].tolist() == [0, 1, 2, 3]


def test_what_has_no_flags_is_of_no_snapshot() -> None:
    halts = ticks("status", [7, 7], ts_event=[START_NS, START_NS + 10])
    assert len(within(halts, WINDOW)) == 1


def test_the_time_of_receipt_is_another() -> None:
    every = ticks("mbo", [7, 7], ts_event=[START_NS, START_NS + 9], ts_recv=[START_NS + 9, START_NS + 10])
    assert received_within(every, WINDOW).columns["ts_event"].tolist() == [START_NS]


def test_symbols_are_raw_ones() -> None:
    every = ticks("mbo", [7, 8, 7, 9], sequence=range(4))
    assert of_symbols(every, ("NQ7", "NQ9", "NQ1")).columns["sequence"].tolist() == [0, 2, 3]
    assert of_symbols(every, ("*",)) is every
    assert not len(of_symbols(every, ("NQ1",)))


def test_values_that_are_not_defined_move_with_their_rows() -> None:
    every = replace(
        ticks("mbo", [7] * 5, sequence=range(5)), undefined={"price": np.array([1, 4]), "size": np.array([0])}
    )
    some = rows(every, np.array([1, 3, 4]))
    assert {name: marked.tolist() for name, marked in some.undefined.items()} == {"price": [0, 2]}
