"""Clocks that are wrong, and markets that close."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import numpy as np
from tests.chaos.desk import Desk
from tests.chaos.gateways import AWAY_S

from tapeline.feed.calendar import cme_globex_equity

FIVE_MINUTES_NS: Final = 300_000_000_000
_BEFORE_NS: Final = 45_000_000_000
"""The services begin so long before the market closes."""
_WATCHED_S: Final = 15.0


def at_the_close(day: str) -> dict[str, Any]:
    """Return how a desk is set up shortly before the last close before noon (UTC) of a day, written as 2026-12-05."""
    noon_ns = int(np.datetime64(f"{day}T12:00", "ns").astype(np.int64))
    return {"dataset": "GLBX.MDP3", "now_ns": cme_globex_equity().last_close(noon_ns) - _BEFORE_NS}


async def put_right(desk: Desk) -> None:
    """Mend the vendor's clock, once it was noticed that all comes late."""
    await desk.until_incident("feed_degraded")
    desk.vendor.clock.ahead_ns = 0
    await desk.until_ticks(1_000)


async def closes(desk: Desk) -> None:
    """Let the market close, and the vendor go away then, as for maintenance."""
    calendar = cme_globex_equity()
    assert calendar.is_open(desk.vendor.clock()), "the services took too long to begin"

    async def has_closed() -> bool:
        return not calendar.is_open(desk.vendor.clock())

    await desk.until("the market closes", has_closed)
    await desk.vendor.close()

    async def is_closed() -> bool:
        document = await desk.watchdog.json("/v1/feeds")
        return bool(document) and all(feed["state"] == "CLOSED" for feed in document["feeds"])

    await desk.until("the feed is known to be closed", is_closed)
    desk.vendor.gateway.faults.start("outage", seconds=AWAY_S)
    until_s = time.monotonic() + _WATCHED_S
    while time.monotonic() < until_s:
        assert await is_closed()
        assert await desk.incidents() == []
        await asyncio.sleep(0.5)
    assert await asyncio.to_thread(desk.tape.backfill_events) == {}
