"""Workers whose requests ask for the same records."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import numpy as np
from tests.integration.backfill.rig import DEADLINE_S, Rig, a_request, hashes_of, window_of
from tests.integration.backfill.scripted import Script
from tests.integration.feed.vendor import market

from tapeline.feed.framer import Ticks
from tapeline.model.backfill import BackfillRequest
from tapeline.model.control import Interval
from tapeline_backfill.app import Service


@dataclass
class Held(Script):
    """A back end that gives nothing before `go`; `asked` once it was asked."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def fetch(self, request: BackfillRequest, window: Interval) -> AsyncGenerator[Ticks]:
        self.asked.set()
        await self.go.wait()
        async for ticks in super().fetch(request, window):
            yield ticks


async def until_idle(service: Service) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while service.status()["working_on"]:
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.05)


async def test_overlapping_requests_of_two_workers_bring_each_record_once(rig: Rig) -> None:
    ticks = market(600)
    first = a_request(window_of(ticks.cut(0, 400)))
    # It was made first and is heard of last.
    second = a_request(window_of(ticks.cut(200, 600)), requested_at=1)
    slow, quick = Held(ticks), Held(ticks)
    rig.ask(first)
    async with rig.service(slow) as one:
        await asyncio.wait_for(slow.asked.wait(), DEADLINE_S)
        rig.ask(second)
        # For this worker the other one has been silent for too long.
        async with rig.service(quick, worker="two", takeover_s=1.0):
            await asyncio.wait_for(quick.asked.wait(), DEADLINE_S)
            # By now both know what is on the tape.
            slow.go.set()
            await until_idle(one)
            quick.go.set()
            for request in (first, second):
                await rig.until(request, lambda event: event.type == "proven")
    brought = np.sort(np.concatenate([rig.backfilled(first), rig.backfilled(second)]))
    assert np.array_equal(brought, hashes_of([ticks]))
