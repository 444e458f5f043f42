"""Claims of several streams at once, and cursors that are written while more are claimed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.integration.saved.tape import SavedTape
from tests.unit.feed.test_framer import BASE_NS

from tapeline.bus.publisher import Publisher
from tapeline.bus.tail import ticks_topic
from tapeline.errors import BadData
from tapeline.feed.claims import Claims

QUIET, BUSY = "TAPELINE.SIM/NQ.FUT", "GLBX.MDP3/NQ.FUT"


@asynccontextmanager
async def claims_on(tape: SavedTape, **limits: int) -> AsyncIterator[Claims]:
    publisher = Publisher(tape.servers, "tapeline-test", **limits)
    claims = Claims("saved", publisher, tape.servers, 2.0, lambda: "gap")
    try:
        yield claims
    finally:
        await publisher.close(30.0)
        claims.close()


async def test_where_one_stream_cannot_be_claimed_the_others_are_before_that_is_told(tape: SavedTape) -> None:
    async with claims_on(tape) as claims:
        with pytest.raises(BadData, match="outside the calendar"):
            await claims.claim({BUSY: "GLBX.MDP3", QUIET: "TAPELINE.SIM"}, "one", "live", 0)
        assert list(claims.streams) == [QUIET]


async def test_streams_may_be_claimed_while_cursors_are_written(tape: SavedTape) -> None:
    async with claims_on(tape, max_queue_messages=1) as claims:
        await claims.claim({BUSY: "GLBX.MDP3"}, "one", "live", BASE_NS)
        (claimed,) = claims.streams.values()
        # The queue is full, so that the first cursor waits.
        await claims.publisher.publish(ticks_topic("saved"), QUIET, b"")
        writing = asyncio.create_task(claims.write_cursors(0.0, only_due=False))
        await asyncio.sleep(0)
        claims.streams[QUIET] = claimed
        await writing
        assert claims.publisher.waits == 1
