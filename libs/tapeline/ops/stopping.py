"""Waiting between two turns of a service, without holding up its end."""

from __future__ import annotations

import asyncio


async def wait_unless(stopped: asyncio.Event, seconds: float) -> None:
    """Return once `stopped` is set, or after so many seconds."""
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            await stopped.wait()
    except TimeoutError:
        return
