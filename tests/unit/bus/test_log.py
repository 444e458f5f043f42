"""Reading where no broker is: one clear error, and not a line per attempt."""

from __future__ import annotations

import logging
import socket

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
