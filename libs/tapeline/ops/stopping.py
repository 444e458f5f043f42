"""How a service ends: on a signal, and without its waits holding it up."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stopped_by_signals(stop: Callable[[], Any]) -> Iterator[None]:
    """Call `stop` on SIGTERM and SIGINT within the block."""
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


async def wait_unless(stopped: asyncio.Event, seconds: float) -> None:
    """Return once `stopped` is set, or after so many seconds."""
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            await stopped.wait()
    except TimeoutError:
        return
