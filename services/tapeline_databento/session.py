"""One session of a line: what the gateway sends, as the items that a producer's runner takes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Final

from tapeline.errors import BadData, Refused, Retryable
from tapeline.feed.calendar import calendar_of
from tapeline.feed.dbn_decoder import DbnBatch, Decoded, OtherRecords
from tapeline.feed.dbn_records import RTYPE_DEFINITION, RTYPE_ERROR, RTYPE_SYMBOL_MAPPING, RTYPE_SYSTEM, Array
from tapeline.feed.definitions import DefinitionDecoder
from tapeline.feed.framer import Ticks
from tapeline.feed.source import Announcement, Item, Lost, Pair, Replayed, VendorClock
from tapeline.model import instruments
from tapeline.model.columns import TickKind
from tapeline.model.frames import Origin
from tapeline.model.instrument_codec import encode_instrument
from tapeline.ops.logs import get_logger
from tapeline.ops.metrics import DOUBTFUL_BOOKS, SLOW_READER_WARNINGS, UNRESOLVED_SYMBOLS
from tapeline_databento.books import Books, Doubt
from tapeline_databento.client import GatewayProtocol
from tapeline_databento.errors import BooksLost, ReplayAgedOut, Silent, Undecodable
from tapeline_databento.hours import Hours
from tapeline_databento.merging import Merged
from tapeline_databento.messages import Fault, Message, Notice, ending, error_messages, schema_in, system_messages
from tapeline_databento.normalize import InstrumentClasses, Normalizer, since
from tapeline_databento.plan import LinePlan
from tapeline_databento.settings import DatabentoSettings
from tapeline_databento.subscriptions import SKIPPED_WHEN_SLOW
from tapeline_databento.watching import StallWatch, TradingStatus

SOURCE: Final = "databento"
_CLOCK_EVERY_NS: Final = 250_000_000
_LOOK_EVERY_S: Final = 1.0
_WHOLE_STREAM: Final = ("*",)

log = get_logger("databento")


@dataclass(slots=True)
class Knowledge:
    """What the lines of a source tell each other."""

    classes: InstrumentClasses
    status: TradingStatus = field(default_factory=TradingStatus)


@dataclass(slots=True)
class Lessons:
    """What a line's next session must heed."""

    without_replay: bool = False
    """The replay was refused as too old."""
    orders_anew: bool = False
    """Some book is not known: a replay of orders would not tell it."""


@dataclass(eq=False, slots=True)
class _Feed:
    """One connection; `doubt` is the book that it is there for, None for the line's own."""

    normalizer: Normalizer
    books: Books = field(default_factory=Books)
    doubt: Doubt | None = None
    has_begun: bool = True
    """Whether a book's snapshot has begun; what comes before it belongs to nobody."""


@dataclass(frozen=True, slots=True)
class _Ended:
    """A connection for one book ended."""

    reason: str


class LiveSession:
    """What one connection sends, mended by snapshots of single books. `starts` holds the pairs that are replayed.

    `open_book` makes another connection that begins with a snapshot of one raw symbol. `clock_ns` gives the time in ns
    since the epoch.
    """

    def __init__(
        self,
        plan: LinePlan,
        settings: DatabentoSettings,
        protocol: GatewayProtocol,
        starts: Mapping[Pair, int],
        knowledge: Knowledge,
        lessons: Lessons,
        open_book: Callable[[str], Awaitable[GatewayProtocol]],
        clock_ns: Callable[[], int],
    ) -> None:
        self.resumes: AbstractSet[Pair] = frozenset(starts)
        self._plan = plan
        self._settings = settings
        self._protocol = protocol
        self._starts = dict(starts)
        self._replaying = set(starts)
        self._origins: dict[TickKind, dict[str, Origin]] = {}
        self._note_origins()
        self._knowledge = knowledge
        self._lessons = lessons
        self._open_book = open_book
        self._clock_ns = clock_ns
        self._loop = asyncio.get_running_loop()
        self._own = _Feed(Normalizer(plan.dataset, plan.routes, knowledge.classes))
        self._hours = Hours(calendar_of(plan.dataset), settings)
        self._trading_day = self._hours.trading_day(clock_ns())
        self._definitions = DefinitionDecoder(SOURCE, plan.dataset)
        self._doubts: deque[Doubt] = deque()
        self._books: list[_Feed] = []
        self._unresolved = 0
        self._vendor_ns = 0
        self._kinds = plan.kinds_by_stream()
        self._look_s = 0.0
        self._silence_limits_s = plan.silence_limits_s(settings)
        self._stalls = StallWatch(self._silence_limits_s, self._loop.time(), settings.silence_limit_s)

    async def items(self) -> AsyncGenerator[Item, None]:
        """Yield what the gateway sends, in its order.

        Ends where the market has closed, or the day's definitions are due. Raises Retryable for every other end that
        another session may mend, Refused for the others.
        """
        merged: Merged[_Feed, Decoded | _Ended] = Merged()
        merged.add(self._own, self._protocol.decoded())
        try:
            while not self._is_over():
                feed, coming = await merged.next()
                try:
                    for item in self._items_of(feed, coming):
                        yield item
                except BadData as error:
                    raise Undecodable(f"{self._plan.name}: {error}") from None
                while self._doubts:
                    await self._mend(self._doubts.popleft(), feed, merged)
        except ReplayAgedOut:
            self._lessons.without_replay = True
            raise
        finally:
            self._lessons.orders_anew |= any(not feed.has_begun for feed in self._books)
            await merged.close()
            self._protocol.transport.abort()

    def _is_over(self) -> bool:
        """Return whether the session has come to its proper end; look at it, and at stalls, once a second."""
        now_s, now_ns = self._loop.time(), self._clock_ns()
        if now_s < self._look_s:
            return False
        self._look_s = now_s + _LOOK_EVERY_S
        self._check_stalls(now_s, now_ns)
        if self._settings.market_hours_only and not self._hours.may_stream(now_ns):
            return True
        return self._plan.has_definitions and self._hours.trading_day(now_ns) != self._trading_day

    def _items_of(self, feed: _Feed, coming: Decoded | _Ended) -> Iterator[Item]:
        match coming:
            case DbnBatch():
                yield from self._ticks(feed, coming)
            case OtherRecords():
                yield from self._others(feed, coming)
            case _Ended():
                yield from self._book_ended(feed, coming.reason)

    # -- ticks -------------------------------------------------------------------------------------------------------

    def _ticks(self, feed: _Feed, batch: DbnBatch) -> Iterator[Item]:
        now_s = self._loop.time()
        origins = self._origins.get(batch.kind, {}) if feed is self._own else {}
        for ticks in feed.normalizer.ticks(batch, origins):
            pair = (ticks.stream, ticks.kind)
            if ticks.origin == "replay":
                ticks = since(ticks, self._starts[pair])
            doubts: list[Doubt] = []
            if ticks.kind == "mbo":
                ticks, doubts = self._sifted(feed, ticks)
            elif ticks.kind == "status":
                self._knowledge.status.note(ticks)
            self._stalls.heard(pair, now_s)
            if len(ticks):
                yield ticks
            for doubt in doubts:
                yield from self._doubt(doubt, "F_MAYBE_BAD_BOOK")
        if feed is self._own:
            yield from self._clocks(int(batch.columns["ts_recv"][-1]))

    def _sifted(self, feed: _Feed, ticks: Ticks) -> tuple[Ticks, list[Doubt]]:
        if not feed.has_begun:
            clears = ticks.columns["action"] == ord("R")
            if not clears.any():
                return ticks.cut(0, 0), []
            ticks = ticks.cut(int(clears.argmax()), len(ticks))
            feed.has_begun = True
        return feed.books.sift(ticks)

    def _doubt(self, doubt: Doubt, reason: str) -> Iterator[Item]:
        """Open the gap of a book, and have it mended once all that came with it is handed on."""
        DOUBTFUL_BOOKS.labels(SOURCE, self._plan.name).inc()
        log.warning("book is doubtful", line=self._plan.name, symbol=doubt.symbol, reason=reason)
        self._doubts.append(doubt)
        yield Lost(doubt.stream, "mbo", (doubt.symbol,), reason, doubt.ts_event_from)

    def _clocks(self, at_ns: int) -> Iterator[VendorClock]:
        """Yield a clock per stream where the vendor's time has moved on; a replay has a time of its own."""
        if at_ns - self._vendor_ns < _CLOCK_EVERY_NS:
            return
        self._vendor_ns = at_ns
        for stream, kinds in self._kinds.items():
            live = frozenset(kind for kind in kinds if (stream, kind) not in self._replaying)
            if live:
                yield VendorClock(stream, at_ns, live)

    # -- other records -----------------------------------------------------------------------------------------------

    def _others(self, feed: _Feed, other: OtherRecords) -> Iterator[Item]:
        if other.rtype == RTYPE_SYMBOL_MAPPING:
            feed.normalizer.learn(other.records)
        elif other.rtype == RTYPE_SYSTEM:
            for message in system_messages(other.records):
                yield from self._notice(feed, message)
        elif other.rtype == RTYPE_ERROR:
            for message in error_messages(other.records):
                yield from self._fault(message)
        elif other.rtype == RTYPE_DEFINITION:
            yield from self._announce(other.records)

    def _notice(self, feed: _Feed, message: Message) -> Iterator[Item]:
        if message.code == Notice.HEARTBEAT:
            if feed is self._own:
                yield from self._clocks(message.at_ns)
            return
        if message.code == Notice.SLOW_READER_WARNING:
            SLOW_READER_WARNINGS.labels(SOURCE, self._plan.name).inc()
            log.warning("read too slowly", line=self._plan.name, said=message.text)
        elif message.code == Notice.REPLAY_COMPLETED and feed is self._own:
            yield from self._replayed(message.text)
        else:
            log.debug("said", line=self._plan.name, code=message.code, said=message.text)

    def _replayed(self, text: str) -> Iterator[Item]:
        schema = schema_in(text)
        done = self._replaying if schema is None else self._replaying & set(self._plan.pairs_of((schema,)))
        for stream, kind in sorted(done):
            self._replaying.discard((stream, kind))
            yield Replayed(stream, kind)
        self._note_origins()
        log.info("replayed", line=self._plan.name, said=text, left=len(self._replaying))

    def _fault(self, message: Message) -> Iterator[Item]:
        end = ending(message, self._plan.name)
        if end is not None:
            raise end
        log.warning("gateway error", line=self._plan.name, code=message.code, said=message.text)
        if message.code == Fault.SYMBOL_RESOLUTION_FAILED:
            UNRESOLVED_SYMBOLS.labels(SOURCE, self._plan.name).inc()
            self._unresolved += 1
            if self._unresolved >= len(self._plan.subscriptions):
                raise Refused(
                    f"{self._plan.name}: the gateway knows none of the symbols that were asked for: {message.text};"
                    " check TAPELINE_DATABENTO_SUBSCRIPTIONS"
                )
        elif message.code == Fault.SKIPPED_RECORDS:
            schema = schema_in(message.text)
            for stream, kind in self._plan.pairs_of(SKIPPED_WHEN_SLOW if schema is None else (schema,)):
                yield Lost(stream, kind, _WHOLE_STREAM, f"records skipped: {message.text}")

    def _announce(self, records: Array) -> Iterator[Item]:
        for instrument in self._definitions.decode(records, self._trading_day):
            self._knowledge.classes.learn(instrument.raw_symbol, instrument.instrument_class)
            try:
                value = encode_instrument(instrument)
            except BadData as error:
                log.warning("definition left out", symbol=instrument.raw_symbol, reason=str(error))
                continue
            yield Announcement(instruments.TOPIC, instrument.key, value)

    # -- books that must be told anew --------------------------------------------------------------------------------

    async def _mend(self, doubt: Doubt, of: _Feed, merged: Merged[_Feed, Decoded | _Ended]) -> None:
        """Ask for a snapshot of one book, in a session of its own, whose orders go on from there."""
        if len(self._books) >= self._settings.doubtful_books:
            self._lessons.orders_anew = True
            raise BooksLost(
                f"{self._plan.name}: the book of {doubt.symbol} is doubtful, and {len(self._books)} were mended before"
                " it: all begin anew"
            )
        if of.doubt is not None:
            await merged.remove(of)
            of.has_begun = True
        routes: dict[TickKind, dict[str, str]] = {"mbo": {doubt.symbol: doubt.stream}}
        feed = _Feed(Normalizer(self._plan.dataset, routes, self._knowledge.classes), doubt=doubt, has_begun=False)
        self._books.append(feed)
        merged.add(feed, self._book(doubt))

    async def _book(self, doubt: Doubt) -> AsyncGenerator[Decoded | _Ended, None]:
        protocol: GatewayProtocol | None = None
        try:
            protocol = await self._open_book(doubt.symbol)
            async for decoded in protocol.decoded():
                yield decoded
        except Retryable as error:
            yield _Ended(str(error))
        finally:
            if protocol is not None:
                protocol.transport.abort()

    def _book_ended(self, feed: _Feed, reason: str) -> Iterator[Item]:
        if feed.doubt is not None:
            last_good = feed.books.last_good(feed.doubt.instrument_id) or feed.doubt.ts_event_from
            yield from self._doubt(
                replace(feed.doubt, ts_event_from=last_good), f"the session of its book ended: {reason}"
            )

    # -- ends --------------------------------------------------------------------------------------------------------

    def _check_stalls(self, now_s: float, now_ns: int) -> None:
        is_open = self._hours.is_open(now_ns)
        ids_of = self._own.normalizer.ids_of
        quiet = [
            pair for pair in self._silence_limits_s if not is_open or self._knowledge.status.is_halted(ids_of(pair[0]))
        ]
        stalled = self._stalls.stalled(now_s, quiet)
        if stalled is not None:
            (stream, kind), silent_s = stalled
            raise Silent(f"{self._plan.name}: no {kind} of {stream} for {silent_s:.0f} s of open market")

    def _note_origins(self) -> None:
        origins: dict[TickKind, dict[str, Origin]] = {}
        for stream, kind in self._replaying:
            origins.setdefault(kind, {})[stream] = "replay"
        self._origins = origins
