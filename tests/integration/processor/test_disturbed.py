"""Kills, rebalances and zombies: the rows are those of an undisturbed run, none missing, none wrong."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from threading import Thread

import pytest
from tests.integration.processor.tape import ROWS, Tape, esh4, market, rows_of
from tests.integration.processor.worker import SESSION_TIMEOUT_S, Worker, await_partitions, await_split

from tapeline.model.frames import TickFrame

MakeTape = Callable[[int], Tape]
Start = Callable[..., Worker]

STREAMS = [f"GLBX.MDP3/ES.FUT#{shard}" for shard in range(4)]
OFTEN = {"checkpoint_interval_s": 0.4, "checkpoint_ticks": 20_000, "checkpoint_part_bytes": 4_096}
"""Checkpoints so frequent, and in so many parts, that kills fall into every phase of one."""


@contextmanager
def publishing(tape: Tape, frames: list[TickFrame], *, over_s: float) -> Iterator[Thread]:
    """Put frames on the tape, spread over `over_s` seconds, while the block runs."""
    thread = Thread(target=tape.put, args=(frames,), kwargs={"pause_s": over_s / len(frames)})
    thread.start()
    try:
        yield thread
    finally:
        thread.join()


@pytest.mark.parametrize(("source", "seed"), [("real", 1), ("market", 2)])
def test_kills_at_random_moments(
    make_tape: MakeTape, start: Start, request: pytest.FixtureRequest, tmp_path: Path, source: str, seed: int
) -> None:
    random = Random(seed)
    tape = make_tape(3)
    frames = market(tmp_path, STREAMS) if source == "market" else esh4(request.getfixturevalue("real_data"), STREAMS)
    with publishing(tape, frames, over_s=15) as thread:
        kills = 0
        while thread.is_alive():
            worker = start(instance_id="only", **OFTEN)
            if random.random() < 0.7:
                worker.await_ready()
            time.sleep(random.uniform(0.0, 2.0))
            worker.kill()
            kills += 1
    assert kills > 3
    start(instance_id="only", **OFTEN)
    tape.await_rows(tape.expected())
    assert repeats(tape) > 0


def test_two_workers_of_which_one_is_killed_and_the_other_asked_to_leave(
    make_tape: MakeTape, start: Start, real_data: Path
) -> None:
    random = Random(3)
    tape = make_tape(4)
    with publishing(tape, esh4(real_data, STREAMS), over_s=16):
        first, second = start(**OFTEN), start(**OFTEN)
        await_split(first, second)
        time.sleep(random.uniform(0.0, 1.0))
        first.kill()
        third = start(**OFTEN)
        await_split(second, third)
        time.sleep(random.uniform(0.0, 1.0))
        assert second.terminate() < 5
    tape.await_rows(tape.expected())
    assert len(third.await_ready()["assigned"]) == 4


def test_a_zombie_that_wakes_after_its_session_changes_nothing(
    make_tape: MakeTape, start: Start, real_data: Path
) -> None:
    tape = make_tape(4)
    with publishing(tape, esh4(real_data, STREAMS), over_s=20):
        zombie, heir = start(**OFTEN), start(**OFTEN)
        await_split(zombie, heir)
        zombie.process.send_signal(signal.SIGSTOP)
        try:
            await_partitions(heir, 4, timeout_s=SESSION_TIMEOUT_S + 15)
        finally:
            zombie.process.send_signal(signal.SIGCONT)
        await_split(zombie, heir)
    tape.await_rows(tape.expected())
    assert zombie.terminate() < 5
    assert heir.terminate() < 5


def repeats(tape: Tape) -> int:
    """Return how many rows were written more than once: proof that work was lost and done again."""
    written = [key for message in tape.read(ROWS) for key, _ in rows_of(message.value())]
    return len(written) - len(set(written))
