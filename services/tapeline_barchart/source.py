"""Barchart as a source: one line without streams of ticks, whose sessions poll for option chains."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import ClassVar, Final
from zoneinfo import ZoneInfo

from tapeline.errors import Misconfigured
from tapeline.feed.calendar import calendar_of
from tapeline.feed.resume import TapeEnd
from tapeline.feed.source import FeedSettings, Pair
from tapeline.model.frames import Origin
from tapeline.ops.logs import get_logger
from tapeline_barchart.following import parse_follow
from tapeline_barchart.hybrid import Validity, parse_policies
from tapeline_barchart.kept import KeptChains
from tapeline_barchart.limits import call_limit
from tapeline_barchart.messages import Events
from tapeline_barchart.metering import call_meter
from tapeline_barchart.normalize import SOURCE
from tapeline_barchart.on_demand import OnDemand
from tapeline_barchart.polling import Intervals
from tapeline_barchart.rounds import Plan, Rounds
from tapeline_barchart.saved_files import SavedFolder
from tapeline_barchart.session import ChainSession
from tapeline_barchart.settings import BarchartSettings
from tapeline_barchart.site import Site
from tapeline_barchart.sourcing import Sourcing
from tapeline_barchart.vendor import Vendor

_LONGEST_WAIT_S: Final = 60.0
"""A computer that slept, or whose clock was set, is late by no more than this."""

log = get_logger("barchart")


class BarchartSource:
    """Barchart's option chains. `clock_ns` gives the time in ns since the epoch."""

    name: ClassVar[str] = SOURCE
    settings_class: ClassVar[type[FeedSettings]] = BarchartSettings

    def __init__(self, settings: FeedSettings, clock_ns: Callable[[], int] = time.time_ns) -> None:
        if not isinstance(settings, BarchartSettings):
            raise Misconfigured("the Barchart source needs settings of its own class")
        self._line = ChainLine(settings, clock_ns)

    def lines(self) -> Sequence[ChainLine]:
        """Return the one line: all calls share one session and one limit."""
        return [self._line]


class ChainLine:
    """Sessions, one after the other: one, unless the market's hours are kept to. `sleep` waits for seconds."""

    name = "chains"
    origin: Origin = "live"
    pairs: AbstractSet[Pair] = frozenset()

    def __init__(
        self,
        settings: BarchartSettings,
        clock_ns: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._clock_ns = clock_ns
        self._sleep = sleep
        self._calendar = calendar_of(settings.dataset)
        self._kept = KeptChains(settings.kept_path)
        self._saved = _saved(settings)
        self._meter = call_meter(settings)

    async def prepare(self) -> Mapping[str, str]:
        """Wait for the market's hours, where the settings want that; there are no streams of ticks."""
        while self._settings.market_hours_only and not self._calendar.is_open(now_ns := self._clock_ns()):
            opens_in_s = (self._calendar.next_open(now_ns) - now_ns) / 1e9
            log.info("market is closed", opens_in_s=round(opens_in_s))
            await self._sleep(min(opens_in_s, _LONGEST_WAIT_S))
        return {}

    async def connect(self, ends: Mapping[Pair, TapeEnd]) -> ChainSession:
        """Begin a session, which asks once its items are taken.

        Raises MissingExtra where the way to be let in needs what is not installed.
        """
        settings = self._settings
        vendor = self._vendor()
        sourcing = Sourcing(
            vendor,
            self._kept,
            self._saved,
            calendar=self._calendar,
            validity=Validity(settings.cache_s, settings.cache_closed_s),
            delay_s=settings.delay_s,
            price_s=min(settings.poll_s, settings.poll_closed_s) / 2 if settings.ask_underlying else None,
            clock_ns=self._clock_ns,
        )
        events = Events(str(uuid.uuid4()))
        rounds = Rounds(self._plan(), vendor, sourcing, self._kept, events, self._clock_ns)
        return ChainSession(vendor, sourcing, rounds, self._meter, events, self._clock_ns)

    def _vendor(self) -> Vendor:
        settings = self._settings
        is_licensed = settings.authentication == "on-demand"
        limit = call_limit(settings, self._clock_ns)
        return (OnDemand if is_licensed else Site)(settings, limit, self._clock_ns)

    def _plan(self) -> Plan:
        settings = self._settings
        return Plan(
            products=settings.product_list,
            follow=parse_follow(settings.series),
            policies=parse_policies(settings.policy),
            calendar=self._calendar,
            intervals=Intervals(settings.poll_s, settings.poll_closed_s, settings.retry_s),
            list_s=settings.list_s,
            market_hours_only=settings.market_hours_only,
        )


def _saved(settings: BarchartSettings) -> SavedFolder | None:
    if settings.saved_folder is None:
        return None
    if not settings.saved_folder.is_dir():
        raise Misconfigured(f"TAPELINE_BARCHART_SAVED_FOLDER: {settings.saved_folder} is no folder")
    return SavedFolder(settings.saved_folder, ZoneInfo(settings.saved_time_zone) if settings.saved_time_zone else None)
