"""What breaks in between: each record is on the tape once and in order, or an open gap covers what is missing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from tests.integration.feed.vendor import DATASET, KIND, MS, STREAM, Away, Vendor, market, runner
from tests.integration.saved.tape import SavedTape
from tests.unit.feed.test_framer import BASE_NS, ticks_of

from tapeline.errors import Refused, Retryable
from tapeline.feed.framer import Ticks
from tapeline.feed.resume import TapeEnd
from tapeline.feed.source import Item, Lost, Pair, Replayed, Session, VendorClock
from tapeline.model.columns import F_LAST, F_SNAPSHOT
from tapeline.model.frames import Gap, Origin, Resume

Record = tuple[int, int, int, int]


def records(ticks: Ticks) -> list[Record]:
    columns = (ticks.instrument_ids, *(ticks.columns[name] for name in ("ts_event", "sequence", "size")))
    return list(zip(*(column.tolist() for column in columns), strict=True))


def on_tape(tape: SavedTape) -> list[Record]:
    ids = {"NQH4": 7, "NQM4": 9}
    return [
        (ids[str(r["symbol"])], *(int(str(r[name])) for name in ("ts_event", "sequence", "size"))) for r in tape.rows()
    ]  # type: ignore[misc]


def gaps(tape: SavedTape) -> list[Gap]:
    return [mark.gap for mark in tape.marks("gap") if mark.gap is not None]


@pytest.mark.parametrize("seed", range(4))
async def test_short_outages_leave_every_record_once_and_in_order(tape: SavedTape, tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    plan = [Away(int(random.integers(1, 120)), int(random.integers(0, 40))) for _ in range(4)]
    vendor = Vendor(market(600, seed), plan)
    await runner(tape, tmp_path, vendor, clock_ns=vendor.clock_ns, resume_overlap_s=0.02).run()
    assert on_tape(tape) == records(vendor.ticks)
    assert gaps(tape) == []
    frames = tape.frames()
    assert len({frame.session for frame in frames}) == 5
    assert {frame.origin for frame in frames} == {"live", "replay"}
    for before, after in pairwise(frames):
        if before.session == after.session:
            assert (after.frame, after.resumes) == ((before.frame or 0) + 1, None)
        else:
            assert (after.frame, after.resumes) == (0, Resume(before.session, before.frame or 0))


async def test_what_was_before_the_tape_began_is_not_taken_from_a_replay(tape: SavedTape, tmp_path: Path) -> None:
    ticks = market(300)
    times = ticks.columns["ts_event"]
    begin = 100 + int(np.argmax(times[100:] != times[99:-1]))
    vendor = Vendor(ticks, [Away(11, misses=6)], position=begin)
    await runner(tape, tmp_path, vendor, clock_ns=vendor.clock_ns).run()
    assert vendor.asked[1] is not None
    assert vendor.asked[1].start_ns < records(ticks)[begin][1]
    assert on_tape(tape) == records(ticks)[begin:]
    assert gaps(tape) == []


async def test_a_replay_with_more_than_the_tape_has_is_not_trusted(tape: SavedTape, tmp_path: Path) -> None:
    class Forgetful(Vendor):
        async def connect(self, ends: Mapping[Pair, TapeEnd]) -> Session:
            if self.sessions == 1:
                # The records in the middle reached nobody, and nobody knew.
                self.ticks, self.position = whole, self.position + 10
            return await super().connect(ends)

    whole = market(300)
    holed = replace(
        whole,
        instrument_ids=np.delete(whole.instrument_ids, slice(50, 60)),
        columns={name: np.delete(values, slice(50, 60)) for name, values in whole.columns.items()},
    )
    vendor = Forgetful(holed, [Away(100)])
    await runner(tape, tmp_path, vendor, clock_ns=vendor.clock_ns).run()
    opened, bounded = gaps(tape)
    assert opened.reason == "count mismatch: the replay holds 10 records that are not on the tape"
    assert opened.ts_event_from == records(whole)[50][1]
    assert bounded.ts_event_to is not None
    assert bounded.ts_event_to >= records(whole)[59][1]
    assert [asked is not None for asked in vendor.asked] == [False, True, False]


async def test_a_new_process_resumes_where_the_last_one_left(tape: SavedTape, tmp_path: Path) -> None:
    vendor = Vendor(market(500), [Away(203)])
    first = runner(tape, tmp_path, vendor, clock_ns=vendor.clock_ns, resume_overlap_s=0.02)
    vendor.on_end = first.stop
    await first.run()
    assert 190 < len(on_tape(tape)) <= 203
    vendor.position += 60
    await runner(tape, tmp_path, vendor, clock_ns=vendor.clock_ns, resume_overlap_s=0.02).run()
    assert on_tape(tape) == records(vendor.ticks)
    assert [frame.epoch for frame in tape.marks("claim")] == [1, 2]
    assert gaps(tape) == []


async def test_an_outage_that_is_too_long_is_a_gap_and_the_stream_is_live_at_once(
    tape: SavedTape, tmp_path: Path
) -> None:
    vendor = Vendor(market(300), [Away(100, misses=50, minutes=61)])
    await runner(tape, tmp_path, vendor, clock_ns=vendor.clock_ns).run()
    assert vendor.asked == [None, None]
    every, there = records(vendor.ticks), on_tape(tape)
    missing = every[len([r for r in there if r in every[:100]]) : 150]
    assert sorted(there + missing) == sorted(every)
    opened, bounded = gaps(tape)
    assert (opened.state, bounded.state) == ("open", "bounded")
    assert replace(bounded, state="open", ts_event_to=None, ts_recv_to=None) == opened
    assert opened.reason.startswith("nothing was received for 3,660")
    assert bounded.ts_event_from is not None
    assert bounded.ts_event_to is not None
    assert all(bounded.ts_event_from <= ts_event <= bounded.ts_event_to for _, ts_event, _, _ in missing)
    kinds = [(placed.frame.kind, placed.frame.gap and placed.frame.gap.state) for placed in tape.placed()]
    at = kinds.index(("gap", "open"))
    assert kinds[at : at + 3] == [("gap", "open"), ("gap", "bounded"), ("mbo", None)]
    assert [e.type for e in tape.events() if e.type.startswith("gap")] == ["gap_opened", "gap_closed"]


async def test_closed_hours_are_no_outage(tape: SavedTape, tmp_path: Path) -> None:
    vendor = Vendor(market(300), [Away(100, misses=50, minutes=21 * 60 + 60 + 30)])
    # From 22 hours and 59 minutes into the session on, over the daily break, to half an hour after the next open.
    vendor.minutes = 23 * 60 - 90
    await runner(tape, tmp_path, vendor, clock_ns=vendor.clock_ns, resume_max_s=86_400).run()
    assert vendor.asked[1] is not None
    assert gaps(tape) == []


async def test_a_short_outage_before_a_weekend_is_a_gap_where_the_vendor_no_longer_replays_it(
    tape: SavedTape, tmp_path: Path
) -> None:
    # From half an hour before Friday's close to ten minutes after the next open.
    vendor = Vendor(market(300), [Away(100, misses=50, minutes=4_420)], minutes=4 * 24 * 60 - 90)
    await runner(tape, tmp_path, vendor, clock_ns=vendor.clock_ns).run()
    assert vendor.asked == [None, None]
    opened, bounded = gaps(tape)
    assert (opened.state, bounded.state) == ("open", "bounded")
    assert opened.reason.startswith("nothing was received for 2,400")


async def test_what_was_connected_is_left_even_where_nothing_was_taken(tape: SavedTape, tmp_path: Path) -> None:
    class StoppedWhileConnecting(Vendor):
        async def connect(self, ends: Mapping[Pair, TapeEnd]) -> Session:
            session = await super().connect(ends)
            assert self.connections == 1
            subject.stop()
            return session

    vendor = StoppedWhileConnecting(market(300), [])
    subject = runner(tape, tmp_path, vendor, clock_ns=vendor.clock_ns)
    await subject.run()
    assert (vendor.sessions, vendor.connections) == (1, 0)
    assert tape.frames() == []


@pytest.mark.parametrize("process", ["the same process", "a new process"])
@pytest.mark.parametrize("minutes", [0, 61])
async def test_the_first_trade_is_not_lost_in_an_outage(
    tape: SavedTape, tmp_path: Path, process: str, minutes: int
) -> None:
    """Quotes were heard before it; of trades there was none yet."""
    at_ns, trade = BASE_NS + 3 * MS, ticks_of([40], [F_LAST], kind="trade")
    line = Sparse(trade)
    subject = runner(tape, tmp_path, line, clock_ns=lambda: at_ns)

    def away() -> None:
        nonlocal at_ns
        at_ns += 50 * MS + round(minutes * 60e9)
        if process == "a new process":
            subject.stop()

    line.on_end = away
    await subject.run()
    if process == "a new process":
        await runner(tape, tmp_path, line, clock_ns=lambda: at_ns).run()
    there = [frame for frame in tape.frames() if frame.kind == "trade"]
    if minutes:
        assert there == []
        # A new process cannot know that trades were listened to: the gap of quotes tells of the outage.
        expected = ["l1"] if process == "a new process" else ["l1", "trade"]
        assert sorted(gap.kinds[0] for gap in gaps(tape) if gap.state == "open") == expected
    else:
        assert [(frame.origin, frame.resumes, frame.ts_event().tolist()) for frame in there] == [
            ("replay", None, trade.columns["ts_event"].tolist())
        ]
        assert gaps(tape) == []


class Sparse:
    """Gives a quote, breaks, and has had a trade in the meantime, which it tells whoever asks for it."""

    name = "sparse"
    origin: Origin = "live"
    pairs: AbstractSet[Pair] = frozenset({(STREAM, "l1"), (STREAM, "trade")})

    def __init__(self, trade: Ticks) -> None:
        self.resumes: AbstractSet[Pair] = frozenset()
        self.on_end: Callable[[], None] = lambda: None
        self._trade = trade
        self._ends: Mapping[Pair, TapeEnd] = {}
        self._sessions = 0

    async def prepare(self) -> Mapping[str, str] | None:
        return {STREAM: DATASET} if self._sessions < 2 else None

    async def connect(self, ends: Mapping[Pair, TapeEnd]) -> Session:
        self._ends, self.resumes = ends, ends.keys()
        self._sessions += 1
        return self

    async def items(self) -> AsyncIterator[Item]:
        if self._sessions == 1:
            yield ticks_of([3], [F_LAST], kind="l1")
            self.on_end()
            raise Retryable("the connection was reset")
        end = self._ends.get((STREAM, "l1"))
        if end is not None:
            yield ticks_of([3], [F_LAST], kind="l1", origin="replay")
            yield Replayed(STREAM, "l1")
        end = self._ends.get((STREAM, "trade"))
        if end is not None:
            assert end.start_ns <= self._trade.columns["ts_event"][0]
            yield replace(self._trade, origin="replay")
            yield Replayed(STREAM, "trade")

    def close(self) -> None:
        pass


async def test_what_follows_a_session_of_nothing_but_a_snapshot_is_a_gap(tape: SavedTape, tmp_path: Path) -> None:
    snapshot = ticks_of([0, 0], [F_SNAPSHOT, F_SNAPSHOT | F_LAST], ids=[9, 9])
    await runner(tape, tmp_path, Line("one", snapshot), clock_ns=now_ns).run()
    live = ticks_of([4 * MS], [F_LAST], ids=[9])
    await runner(tape, tmp_path, Line("one", snapshot, live), clock_ns=now_ns).run()
    told = [(gap.state, gap.ts_event_from, gap.ts_event_to) for gap in gaps(tape)]
    assert told == [("open", None, None), ("bounded", None, BASE_NS + 4 * MS)]


@pytest.mark.parametrize("symbols", [(), ("NQM4",), ("*",)])
async def test_orders_are_not_replayed_into_a_book_that_has_a_hole(
    tape: SavedTape, tmp_path: Path, symbols: tuple[str, ...]
) -> None:
    live = ticks_of([MS, 2 * MS], [F_LAST, F_LAST], ids=[7, 9])
    lost = [Lost(STREAM, KIND, symbols, "F_MAYBE_BAD_BOOK")] if symbols else []
    await runner(tape, tmp_path, Line("one", live, *lost), clock_ns=now_ns).run()
    line = Line("one")
    await runner(tape, tmp_path, line, clock_ns=now_ns).run()
    assert line.asked == (set() if symbols else {(STREAM, KIND)})


async def test_a_vendor_that_cannot_replay_leaves_a_gap(tape: SavedTape, tmp_path: Path) -> None:
    vendor = Vendor(market(300), [Away(100, misses=20), Away(1_000, can_replay=False)])
    await runner(tape, tmp_path, vendor, clock_ns=vendor.clock_ns).run()
    assert [gap.state for gap in gaps(tape)] == ["open", "bounded"]
    assert tape.frames()[-1].session not in {frame.session for frame in tape.frames()[:3]}
    assert [frame.resumes for frame in tape.frames() if frame.frame == 0] == [None, None]


async def test_a_replay_that_leaves_out_what_is_known_is_not_trusted(tape: SavedTape, tmp_path: Path) -> None:
    vendor = Vendor(market(300), [Away(100), Away(100, forgets=7)])
    await runner(tape, tmp_path, vendor, clock_ns=vendor.clock_ns).run()
    opened, bounded = gaps(tape)
    assert opened.reason.startswith("count mismatch: the replay left out")
    before = [frame for frame in tape.frames() if frame.session == tape.frames()[0].session]
    assert opened.ts_event_from == max(int(frame.ts_event().max()) for frame in before)
    assert bounded.state == "bounded"


async def test_a_gap_that_was_open_when_the_process_ended_is_bounded_by_the_next(
    tape: SavedTape, tmp_path: Path
) -> None:
    class Silent(Vendor):
        async def connect(self, ends: Mapping[Pair, TapeEnd]) -> Session:
            session = await super().connect(ends)
            if self.sessions == 2:
                first.stop()
            return session

    vendor = Silent(market(300), [Away(100, minutes=61), Away(0), Away(0)])
    first = runner(tape, tmp_path, vendor, clock_ns=vendor.clock_ns)
    vendor.on_end = lambda: first.stop() if vendor.sessions == 2 else None
    await first.run()
    # The session in which the gap was opened gave nothing.
    if not gaps(tape):
        pytest.fail("no gap was opened")
    await runner(tape, tmp_path, vendor, clock_ns=vendor.clock_ns, resume_max_s=0).run()
    opened, bounded = gaps(tape)
    assert (opened.id, opened.state, bounded.state) == (bounded.id, "open", "bounded")


class Line:
    """Gives the same items once."""

    origin: Origin = "live"

    def __init__(self, name: str, *items: Item, error: Exception | None = None, stream: str = STREAM) -> None:
        self.name = name
        self.pairs: AbstractSet[Pair] = frozenset({(stream, KIND)})
        self.resumes: AbstractSet[Pair] = frozenset()
        self._stream = stream
        self._items = items
        self._error = error
        self._done = False
        self.asked: AbstractSet[Pair] = frozenset()

    async def prepare(self) -> Mapping[str, str] | None:
        done, self._done = self._done, True
        return None if done else {self._stream: DATASET}

    async def connect(self, ends: Mapping[Pair, TapeEnd]) -> Session:
        self.asked = ends.keys()
        if self._error is not None:
            raise self._error
        return self

    async def items(self) -> AsyncIterator[Item]:
        for item in self._items:
            yield item

    def close(self) -> None:
        pass


def now_ns() -> int:
    return BASE_NS


async def test_a_symbol_s_gap_ends_with_its_own_next_tick_that_is_no_snapshot_s(
    tape: SavedTape, tmp_path: Path
) -> None:
    snapshot = ticks_of([0, 0], [F_SNAPSHOT, F_SNAPSHOT | F_LAST], ids=[9, 9])
    line = Line(
        "one",
        ticks_of([MS, 2 * MS], [F_LAST, F_LAST], ids=[7, 9]),
        Lost(STREAM, KIND, ("NQM4",), "F_MAYBE_BAD_BOOK", BASE_NS + MS),
        ticks_of([3 * MS], [F_LAST], ids=[7]),
        snapshot,
        ticks_of([4 * MS, 5 * MS, 6 * MS], [F_LAST] * 3, ids=[7, 9, 9]),
    )
    await runner(tape, tmp_path, line, clock_ns=now_ns).run()
    told = [
        (placed.frame.gap.state, placed.frame.gap.ts_event_from, placed.frame.gap.ts_event_to)
        if placed.frame.gap
        else [(at - BASE_NS) // MS for at in placed.frame.ts_event().tolist()]
        for placed in tape.placed()
        if placed.frame.kind in ("mbo", "gap")
    ]
    assert told == [
        [1, 2],
        ("open", BASE_NS + MS, None),
        [3, 0, 0],
        [4],
        ("bounded", BASE_NS + MS, BASE_NS + 5 * MS),
        [5, 6],
    ]


async def test_a_heartbeat_of_the_vendor_ends_the_gap_of_a_quiet_stream_but_not_of_a_book(
    tape: SavedTape, tmp_path: Path
) -> None:
    clock = VendorClock(STREAM, BASE_NS + 9 * MS)
    line = Line(
        "one",
        ticks_of([MS], [0], kind="trade"),
        Lost(STREAM, "trade", ("*",), "skipped"),
        Lost(STREAM, KIND, ("*",), "skipped"),
        clock,
    )
    await runner(tape, tmp_path, line, clock_ns=now_ns).run()
    states = [(gap.kinds, gap.state, gap.ts_event_to) for gap in gaps(tape)]
    assert states == [
        (("trade",), "open", None),
        (("mbo",), "open", None),
        (("trade",), "bounded", BASE_NS + 9 * MS),
    ]


async def test_a_line_that_nothing_can_mend_stops_alone_and_is_told(tape: SavedTape, tmp_path: Path) -> None:
    other = "GLBX.MDP3/ES.FUT"
    good = Line("good", ticks_of([MS, 2 * MS], [F_LAST, F_LAST]))
    bad = Line("bad", error=Refused("the key is not entitled to ES.FUT"), stream=other)
    with pytest.raises(Refused, match=r"ES\.FUT"):
        await runner(tape, tmp_path, bad, good, clock_ns=now_ns).run()
    assert tape.ticks() == 2
    stopped = [event for event in tape.events() if event.type == "stopped"]
    assert [(event.stream, event.reason) for event in stopped] == [(other, "the key is not entitled to ES.FUT")]


async def test_no_clock_before_the_replay_is_complete(tape: SavedTape, tmp_path: Path) -> None:
    late = VendorClock(STREAM, BASE_NS + 10_000 * MS)

    class Clocked(Vendor):
        async def connect(self, ends: Mapping[Pair, TapeEnd]) -> Session:
            session = await super().connect(ends)
            items = session.items

            async def with_clock() -> AsyncIterator[Item]:
                yield late
                async for item in items():
                    yield item

            session.items = with_clock  # type: ignore[method-assign]
            return session

    vendor = Clocked(market(60), [Away(30)])
    await runner(tape, tmp_path, vendor, clock_ns=vendor.clock_ns).run()
    kinds = [placed.frame.kind for placed in tape.placed() if placed.frame.kind != "claim"]
    # Only the first session's, which had nothing to replay.
    assert kinds.count("clock") <= 1
    assert "clock" not in kinds[kinds.index("mbo") :]
