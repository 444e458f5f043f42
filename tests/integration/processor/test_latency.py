"""A restart with a backlog on one partition while the others are idle: the rows that follow come at once."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.integration.processor.tape import ROWS, TICKS, Tape
from tests.integration.processor.worker import Worker
from tests.unit.orderflow.builders import MS, T0, trade_frame

from tapeline.model.frames import TickFrame

STREAM = "GLBX.MDP3/ES.FUT#5"
BACKLOG_FRAMES = 400
LIVE_FRAMES = 250
LIVE_PAUSE_S = 0.02
P99_BOUND_MS = 800
"""Far above what is usual (20 ms) and far below the 1,600 ms of a worker whose fetches wait for idle partitions."""


def test_p99_after_a_restart_with_a_backlog_and_idle_partitions(
    make_tape: Callable[[int], Tape], start: Callable[..., Worker]
) -> None:
    tape = make_tape(12)
    before = start(instance_id="only")
    before.await_ready()
    before.terminate()
    tape.put(window_by_window(0, BACKLOG_FRAMES))
    start(instance_id="only").await_ready()
    tape.put(window_by_window(BACKLOG_FRAMES, BACKLOG_FRAMES + LIVE_FRAMES), pause_s=LIVE_PAUSE_S)
    tape.await_rows(tape.expected())

    arrived_ms = {message.offset(): message.timestamp()[1] for message in tape.read(TICKS)}
    written_ms = {}
    for message in tape.read(ROWS):
        for row in json.loads(message.value() or b"")["rows"]:
            if row["window_ms"] == 100:
                written_ms[(int(row["window_start"]) - T0) // (100 * MS)] = message.timestamp()[1]
    latencies_ms = sorted(
        written_ms[frame - 1] - arrived_ms[frame] for frame in range(BACKLOG_FRAMES, BACKLOG_FRAMES + LIVE_FRAMES)
    )
    assert len(latencies_ms) == LIVE_FRAMES
    p99_ms = latencies_ms[int(0.99 * LIVE_FRAMES)]
    assert p99_ms < P99_BOUND_MS, f"p50 {latencies_ms[LIVE_FRAMES // 2]} ms, p99 {p99_ms} ms"


def window_by_window(begin: int, end: int) -> list[TickFrame]:
    """Return frames of one trade each, 100 ms apart: every frame closes the window of the one before."""
    return [
        trade_frame(
            [(T0 + number * 100 * MS, "B", 4_800_000_000_000, 1)], stream=STREAM, frame=number, trading_day="2023-12-26"
        )
        for number in range(begin, end)
    ]
