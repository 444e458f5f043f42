"""Files of frames: the ticks of a line are those of its frame, in absolute times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.model.strategies import tick_frames

from tapeline.errors import BadData, Misconfigured
from tapeline.model.codec import encode
from tapeline.model.columns import TICK_KINDS
from tapeline.model.frames import TickFrame
from tapeline_saved.frame_files import FRAMES_SUFFIX, find_frame_files, read_frames, streams_of, ticks_of

TIMES = ("ts_event", "ts_recv", "ts_ref")
frames = st.one_of(*(tick_frames(kind) for kind in TICK_KINDS))


@settings(max_examples=50)
@given(frames)
def test_the_ticks_of_a_frame_are_its_rows(frame: TickFrame) -> None:
    ticks = ticks_of(frame, "other/stream", 0)
    rows = frame.rows()
    assert (ticks.stream, ticks.dataset, ticks.kind, ticks.origin) == (
        "other/stream",
        frame.dataset,
        frame.kind,
        "saved",
    )
    assert len(ticks) == len(rows)
    for name, values in ticks.columns.items():
        cells = list(values.tobytes().decode()) if values.dtype == np.uint8 else values.tolist()
        for index in frame.undefined.get(name, ()):
            assert cells[index] == 0
            cells[index] = None
        assert cells == [row[name] for row in rows]
    assert "symbol" not in ticks.columns


def frame(ids: tuple[int, ...] = (7, 9)) -> TickFrame:
    """Three trades of two instruments, the second of which has no time."""
    columns = {
        "ts_event": np.array([0, 0, 20]),
        "ts_recv": np.array([5, 15, 25]),
        "symbol": np.array([0, 1, 0]),
        "ts_in_delta": np.zeros(3, dtype=np.int64),
        "sequence": np.arange(3),
        "flags": np.zeros(3, dtype=np.int64),
        "side": np.frombuffer(b"ABN", dtype=np.uint8),
        "price": np.array([100, 200, 300]),
        "size": np.ones(3, dtype=np.int64),
    }
    return TickFrame(
        source="databento",
        dataset="GLBX.MDP3",
        publisher_id=1,
        stream="GLBX.MDP3/NQ.FUT",
        kind="trade",
        session="s",
        epoch=3,
        frame=4,
        origin="live",
        ts_base=1_000,
        opened=1,
        sent=2,
        trading_day="2025-06-10",
        symbols=("NQM5", "NQU5"),
        instrument_ids=ids,
        classes="FF",
        columns=columns,
        undefined={"ts_event": np.array([1])},
    )


def test_times_are_shifted_but_not_those_that_are_undefined() -> None:
    ticks = ticks_of(frame(), "s", 500)
    assert ticks.columns["ts_event"].tolist() == [1_500, 0, 1_520]
    assert ticks.columns["ts_recv"].tolist() == [1_505, 1_515, 1_525]
    assert ticks.instrument_ids.tolist() == [7, 9, 7]
    assert {number: tuple(instrument) for number, instrument in ticks.directory.items()} == {
        7: ("NQM5", "F"),
        9: ("NQU5", "F"),
    }


def test_a_fault_names_the_line_after_the_frames_before_it(tmp_path: Path) -> None:
    path = tmp_path / f"a{FRAMES_SUFFIX}"
    line = encode(frame()) + b"\n"
    path.write_bytes(line * 2 + line[:-9])
    read = read_frames(path)
    assert [next(read)[1], next(read)[1]] == [len(line), 2 * len(line)]
    with pytest.raises(BadData, match=r"a\.frames\.ndjson, line 3: line: must end"):
        next(read)
    path.write_bytes(line + b"{}\n")
    with pytest.raises(BadData, match=r"a\.frames\.ndjson, line 2: schema"):
        streams_of([path])
    path.write_bytes(line)
    assert streams_of([path]) == {"GLBX.MDP3/NQ.FUT": "GLBX.MDP3"}
    assert find_frame_files(tmp_path) == find_frame_files(path) == [path]
    with pytest.raises(Misconfigured, match="cannot be read"):
        streams_of([tmp_path / "gone"])
