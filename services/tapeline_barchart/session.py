"""One run of the producer as a session: what the polls give, and each second its heartbeats."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from collections.abc import Set as AbstractSet
from typing import Final

from tapeline.errors import TapelineError
from tapeline.feed.source import Announcement, Item, Pair, Standing
from tapeline.ops.logs import get_logger
from tapeline_barchart.messages import Events
from tapeline_barchart.metering import CallMeter, Counted
from tapeline_barchart.rounds import Rounds
from tapeline_barchart.sourcing import Sourcing
from tapeline_barchart.vendor import Vendor

HEARTBEAT_S: Final = 1.0
USAGE_S: Final = 60.0
_WAITING_ITEMS: Final = 64

log = get_logger("barchart.session")


class ChainSession:
    """Gives what `rounds` of `sourcing` over `vendor` bring. `clock_ns` gives the time in ns since the epoch."""

    resumes: AbstractSet[Pair] = frozenset()

    def __init__(
        self,
        vendor: Vendor,
        sourcing: Sourcing,
        rounds: Rounds,
        meter: CallMeter | None,
        events: Events,
        clock_ns: Callable[[], int],
    ) -> None:
        self._vendor = vendor
        self._sourcing = sourcing
        self._rounds = rounds
        self._meter = meter
        self._events = events
        self._clock_ns = clock_ns
        # Bounded: where Kafka takes no more, nothing is asked.
        self._items: asyncio.Queue[Item | None] = asyncio.Queue(_WAITING_ITEMS)

    async def items(self) -> AsyncIterator[Item]:
        """Yield chains, events, dead letters and usage as they come, and the heartbeats.

        Ends with the market's hours, where they are kept to. Raises as `Rounds.run`.
        """
        yield Standing(delivers=False, reason="nothing has been asked for yet")
        polling = asyncio.create_task(self._poll())
        others = [asyncio.create_task(self._beat()), asyncio.create_task(self._meter_calls())]
        try:
            while (item := await self._items.get()) is not None:
                yield item
            await polling
        finally:
            for task in (polling, *others):
                task.cancel()
            await asyncio.gather(polling, *others, return_exceptions=True)
            # Published with the next start's.
            await self._usage()
            await self._vendor.close()

    def close(self) -> None:
        """Do nothing: items that were begun have left the vendor, and no others have met it."""

    async def _poll(self) -> None:
        try:
            await self._rounds.run(self._items.put)
            await self._put_usage()
        finally:
            await self._items.put(None)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            for product in self._rounds.products:
                await self._items.put(self._events.heartbeat(product.name, product.beats, self._clock_ns()))

    async def _meter_calls(self) -> None:
        while True:
            await asyncio.sleep(USAGE_S)
            await self._put_usage()

    async def _put_usage(self) -> None:
        for row in await self._usage():
            await self._items.put(row)

    async def _usage(self) -> list[Announcement]:
        """Keep what was asked, and return its rows; none where nobody counts, or the account cannot be used."""
        if self._meter is None:
            return []
        asked = self._vendor.asked
        counted = Counted(asked.calls, asked.bytes, self._sourcing.hits, self._sourcing.misses)
        try:
            return await asyncio.to_thread(self._meter.rows, counted, self._clock_ns())
        except TapelineError as error:
            # Counting must not end the feed.
            log.warning("usage not kept", fault=str(error))
            return []
