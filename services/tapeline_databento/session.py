"""One session of a line: what the gateway sends, as the items that a producer's runner takes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from tapeline.errors import BadData, Refused
from tapeline.feed.calendar import calendar_of
from tapeline.feed.contracts import announcement
from tapeline.feed.dbn_decoder import DbnBatch, Decoded, OtherRecords
from tapeline.feed.dbn_records import RTYPE_DEFINITION, RTYPE_ERROR, RTYPE_SYMBOL_MAPPING, RTYPE_SYSTEM
from tapeline.feed.source import Item, Lost, Pair, Replayed, VendorClock
from tapeline.model.columns import TickKind
from tapeline.model.frames import Origin
from tapeline.ops.logs import get_logger
from tapeline.ops.metrics import DOUBTFUL_BOOKS, SLOW_READER_WARNINGS, UNRESOLVED_SYMBOLS
from tapeline_databento.book_sessions import BookSessions, Ended, Feed
from tapeline_databento.books import Doubt
from tapeline_databento.client import GatewayProtocol
from tapeline_databento.errors import BooksLost, ReplayAgedOut, Silent, Undecodable
from tapeline_databento.hours import Hours
from tapeline_databento.knowledge import Knowledge, Lessons
from tapeline_databento.merging import Merged
from tapeline_databento.messages import Fault, Message, Notice, ending, error_messages, schema_in, system_messages
from tapeline_databento.normalize import Normalizer, since
from tapeline_databento.plan import LinePlan
from tapeline_databento.settings import DatabentoSettings
from tapeline_databento.subscriptions import SKIPPED_WHEN_SLOW
from tapeline_databento.watching import StallWatch

SOURCE: Final = "databento"
_CLOCK_EVERY_NS: Final = 250_000_000
_LOOK_EVERY_S: Final = 1.0
_MOST_SHOWN: Final = 5
_WHOLE_STREAM: Final = ("*",)

log = get_logger("databento")


class LiveSession:
    """What one connection sends, mended by snapshots of single books.

    `resumed` and `told_before` hold the pairs that are replayed, with the venue time (ns) from which on they are taken:
    those that continue what is on the tape, and those that begin with what was told before. `open_book` makes another
    connection that begins with a snapshot of one raw symbol. `clock_ns` gives the time in ns since the epoch.
    """

    def __init__(
        self,
        plan: LinePlan,
        settings: DatabentoSettings,
        protocol: GatewayProtocol,
        resumed: Mapping[Pair, int],
        told_before: Mapping[Pair, int],
        knowledge: Knowledge,
        lessons: Lessons,
        open_book: Callable[[str], Awaitable[GatewayProtocol]],
        clock_ns: Callable[[], int],
    ) -> None:
        self.resumes: AbstractSet[Pair] = frozenset(resumed)
        self._plan = plan
        self._settings = settings
        self._protocol = protocol
        self._starts = {**told_before, **resumed}
        self._replaying = set(self._starts)
        self._origins = _origins(self._replaying)
        self._knowledge = knowledge
        self._lessons = lessons
        self._clock_ns = clock_ns
        self._loop = asyncio.get_running_loop()
        self._own = Feed(Normalizer(plan.dataset, plan.routes, knowledge.classes))
        self._books = BookSessions(plan.name, plan.dataset, knowledge.classes, open_book, settings.doubtful_books)
        self._doubts: deque[Doubt] = deque()
        self._hours = Hours(calendar_of(plan.dataset), settings)
        self._unresolved = 0
        self._vendor_ns = 0
        self._kinds = plan.kinds_by_stream()
        self._schemas = {(each.stream(plan.dataset), each.kind): each.schema for each in plan.subscriptions}
        self._look_s = 0.0
        self._silence_limits_s = plan.silence_limits_s(settings)
        self._stalls = StallWatch(self._silence_limits_s, self._loop.time(), settings.silence_limit_s)

    async def items(self) -> AsyncGenerator[Item, None]:
        """Yield what the gateway sends, in its order.

        Ends where the market has closed and its hours are limits. Raises Retryable for every other end that another
        session may mend, Refused for the others.
        """
        merged: Merged[Feed, list[Decoded] | Ended] = Merged()
        merged.add(self._own, self._protocol.slices())
        try:
            while self._hours.may_stream(self._clock_ns()):
                feed, coming = await merged.next()
                try:
                    for item in self._items_of(feed, coming):
                        yield item
                except BadData as error:
                    raise Undecodable(f"{self._plan.name}: {error}") from None
                while self._doubts:
                    await self._books.mend(self._doubts.popleft(), feed, merged)
                for item in self._look():
                    yield item
        except ReplayAgedOut:
            self._lessons.without_replay = True
            raise
        except BooksLost:
            self._lessons.orders_anew = True
            raise
        finally:
            self._lessons.orders_anew |= not self._books.all_told
            await merged.close()
            self.close()
            await asyncio.to_thread(self._knowledge.metering.keep)

    def close(self) -> None:
        """Leave the gateway, whether items were taken or not."""
        self._protocol.transport.abort()

    def _items_of(self, feed: Feed, coming: list[Decoded] | Ended) -> Iterator[Item]:
        if isinstance(coming, Ended):
            again = feed.doubt_again()
            if again is not None:
                yield self._doubt(again, f"the session of its book ended: {coming.reason}")
            return
        newest_ns = 0
        for decoded in coming:
            if isinstance(decoded, DbnBatch):
                newest_ns = max(newest_ns, int(decoded.columns["ts_recv"][-1]))
                yield from self._ticks(feed, decoded)
            else:
                yield from self._others(feed, decoded)
        if feed is self._own:
            # After all that came together, as one kind's ticks may be there before the older ones of another.
            yield from self._clocks(newest_ns)

    # -- ticks -------------------------------------------------------------------------------------------------------

    def _ticks(self, feed: Feed, batch: DbnBatch) -> Iterator[Item]:
        now_s = self._loop.time()
        origins = self._origins.get(batch.kind, {}) if feed is self._own else {}
        for ticks in feed.normalizer.ticks(batch, origins):
            pair = (ticks.stream, ticks.kind)
            self._knowledge.metering.count(self._schemas[pair], len(ticks))
            doubts: list[Doubt] = []
            if ticks.origin == "replay":
                ticks = since(ticks, self._starts[pair])
            if ticks.kind == "mbo":
                ticks, doubts = feed.sift(ticks)
            elif ticks.kind == "status":
                self._knowledge.status.note(ticks)
            self._stalls.heard(pair, now_s)
            if len(ticks):
                self._knowledge.contracts.quote(ticks)
                yield ticks
            for doubt in doubts:
                yield self._doubt(doubt, "F_MAYBE_BAD_BOOK")

    def _doubt(self, doubt: Doubt, reason: str) -> Lost:
        """Return the gap of a book, which is mended once all that came with it is handed on."""
        DOUBTFUL_BOOKS.labels(SOURCE, self._plan.name).inc()
        log.warning("book is doubtful", line=self._plan.name, symbol=doubt.symbol, reason=reason)
        self._doubts.append(doubt)
        return Lost(doubt.stream, "mbo", (doubt.symbol,), reason, doubt.ts_event_from)

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

    def _others(self, feed: Feed, other: OtherRecords) -> Iterator[Item]:
        if other.rtype == RTYPE_SYMBOL_MAPPING:
            feed.normalizer.learn(other.records)
        elif other.rtype == RTYPE_SYSTEM:
            for message in system_messages(other.records):
                yield from self._notice(feed, message)
        elif other.rtype == RTYPE_ERROR:
            messages = error_messages(other.records)
            self._note_unresolved([each for each in messages if each.code == Fault.SYMBOL_RESOLUTION_FAILED])
            for message in messages:
                yield from self._fault(message)
        elif other.rtype == RTYPE_DEFINITION:
            self._knowledge.metering.count("definition", len(other.records))
            for instrument in self._knowledge.contracts.define(other.records, self._clock_ns()):
                self._knowledge.classes.learn(instrument.raw_symbol, instrument.instrument_class)
                yield announcement(instrument)

    def _notice(self, feed: Feed, message: Message) -> Iterator[Item]:
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
        self._replaying = self._replaying - done
        self._origins = _origins(self._replaying)
        log.info("replayed", line=self._plan.name, said=text, left=len(self._replaying))
        for stream, kind in sorted(done):
            yield Replayed(stream, kind)

    def _fault(self, message: Message) -> Iterator[Item]:
        end = ending(message, self._plan.name)
        if end is not None:
            raise end
        if message.code == Fault.SKIPPED_RECORDS:
            log.warning("records were skipped", line=self._plan.name, said=message.text)
            schema = schema_in(message.text)
            for stream, kind in self._plan.pairs_of(SKIPPED_WHEN_SLOW if schema is None else (schema,)):
                yield Lost(stream, kind, _WHOLE_STREAM, f"records skipped: {message.text}")

    def _note_unresolved(self, messages: list[Message]) -> None:
        """Go on without symbols that the gateway does not know; where it knows none, no retry helps."""
        if not messages:
            return
        UNRESOLVED_SYMBOLS.labels(SOURCE, self._plan.name).inc(len(messages))
        said = [message.text for message in messages]
        log.warning("symbols are not known", line=self._plan.name, count=len(said), said=said[:_MOST_SHOWN])
        self._unresolved += len(said)
        if self._unresolved >= len(self._plan.subscriptions):
            raise Refused(
                f"{self._plan.name}: the gateway knows none of the symbols that were asked for: {said[0]}; check"
                " TAPELINE_DATABENTO_SUBSCRIPTIONS"
            )

    # -- once a second -----------------------------------------------------------------------------------------------

    def _look(self) -> Iterator[Item]:
        """Yield what is due about the contracts; raise Silent where a subscription has stalled."""
        now_s, now_ns = self._loop.time(), self._clock_ns()
        if now_s < self._look_s:
            return
        self._look_s = now_s + _LOOK_EVERY_S
        yield from self._knowledge.metering.due()
        if self._plan.has_definitions:
            yield from self._knowledge.contracts.due(now_ns)
            parents = self._knowledge.contracts.parents_due(now_ns)
            if parents is not None and parents.missing:
                log.warning("quotes of listed options are not subscribed to", parents=parents.missing)
        is_open, ids_of = self._hours.is_open(now_ns), self._own.normalizer.ids_of
        quiet = [
            pair for pair in self._silence_limits_s if not is_open or self._knowledge.status.is_halted(ids_of(pair[0]))
        ]
        stalled = self._stalls.stalled(now_s, quiet)
        if stalled is not None:
            (stream, kind), silent_s = stalled
            raise Silent(f"{self._plan.name}: no {kind} of {stream} for {silent_s:.0f} s of open market")


def _origins(replaying: AbstractSet[Pair]) -> dict[TickKind, dict[str, Origin]]:
    origins: dict[TickKind, dict[str, Origin]] = {}
    for stream, kind in replaying:
        origins.setdefault(kind, {})[stream] = "replay"
    return origins
