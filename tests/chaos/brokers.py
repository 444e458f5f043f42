"""What befalls the broker."""

from __future__ import annotations

import asyncio
import os
import signal

from tests.chaos.desk import Desk

_AWAY_S = 8.0
_HANGS_S = 30.0


async def killed(desk: Desk) -> None:
    """Kill the broker, and begin it anew some seconds later."""
    _send(desk, signal.SIGKILL)
    await asyncio.sleep(_AWAY_S)
    assert desk.broker is not None
    await asyncio.to_thread(desk.broker.start)
    await _served_again(desk)


async def paused(desk: Desk) -> None:
    """Let the broker hang for half a minute."""
    _send(desk, signal.SIGSTOP)
    await asyncio.sleep(_HANGS_S)
    _send(desk, signal.SIGCONT)
    await _served_again(desk)


async def _served_again(desk: Desk) -> None:
    await desk.until_ticks(1_000)
    await desk.until_incident("broker_away")


def _send(desk: Desk, number: signal.Signals) -> None:
    running = desk.broker and desk.broker.running()
    assert running
    os.kill(running.pid, number)
