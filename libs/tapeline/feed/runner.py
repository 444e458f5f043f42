"""Runs a source: claims, sessions, frames, clocks, cursors, heartbeats, and a shutdown that leaves nothing behind."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, TypeVar

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.cursors import CursorWriter, FenceWatch
from tapeline.bus.publisher import Publisher
from tapeline.bus.tail import TailState, claim_stream, read_tail
from tapeline.errors import DeliveryFailed
from tapeline.feed.calendar import calendar_of
from tapeline.feed.framer import SessionIdentity, Ticks
from tapeline.feed.source import FeedSettings, Item, Session, Source
from tapeline.feed.writer import StreamWriter, Totals
from tapeline.model.events import FeedEvent, encode_event
from tapeline.ops.logs import get_logger
from tapeline.ops.metrics import SESSIONS

EVENTS_TOPIC: Final = "md.feed-events.v1"
_HEARTBEAT_S: Final = 1.0
_BUSY_AGES: Final = 10
"""So many age limits a tick may wait while the source has more at hand, which fills its frame."""

T = TypeVar("T")

log = get_logger("runner")


@dataclass(frozen=True, slots=True)
class _Claimed:
    tail: TailState
    cursors: CursorWriter


class Runner:
    """Puts the sessions of one source on the tape until they end or `stop` is called. Make it inside the event loop.

    `totals` counts what is published while it runs. `clock_ns` gives the time in ns since the epoch, `new_session` a
    name for each session.
    """

    def __init__(
        self,
        source: Source,
        settings: FeedSettings,
        bootstrap: str,
        totals: Totals,
        *,
        clock_ns: Callable[[], int] = time.time_ns,
        new_session: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._source = source
        self._settings = settings
        self._bootstrap = bootstrap
        self._totals = totals
        self._clock_ns = clock_ns
        self._new_session = new_session
        self._loop = asyncio.get_running_loop()
        self._stopped: asyncio.Future[None] = self._loop.create_future()
        self._failure: Exception | None = None
        self._turn = asyncio.Lock()
        self._waiting = asyncio.Event()
        self._idle = asyncio.Event()
        self._watch: FenceWatch | None = None
        self._claimed: dict[str, _Claimed] = {}
        self._writers: dict[str, StreamWriter] = {}

    def stop(self) -> None:
        """Ask for an end: the session in hand is left, and what it gave is delivered within `flush_timeout_s`."""
        if not self._stopped.done():
            self._stopped.set_result(None)

    def status(self) -> Mapping[str, object]:
        """Return the facts of the health endpoint; ready while a session delivers."""
        return {
            "ready": bool(self._writers),
            "source": self._source.name,
            "streams": {
                stream: {"epoch": claimed.tail.epoch, "ticks": self._totals.ticks[stream]}
                for stream, claimed in self._claimed.items()
            },
        }

    async def run(self) -> None:
        """Run until the source has no more sessions, or until `stop`. May be called once.

        Raises Fenced where another producer took a stream over, DeliveryFailed where Kafka did not take everything, and
        what the source raises; all that the source gave before is delivered first.
        """
        publisher = Publisher(
            self._bootstrap,
            f"tapeline-{self._source.name}",
            linger_ms=self._settings.linger_ms,
            max_queue_bytes=self._settings.queue_bytes,
        )
        duties = [
            asyncio.create_task(self._or_fail(duty)) for duty in (self._close_by_age, partial(self._beat, publisher))
        ]
        timeout_s = self._settings.flush_timeout_s
        try:
            async with asyncio.timeout(None) as limit:
                self._stopped.add_done_callback(lambda _: limit.reschedule(self._loop.time() + timeout_s))
                await self._run_sessions(publisher)
        except TimeoutError:
            if not limit.expired():
                raise
        finally:
            for duty in duties:
                duty.cancel()
            await asyncio.gather(*duties, return_exceptions=True)
            # Deliveries were waited for, so that what is left now is given up.
            undelivered = await publisher.close(0.0)
            if self._watch is not None:
                self._watch.close()
        if limit.expired():
            raise self._too_late(undelivered)

    async def _run_sessions(self, publisher: Publisher) -> None:
        try:
            async with aclosing(self._each(self._source.sessions())) as sessions:
                async for session in sessions:
                    await self._run_session(session, publisher)
        finally:
            await self._deliver(publisher)
        if self._failure is not None:
            raise self._failure

    async def _deliver(self, publisher: Publisher) -> None:
        """Wait for all deliveries, and leave cursors that say so."""
        await self._flush(publisher)
        now_s = self._clock_ns() / 1e9
        for claimed in self._claimed.values():
            await claimed.cursors.write(now_s)
        await self._flush(publisher)

    async def _run_session(self, session: Session, publisher: Publisher) -> None:
        name = self._new_session()
        if not await self._unless_stopped(self._claim(session, name, publisher)):
            return
        try:
            await self._begin(session, name, publisher)
            async with aclosing(self._each(session.items())) as items:
                async for item in items:
                    await self._take(item)
            if self._failure is not None:
                raise self._failure
        except Exception as error:
            await self._end(publisher, complete=False, reason=str(error) or repr(error))
            raise
        complete = not self._stopped.done()
        await self._end(publisher, complete=complete, reason="end of data" if complete else "stopped")

    async def _take(self, item: Item) -> None:
        now_ns = self._clock_ns()
        async with self._turn:
            writer = self._writers[item.stream]
            if isinstance(item, Ticks):
                await writer.add(item, now_ns)
                await self._write_cursor(item.stream, now_ns / 1e9)
            else:
                await writer.vendor_time(item.at_ns, now_ns)
            self._waiting.set()

    async def _claim(self, session: Session, name: str, publisher: Publisher) -> bool:
        for stream, dataset in session.streams.items():
            if stream in self._claimed:
                continue
            tail = await read_tail(self._bootstrap, self._source.name, stream)
            if self._watch is None:
                self._watch = FenceWatch(self._bootstrap, self._source.name, tail.cursors_offset)
            now_ns = self._clock_ns()
            claimed = await claim_stream(
                publisher,
                self._bootstrap,
                tail,
                session=name,
                dataset=dataset,
                publisher_id=0,
                origin=session.origin,
                trading_day=calendar_of(dataset).trading_day(now_ns),
                now_ns=now_ns,
            )
            self._claimed[stream] = _Claimed(claimed, CursorWriter(publisher, self._watch, claimed))
            log.info("claimed", stream=stream, epoch=claimed.epoch)
        return True

    async def _begin(self, session: Session, name: str, publisher: Publisher) -> None:
        async with self._turn:
            for stream, dataset in session.streams.items():
                claimed = self._claimed[stream]
                identity = SessionIdentity(self._source.name, name, claimed.tail.epoch, session.origin)
                self._writers[stream] = StreamWriter(
                    stream,
                    dataset,
                    identity,
                    session,
                    publisher,
                    claimed.cursors,
                    self._settings.frame_limits(),
                    self._totals,
                )
                SESSIONS.labels(self._source.name, stream).inc()
                await self._tell(publisher, self._event("connected", stream, identity, ""))
        log.info("connected", session=name, streams=list(session.streams))

    async def _end(self, publisher: Publisher, *, complete: bool, reason: str) -> None:
        log.info("disconnected", reason=reason)
        now_ns = self._clock_ns()
        async with self._turn:
            writers, self._writers = self._writers, {}
            for stream, writer in writers.items():
                await writer.finish(now_ns, complete=complete)
                for heartbeat in writer.heartbeats(now_ns):
                    await self._tell(publisher, heartbeat)
                await self._tell(publisher, self._event("disconnected", stream, writer.identity, reason))

    async def _flush(self, publisher: Publisher) -> None:
        undelivered = await publisher.flush(self._settings.flush_timeout_s)
        if undelivered:
            raise self._too_late(undelivered)

    def _too_late(self, undelivered: int) -> DeliveryFailed:
        timeout_s = self._settings.flush_timeout_s
        return DeliveryFailed(f"Kafka did not acknowledge {undelivered} messages within {timeout_s:g} s", undelivered)

    async def _close_by_age(self) -> None:
        busy_s = (_BUSY_AGES - 1) * self._settings.frame_age_ms / 1e3
        while True:
            await self._waiting.wait()
            due_ns = min(
                (writer.due_ns for writer in self._writers.values() if writer.due_ns is not None), default=None
            )
            if due_ns is None:
                self._waiting.clear()
                continue
            wait_s = (due_ns - self._clock_ns()) / 1e9
            if wait_s > 0:
                await asyncio.sleep(wait_s)
                continue
            # A source with more at hand fills the frame itself; one closed by age would only add to the load.
            with suppress(TimeoutError):
                async with asyncio.timeout(busy_s):
                    await self._idle.wait()
            async with self._turn:
                now_ns = self._clock_ns()
                for writer in self._writers.values():
                    await writer.close_due(now_ns)

    async def _beat(self, publisher: Publisher) -> None:
        while True:
            await asyncio.sleep(_HEARTBEAT_S)
            for stream, claimed in self._claimed.items():
                if self._watch is not None:
                    self._watch.check(stream, claimed.tail.epoch)
            async with self._turn:
                now_ns = self._clock_ns()
                for writer in self._writers.values():
                    for heartbeat in writer.heartbeats(now_ns):
                        await self._tell(publisher, heartbeat)
                for stream in self._claimed:
                    await self._write_cursor(stream, now_ns / 1e9)

    async def _or_fail(self, duty: Callable[[], Awaitable[None]]) -> None:
        try:
            await duty()
        except Exception as error:
            # Raised by the session in hand, so that it ends with its reason instead of in the middle of a frame.
            self._failure = error
            self.stop()

    async def _each(self, coming: AsyncIterator[T]) -> AsyncGenerator[T, None]:
        """Yield what comes until it ends or `stop` is called, even while the next one is awaited."""
        try:
            while not self._stopped.done():
                item = await self._unless_stopped(anext(coming, None))
                if item is None:
                    return
                yield item
        finally:
            if isinstance(coming, AsyncGenerator):
                await coming.aclose()

    async def _unless_stopped(self, coming: Awaitable[T]) -> T | None:
        """Return what comes, or None where `stop` is called first; `coming` is then cancelled."""
        task = asyncio.ensure_future(coming)
        try:
            await asyncio.sleep(0)
            if not task.done():
                self._idle.set()
                await asyncio.wait((task, self._stopped), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._idle.clear()
            if not task.done():
                task.cancel()
                await asyncio.wait((task,))
        return None if task.cancelled() else task.result()

    async def _write_cursor(self, stream: str, now_s: float) -> None:
        cursors = self._claimed[stream].cursors
        if cursors.due(now_s):
            await cursors.write(now_s)

    async def _tell(self, publisher: Publisher, event: FeedEvent) -> None:
        await publisher.publish(namespaced(EVENTS_TOPIC), event.key, encode_event(event))

    def _event(
        self, kind: Literal["connected", "disconnected"], stream: str, of: SessionIdentity, reason: str
    ) -> FeedEvent:
        return FeedEvent(
            type=kind,
            source=of.source,
            stream=stream,
            session=of.session,
            epoch=of.epoch,
            at=self._clock_ns(),
            reason=reason,
        )
