"""Databento's live feed as a source: lines that connect again and again, and resume by the gateway's replay."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import ClassVar, Final

from tapeline.errors import Misconfigured
from tapeline.feed.calendar import calendar_of
from tapeline.feed.contracts import Contracts
from tapeline.feed.resume import TapeEnd
from tapeline.feed.source import FeedSettings, Pair
from tapeline.model.frames import Origin
from tapeline.ops.logs import get_logger
from tapeline_databento.client import GatewayProtocol, connect
from tapeline_databento.hours import Hours
from tapeline_databento.knowledge import Knowledge, Lessons
from tapeline_databento.metering import live_metering
from tapeline_databento.normalize import InstrumentClasses
from tapeline_databento.plan import EVERYTHING, LinePlan, plan_lines, quoted_parents
from tapeline_databento.session import SOURCE, LiveSession
from tapeline_databento.settings import DatabentoSettings

_LONGEST_WAIT_S: Final = 60.0
"""A computer that slept, or whose clock was set, is late by no more than this."""

log = get_logger("databento")


class DatabentoSource:
    """Databento's live feed. `clock_ns` gives the time in ns since the epoch."""

    name: ClassVar[str] = SOURCE
    settings_class: ClassVar[type[FeedSettings]] = DatabentoSettings

    def __init__(self, settings: FeedSettings, clock_ns: Callable[[], int] = time.time_ns) -> None:
        if not isinstance(settings, DatabentoSettings):
            raise Misconfigured("the Databento source needs settings of its own class")
        calendar, parents = calendar_of(settings.dataset), quoted_parents(settings)
        knowledge = Knowledge(
            InstrumentClasses(settings.dataset),
            Contracts(SOURCE, settings.dataset, parents, calendar, clock_ns()),
            metering=live_metering(settings, SOURCE, clock_ns),
        )
        self._lines = [LiveLine(plan, settings, knowledge, clock_ns) for plan in plan_lines(settings)]

    def lines(self) -> Sequence[LiveLine]:
        """Return its connections: one for orders, one for quotes and trades, one for the rest."""
        return self._lines


class LiveLine:
    """One connection to the gateway, made again and again.

    `sleep` waits for a number of seconds.
    """

    origin: Origin = "live"

    def __init__(
        self,
        plan: LinePlan,
        settings: DatabentoSettings,
        knowledge: Knowledge,
        clock_ns: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.name = plan.name
        self.pairs: AbstractSet[Pair] = plan.pairs
        self._plan = plan
        self._settings = settings
        self._knowledge = knowledge
        self._clock_ns = clock_ns
        self._sleep = sleep
        self._hours = Hours(calendar_of(plan.dataset), settings)
        self._lessons = Lessons()

    async def prepare(self) -> Mapping[str, str]:
        """Wait for the market's hours, where the settings want that; return every stream with the dataset."""
        wait_ns = self._hours.wait_ns(self._clock_ns())
        if wait_ns:
            log.info("market is closed", line=self.name, opens_in_s=round(wait_ns / 1e9))
        while wait_ns:
            await self._sleep(min(wait_ns / 1e9, _LONGEST_WAIT_S))
            wait_ns = self._hours.wait_ns(self._clock_ns())
        return dict.fromkeys(sorted({stream for stream, _ in self._plan.pairs}), self._plan.dataset)

    async def connect(self, ends: Mapping[Pair, TapeEnd]) -> LiveSession:
        """Connect, subscribe and start. Raises Retryable or Refused as `client.connect` does."""
        resumed = {pair: end.start_ns for pair, end in ends.items()}
        if self._lessons.without_replay:
            resumed = {}
        if self._lessons.orders_anew:
            resumed = {pair: start_ns for pair, start_ns in resumed.items() if pair[1] != "mbo"}
        resumed = self._plan.resumable(resumed)
        told_before = self._plan.told_before(ends)
        # The vendor may have more than that, but what is older may be on the tape of a pair that has no end in reach.
        earliest_ns = self._clock_ns() - round(self._settings.replay_window_s * 1e9)
        protocol = await connect(self._settings, self.name)
        for request in self._plan.requests(resumed | dict.fromkeys(told_before, EVERYTHING)):
            protocol.request(
                request.schema,
                request.symbols,
                request.symbol_type,
                start_ns=request.start_ns,
                snapshot=request.snapshot,
            )
        protocol.start()
        self._lessons = Lessons()
        return LiveSession(
            self._plan,
            self._settings,
            protocol,
            resumed,
            dict.fromkeys(told_before, earliest_ns),
            self._knowledge,
            self._lessons,
            self._open_book,
            self._clock_ns,
        )

    async def _open_book(self, symbol: str) -> GatewayProtocol:
        protocol = await connect(self._settings, self.name)
        protocol.request("mbo", (symbol,), "raw_symbol", start_ns=None, snapshot=True)
        protocol.start()
        return protocol
