"""The fold that says what the tape holds of a stream, and the cursors it starts from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeline.bus.cursors import Overlap
from tapeline.bus.tail import TailState, advance, newest_cursor
from tapeline.model.columns import F_SNAPSHOT
from tapeline.model.cursors import Cursor, LastFrame, Span
from tapeline.model.epochs import EpochGate
from tapeline.model.frames import Gap, Resume, TickFrame

START: Final = TailState("saved", "GLBX.MDP3/ES.FUT", 3, 100, 0)


def frame(number: int, times: list[int], **changes: Any) -> TickFrame:
    n = len(times)
    columns = {name: np.zeros(n, dtype=np.int64) for name in ("ts_recv", "ts_in_delta", "symbol", "price", "size")}
    columns |= {"sequence": np.zeros(n, dtype=np.int64), "flags": np.zeros(n, dtype=np.int64)}
    columns |= {"ts_event": np.array(times, dtype=np.int64), "side": np.full(n, ord("A"), dtype=np.uint8)}
    fields: dict[str, Any] = {"kind": "trade", "session": "one", "epoch": 1, "frame": number, "columns": columns}
    return TickFrame(
        source="saved",
        dataset="GLBX.MDP3",
        publisher_id=1,
        stream="GLBX.MDP3/ES.FUT",
        origin="saved",
        ts_base=1_000,
        opened=0,
        sent=0,
        trading_day="2023-12-26",
        symbols=("ESH4",),
        instrument_ids=(1,),
        classes="F",
        **fields | changes,
    )


def claim(epoch: int, session: str) -> TickFrame:
    return frame(0, [], kind="claim", epoch=epoch, session=session, frame=None, columns={})


def after(*frames: TickFrame, start: TailState = START) -> TailState:
    tail = start
    for offset, following in enumerate(frames, start.next_offset):
        tail = advance(tail, following, offset)
    return tail


def test_the_last_frame_and_the_largest_time_of_each_kind_are_kept() -> None:
    tail = after(claim(1, "one"), frame(0, [5, 9, 7]), frame(1, [8]), replace(frame(0, [3]), kind="mbo"))
    assert tail.epoch == 1
    assert tail.session == "one"
    assert tail.next_offset == 104
    assert tail.kinds == {"trade": LastFrame("one", 1, 1_009), "mbo": LastFrame("one", 0, 1_003)}


def test_snapshots_and_undefined_times_do_not_count() -> None:
    mixed = frame(0, [5, 900, 7, 0])
    mixed.columns["flags"][1] = F_SNAPSHOT
    assert after(replace(mixed, undefined={"ts_event": np.array([3])})).kinds["trade"].ts_event == 1_007
    only = frame(0, [5])
    only.columns["flags"][0] = F_SNAPSHOT | 128
    assert after(only).kinds["trade"] == LastFrame("one", 0, None)


def test_frames_of_a_fenced_producer_do_not_count() -> None:
    zombie, heir = frame(5, [90]), frame(0, [6], session="two", epoch=2)
    tail = after(claim(1, "one"), frame(4, [5]), claim(2, "two"), zombie, heir, zombie)
    assert tail.epoch == 2
    assert tail.session == "two"
    assert tail.kinds == {"trade": LastFrame("two", 0, 1_006)}


def test_of_two_claims_of_an_epoch_the_first_wins() -> None:
    assert after(claim(3, "first"), claim(3, "second")).session == "first"


@pytest.mark.parametrize(("resumes", "expected"), [(Resume("one", 0), 1_050), (None, 1_006)])
def test_a_session_that_begins_anew_settles_what_was_before(resumes: Resume | None, expected: int) -> None:
    tail = after(frame(0, [50]), frame(0, [6], session="two", resumes=resumes))
    assert tail.kinds["trade"].ts_event == expected


def cursor(epoch: int, next_offset: int, **changes: Any) -> Cursor:
    return replace(Cursor("saved", "s", epoch, "one", 3, next_offset, {}, {}), **changes)


def test_the_newest_cursor_is_of_the_highest_epoch_not_the_last_written() -> None:
    zombie = cursor(1, 900)
    written = [
        cursor(1, 100),
        cursor(2, 200),
        cursor(2, 300),
        zombie,
        cursor(9, 1, stream="t"),
        cursor(9, 1, source="x"),
    ]
    assert newest_cursor(written, "saved", "s", 3) == cursor(2, 300)
    assert newest_cursor([cursor(1, 1, partition=4)], "saved", "s", 3) is None


def test_the_gate_turns_lower_epochs_away_per_stream() -> None:
    gate = EpochGate()
    assert gate.admits("saved", "a", 2)
    assert not gate.admits("saved", "a", 1)
    assert gate.admits("saved", "b", 1)
    assert gate.admits("other", "a", 1)
    assert gate.admits("saved", "a", 0)
    assert gate.admits("saved", "a", 2)


@given(times=st.lists(st.integers(0, 5_000), min_size=1, max_size=300), jitter=st.integers(0, 300))
def test_no_event_of_the_overlap_is_before_its_offset(times: list[int], jitter: int) -> None:
    ordered = [at + (number % 3) * jitter for number, at in enumerate(sorted(times))]
    overlap = Overlap(640, 10, None)
    largest = 0
    for offset, at in enumerate(ordered, 10):
        largest = max(largest, at)
        overlap.delivered(offset, largest)
    before = ordered[: overlap.offset - 10]
    assert all(at < largest - 640 for at in before)


def test_the_overlap_follows_closely_and_holds_few_steps() -> None:
    overlap = Overlap(640, 0, None)
    for offset in range(10_000):
        overlap.delivered(offset, offset * 5)
        assert offset - 128 - 4 <= overlap.offset <= max(0, offset - 128)
        assert len(overlap._steps) <= 67


def test_each_kind_has_its_own_overlap() -> None:
    rare = replace(frame(0, [3]), kind="mbo")
    tail = after(claim(1, "one"), frame(0, [5]), rare, frame(1, [8]), frame(0, [9], session="two"))
    assert tail.overlaps == {"trade": Span(104, 105), "mbo": Span(102, 103)}
    resumed = after(frame(1, [11], session="three", resumes=Resume("two", 0)), start=tail)
    assert resumed.overlaps["trade"] == Span(104, 106)


def test_a_gap_is_known_until_it_is_bounded() -> None:
    gap = Gap("g", "open", ("trade",), ("*",), "why", 5)
    mark = frame(0, [], kind="gap", frame=None, columns={}, gap=gap)
    tail = after(claim(1, "one"), mark)
    assert tail.gaps == {"g": gap}
    assert after(replace(mark, gap=replace(gap, state="bounded", ts_event_to=9)), start=tail).gaps == {}
