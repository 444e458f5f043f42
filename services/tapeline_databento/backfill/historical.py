"""The vendor's history as a way to what is missing: through the shared cache, its account, its budget and its caps.

History is asked for by time of capture (`ts_recv`), a window of the tape is one of venue time (`ts_event`): a padded
window is fetched, and what lies outside of the window is left out.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from tapeline.errors import BadData
from tapeline.feed.calendar import calendar_of
from tapeline.feed.cost import Estimate
from tapeline.feed.dbn import Symbology, open_dbn
from tapeline.feed.dbn_decoder import DbnBatch
from tapeline.feed.framer import Ticks
from tapeline.feed.reading import ReadAhead, read_once
from tapeline.feed.selection import received_within, within
from tapeline.model.backfill import BackEnd, BackfillRequest
from tapeline.model.control import Interval
from tapeline.model.frames import Origin
from tapeline.ops.logs import get_logger
from tapeline_databento.backfill.asking import Asked, asked_of, padded, spans_to_count
from tapeline_databento.errors import HistoryAway, NotYetHistory, Undecodable, Unresolved
from tapeline_databento.history.query import HistoryQuery, say_time
from tapeline_databento.normalize import InstrumentClasses, Normalizer
from tapeline_databento.settings import DatabentoSettings

if TYPE_CHECKING:
    from tapeline_databento.history.desk import HistoryDesk

_NS_PER_S: Final = 1_000_000_000

log = get_logger("databento.backfill")


class HistoricalBackEnd:
    """History. `clock_ns` gives the time in ns since the epoch. Who asks for a window again gets it from the cache."""

    name: BackEnd = "historical"

    def __init__(self, settings: DatabentoSettings, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._settings = settings
        self._clock_ns = clock_ns
        self._pad_ns = round(settings.backfill_pad_s * _NS_PER_S)
        self._lags_ns: dict[tuple[str, str], int] = {}

    def reach(self, request: BackfillRequest, now_ns: int) -> Interval | None:
        """Return the part of the window that is history by now, with the pad behind it."""
        usual_ns = round(self._settings.history_embargo_s * _NS_PER_S)
        lag_ns = self._lags_ns.get((request.dataset, request.kind), usual_ns)
        end_ns = min(request.window.ts_event_until, now_ns - lag_ns - self._pad_ns)
        if end_ns <= request.window.ts_event_from:
            return None
        return Interval(ts_event_from=request.window.ts_event_from, ts_event_until=end_ns)

    async def estimate(self, request: BackfillRequest, window: Interval) -> Estimate:
        """Return the vendor's numbers for the padded window; what is in the cache costs nothing, and counts."""
        return await read_once(partial(self._estimate, request, window))

    async def fetch(self, request: BackfillRequest, window: Interval) -> AsyncGenerator[Ticks]:
        """Yield the window's ticks once all of it is fetched and counted.

        Raises OverCap, with the estimate and the cap, before anything is fetched that would cost too much: the cap is
        the request's own, else the setting `cap_usd`; and the month's budget.
        """
        async with aclosing(aiter(ReadAhead(partial(self._read, request, window)))) as coming:
            async for ticks in coming:
                yield ticks

    async def count(self, request: BackfillRequest, window: Interval) -> int | None:
        """Return the vendor's count of the window, by now.

        It counts by time of capture, so its number is taken for what was captured well inside of the window. At the
        window's ends, where capture and venue time may lie on different sides, records are looked at: fetched, counted
        against the vendor's number for that range, and those of the window taken. That holds whatever way the window
        was filled, and costs no more than twice the pads.
        """
        return await read_once(partial(self._count, request, window))

    # -- in a thread of its own --------------------------------------------------------------------------------------

    def _estimate(self, request: BackfillRequest, window: Interval) -> Estimate:
        asked, desk = self._asked(request), self._desk(request)
        with self._learning(request):
            try:
                plan = desk.fetcher.plan(self._padded(asked, window))
            except Unresolved:
                # A weekend's symbols mean nothing, and a listed one means nothing on the days before.
                if window == request.window and _must_mean_something(request):
                    raise
                return Estimate()
        return plan.estimate + Estimate(records=sum(entry.records for entry in plan.found))

    def _read(self, request: BackfillRequest, window: Interval) -> Iterator[Ticks]:
        asked, desk = self._asked(request), self._desk(request)
        with self._learning(request):
            yield from self._window_of(desk, asked, self._padded(asked, window), window)

    def _count(self, request: BackfillRequest, window: Interval) -> int:
        asked, desk = self._asked(request), self._desk(request)
        whole = self._padded(asked, window)
        inside, edges = spans_to_count(window, self._pad_ns)
        with self._learning(request):
            total = 0 if inside is None else desk.fetcher.count(asked.captured(inside))
            for edge in edges:
                query = whole if desk.fetcher.holds(whole) else asked.captured(edge)
                found = self._window_of(desk, asked, query, window)
                total += sum(len(received_within(ticks, edge)) for ticks in found)
            if not total and _must_mean_something(request):
                # Raises where the symbols mean nothing at all: that is no proof that there is nothing.
                desk.fetcher.plan(whole)
        return total

    def _window_of(self, desk: HistoryDesk, asked: Asked, query: HistoryQuery, window: Interval) -> Iterator[Ticks]:
        """Yield the ticks of the window that a query brings, which is fetched where it is not there."""
        try:
            plan = desk.fetcher.plan(query)
        except Unresolved:
            return
        if plan.missing:
            log.info(
                "fetching history", schema=query.schema, start=say_time(query.start_ns), end=say_time(query.end_ns)
            )
        try:
            files, _ = desk.fetch(asked.dataset, plan, lambda request, path: None)
        finally:
            unpublished = desk.publish()
            if unpublished:
                log.warning("usage not published", reason=unpublished)
        desk.cache.evict(keep=[file.entry for file in files])
        for file in files:
            with open_dbn(file.path) as reader:
                names = _Names(asked, reader.symbology, desk)
                for batch in reader.batches():
                    for ticks in names.ticks(batch):
                        kept = within(ticks, window)
                        if len(kept):
                            yield kept

    def _padded(self, asked: Asked, window: Interval) -> HistoryQuery:
        return asked.captured(padded(window, self._pad_ns))

    def _asked(self, request: BackfillRequest) -> Asked:
        return asked_of(request, self._settings.subscriptions)

    def _desk(self, request: BackfillRequest) -> HistoryDesk:
        # Loads the vendor's historical client and what it needs, so not before it is asked.
        from tapeline.feed.cache_settings import CacheSettings
        from tapeline_databento.history.desk import HistoryDesk

        return HistoryDesk(self._settings, CacheSettings.load(), request.cost_cap_micro_usd, self._clock_ns)

    @contextmanager
    def _learning(self, request: BackfillRequest) -> Iterator[None]:
        """Raise what is not history yet as HistoryAway, and remember how far history lies behind."""
        try:
            yield
        except NotYetHistory as error:
            if error.until_ns:
                self._lags_ns[request.dataset, request.kind] = max(0, self._clock_ns() - error.until_ns)
            too_early_ns = request.window.ts_event_until + self._pad_ns - error.until_ns if error.until_ns else 0
            raise HistoryAway(f"not history yet: {error}", max(0, too_early_ns) / _NS_PER_S) from None
        except BadData as error:
            raise Undecodable(f"history of {request.stream}: {error}") from None


def _must_mean_something(request: BackfillRequest) -> bool:
    """Return whether symbols that mean nothing are a mistake: what is subscribed to may not be listed now, as weeklies
    are, so that nothing of it is missing after a gap. Raises BadData outside the calendar."""
    begin, end = request.window.ts_event_from, request.window.ts_event_until
    return request.gap_id is None and calendar_of(request.dataset).open_ns(begin, end) > 0


class _Names:
    """Names the instruments of one file, by what its head says of their ids on the days of their records."""

    def __init__(self, asked: Asked, symbology: Symbology, desk: HistoryDesk) -> None:
        self._asked = asked
        self._symbology = symbology
        self._desk = desk
        self._normalizer = Normalizer(asked.dataset, asked.routes, InstrumentClasses(asked.dataset))
        self._named: set[int] = set()
        self._origin: dict[str, Origin] = {asked.stream: "backfill"}

    def ticks(self, batch: DbnBatch) -> list[Ticks]:
        """Return the batch as ticks; a file is of one day, within which an id stands for one instrument."""
        for instrument_id in set(batch.instrument_id.tolist()) - self._named:
            self._named.add(instrument_id)
            symbol = self._raw_symbol(instrument_id, int(batch.columns["ts_recv"][0]))
            if symbol is not None:
                self._normalizer.map(instrument_id, self._asked.symbols[0], symbol)
        return self._normalizer.ticks(batch, self._origin)

    def _raw_symbol(self, instrument_id: int, at_ns: int) -> str | None:
        if self._asked.symbol_type != "continuous":
            return self._symbology.symbol(instrument_id, at_ns)
        # The head of such a file names its instruments as they were asked for.
        day = datetime.fromtimestamp(at_ns // _NS_PER_S, UTC).date().isoformat()
        return self._desk.fetcher.raw_symbol(self._asked.dataset, instrument_id, day)
