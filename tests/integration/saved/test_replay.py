"""A saved file on the tape: its records, all of them, as a session that consumers can follow."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from tests.integration.saved.tape import SavedTape
from tests.unit.feed.test_dbn import KINDS, official, official_value
from tests.unit.saved.files import DATASET, LATENCY_NS, START_NS, head, mbo, orders, write

from tapeline.errors import BadData
from tapeline.feed.calendar import calendar_of
from tapeline.model.columns import COLUMNS
from tapeline.model.windows import all_closed_ns

STREAM = f"{DATASET}/NQH6"
S = 1_000_000_000


@pytest.mark.parametrize(
    "file",
    [
        "esh4-glbx-mdp3-20231225.mbo.dbn.zst",
        "esu4-glbx-mdp3-20240701.mbp-1.dbn.zst",
        "esm4-puts-glbx-mdp3-20240509.mbp-1.dbn.zst",
        "stubs/LIVE__test_data.live.dbn.zst",
    ],
)
async def test_every_field_of_a_real_file_is_on_the_tape(tape: SavedTape, real_data: Path, file: str) -> None:
    path = real_data / "databento" / file
    totals = await tape.replay(path)
    expected = [record for record in official(path.read_bytes()) if type(record) in KINDS]
    assert sum(totals.ticks.values()) == len(expected)
    placed = tape.frames()
    for kind in dict.fromkeys(KINDS.values()):
        records = [record for record in expected if KINDS[type(record)] == kind]
        frames = [frame for frame in placed if frame.kind == kind]
        for column in COLUMNS[kind]:  # type: ignore[index]
            read: list[int | None] = []
            for frame in frames:
                if column.name == "symbol":
                    read += [frame.instrument_ids[index] for index in frame.columns["symbol"].tolist()]
                    continue
                base = frame.ts_base if column.name in ("ts_event", "ts_recv", "ts_ref") else 0
                values: list[int | None] = [value + base for value in frame.columns[column.name].tolist()]
                for row in frame.undefined.get(column.name, ()):
                    values[row] = None
                read += values
            name = "instrument_id" if column.name == "symbol" else column.name
            assert read == [official_value(record, name) for record in records], (kind, column.name)


async def test_a_pass_is_claimed_begun_anew_numbered_and_closed(tape: SavedTape, tmp_path: Path) -> None:
    count = 9_001
    await tape.replay(write(tmp_path / "day.dbn", head(), orders(count)))
    first, *frames, last = [placed.frame for placed in tape.placed()]
    assert (first.kind, first.epoch, first.stream) == ("claim", 1, STREAM)
    assert [frame.kind for frame in frames] == ["mbo"] * len(frames)
    assert [frame.frame for frame in frames] == list(range(len(frames)))
    assert [row["sequence"] for row in tape.rows()] == list(range(count))
    assert {(frame.session, frame.epoch, frame.origin, frame.resumes) for frame in frames} == {
        (first.session, 1, "saved", None)
    }
    assert last.clock == {"mbo": all_closed_ns(START_NS + (count - 1) * 1_000_000 - LATENCY_NS)}
    assert len(frames) <= count // 4_000 + 2, "as fast as possible, the age limit must not make small frames"


async def test_the_cursor_is_written_when_all_is_delivered(tape: SavedTape, tmp_path: Path) -> None:
    await tape.replay(write(tmp_path / "day.dbn", head(), orders(9_001)))
    newest = tape.cursors()[-1]
    last = [placed for placed in tape.placed() if placed.frame.kind == "mbo"][-1]
    assert newest.stream == STREAM
    assert newest.next_offset == last.offset + 1
    assert newest.kinds["mbo"].frame == last.frame.frame
    assert newest.kinds["mbo"].ts_event == int(last.frame.ts_event()[-1])


async def test_events_tell_the_session_from_its_begin_to_its_end(tape: SavedTape, tmp_path: Path) -> None:
    await tape.replay(write(tmp_path / "day.dbn", head(), orders(9_001)))
    events = tape.events()
    assert (events[0].type, events[0].stream, events[0].epoch) == ("connected", STREAM, 1)
    assert (events[-1].type, events[-1].reason) == ("disconnected", "end of data")
    beats = [event for event in events if event.type == "heartbeat"]
    assert sum(beat.ticks or 0 for beat in beats) == 9_001
    assert beats[-1].frame == tape.frames()[-1].frame
    assert beats[-1].ts_recv == START_NS + 9_000 * 1_000_000
    assert {event.session for event in events} == {tape.frames()[0].session}


async def test_another_run_takes_the_stream_over_with_the_next_epoch(tape: SavedTape, tmp_path: Path) -> None:
    path = write(tmp_path / "day.dbn", head(), orders(10))
    await tape.replay(path)
    await tape.replay(path)
    assert [claim.epoch for claim in tape.marks("claim")] == [1, 2]
    assert [(frame.epoch, frame.frame, frame.resumes) for frame in tape.frames()] == [(1, 0, None), (2, 0, None)]


async def test_passes_are_sessions_of_their_own_under_one_claim(tape: SavedTape, tmp_path: Path) -> None:
    totals = await tape.replay(write(tmp_path / "day.dbn", head(), orders(4_500)), passes=3)
    assert totals.ticks == {STREAM: 3 * 4_500}
    assert len(tape.marks("claim")) == 1
    frames = tape.frames()
    sessions = list(dict.fromkeys(frame.session for frame in frames))
    assert len(sessions) == 3
    for session in sessions:
        of_session = [frame for frame in frames if frame.session == session]
        assert [frame.frame for frame in of_session] == [0, 1]
        assert of_session[0].resumes is None
    assert [clock.session for clock in tape.marks("clock")] == sessions
    assert [event.type for event in tape.events() if event.type != "heartbeat"] == ["connected", "disconnected"] * 3


async def test_a_rebased_pass_begins_now(tape: SavedTape, tmp_path: Path) -> None:
    path = write(tmp_path / "day.dbn", head(dataset="GLBX.MDP3"), orders(50, step_ns=S))
    began_ns = time.time_ns()
    await tape.replay(path, passes=2, rebase=True)
    ended_ns = time.time_ns()
    first, second = tape.frames()
    for frame in (first, second):
        received = frame.ts_recv()
        assert began_ns <= int(received[0]) <= ended_ns
        assert np.array_equal(np.diff(received), [S] * 49)
        assert np.array_equal(frame.ts_event(), received - LATENCY_NS)
        assert frame.trading_day == calendar_of("GLBX.MDP3").trading_day(int(received[0]))
    assert second.ts_recv()[0] > first.ts_recv()[0]


async def test_a_folder_is_replayed_in_time_order_as_one_session(tape: SavedTape, tmp_path: Path) -> None:
    for order, name in enumerate(("zulu", "mike", "alpha")):
        start_ns = START_NS + order * 60 * S
        data = orders(10, start_ns=start_ns, first=order * 10)
        write(tmp_path / f"{name}.dbn", head(start_ns=start_ns), data)
    write(tmp_path / "notes.txt", b"no tape")
    await tape.replay(tmp_path)
    assert [row["sequence"] for row in tape.rows()] == list(range(30))
    assert len({frame.session for frame in tape.frames()}) == 1
    assert len(tape.marks("clock")) == 1


async def test_files_of_several_symbols_are_streams_of_their_own(tape: SavedTape, tmp_path: Path) -> None:
    write(tmp_path / "a.dbn", head(("NQH6",)), orders(5))
    write(tmp_path / "b.dbn", head(("NQM6",)), orders(6))
    write(tmp_path / "c.dbn", head(("NQH6", "NQM6")), mbo(0, START_NS), mbo(1, START_NS, instrument_id=8))
    totals = await tape.replay(tmp_path)
    assert totals.ticks == {STREAM: 5, f"{DATASET}/NQM6": 6, f"{DATASET}/c": 2}
    assert {claim.stream for claim in tape.marks("claim")} == set(totals.ticks)
    assert [frame.symbols for frame in tape.frames() if frame.stream.endswith("/c")] == [("NQH6", "NQM6")]


async def test_a_stream_can_be_named(tape: SavedTape, tmp_path: Path) -> None:
    await tape.replay(write(tmp_path / "a.dbn", head(), orders(5)), stream=f"{DATASET}/mine")
    assert {placed.frame.stream for placed in tape.placed()} == {f"{DATASET}/mine"}


async def test_a_file_without_ticks_is_counted_as_nothing(tape: SavedTape, tmp_path: Path) -> None:
    totals = await tape.replay(write(tmp_path / "empty.dbn", head()))
    assert totals.ticks == {STREAM: 0}
    assert [event.type for event in tape.events()] == ["connected", "disconnected"]


async def test_speed_is_kept_and_a_quiet_stretch_has_clocks(tape: SavedTape, tmp_path: Path) -> None:
    speed = 8.0
    gap_ns = 8 * S
    after = START_NS + S + gap_ns
    data = orders(1_000) + orders(100, start_ns=after, first=1_000)
    await tape.replay(write(tmp_path / "day.dbn", head(), data), speed=speed)
    placed = [each.frame for each in tape.placed() if each.frame.kind in ("mbo", "clock")]
    frames = [frame for frame in placed if frame.kind == "mbo"]
    assert [row["sequence"] for frame in frames for row in frame.rows()] == list(range(1_100))
    late_ms = [
        ((frame.opened - frames[0].opened) - (int(frame.ts_recv()[0]) - START_NS) / speed) / 1e6 for frame in frames
    ]
    assert min(late_ms) > -20.0, "no tick comes before its time"
    assert sorted(late_ms)[len(late_ms) // 2] < 100.0
    assert len(frames) > 4, "ticks are handed on as their time comes, and not all at once"

    *quiet, last = (frame for frame in placed if frame.kind == "clock")
    newest_ns = START_NS + 999 * 1_000_000 - LATENCY_NS
    times = [(clock.clock or {})["mbo"] for clock in quiet]
    assert len(times) >= 2
    assert all(newest_ns < at_ns <= after - S for at_ns in times)
    assert times == sorted(times)
    assert all(later.sent - earlier.sent >= 240_000_000 for earlier, later in pairwise(quiet))
    assert placed[-1] is last
    assert last.clock == {"mbo": all_closed_ns(after + 99 * 1_000_000 - LATENCY_NS)}


async def test_the_records_before_a_fault_are_published_and_the_session_says_why_it_ended(
    tape: SavedTape, tmp_path: Path
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    write(folder / "a.dbn", (head() + orders(6_000))[:-11])
    write(folder / "b.dbn", head(start_ns=START_NS + S), orders(10, first=6_000))
    with pytest.raises(BadData, match=r"a\.dbn, byte \d+: must hold a whole record"):
        await tape.replay(folder)
    assert [row["sequence"] for row in tape.rows()] == list(range(5_999))
    assert tape.marks("clock") == [], "a broken pass is not a finished one"
    ended = tape.events()[-2:]
    assert [event.type for event in ended] == ["disconnected", "stopped"]
    assert all("a.dbn" in event.reason for event in ended)
    assert tape.cursors()[-1].kinds["mbo"].frame == tape.frames()[-1].frame
