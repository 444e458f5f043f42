"""Reading where no broker is: one clear error, and not a line per attempt."""

from __future__ import annotations

import logging
import signal
import socket
import time

import pytest

from tapeline.bus.log import Log
from tapeline.errors import BrokerUnavailable


def test_a_broker_that_is_away_is_told_once_and_with_the_remedy(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as unused:
        # Bound and not listening: connections are refused for as long as the test needs it.
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with (
            caplog.at_level(logging.DEBUG),
            Log(address, "test", timeout_s=1.0) as log,
            pytest.raises(BrokerUnavailable, match=rf"^{address} did not answer: .*tapeline kafka up"),
        ):
            log.partitions("md.ticks.saved.v1")
    assert not [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]


def test_a_signal_ends_the_wait_for_a_broker_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tapeline.bus.log._METADATA_WAIT_S", 0.2)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    began_s = time.monotonic()
    try:
        with Log("127.0.0.1:1", "test", timeout_s=30.0) as log:
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            with pytest.raises(KeyboardInterrupt):
                log.partitions("md.ticks.saved.v1")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - began_s < 15
