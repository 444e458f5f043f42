"""A broker that hangs: its process is stopped, and goes on afterwards."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from tapeline_cli.local_broker import LocalBroker


def address(broker: LocalBroker) -> str:
    state = broker.state()
    assert state is not None
    return state.bootstrap_servers


@contextmanager
def stopped(broker: LocalBroker) -> Iterator[None]:
    state = broker.running()
    assert state is not None
    assert state.pid is not None
    os.kill(state.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(state.pid, signal.SIGCONT)
