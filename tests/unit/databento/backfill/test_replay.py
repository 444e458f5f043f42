"""What a session of a replay brings, and when nothing of the window can come any more."""

from __future__ import annotations

import databento_dbn as dbn
import numpy as np
import pytest
from tests.unit.databento.records import LAYOUTS, START_NS, STREAM, batch, mappings

from tapeline.feed.dbn_decoder import Decoded, OtherRecords
from tapeline.model.columns import F_SNAPSHOT
from tapeline.model.control import Interval
from tapeline_databento.backfill.asking import Asked
from tapeline_databento.backfill.replay import Replay
from tapeline_databento.errors import GatewayError, NotReplayed, ReplayAgedOut
from tapeline_databento.normalize import InstrumentClasses

MS = 1_000_000
PAD_NS = 5 * MS
WINDOW = Interval(ts_event_from=START_NS + 2 * MS, ts_event_until=START_NS + 4 * MS)
END_NS = WINDOW.ts_event_until + PAD_NS


@pytest.fixture
def replay() -> Replay:
    asked = Asked("GLBX.MDP3", STREAM, "mbo", "mbo", ("NQ.FUT",), "parent")
    replay = Replay(asked, WINDOW, PAD_NS, InstrumentClasses("GLBX.MDP3"))
    assert list(replay.ticks([OtherRecords(0x16, "mapping", mappings((7, "NQ.FUT", "NQZ6")))])) == []
    return replay


def system(code: dbn.SystemCode, at_ns: int, text: str = "") -> list[Decoded]:
    data = bytes(dbn.SystemMsg(at_ns, text, code=code))
    return [OtherRecords(0x17, "system", np.frombuffer(data, dtype=LAYOUTS[0x17].record))]


def error(code: dbn.ErrorCode) -> list[Decoded]:
    data = bytes(dbn.ErrorMsg(START_NS, "said so", code=code))
    return [OtherRecords(0x15, "error", np.frombuffer(data, dtype=LAYOUTS[0x15].record))]


def test_the_ticks_of_the_window_and_nothing_else(replay: Replay) -> None:
    flags = [128, 128, 128, F_SNAPSHOT, 128, 128]
    times = [START_NS + at * MS for at in (0, 3, 2, 3, 4, 1)]
    (ticks,) = replay.ticks([batch("mbo", [7] * 6, ts_event=times, flags=flags, sequence=range(6))])
    assert ticks.columns["sequence"].tolist() == [1, 2]
    assert (ticks.origin, ticks.stream) == ("backfill", STREAM)
    assert {tuple(name) for name in ticks.directory.values()} == {("NQZ6", "F")}
    assert not replay.is_over


def test_records_end_it_once_captured_past_the_pad(replay: Replay) -> None:
    list(replay.ticks([batch("mbo", [7], ts_event=[END_NS], ts_recv=[END_NS - 1])]))
    assert not replay.is_over
    (late,) = replay.ticks(
        [batch("mbo", [7, 7], ts_event=[WINDOW.ts_event_until - 1, END_NS], ts_recv=[END_NS - 1, END_NS])]
    )
    assert len(late) == 1
    assert replay.is_over


def test_messages_end_it_only_once_the_replay_is_complete(replay: Replay) -> None:
    list(replay.ticks(system(dbn.SystemCode.HEARTBEAT, END_NS)))
    assert not replay.is_over
    list(replay.ticks(system(dbn.SystemCode.REPLAY_COMPLETED, END_NS - 1, "Finished mbo replay")))
    assert replay.is_complete
    assert not replay.is_over
    list(replay.ticks(system(dbn.SystemCode.HEARTBEAT, END_NS)))
    assert replay.is_over


def test_the_end_of_the_replay_ends_it_where_the_window_is_past(replay: Replay) -> None:
    list(replay.ticks(system(dbn.SystemCode.REPLAY_COMPLETED, END_NS, "Finished mbo replay")))
    assert replay.is_over


@pytest.mark.parametrize(
    ("code", "raised"),
    [
        (dbn.ErrorCode.SKIPPED_RECORDS_AFTER_SLOW_READING, GatewayError),
        (dbn.ErrorCode.SYMBOL_RESOLUTION_FAILED, NotReplayed),
        (dbn.ErrorCode.REPLAY_DATA_AGED_OUT, ReplayAgedOut),
        (dbn.ErrorCode.CONNECTION_LIMIT_EXCEEDED, GatewayError),
    ],
)
def test_what_leaves_it_incomplete_is_an_error(replay: Replay, code: dbn.ErrorCode, raised: type[Exception]) -> None:
    with pytest.raises(raised, match="said so"):
        list(replay.ticks(error(code)))
