"""Each part of a window is fetched once, by the first back end that has it; what nobody has is told apart in time."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.backfill.scenes import MINUTE_NS, Way, a_request, an_event, bounds, of

from tapeline.model.control import Interval
from tapeline_backfill.cursor import Cursor
from tapeline_backfill.windows import (
    merged,
    out_of_reach,
    parts,
    span_ns,
    told,
    without,
    worth_fetching,
    worth_waiting_until,
)

INTERVALS = st.lists(
    st.tuples(st.integers(0, 30), st.integers(1, 9)).map(lambda pair: of(pair[0], pair[0] + pair[1])), max_size=6
)


def members(intervals: list[Interval]) -> list[int]:
    return [at for each in intervals for at in range(each.ts_event_from, each.ts_event_until)]


@given(INTERVALS)
def test_merging_keeps_every_moment_once_and_touching_ones_together(intervals: list[Interval]) -> None:
    found = [*merged(intervals)]
    assert members(found) == sorted(set(members(intervals)))
    assert all(one.ts_event_until < other.ts_event_from for one, other in pairwise(found))


@given(INTERVALS, INTERVALS)
def test_what_is_taken_is_left_out_and_nothing_else(wanted: list[Interval], taken: list[Interval]) -> None:
    found = without(merged(wanted), taken)
    assert members(found) == sorted(set(members(wanted)) - set(members(taken)))
    assert span_ns(found) == len(members(found))


def test_the_first_back_end_takes_all_that_it_has_and_the_next_one_the_rest() -> None:
    replay, history = Way("replay", lambda _: of(150, 999)), Way("historical", lambda _: of(0, 170))
    found = parts(a_request(), [of(100, 200)], [replay, history], 0)
    assert [(part.way.name, *bounds(part.interval)) for part in found] == [
        ("replay", (150, 200)),
        ("historical", (100, 150)),
    ]


def test_what_no_back_end_has_is_in_no_part() -> None:
    found = parts(a_request(), [of(100, 120), of(140, 200)], [Way("saved", lambda _: of(110, 150)), NOTHING], 0)
    assert [bounds(part.interval)[0] for part in found] == [(110, 120), (140, 150)]


def test_tells_what_comes_later_from_what_never_comes() -> None:
    # History is two minutes late, and begins at 50.
    history = Way("historical", lambda now_ns: of(50, max(51, now_ns - 2 * MINUTE_NS)))
    now_ns = 2 * MINUTE_NS + 120
    assert bounds(*out_of_reach(a_request(), [of(0, 200)], [history], now_ns)) == [(0, 50)]
    assert out_of_reach(a_request(), [of(60, 110)], [history], now_ns) == []
    assert out_of_reach(a_request(), [of(60, 110)], [NOTHING], now_ns) == [of(60, 110)]
    assert worth_waiting_until(a_request(), [of(60, 200)], [history], now_ns, 1_000) == now_ns + MINUTE_NS
    assert worth_waiting_until(a_request(), [of(60, 110)], [history], now_ns, 1_000) == now_ns
    assert worth_waiting_until(a_request(), [of(60, 110)], [NOTHING], now_ns, 0) == now_ns


def test_what_a_replay_forgets_may_still_come_from_history() -> None:
    replay = Way("replay", lambda now_ns: of(now_ns - 10, now_ns))
    history = Way("historical", lambda now_ns: of(0, now_ns - 3 * MINUTE_NS))
    wanted, ways = [of(1_000, 1_100)], [replay, history]
    assert out_of_reach(a_request(), wanted, ways, 2_000) == []
    assert worth_waiting_until(a_request(), wanted, ways, 2_000, 50) == 2_000 + 5 * MINUTE_NS


HOUR_NS = 60 * MINUTE_NS
EDGE_NS = 30 * HOUR_NS
"""How far history reaches at first."""


@pytest.mark.parametrize("ways_of", ["historical", "replay and historical"])
@pytest.mark.parametrize(
    ("begin_ns", "until_ns", "most"),
    [
        (EDGE_NS - HOUR_NS, EDGE_NS + HOUR_NS // 2, 3),
        (EDGE_NS - 3 * HOUR_NS, EDGE_NS + 3 * HOUR_NS, 7),
        (EDGE_NS - 7, EDGE_NS + 7, 2),
    ],
)
def test_the_moving_end_of_history_is_not_run_after(ways_of: str, begin_ns: int, until_ns: int, most: int) -> None:
    gap_ns = 20 * 10**9
    """What is too old for the replay and too young for history."""
    started_ns = now_ns = 100 * HOUR_NS
    history = Way("historical", lambda now_ns: of(0, EDGE_NS + now_ns - started_ns))
    replay = Way("replay", lambda now_ns: of(EDGE_NS + gap_ns + now_ns - started_ns, now_ns))
    ways = [history] if ways_of == "historical" else [replay, history]
    cursor, window, fetched = Cursor(), of(begin_ns, until_ns), 0
    while wanted := cursor.remaining(window):
        found = worth_fetching(a_request(window), wanted, ways, now_ns, HOUR_NS)
        if not found:
            later_ns = worth_waiting_until(a_request(window), wanted, ways, now_ns, HOUR_NS)
            assert later_ns > now_ns
            now_ns = later_ns
            continue
        cursor = cursor.begin(found[0], HOUR_NS, an_event("started")).finish()
        fetched += 1
        now_ns += 300_000_000
    assert fetched <= most
    assert now_ns - started_ns <= until_ns - EDGE_NS + HOUR_NS


def test_people_read_times_in_utc() -> None:
    assert told([of(0, 1_500_000_000)]) == "1970-01-01T00:00:00.000Z to 1970-01-01T00:00:01.500Z"


NOTHING = Way("historical", lambda _: None)
