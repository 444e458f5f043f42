"""A producer whose broker does not answer any more ends in time, and says what was not delivered."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.conftest import lacking
from tests.integration.saved.tape import SavedTape, free_port, metric
from tests.unit.saved.files import START_NS, head, orders

from tapeline.errors import Misconfigured
from tapeline_cli.local_broker import LocalBroker, state_folder


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[tuple[str, psutil.Process]]:
    """A broker of this test's own, and its process."""
    broker = LocalBroker(tmp_path / "broker", jars=LocalBroker(state_folder()).jars)
    try:
        started = broker.start(60.0)
    except Misconfigured as error:
        lacking("kafka", str(error))
        raise
    try:
        yield started.bootstrap_servers, psutil.Process(started.pid)
    finally:
        psutil.Process(started.pid).resume()
        broker.stop()


def test_sigterm_while_the_broker_is_away_ends_in_time_and_counts(
    own_broker: tuple[str, psutil.Process], namespace: str, tmp_path: Path
) -> None:
    address, broker = own_broker
    tape = SavedTape(address)
    port = free_port()
    environment = {
        "TAPELINE_SAVED_PATH": "-",
        "TAPELINE_SAVED_QUEUE_BYTES": str(2**20),
        "TAPELINE_SAVED_FLUSH_TIMEOUT_S": "2",
        "TAPELINE_SAVED_HEALTH_PORT": str(port),
    }
    with tape.command("tapeline_saved", **environment) as command:
        command.give(head() + orders(10))
        command.until(lambda: tape.ticks() == 10)
        broker.suspend()
        command.give(orders(25_000, start_ns=START_NS + 10**9))
        command.until(lambda: metric(port, "tapeline_publisher_queued_bytes") >= 2**20)
        began_s = time.monotonic()
        ended = command.terminate()
        assert time.monotonic() - began_s < 10.0
    assert ended.code == 1
    assert "Traceback" not in ended.stderr
    assert "tapeline-saved: Kafka did not acknowledge" in ended.stderr
    assert "within 2 s" in ended.stderr
