"""Chunks hold every tick once, in order, and end where an event does."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.integration.feed.vendor import market
from tests.unit.feed.test_framer import ticks_of

from tapeline.feed.framer import Ticks
from tapeline.model.columns import F_LAST
from tapeline_backfill.chunks import Chunker, chosen, event_end, join, rows_of


def chunked(ticks: Ticks, piece: int, records: int) -> list[Ticks]:
    chunker = Chunker(records)
    found = [
        chunk for at in range(0, len(ticks), piece) for chunk in chunker.add(ticks.cut(at, min(at + piece, len(ticks))))
    ]
    return [*found, *chunker.finish()]


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 300), st.integers(1, 90), st.integers(1, 60))
def test_every_tick_is_in_one_chunk_in_order(n: int, piece: int, records: int) -> None:
    ticks = market(n)
    found = chunked(ticks, piece, records)
    hashes = np.concatenate([rows_of(chunk).hashes() for chunk in found])
    assert np.array_equal(hashes, rows_of(ticks).hashes())
    assert all(len(chunk) <= 4 * records + piece for chunk in found)


def test_ends_where_an_event_does() -> None:
    found = chunked(market(1_000), 77, 100)
    assert all(chunk.columns["flags"][-1] & F_LAST for chunk in found)
    assert len(found) > 8


def test_cuts_an_event_that_does_not_end() -> None:
    ticks = ticks_of([5] * 50, [0] * 50)
    assert [len(chunk) for chunk in chunked(ticks, 1, 10)] == [40, 10]


def test_an_event_ends_with_its_last_flag_or_where_the_time_changes() -> None:
    assert event_end(ticks_of([1, 1, 2, 2], [0, 0, 0, 0])) == 2
    assert event_end(ticks_of([1, 1, 2, 2], [0, 0, F_LAST, 0])) == 3
    assert event_end(ticks_of([1, 1], [0, 0])) == 0
    assert event_end(ticks_of([1, 1], [0, 0], kind="trade")) == 2


def test_ticks_of_two_publishers_are_in_two_chunks() -> None:
    chunker = Chunker(10)
    assert not [*chunker.add(ticks_of([1], [0]))]
    assert [len(chunk) for chunk in chunker.add(ticks_of([2, 3], [0, 0], publisher_id=2))] == [1]
    assert [chunk.publisher_id for chunk in chunker.finish()] == [2]


def test_undefined_values_stay_with_their_ticks() -> None:
    one, other = ticks_of([1, 2], [0, 0]), ticks_of([3, 4, 5], [0, 0, 0])
    one.undefined["price"] = np.array([1])  # type: ignore[index]
    other.undefined["price"] = np.array([0, 2])  # type: ignore[index]
    other.undefined["size"] = np.array([1])  # type: ignore[index]
    both = join(one, other)
    assert {name: rows.tolist() for name, rows in both.undefined.items()} == {"price": [1, 2, 4], "size": [3]}
    kept = chosen(both, np.array([False, True, False, True, True]))
    assert kept.columns["ts_event"].tolist() == both.columns["ts_event"][[1, 3, 4]].tolist()
    assert {name: rows.tolist() for name, rows in kept.undefined.items()} == {"price": [0, 2], "size": [1]}
