"""A worker that nobody disturbs: rows as computed in-process, bad frames set aside, a clean end."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.integration.processor.tape import CHECKPOINTS, DEAD_LETTERS, QUALITY, TICKS, Tape, esh4
from tests.integration.processor.worker import Worker
from tests.unit.orderflow.builders import LAST, T0, S, claim_frame, clock_frame, mbo_frame

from tapeline.model.codec import encode
from tapeline.model.frames import Resume

MakeTape = Callable[[int], Tape]
Start = Callable[..., Worker]


def test_rows_of_real_data_are_those_of_the_frames(make_tape: MakeTape, start: Start, real_data: Path) -> None:
    tape = make_tape(2)
    worker = start()
    worker.await_ready()
    tape.put(esh4(real_data, ["GLBX.MDP3/ES.FUT#0", "GLBX.MDP3/ES.FUT#1"], ticks_per_frame=4_000))
    expected = tape.expected()
    assert len(expected) > 1_000
    tape.await_rows(expected)


def test_it_listens_on_loopback_only_and_takes_the_longest_session(make_tape: MakeTape, start: Start) -> None:
    make_tape(1)
    worker = start(session_timeout_s=300)
    facts = worker.await_ready()
    assert len(facts["assigned"]) == 1
    connections = psutil.Process(worker.process.pid).net_connections(kind="inet")
    listening = [connection.laddr.ip for connection in connections if connection.status == psutil.CONN_LISTEN]
    assert listening == ["127.0.0.1"]
    status, metrics = worker.get("/metrics")
    assert (status, b"tapeline_processor_ticks" in metrics) == (200, True)
    assert worker.get("/livez")[0] == 200


def test_sigterm_saves_a_last_checkpoint_and_leaves_in_time(
    make_tape: MakeTape, start: Start, real_data: Path, tmp_path: Path
) -> None:
    tape = make_tape(2)
    worker = start()
    worker.await_ready()
    tape.put(esh4(real_data, ["GLBX.MDP3/ES.FUT#0"]))
    tape.await_rows(tape.expected())
    assert worker.terminate() < 5
    assert {partition: end > 0 for partition, end in tape.ends(CHECKPOINTS).items()} == {0: True, 1: False}
    again = start()
    again.await_ready()
    restored = next(again.events("restored"))["partitions"]
    assert sorted(restored.values()) == sorted(tape.ends(TICKS).values())
    assert again.terminate() < 5
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".log"] == []


def test_sigterm_ends_a_worker_that_is_still_compiling(
    make_tape: MakeTape, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tape(1)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "empty"))
    worker = start()
    deadline_s = time.monotonic() + 30
    while worker.get("/livez")[0] != 200:
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    assert worker.get("/readyz")[0] == 503
    assert worker.terminate() < 5


def test_bad_frames_are_set_aside_and_the_stream_goes_on(make_tape: MakeTape, start: Start, real_data: Path) -> None:
    tape = make_tape(1)
    frames = esh4(real_data, ["GLBX.MDP3/ES.FUT"], ticks_per_frame=4_000)
    wrong_price = json.loads(encode(frames[3]))
    wrong_price["columns"]["price"][7] = "4800.25"
    bad: list[tuple[bytes | None, bytes | None, bytes]] = [
        (b"not JSON", b"key", b"value"),
        (None, None, b"value"),
        (b'{"schema": "tick-frame.v9"}', b"\xff\x00", b"schema"),
        (json.dumps(wrong_price).encode(), b"GLBX.MDP3/ES.FUT", b"columns.price"),
        (os.urandom(1_000_000), b"large", b"value"),
    ]
    tape.put(frames[:2])
    for value, key, _ in bad:
        tape.put_raw(value, partition=0, key=key)
    tape.put(frames[2:])
    worker = start()
    tape.await_rows(tape.expected())
    letters = list(tape.read(DEAD_LETTERS))
    assert [(letter.value(), letter.key()) for letter in letters] == [(value or b"", key) for value, key, _ in bad]
    for offset, (letter, (_, _, field)) in enumerate(zip(letters, bad, strict=True), start=2):
        headers = dict(letter.headers() or ())
        assert headers["field"] == field
        assert headers["rule"]
        assert headers["error"].startswith(field)
        assert headers["origin_topic"].endswith(TICKS.encode())
        assert (headers["origin_partition"], headers["origin_offset"]) == (b"0", b"%d" % offset)
        assert headers["service"] == b"tapeline-processor"
    assert b"tapeline_dead_letters_total" in worker.get("/metrics")[1]
    assert len(list(worker.events("bad_message"))) == len(bad)


def test_what_is_wrong_with_ticks_is_told(make_tape: MakeTape, start: Start) -> None:
    tape = make_tape(1)
    orders = mbo_frame([(T0, "A", "B", 4_800 * S, 1, 1, LAST), (T0 + 1, "A", "B", 0, 1, 2, LAST)])
    tape.put([orders, clock_frame({"mbo": T0 + 180 * S})])
    start().await_ready()
    deadline_s = time.monotonic() + 60
    told: list[dict[str, Any]] = []
    while not told and time.monotonic() < deadline_s:
        told = [json.loads(message.value() or b"") for message in tape.read(QUALITY)]
    assert [(each["type"], each["stream"], each["kind"], each["ticks"]) for each in told] == [
        ("tick_quality", "GLBX.MDP3/ES.FUT", "mbo", 2)
    ]
    assert "03_not_positive" in {finding["rule"] for finding in told[0]["findings"]}


def test_frames_of_a_lower_epoch_are_ignored(make_tape: MakeTape, start: Start, real_data: Path) -> None:
    tape = make_tape(1)
    stream = "GLBX.MDP3/ES.FUT"
    frames = esh4(real_data, [stream], ticks_per_frame=4_000)
    resumed = [
        replace(frame, epoch=2, session="second", frame=number, resumes=Resume("s1", 7) if number == 0 else None)
        for number, frame in enumerate(frames[8:])
    ]
    tape.put([*frames[:8], claim_frame(2, stream=stream), *resumed[:3]])
    for zombie in frames[8:11]:
        tape.put_raw(encode(zombie), partition=0)
    tape.put(resumed[3:])
    start()
    tape.await_rows(tape.expected())
