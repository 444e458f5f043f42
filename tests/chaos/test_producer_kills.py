"""A producer that is killed, or stopped and woken up again: vendor and tape agree all the same."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.integration.databento.feed_rig import DATASET, FUTURES, FeedRig, feed_rig

STREAM = f"{DATASET}/{FUTURES}"
SNAPSHOT = 4_500
"""The first session begins with about as many records of a snapshot."""
DEADLINE_S = 60.0


@asynccontextmanager
async def producer(rig: FeedRig) -> AsyncIterator[Process]:
    """Run the producer as a process, which does not outlive the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tapeline_databento",
        env={**os.environ, "KAFKA_BOOTSTRAP_SERVERS": rig.tape.servers, **rig.environment()},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def on_tape(rig: FeedRig) -> int:
    return sum(len(frame) for frame in await asyncio.to_thread(rig.tape.of, STREAM, "mbo"))


async def until_more(rig: FeedRig, process: Process, more: int) -> None:
    """Wait until `more` ticks are on the tape than were there."""
    before = await on_tape(rig)
    async with asyncio.timeout(DEADLINE_S):
        while await on_tape(rig) < before + more:
            assert process.returncode is None, (await process.communicate())[1].decode()
            await asyncio.sleep(0.1)


async def finish(rig: FeedRig, process: Process) -> None:
    """Let the tape catch up with the vendor, and stop the producer in order."""
    await rig.close_market()
    await rig.until_caught_up([("mbo", FUTURES, "mbo")])
    process.terminate()
    async with asyncio.timeout(DEADLINE_S):
        await process.wait()
    assert process.returncode == 0


@pytest.mark.parametrize("seed", range(2))
async def test_killed_at_random_moments_it_loses_and_doubles_nothing(
    bootstrap_servers: str, namespace: str, tmp_path: Path, seed: int
) -> None:
    moments = random.Random(seed)
    async with feed_rig(bootstrap_servers, tmp_path, seed=seed) as rig:
        for life in range(4):
            async with producer(rig) as process:
                # The first one begins with a snapshot, and what broke off in that is rightly a gap.
                await until_more(rig, process, 1 if life else SNAPSHOT + 500)
                await asyncio.sleep(moments.uniform(0.0, 1.5))
                process.kill()
                await process.wait()
        async with producer(rig) as process:
            await until_more(rig, process, 1_000)
            await finish(rig, process)
        compared = rig.compare("mbo", FUTURES, "mbo")
        assert compared.captured > 5_000
        assert compared.is_equal, compared
    assert rig.tape.gaps() == []
    assert sorted({frame.epoch for frame in rig.tape.of(STREAM, "mbo")}) == [1, 2, 3, 4, 5]


async def test_a_stopped_twin_that_wakes_up_ends_and_mixes_nothing_in(
    bootstrap_servers: str, namespace: str, tmp_path: Path
) -> None:
    async with feed_rig(bootstrap_servers, tmp_path) as rig:
        async with producer(rig) as twin:
            await until_more(rig, twin, SNAPSHOT + 2_000)
            twin.send_signal(signal.SIGSTOP)
            async with producer(rig) as heir:
                await until_more(rig, heir, 2_000)
                twin.send_signal(signal.SIGCONT)
                async with asyncio.timeout(DEADLINE_S):
                    _, said = await twin.communicate()
                assert twin.returncode == 1
                assert b"taken over with epoch 2, this producer has 1" in said
                assert b"Traceback" not in said
                await until_more(rig, heir, 1_000)
                await finish(rig, heir)
        compared = rig.compare("mbo", FUTURES, "mbo")
        assert compared.is_equal, compared
    assert rig.tape.gaps() == []
