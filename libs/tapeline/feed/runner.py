"""Runs a source: claims, sessions, frames, clocks, cursors, heartbeats, and a shutdown that leaves nothing behind."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.cursors import CursorWriter, FenceWatch
from tapeline.bus.publisher import Publisher
from tapeline.bus.tail import TailState, claim_stream, read_tail
from tapeline.errors import DeliveryFailed
from tapeline.feed.calendar import calendar_of
from tapeline.feed.framer import SessionIdentity, Ticks
from tapeline.feed.source import FeedSettings, Session, Source
from tapeline.feed.writer import StreamWriter, Totals
from tapeline.model.events import FeedEvent, encode_event
from tapeline.ops.logs import get_logger
from tapeline.ops.metrics import SESSIONS

EVENTS_TOPIC: Final = "md.feed-events.v1"
_HEARTBEAT_S: Final = 1.0

T = TypeVar("T")

log = get_logger("runner")


@dataclass(slots=True)
class _Claimed:
    tail: TailState
    cursors: CursorWriter


class Runner:
    """Puts the sessions of one source on the tape until they end or `stop` is called.

    `clock_ns` gives the time in ns since the epoch, `new_session` a name for each session.
    """

    def __init__(
        self,
        source: Source,
        settings: FeedSettings,
        bootstrap: str,
        *,
        clock_ns: Callable[[], int] = time.time_ns,
        new_session: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self.totals = Totals()
        self._source = source
        self._settings = settings
        self._bootstrap = bootstrap
        self._clock_ns = clock_ns
        self._new_session = new_session
        self._stopping = asyncio.Event()
        self._turn = asyncio.Lock()
        self._waiting = asyncio.Event()
        self._watch: FenceWatch | None = None
        self._claimed: dict[str, _Claimed] = {}
        self._writers: dict[str, StreamWriter] = {}

    def stop(self) -> None:
        """Ask for an end: the session in hand is left, and everything read so far is delivered."""
        self._stopping.set()

    def status(self) -> Mapping[str, object]:
        """Return the facts of the health endpoint; ready while a session delivers."""
        return {
            "ready": bool(self._writers),
            "source": self._source.name,
            "streams": {
                stream: {"epoch": claimed.tail.epoch, "ticks": self.totals.ticks[stream]}
                for stream, claimed in self._claimed.items()
            },
        }

    async def run(self) -> Totals:
        """Run until the source has no more sessions, or until `stop`; return what was published.

        Raises Fenced where another producer took a stream over, DeliveryFailed where Kafka did not take everything, and
        what the source raises; even then all that was read before is delivered first.
        """
        publisher = Publisher(
            self._bootstrap,
            f"tapeline-{self._source.name}",
            linger_ms=self._settings.linger_ms,
            max_queue_bytes=self._settings.queue_bytes,
        )
        try:
            async with asyncio.TaskGroup() as group:
                duties = [group.create_task(self._close_by_age()), group.create_task(self._beat(publisher))]
                try:
                    await self._run_sessions(publisher)
                finally:
                    for duty in duties:
                        duty.cancel()
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        finally:
            self.totals.undelivered = await publisher.close(self._settings.flush_timeout_s)
            if self._watch is not None:
                self._watch.close()
        if self.totals.undelivered:
            timeout_s = self._settings.flush_timeout_s
            raise DeliveryFailed(
                f"{self.totals.undelivered} messages were not acknowledged within {timeout_s:g} s",
                self.totals.undelivered,
            )
        return self.totals

    async def _run_sessions(self, publisher: Publisher) -> None:
        async for session in _until(self._stopping, self._source.sessions()):
            await self._run_session(session, publisher)

    async def _run_session(self, session: Session, publisher: Publisher) -> None:
        name = self._new_session()
        await self._claim(session, name, publisher)
        complete = False
        reason = "stopped"
        await self._begin(session, name, publisher)
        try:
            async for item in _until(self._stopping, session.items()):
                now_ns = self._clock_ns()
                async with self._turn:
                    writer = self._writers[item.stream]
                    if isinstance(item, Ticks):
                        await writer.add(item, now_ns)
                        await writer.write_cursor(now_ns / 1e9)
                    else:
                        await writer.vendor_time(item.at_ns, now_ns)
                    self._waiting.set()
            complete = not self._stopping.is_set()
            reason = "end of data" if complete else reason
        except Exception as error:
            reason = str(error)
            raise
        finally:
            await self._end(publisher, complete=complete, reason=reason)

    async def _claim(self, session: Session, name: str, publisher: Publisher) -> None:
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

    async def _begin(self, session: Session, name: str, publisher: Publisher) -> None:
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
                self.totals,
            )
            SESSIONS.labels(self._source.name, stream).inc()
            await self._tell(publisher, self._event("connected", stream, identity, ""))
        log.info("connected", session=name, streams=list(session.streams))

    async def _end(self, publisher: Publisher, *, complete: bool, reason: str) -> None:
        now_ns = self._clock_ns()
        async with self._turn:
            for stream, writer in self._writers.items():
                await writer.finish(now_ns, complete=complete)
                for heartbeat in writer.heartbeats(now_ns):
                    await self._tell(publisher, heartbeat)
                await self._tell(publisher, self._event("disconnected", stream, writer.identity, reason))
            await publisher.flush(self._settings.flush_timeout_s)
            for writer in self._writers.values():
                await writer.write_cursor(now_ns / 1e9, always=True)
            self._writers = {}
        log.info("disconnected", reason=reason)

    async def _close_by_age(self) -> None:
        while True:
            await self._waiting.wait()
            due_ns = min(
                (writer.due_ns for writer in self._writers.values() if writer.due_ns is not None), default=None
            )
            now_ns = self._clock_ns()
            if due_ns is None:
                self._waiting.clear()
            elif due_ns > now_ns:
                await asyncio.sleep((due_ns - now_ns) / 1e9)
            else:
                async with self._turn:
                    for writer in self._writers.values():
                        await writer.close_due(now_ns)

    async def _beat(self, publisher: Publisher) -> None:
        while True:
            await asyncio.sleep(_HEARTBEAT_S)
            now_ns = self._clock_ns()
            async with self._turn:
                for writer in self._writers.values():
                    for heartbeat in writer.heartbeats(now_ns):
                        await self._tell(publisher, heartbeat)
                    await writer.write_cursor(now_ns / 1e9)

    async def _tell(self, publisher: Publisher, event: FeedEvent) -> None:
        await publisher.publish(namespaced(EVENTS_TOPIC), f"{event.source}/{event.stream}", encode_event(event))

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


async def _until(stopping: asyncio.Event, items: AsyncIterator[T]) -> AsyncIterator[T]:
    """Yield `items` until they end or `stopping` is set, even while the next one is awaited."""
    stopped = asyncio.ensure_future(stopping.wait())
    try:
        while True:
            following = asyncio.ensure_future(anext(items))
            await asyncio.wait((following, stopped), return_when=asyncio.FIRST_COMPLETED)
            if stopping.is_set():
                following.cancel()
                with suppress(asyncio.CancelledError, StopAsyncIteration):
                    await following
                return
            try:
                item = following.result()
            except StopAsyncIteration:
                return
            yield item
    finally:
        stopped.cancel()
        if isinstance(items, AsyncGenerator):
            await items.aclose()
