"""A broker that is not there yet, or is killed: the producer waits, and vendor and tape agree afterwards."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chaos.test_producer_kills import STREAM, finish, producer, until_more
from tests.conftest import lacking
from tests.integration.databento.feed_rig import FUTURES, feed_rig

from tapeline.errors import Misconfigured
from tapeline_cli.local_broker import LocalBroker, state_folder


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[LocalBroker]:
    """A broker of this test's own."""
    own = LocalBroker(tmp_path / "broker", jars=LocalBroker(state_folder()).jars)
    try:
        own.start()
    except Misconfigured as error:
        lacking("kafka", str(error))
        raise
    yield own
    own.stop()


async def test_the_producer_outlives_its_broker(broker: LocalBroker, namespace: str, tmp_path: Path) -> None:
    state = broker.state()
    assert state is not None
    async with feed_rig(state.bootstrap_servers, tmp_path) as rig:
        await asyncio.to_thread(broker.stop)
        async with producer(rig) as process:
            await asyncio.sleep(1.0)
            assert process.returncode is None
            await asyncio.to_thread(broker.start)
            await until_more(rig, process, 6_500)
            running = broker.running()
            assert running is not None
            os.kill(running.pid, signal.SIGKILL)
            await asyncio.sleep(2.0)
            assert (await asyncio.to_thread(broker.start)).bootstrap_servers == state.bootstrap_servers
            await until_more(rig, process, 3_000)
            await finish(rig, process)
        compared = rig.compare("mbo", FUTURES, "mbo")
        assert compared.captured > 5_000
        assert compared.is_equal, compared
        assert rig.tape.gaps() == []
        # One session for all that time: a broker that is away only holds the producer up.
        assert len({frame.session for frame in rig.tape.of(STREAM, "mbo")}) == 1
