"""What is computed anew after backfills is what would have been computed had nothing been missed, field by field."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import orjson
import pytest
from tests.unit.orderflow.builders import T0, S, clock_frame, replay_dbn, slice_frame
from tests.unit.orderflow.holes import (
    Hole,
    Key,
    Row,
    after_events,
    differing,
    joined,
    newest_rows,
    tape_with,
    undisturbed,
)

from tapeline.model.columns import INT64_MAX
from tapeline.model.control import Interval
from tapeline.model.frames import TickFrame
from tapeline.orderflow.recomputing import Days
from tapeline.orderflow.sessions import Sessions
from tapeline.orderflow.splicing import Place, place, splice

CLOSE = T0 + 23 * 3_600 * S
SESSIONS = Sessions(np.array([T0]), np.array([CLOSE]), np.array([20231226], dtype=np.int32))
END = clock_frame({"mbo": CLOSE + 61 * S})


@pytest.fixture(scope="module")
def ticks(real_data: Path) -> TickFrame:
    return joined(replay_dbn(real_data / "databento" / "esh4-glbx-mdp3-20231225.mbo.dbn.zst"))


@pytest.fixture(scope="module")
def expected(ticks: TickFrame) -> dict[Key, Row]:
    rows = undisturbed(ticks, SESSIONS, END)
    assert len(rows) > 10_000
    return rows


def test_a_hole_in_a_session(ticks: TickFrame, expected: dict[Key, Row]) -> None:
    hole = Hole(after_events(ticks, 30_000), after_events(ticks, 42_000))
    tape = tape_with(ticks, [hole], SESSIONS, end=END)
    tape.process()
    assert differing(newest_rows(tape.rows), expected)
    request = tape.complete(hole, ticks)
    assert tape.recompute(request)
    assert tape.began > 0
    assert differing(newest_rows(tape.rows), expected) == []
    assert tape.recompute(request) == []


def test_what_a_request_brought_that_was_given_up_counts_once_another_has_the_rest(
    ticks: TickFrame, expected: dict[Key, Row]
) -> None:
    hole = Hole(after_events(ticks, 30_000), after_events(ticks, 42_000))
    tape = tape_with(ticks, [hole], SESSIONS, end=END)
    tape.process()
    request = tape.complete(hole, ticks)
    begin = request.window.ts_event_from
    tape.give_up(request, Interval(ts_event_from=begin - 1, ts_event_until=request.window.ts_event_until - S), 4)
    assert tape.recompute(request)
    assert differing(newest_rows(tape.rows), expected) == []


def test_what_a_request_brought_that_was_given_up_fills_no_gap(ticks: TickFrame) -> None:
    hole = Hole(after_events(ticks, 30_000), after_events(ticks, 42_000))
    tape = tape_with(ticks, [hole], SESSIONS, end=END)
    tape.process()
    request = tape.complete(hole, ticks)
    tape.give_up(request, request.window.model_copy(update={"ts_event_from": 0}), 4)
    tape.completed.clear()
    assert tape.recompute(request) == []


def test_a_window_that_was_over_and_still_open_when_the_gap_began(ticks: TickFrame) -> None:
    """One symbol's last tick lies in the window before that of the other's, with which the gap begins."""
    two = with_twin(slice_frame(ticks, 0, 12_000))
    window_ns, symbols = 100_000_000, two.columns["symbol"]
    starts = two.ts_event() // window_ns * window_ns
    is_first = (starts[1:] == starts[:-1] + window_ns) & (symbols[1:] != symbols[:-1])
    begin = next(
        at + 2 for at in np.flatnonzero(is_first).tolist() if at > 18_000 and after_events(two, at + 2) == at + 2
    )
    tape = tape_with(two, [hole := Hole(begin, after_events(two, 21_000))], SESSIONS, end=END)
    tape.process()
    over = (two.symbols[symbols[begin - 2]], int(starts[begin - 2]), 100)
    assert "gap" in newest_rows(tape.rows)[over]["reasons"]
    tape.recompute(tape.complete(hole, two))
    assert differing(newest_rows(tape.rows), undisturbed(two, SESSIONS, END)) == []


def test_a_session_that_goes_on_is_corrected_once_it_is_over(ticks: TickFrame, expected: dict[Key, Row]) -> None:
    hole = Hole(after_events(ticks, 30_000), after_events(ticks, 42_000))
    so_far = undisturbed(ticks, SESSIONS, None)
    tape = tape_with(ticks, [hole], SESSIONS)
    tape.process()
    request = tape.complete(hole, ticks)
    early = tape.recompute(request)
    assert tape.days == Days([], CLOSE)
    assert tape.applied < len(tape.live) - tape.began, "it must stop where nothing differs any more"
    upto = max(start for message in early for start in starts_of(message.value))
    assert all("cumulative_volume_delta" in line for line in differing(newest_rows(tape.rows), so_far))
    assert tape.recompute(request) == []

    over = tape_with(ticks, [hole], SESSIONS, end=END)
    over.process()
    tape.live, revised, tape.rows = over.live, [message.value for message in early], over.rows
    tape.rows += revised
    late = tape.recompute(request)
    assert tape.days == Days([(T0, INT64_MAX)], None)
    assert max(start for message in late for start in starts_of(message.value)) > upto
    assert differing(newest_rows(tape.rows), expected) == []
    assert {row["basis"] for message in late for row in orjson.loads(message.value)["rows"]} == {"live+backfill"}
    assert tape.recompute(request) == []


@pytest.mark.parametrize("is_second_first", [False, True])
def test_two_gaps_in_one_session(ticks: TickFrame, expected: dict[Key, Row], is_second_first: bool) -> None:
    holes = [
        Hole(after_events(ticks, 20_000), after_events(ticks, 25_000), gap_id="g1"),
        Hole(after_events(ticks, 25_400), after_events(ticks, 41_000), gap_id="g2"),
    ]
    tape = tape_with(ticks, holes, SESSIONS, end=END)
    tape.process()
    for hole in reversed(holes) if is_second_first else holes:
        tape.recompute(tape.complete(hole, ticks))
    assert differing(newest_rows(tape.rows), expected) == []


def test_the_gap_that_stays_is_told_as_it_was(ticks: TickFrame) -> None:
    holes = [
        Hole(after_events(ticks, 20_000), after_events(ticks, 25_000), gap_id="g1"),
        Hole(after_events(ticks, 40_000), after_events(ticks, 41_000), gap_id="g2"),
    ]
    tape, other = tape_with(ticks, holes, SESSIONS, end=END), tape_with(ticks, holes[1:], SESSIONS, end=END)
    tape.process()
    other.process()
    request = tape.complete(holes[0], ticks)
    assert tape.recompute(request)
    assert tape.days == Days([], None)
    left = differing(newest_rows(tape.rows), newest_rows(other.rows))
    assert all("cumulative_volume_delta" in line for line in left)


def test_recomputes_that_overlap(ticks: TickFrame, expected: dict[Key, Row]) -> None:
    """Two gaps of which the first one's rows are computed anew while the second is filled, and again after it."""
    holes = [
        Hole(after_events(ticks, 20_000), after_events(ticks, 30_000), gap_id="g1"),
        Hole(after_events(ticks, 30_010), after_events(ticks, 41_000), gap_id="g2"),
    ]
    tape = tape_with(ticks, holes, SESSIONS, end=END)
    tape.process()
    first, second = (tape.complete(hole, ticks) for hole in holes)
    before = list(tape.rows)
    one = tape.recompute(first)
    tape.rows, after_one = before, tape.rows
    other = tape.recompute(second)
    # Each computed without knowing of the other, as two workers may: they say the same of the same windows.
    both = [message.value for message in (*one, *other)]
    found: dict[Key, Row] = {}
    for value in both:
        for key, row in newest_rows([value]).items():
            assert found.setdefault(key, row) == row
    tape.rows = [*after_one, *(message.value for message in other)]
    assert differing(newest_rows(tape.rows), expected) == []
    assert tape.recompute(first) == tape.recompute(second) == []


def test_a_bad_book_of_one_symbol_among_two(ticks: TickFrame) -> None:
    two = with_twin(slice_frame(ticks, 0, 40_000))
    rows = undisturbed(two, SESSIONS, END)
    begin = after_events(two, 50_000)
    hole = Hole(begin, after_events(two, 60_000), ("NQH4",))
    tape = tape_with(two, [hole], SESSIONS, end=END)
    tape.process()
    before = newest_rows(tape.rows)
    assert not differing(*({key: row for key, row in each.items() if key[0] == "ESH4"} for each in (before, rows)))
    request = tape.complete(hole, two)
    published = tape.recompute(request)
    assert {row["symbol"] for message in published for row in orjson.loads(message.value)["rows"]} == {"NQH4"}
    assert differing(newest_rows(tape.rows), rows) == []


def test_a_gap_of_26_hours_over_midnight_and_two_sessions(ticks: TickFrame) -> None:
    day = 86_400 * S
    sessions = Sessions(
        np.array([T0, T0 + day]), np.array([CLOSE, CLOSE + day]), np.array([20231226, 20231227], dtype=np.int32)
    )
    long = stretched(ticks, 44)
    end = clock_frame({"mbo": CLOSE + day + 61 * S})
    rows = undisturbed(long, sessions, end)
    times = long.ts_event()
    hole = Hole(
        after_events(long, int((times < T0 + 14 * 3_600 * S).sum())),
        after_events(long, int((times < T0 + 40 * 3_600 * S).sum())),
    )
    assert times[hole.end] - times[hole.begin - 1] >= 25.9 * 3_600 * S
    tape = tape_with(long, [hole], sessions, end=end)
    tape.process()
    request = tape.complete(hole, long)
    assert tape.recompute(request)
    assert tape.days.over == [(T0, T0 + day), (T0 + day, INT64_MAX)]
    assert differing(newest_rows(tape.rows), rows) == []
    assert tape.recompute(request) == []


@pytest.mark.parametrize("seed", range(3))
def test_random_holes_filled_in_any_order(ticks: TickFrame, expected: dict[Key, Row], seed: int) -> None:
    random = Random(seed)
    cuts = sorted(after_events(ticks, at) for at in random.sample(range(9_500, len(ticks) - 300), 6))
    holes = [
        Hole(begin, end, gap_id=f"g{begin}") for begin, end in zip(cuts[::2], cuts[1::2], strict=True) if begin < end
    ]
    tape = tape_with(ticks, holes, SESSIONS, frame_ticks=random.choice((300, 2_000)), end=END)
    tape.process(random.choice((1, 7)))
    for hole in random.sample(holes, len(holes)):
        tape.recompute(tape.complete(hole, ticks, frame_ticks=random.choice((100, 4_000))))
    assert differing(newest_rows(tape.rows), expected) == []


def starts_of(value: bytes) -> list[int]:
    return [int(row["window_start"]) for row in orjson.loads(value)["rows"]]


def with_twin(ticks: TickFrame) -> TickFrame:
    """Return a market in which another symbol does the same a moment later."""
    assert ticks.symbols == ("ESH4",)
    late = 1_500_000
    columns = {name: values.copy() for name, values in ticks.columns.items()}
    columns["ts_event"] += late
    columns["ts_recv"] += late
    columns["order_id"] += np.uint64(1 << 50)
    twin = replace(ticks, symbols=("NQH4",), instrument_ids=(2,), columns=columns)
    start = Place()
    return splice([place(ticks, start), place(twin, start)])


def stretched(ticks: TickFrame, factor: int) -> TickFrame:
    """Return the same market with its time, from the session's open on, running slower."""
    shift = T0 - ticks.ts_base
    columns = dict(ticks.columns)
    for name in ("ts_event", "ts_recv"):
        since = columns[name] - shift
        columns[name] = np.where(since > 0, since * factor, since) + shift
    return replace(ticks, columns=columns)
