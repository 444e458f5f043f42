"""How a simulator ends: on a signal, or because what it lives on has failed."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any


def stop_signals() -> asyncio.Event:
    """Return what SIGINT and SIGTERM set from now on."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    return stopped


async def run_until(stopped: asyncio.Event, working: Coroutine[Any, Any, object]) -> None:
    """Work until `stopped` is set, or the work ends; raise what the work raises."""
    loop = asyncio.get_running_loop()
    done, pending = await asyncio.wait(
        (loop.create_task(working), loop.create_task(stopped.wait())), return_when=asyncio.FIRST_COMPLETED
    )
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    for task in done:
        task.result()
