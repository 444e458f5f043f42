"""What the live feed brings, counted for md.usage.v1: notional under a flat plan, as nothing is owed for it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from tapeline.errors import TapelineError
from tapeline.feed.cache_settings import open_ledger
from tapeline.feed.cost import CostMeter, Plan
from tapeline.feed.prices import UnitPrices, micro_usd
from tapeline.feed.source import Announcement
from tapeline.ops.logs import get_logger
from tapeline.ops.state import state_folder
from tapeline_databento.settings import DatabentoSettings

EVERY_S: Final = 60.0
_HOUR_NS: Final = 3_600_000_000_000
_DAY_NS: Final = 24 * _HOUR_NS

log = get_logger("databento.metering")


class Metering(Protocol):
    """Who counts live records."""

    def count(self, schema: str, records: int) -> None:
        """Count records as they come."""

    def due(self) -> Iterator[Announcement]:
        """Yield the rows that are to be published by now."""

    def keep(self) -> None:
        """Put what was counted to the account; blocks."""


class Unmetered:
    """Counts nothing: what a simulator sends is billed by nobody."""

    def count(self, schema: str, records: int) -> None:
        """Count nothing."""

    def due(self) -> Iterator[Announcement]:
        """Yield nothing."""
        return iter(())

    def keep(self) -> None:
        """Keep nothing."""


class LiveMeter:
    """Counts on the event loop, and does all that may wait in a thread, every `every_s`.

    `prices` asks for the vendor's list prices. The thread is a daemon: a vendor that does not answer must not hold up a
    shutdown.
    """

    def __init__(
        self,
        meter: CostMeter,
        prices: Callable[[], UnitPrices],
        clock_ns: Callable[[], int],
        every_s: float = EVERY_S,
    ) -> None:
        self._meter = meter
        self._prices = prices
        self._clock_ns = clock_ns
        self._every_s = every_s
        self._ask_ns = 0
        self._rows: deque[Announcement] = deque()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def count(self, schema: str, records: int) -> None:
        """Count records as they come."""
        self._meter.metered({schema: records})

    def due(self) -> Iterator[Announcement]:
        """Yield the rows that are to be published by now; the first call begins the work."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="metering", daemon=True)
            self._thread.start()
        while self._rows:
            yield self._rows.popleft()

    def keep(self) -> None:
        """Put what was counted to the account; blocks. What cannot be written stays counted."""
        try:
            self._meter.keep(self._clock_ns())
        except TapelineError as error:
            log.warning("usage not kept", fault=str(error))

    def stop(self) -> None:
        """End the work, and wait for its end."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while not self._stopped.wait(self._every_s):
            self._ask_prices()
            try:
                self._rows.extend(self._meter.announcements(self._clock_ns()))
            except TapelineError as error:
                # Counting must not end the feed.
                log.warning("usage not kept", fault=str(error))

    def _ask_prices(self) -> None:
        now_ns = self._clock_ns()
        if now_ns < self._ask_ns:
            return
        try:
            self._meter.prices = self._prices()
            self._ask_ns = now_ns + _DAY_NS
        except TapelineError as error:
            log.warning("prices not known", fault=str(error))
            self._ask_ns = now_ns + _HOUR_NS


def live_metering(settings: DatabentoSettings, source: str, clock_ns: Callable[[], int]) -> Metering:
    """Return who counts, as the settings say. Raises Misconfigured where the account cannot be used."""
    wanted = not settings.gateway if settings.count_usage is None else settings.count_usage
    if not wanted:
        return Unmetered()

    def prices() -> UnitPrices:
        # Loads the vendor's historical client and what it needs, so not before it is asked.
        from tapeline_databento.history.client import HistoryClient
        from tapeline_databento.history.prices import daily_prices

        client = HistoryClient(settings.api_key, settings.history_gateway)
        return daily_prices(state_folder() / "unit-prices", settings.dataset, client.unit_prices, clock_ns())

    plan = Plan(micro_usd(settings.flat_usd), micro_usd(settings.licence_usd))
    return LiveMeter(CostMeter(source, settings.dataset, open_ledger(), plan), prices, clock_ns)
