"""What the processor has computed of a tape with a gap is mended on a real broker, from its own checkpoints."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.integration.processor.tape import CHECKPOINTS, ROWS, Tape
from tests.integration.processor.worker import Worker
from tests.unit.orderflow import holes
from tests.unit.orderflow.builders import T0, S, clock_frame, replay_dbn, slice_frame
from tests.unit.orderflow.holes import Hole, after_events, differing, joined, newest_rows, tape_with, undisturbed

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.checkpoint_log import find_checkpoint
from tapeline.bus.log import Log
from tapeline.bus.partitioner import partition_of
from tapeline.model.backfill import EVENTS_TOPIC, REQUESTS_TOPIC, BackfillEvent, BackfillRequest
from tapeline_backfill.recompute import ReasonToWait, Recomputed, Recomputer
from tapeline_backfill.recompute_reading import TapeReader
from tapeline_processor.app import sessions
from tapeline_processor.kernels import load

BACKFILLS = "md.ticks-backfill.saved.v1"
END = clock_frame({"mbo": T0 + 23 * 3_600 * S + 61 * S})
DEADLINE_S = 60.0
SOUND_SINCE, HOLE_AT = 6, 12
"""Frames of the tape after which the books are known, and after which the hole begins."""


@pytest.fixture
def tape(bootstrap_servers: str, namespace: str) -> Tape:
    tape = Tape(bootstrap_servers, 1)
    tape.create({BACKFILLS: 1, REQUESTS_TOPIC: 1, EVENTS_TOPIC: 1})
    return tape


@pytest.fixture
def start(bootstrap_servers: str, namespace: str, tmp_path: Path) -> Iterator[Callable[[], Worker]]:
    load(sessions())
    workers: list[Worker] = []

    def begin() -> Worker:
        settings = {"checkpoint_ticks": 2_000, "checkpoint_part_bytes": 4_096}
        workers.append(Worker(tmp_path / "worker.log", bootstrap_servers, **settings))
        return workers[-1]

    yield begin
    for worker in workers:
        worker.kill()


def test_rows_after_a_gap_become_those_of_an_undisturbed_run(
    tape: Tape, start: Callable[[], Worker], real_data: Path, bootstrap_servers: str, tmp_path: Path
) -> None:
    path = real_data / "databento" / "esh4-glbx-mdp3-20231225.mbo.dbn.zst"
    ticks = slice_frame(joined(replay_dbn(path)), 0, 40_000)
    hole = Hole(after_events(ticks, 20_000), after_events(ticks, 25_000))
    told = tape_with(ticks, [hole], sessions(), frame_ticks=2_000, end=END)
    expected = undisturbed(ticks, sessions(), END)

    start().await_ready()
    # A checkpoint is passed over while another is being written, so a sound one takes as many frames as it takes.
    tape.put(told.live[:SOUND_SINCE])
    await_that(lambda: newest_checkpoint(tape) > 0)
    put = SOUND_SINCE
    while newest_checkpoint(tape) < SOUND_SINCE:
        assert put < HOLE_AT, "no checkpoint from between the book's snapshot and the hole"
        tape.put(told.live[put : put + 1], pause_s=2.0)
        put += 1
    tape.put(told.live[put:])
    told.process(10**9)
    await_that(lambda: newest(tape) == newest_rows(told.rows))
    assert differing(newest(tape), expected)

    request = told.complete(hole, ticks)
    rows_key = f"{request.source}/{request.stream}"
    rows_place: dict[str, Any] = {"partition": partition_of(rows_key, 3), "key": rows_key.encode(), "topic": ROWS}
    tape.put_raw(request.encode(), partition=0, key=request.id.encode(), topic=REQUESTS_TOPIC)
    tape.flush()
    with backfilling(bootstrap_servers, path, request.stream, tmp_path / "backfill.log"):
        await_that(lambda: bool((last := last_event(tape)) and last.type in ("recomputed", "rejected")))
    ended = last_event(tape)
    assert ended is not None
    assert (ended.type, ended.published, ended.reason) == ("recomputed", len(holes.missed_of(ticks, hole)), "")
    assert ended.counted == ended.read == ended.published + ended.skipped
    assert ended.revised_rows
    assert differing(newest(tape), expected) == []
    reader = TapeReader(bootstrap_servers, request, sessions())
    begun = reader.sound_start(*reader.bounds())
    assert begun is not None
    assert begun.next > 0, "a checkpoint must be found"

    # What is no message of rows is none of its business.
    tape.put_raw(b'{"rows": []}', **rows_place)
    tape.flush()
    again = asyncio.run(recompute(bootstrap_servers, request))
    assert (again.rows, again.again_after) == (0, None)

    # Another worker, which knew of less, tells a row of the next revision while this one is at it.
    asked = 0

    async def another() -> str:
        nonlocal asked
        asked += 1
        if asked == 2:
            tape.put_raw(outdated(tape), **rows_place)
            tape.flush()
        return ""

    assert asyncio.run(recompute(bootstrap_servers, request, another)).rows == 1
    assert differing(newest(tape), expected) == []


def newest_checkpoint(tape: Tape) -> int:
    """Return up to which frame the newest complete checkpoint goes, 0 where there is none."""
    with Log(tape.servers, "test") as reader:
        return find_checkpoint(reader, namespaced(CHECKPOINTS), 0, lambda checkpoint: checkpoint.next) or 0


@contextmanager
def backfilling(servers: str, files: Path, stream: str, log: Path) -> Iterator[None]:
    """Run the backfill service as people do; it ends well."""
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": servers,
        "TAPELINE_BACKFILL_HEALTH_PORT": "0",
        "TAPELINE_SAVED_PATH": str(files),
        "TAPELINE_SAVED_STREAM": stream,
    }
    with log.open("wb") as said:
        command = [sys.executable, "-m", "tapeline_backfill"]
        process = subprocess.Popen(command, env=os.environ | settings, cwd=log.parent, stderr=said)
    try:
        yield
        process.terminate()
        assert process.wait(DEADLINE_S) == 0, log.read_text()
    finally:
        process.kill()
        process.wait(DEADLINE_S)


def last_event(tape: Tape) -> BackfillEvent | None:
    topic = namespaced(EVENTS_TOPIC)
    with Log(tape.servers, "test") as reader:
        found = [message.value() or b"" for message in reader.read(topic, 0, *reader.bounds(topic, 0))]
    return BackfillEvent.decode(found[-1]) if found else None


async def at_once() -> str:
    return ""


async def recompute(servers: str, request: BackfillRequest, reason_to_wait: ReasonToWait = at_once) -> Recomputed:
    return await Recomputer(servers).recompute_after(request, reason_to_wait)


def outdated(tape: Tape) -> bytes:
    """Return a message with a row that was computed anew, as the newest of its window but with another number."""
    messages = [orjson.loads(message.value() or b"") for message in tape.read(ROWS)]
    last = [each for each in messages if any(row["basis"] == "live+backfill" for row in each["rows"])][-1]
    row = last["rows"][0]
    changed = row | {"revision": row["revision"] + 1, "trades": -1}
    return orjson.dumps(last | {"rows": [changed]})


def newest(tape: Tape) -> dict[holes.Key, holes.Row]:
    return newest_rows(message.value() or b"" for message in tape.read(ROWS))


def await_that(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.05)
