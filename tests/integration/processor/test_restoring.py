"""Where a worker goes on: at the best readable checkpoint, never elsewhere in silence."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.integration.processor.tape import CHECKPOINTS, TICKS, Tape, esh4
from tests.integration.processor.worker import Worker

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.checkpoints import FIRST_DEPTH, Checkpoint, compress, split

MakeTape = Callable[[int], Tape]
Start = Callable[..., Worker]


def test_torn_and_unreadable_checkpoints_are_passed_over(make_tape: MakeTape, start: Start, real_data: Path) -> None:
    tape = make_tape(1)
    frames = esh4(real_data, ["GLBX.MDP3/ES.FUT"], ticks_per_frame=4_000)
    tape.put(frames[:9])
    first = start()
    first.await_ready()
    tape.await_rows(tape.expected())
    first.terminate()

    torn = split(Checkpoint(next=9, id="torn", data=os.urandom(4_000)), 64)[:-1]
    foreign = split(Checkpoint(next=9, id="foreign", data=compress(b"of another version")), 512)
    damaged = split(Checkpoint(next=8, id="damaged", data=os.urandom(100)), 512)
    assert len(torn) > 3 * FIRST_DEPTH
    for part in [*foreign, *damaged, *torn]:
        tape.put_raw(part.value, partition=0, topic=CHECKPOINTS, headers=list(part.headers))
    tape.put_raw(b"no checkpoint at all", partition=0, topic=CHECKPOINTS)
    tape.flush()

    tape.put(frames[9:])
    second = start()
    tape.await_rows(tape.expected())
    assert list(next(second.events("restored"))["partitions"].values()) == [9]
    assert len(list(second.events("checkpoint_unreadable"))) >= 2


def test_a_deleted_stretch_of_the_log_is_a_gap_that_is_said_aloud(
    make_tape: MakeTape, start: Start, real_data: Path
) -> None:
    tape = make_tape(1)
    frames = esh4(real_data, ["GLBX.MDP3/ES.FUT"], ticks_per_frame=2_000)
    tape.put(frames[:10])
    first = start()
    first.await_ready()
    tape.await_rows(tape.expected())
    first.terminate()
    tape.put(frames[10:])
    tape.delete_before(15)
    del tape.sent[10:15]

    second = start()
    tape.await_rows(tape.expected())
    (said,) = second.events("log_deleted_before_read")
    assert (said["checkpoint_next"], said["lost_messages"]) == (10, 5)


def test_a_worker_that_lost_its_place_ends(make_tape: MakeTape, start: Start, real_data: Path) -> None:
    tape = make_tape(1)
    worker = start()
    worker.await_ready()
    worker.process.send_signal(signal.SIGSTOP)
    try:
        tape.put(esh4(real_data, ["GLBX.MDP3/ES.FUT"], ticks_per_frame=2_000))
        tape.delete_before(20)
    finally:
        worker.process.send_signal(signal.SIGCONT)
    assert worker.process.wait(20) == 1
    (ended,) = worker.events("ended")
    assert ended["kind"] == "LostPlace"
    assert ended["error"].endswith("got 20")


def test_a_topic_made_anew_is_read_from_its_start(make_tape: MakeTape, start: Start, real_data: Path) -> None:
    tape = make_tape(1)
    frames = esh4(real_data, ["GLBX.MDP3/ES.FUT"], ticks_per_frame=2_000)
    tape.put(frames[:20])
    first = start()
    first.await_ready()
    tape.await_rows(tape.expected())
    first.terminate()
    for future in tape.admin.delete_topics([namespaced(TICKS)]).values():
        future.result(30)
    tape.create({TICKS: 1})
    anew = [replace(frame, stream="GLBX.MDP3/ES.FUT.anew") for frame in frames[:12]]
    tape.put(anew)
    second = start()
    second.await_ready()
    assert [line["checkpoint_next"] for line in second.events("checkpoint_beyond_log")] == [20]
    tape.await_rows(tape.expected())
