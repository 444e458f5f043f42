"""Frames hold every tick once, in order, and close where they should."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeline.feed.calendar import always_open, cme_globex_equity
from tapeline.feed.framer import FrameLimits, Framer, Instrument, SessionIdentity, Ticks
from tapeline.model.codec import decode, encode
from tapeline.model.columns import COLUMNS, F_LAST, TickKind
from tapeline.model.frames import Origin, Resume, TickFrame

IDENTITY = SessionIdentity(source="saved", session="s-1", epoch=3, origin="saved")
DIRECTORY = {7: Instrument("NQH4", "F"), 9: Instrument("NQM4", "F")}
BASE_NS = 1_703_545_200_000_000_000  # 2023-12-25T23:00:00Z


def ticks_of(
    times: list[int],
    flags: list[int],
    *,
    ids: list[int] | None = None,
    kind: TickKind = "mbo",
    publisher_id: int = 1,
    origin: Origin = "live",
) -> Ticks:
    n = len(times)
    columns: dict[str, npt.NDArray[Any]] = {}
    for column in COLUMNS[kind]:
        if column.name == "symbol":
            continue
        if column.is_text:
            columns[column.name] = np.full(n, ord("A"), dtype=np.uint8)
        else:
            columns[column.name] = np.zeros(n, dtype=column.dtype)
    columns["ts_event"] = np.array(times, dtype=np.int64) + BASE_NS
    columns["ts_recv"] = columns["ts_event"] + 5
    if "flags" in columns:
        columns["flags"] = np.array(flags, dtype=np.int64)
    if "sequence" in columns:
        columns["sequence"] = np.arange(n, dtype=np.int64)
    return Ticks(
        stream="GLBX.MDP3/NQ.FUT",
        dataset="GLBX.MDP3",
        publisher_id=publisher_id,
        kind=kind,
        instrument_ids=np.array(ids or [7] * n, dtype=np.int64),
        columns=columns,
        undefined={},
        directory=DIRECTORY,
        origin=origin,
    )


def framer(limits: FrameLimits | None = None, resumes: Resume | None = None) -> Framer:
    return Framer(IDENTITY, limits or FrameLimits(ticks=4), always_open(), resumes)


def test_closes_at_the_last_event_end_within_the_limit() -> None:
    frames = list(framer().add(ticks_of([0, 1, 1, 2, 2, 2], [0, 0, 0, 0, 0, F_LAST]), 100))
    assert [(len(frame), frame.continues) for frame in frames] == [(3, False)]


def test_cuts_an_event_longer_than_the_limit_and_says_so() -> None:
    subject = framer()
    frames = [*subject.add(ticks_of([1] * 6, [0] * 5 + [F_LAST]), 100), *subject.finish(101)]
    assert [(len(frame), frame.continues) for frame in frames] == [(4, True), (2, False)]


def test_an_event_may_end_where_the_next_ticks_begin() -> None:
    subject = framer()
    assert list(subject.add(ticks_of([1, 1], [0, 0]), 100)) == []
    assert [len(frame) for frame in subject.add(ticks_of([2, 2, 2], [0, 0, 0]), 101)] == [2]


def test_closes_by_age_at_an_event_end_and_keeps_the_rest() -> None:
    subject = framer(FrameLimits(ticks=100, age_ns=50))
    assert list(subject.add(ticks_of([1, 2, 2], [0, 0, 0]), 100)) == []
    assert subject.due_ns == 150
    assert list(subject.close_due(149)) == []
    frames = list(subject.close_due(150))
    assert [(len(frame), frame.continues) for frame in frames] == [(1, False), (2, True)]
    assert frames[0].opened == 100
    assert frames[0].sent == 150
    assert subject.due_ns is None


def test_numbers_frames_and_names_what_it_resumes_once() -> None:
    subject = framer(resumes=Resume("before", 41))
    frames = [*subject.add(ticks_of(list(range(9)), [F_LAST] * 9), 100), *subject.finish(101)]
    assert [frame.frame for frame in frames] == [0, 1, 2]
    assert [frame.resumes for frame in frames] == [Resume("before", 41), None, None]


def test_a_frame_never_spans_two_trading_days() -> None:
    subject = Framer(IDENTITY, FrameLimits(ticks=100), cme_globex_equity())
    close_ns = cme_globex_equity().day_end(BASE_NS) - BASE_NS
    frames = [*subject.add(ticks_of([0, close_ns - 6, close_ns, close_ns + 1], [0] * 4), 1), *subject.finish(2)]
    assert [(len(frame), frame.trading_day) for frame in frames] == [(2, "2023-12-26"), (2, "2023-12-27")]


def test_a_frame_never_mixes_publishers() -> None:
    subject = framer(FrameLimits(ticks=100))
    list(subject.add(ticks_of([1], [0]), 1))
    frames = list(subject.add(ticks_of([2], [0], publisher_id=2), 2))
    assert [frame.publisher_id for frame in [*frames, *subject.finish(3)]] == [1, 2]


def test_keeps_within_the_byte_limit() -> None:
    limit = 16_384
    subject = framer(FrameLimits(ticks=4_000, bytes=limit))
    ticks = ticks_of(list(range(4_000)), [F_LAST] * 4_000)
    ticks.columns["order_id"][:] = 2**64 - 1
    ticks.columns["price"][:] = -(2**63)
    frames = [*subject.add(ticks, 1), *subject.finish(2)]
    assert sum(len(frame) for frame in frames) == 4_000
    assert max(len(encode(frame)) for frame in frames) <= limit
    assert min(len(frame) for frame in frames[:-1]) > 100


def test_counts_what_many_instruments_and_undefined_values_take() -> None:
    limit, n = 65_536, 4_000
    ids = list(range(2**32 - n, 2**32))
    ticks = ticks_of(list(range(n)), [F_LAST] * n, ids=ids)
    directory = {instrument_id: Instrument(f"NQH4 C{instrument_id}", "C") for instrument_id in ids}
    subject = framer(FrameLimits(ticks=n, bytes=limit))
    ticks = replace(ticks, directory=directory, undefined={"price": np.arange(n), "size": np.arange(n)})
    frames = [*subject.add(ticks, 1), *subject.finish(2)]
    sizes = [len(encode(frame)) for frame in frames]
    assert sum(len(frame) for frame in frames) == n
    assert max(sizes) <= limit
    assert max(sizes) > 0.8 * limit, "the limit is used"


def test_finds_the_event_end_far_before_the_limit() -> None:
    times = [0] * 100 + [1] * 900
    frames = list(framer(FrameLimits(ticks=1_000)).add(ticks_of(times, [0] * 1_000), 1))
    assert [(len(frame), frame.continues) for frame in frames] == [(100, False)]


def test_undefined_times_stay_zero() -> None:
    ticks = ticks_of([0, 1], [0, F_LAST], kind="statistics")
    ticks.columns["ts_ref"][:] = [BASE_NS, 0]
    subject = framer()
    list(subject.add(replace(ticks, undefined={"ts_ref": np.array([1])}), 1))
    (frame,) = subject.finish(2)
    assert frame.rows()[0]["ts_ref"] == BASE_NS
    assert frame.rows()[1]["ts_ref"] is None


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from([0, F_LAST, 32]), st.sampled_from([7, 9])), min_size=1, max_size=60
    ),
    st.lists(st.integers(1, 12), min_size=1, max_size=20),
    st.integers(1, 9),
)
def test_every_tick_is_framed_once_in_order(rows: list[tuple[int, int, int]], sizes: list[int], limit: int) -> None:
    times = np.cumsum([row[0] for row in rows]).tolist()
    whole = ticks_of(times, [row[1] for row in rows], ids=[row[2] for row in rows])
    whole.columns["sequence"][:] = np.arange(len(rows))
    subject = framer(FrameLimits(ticks=limit, age_ns=3))
    frames: list[TickFrame] = []
    begin, now = 0, 0
    for size in [*sizes, len(rows)]:
        frames += subject.add(whole.cut(begin, min(begin + size, len(rows))), now)
        frames += subject.close_due(now)
        begin, now = min(begin + size, len(rows)), now + 1
    frames += subject.finish(now)
    read = [row for frame in frames for row in decode(encode(frame)).rows()]
    assert [row["sequence"] for row in read] == list(range(len(rows)))
    assert [row["ts_event"] for row in read] == [BASE_NS + time for time in times]
    assert [row["symbol"] for row in read] == [DIRECTORY[row[2]].symbol for row in rows]
    assert all(0 < len(frame) <= limit for frame in frames)
    assert [frame.frame for frame in frames] == list(range(len(frames)))


@pytest.mark.parametrize("kind", ["trade", "status"])
def test_kinds_without_events_are_cut_anywhere(kind: TickKind) -> None:
    frames = list(framer().add(ticks_of([1] * 9, [0] * 9, kind=kind), 1))
    assert [(len(frame), frame.continues) for frame in frames] == [(4, False), (4, False)]


def test_leaving_drops_the_event_that_is_not_complete() -> None:
    subject = framer(FrameLimits(ticks=100))
    assert list(subject.add(ticks_of([0, 1, 1], [F_LAST, 0, F_LAST]), 100)) == []
    assert list(subject.add(ticks_of([2, 2], [0, 0]), 101)) == []
    assert list(subject.add(ticks_of([2], [0]), 102)) == []
    [frame] = subject.leave(103)
    assert (frame.ts_event() - BASE_NS).tolist() == [0, 1, 1]
    assert not frame.continues
    assert len(subject) == 0


def test_leaving_an_event_that_was_cut_drops_the_rest_of_it() -> None:
    subject = framer(FrameLimits(ticks=2))
    [cut] = subject.add(ticks_of([0, 0, 0], [0, 0, 0]), 100)
    assert cut.continues
    assert list(subject.leave(101)) == []


def test_ticks_of_different_origin_do_not_share_a_frame() -> None:
    subject = framer(FrameLimits(ticks=100))
    again = list(subject.add(ticks_of([0], [F_LAST], origin="replay"), 100))
    live = list(subject.add(ticks_of([1], [F_LAST]), 101))
    assert [frame.origin for frame in [*again, *live, *subject.finish(102)]] == ["replay", "live"]
