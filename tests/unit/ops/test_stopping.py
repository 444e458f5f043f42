"""Between two turns a service waits, unless it is to end."""

from __future__ import annotations

import asyncio
import time

import pytest

from tapeline.ops.stopping import wait_unless


@pytest.mark.parametrize("seconds", [-1.0, 0.0, 0.01])
async def test_a_wait_is_over_after_its_time(seconds: float) -> None:
    began_s = time.monotonic()
    await wait_unless(asyncio.Event(), seconds)
    assert time.monotonic() - began_s >= seconds


async def test_a_stop_ends_the_wait() -> None:
    stopped = asyncio.Event()
    waiting = asyncio.create_task(wait_unless(stopped, 3_600.0))
    await asyncio.sleep(0)
    assert not waiting.done()
    stopped.set()
    async with asyncio.timeout(10.0):
        await waiting
