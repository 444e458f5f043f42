"""Runs one line of a source: session after session, each continuing the one before it where the vendor can replay."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from typing import Final, Literal, TypeVar

from tapeline.bus.overlap import read_ids
from tapeline.errors import BrokerUnavailable, DeliveryFailed, ReplayDistrusted, Retryable
from tapeline.feed.backoff import Backoff
from tapeline.feed.calendar import calendar_of
from tapeline.feed.claims import Claims, StreamClaim
from tapeline.feed.framer import SessionIdentity, Ticks
from tapeline.feed.resume import TOLD_ONCE, Replay, TapeEnd, silent_end, tape_end
from tapeline.feed.source import (
    Announcement,
    FeedSettings,
    Item,
    Line,
    Lost,
    Pair,
    Replayed,
    Session,
    Standing,
    VendorClock,
)
from tapeline.feed.writer import WHOLE_STREAM, StreamWriter, Totals
from tapeline.model.columns import TickKind
from tapeline.model.events import FeedEvent
from tapeline.model.ids import TapeIds
from tapeline.ops.logs import get_logger
from tapeline.ops.metrics import RECONNECTS, SESSIONS

_BUSY_AGES: Final = 10
"""So many age limits a tick may wait while the line has more at hand, which fills its frame."""

T = TypeVar("T")
State = Literal["waiting", "connecting", "delivering", "not delivering", "backing off", "ended"]

log = get_logger("line")


class LineRunner:
    """Puts the sessions of one line on the tape until there are no more, or until `stopped` has a reason.

    `clock_ns` gives the time in ns since the epoch.
    """

    def __init__(
        self,
        line: Line,
        claims: Claims,
        settings: FeedSettings,
        totals: Totals,
        stopped: asyncio.Future[str],
        clock_ns: Callable[[], int],
    ) -> None:
        self.line = line
        self.state: State = "waiting"
        self.reason = ""
        """Why the last session ended."""
        self._claims = claims
        self._settings = settings
        self._limits = settings.resume_limits()
        self._totals = totals
        self._stopped = stopped
        self._clock_ns = clock_ns
        self._loop = asyncio.get_running_loop()
        self._turn = asyncio.Lock()
        self._waiting = asyncio.Event()
        self._idle = asyncio.Event()
        self._streams: Mapping[str, str] = {}
        self._writers: dict[str, StreamWriter] = {}
        self._heard_ns: int | None = None
        self._distrusted: set[Pair] = set()
        """What the next session begins anew."""
        self._first_item_s: float | None = None

    async def run(self) -> None:
        """Run sessions until the line has no more, or until stopped.

        Raises what no further session can mend: Misconfigured, BadData, Fenced, DeliveryFailed, BrokerUnavailable.
        """
        backoff = Backoff(random.random)
        closing = asyncio.create_task(self._close_by_age())
        closing.add_done_callback(self._stop_unless_cancelled)
        try:
            while not self._stopped.done():
                self.state = "waiting"
                self._first_item_s = None
                try:
                    streams = await self._unless_stopped(self.line.prepare())
                    if streams is None:
                        break
                    await self._run_session(streams)
                    continue
                except (DeliveryFailed, BrokerUnavailable):
                    raise
                except Retryable as error:
                    self.reason = _words(error)
                RECONNECTS.labels(self._claims.source, self.line.name).inc()
                wait_s = backoff.failed(self._loop.time(), self._delivered_s())
                log.warning("broken", line=self.line.name, reason=self.reason, next_attempt_s=round(wait_s, 3))
                self.state = "backing off"
                await self._unless_stopped(asyncio.sleep(wait_s))
        finally:
            self.state = "ended"
            closing.cancel()
            await asyncio.gather(closing, return_exceptions=True)
        if not closing.cancelled() and (failure := closing.exception()) is not None:
            raise failure

    async def heartbeats(self) -> list[FeedEvent]:
        """Return the heartbeats of the session in hand."""
        async with self._turn:
            now_ns = self._clock_ns()
            return [beat for writer in self._writers.values() for beat in writer.heartbeats(now_ns)]

    async def _run_session(self, streams: Mapping[str, str]) -> None:
        """Run one session to its end. Raises what ended it, where it did not end as it should."""
        self.state = "connecting"
        self._streams = streams
        name = self._claims.new_id()
        if not await self._unless_stopped(self._claim(streams, name)):
            return
        try:
            begun = await self._unless_stopped(self._connect())
            if begun is not None:
                await self._deliver(*begun, name)
        except Retryable:
            raise
        except Exception as error:
            await self._tell_stopped(name, _words(error))
            raise

    async def _claim(self, streams: Mapping[str, str], name: str) -> bool:
        await self._claims.claim(streams, name, self.line.origin, self._clock_ns())
        return True

    async def _connect(self) -> tuple[Session, dict[Pair, Replay], str]:
        ends, outage = await self._ends()
        reading = asyncio.create_task(self._read_ids(ends))
        try:
            session = await self.line.connect(ends)
            try:
                replays = await reading
            except BaseException:
                session.close()
                raise
        finally:
            reading.cancel()
        return session, {pair: replay for pair, replay in replays.items() if pair in session.resumes}, outage

    async def _ends(self) -> tuple[dict[Pair, TapeEnd], str]:
        """Return where the line may resume, and in words what happened since it was heard last."""
        ends: dict[Pair, TapeEnd] = {}
        if self._limits is None:
            return ends, ""
        # What the session before gave must be on the tape, as the tape says where the next one begins.
        await self._claims.publisher.delivered(self._settings.flush_timeout_s)
        longest_ns = 0
        for stream, dataset in self._streams.items():
            claim = self._claims.streams[stream]
            kinds = [kind for of_stream, kind in self.line.pairs if of_stream == stream]
            tail = claim.cursors.delivered
            newest = [last.ts_event for last in tail.kinds.values() if last.ts_event is not None]
            heard_ns = self._heard_ns if self._heard_ns is not None else max(newest, default=None)
            if heard_ns is None:
                continue
            now_ns = self._clock_ns()
            heard_ns, calendar = min(heard_ns, now_ns), calendar_of(dataset)
            outage_ns = calendar.open_ns(heard_ns, now_ns)
            aged_ns = calendar.open_ns(heard_ns, max(heard_ns, now_ns - self._limits.window_ns))
            longest_ns = max(longest_ns, outage_ns)
            for kind in kinds:
                if (stream, kind) in self._distrusted or (kind == "mbo" and _has_hole(claim)):
                    continue
                last, limits = tail.kinds.get(kind), self._limits.of(kind)
                away = {"outage_ns": outage_ns, "aged_ns": aged_ns, "now_ns": now_ns}
                if last is None:
                    end = silent_end(heard_ns, kind, **away, limits=limits)
                else:
                    end = tape_end(last, **away, limits=limits)
                if end is not None:
                    ends[stream, kind] = end
        return ends, f"nothing was received for {longest_ns / 1e9:,.1f} s of open market"

    async def _read_ids(self, ends: Mapping[Pair, TapeEnd]) -> dict[Pair, Replay]:
        starts: dict[str, dict[TickKind, int]] = {}
        tails = {stream: self._claims.streams[stream].cursors.delivered for stream, _ in ends}
        for (stream, kind), end in ends.items():
            if kind in tails[stream].kinds:
                starts.setdefault(stream, {})[kind] = end.start_ns
        reads = (read_ids(self._claims.bootstrap, tails[stream], starts[stream]) for stream in starts)
        found = dict(zip(starts, await asyncio.gather(*reads), strict=True))
        return {
            (stream, kind): Replay(tails[stream].kinds.get(kind), found.get(stream, {}).get(kind, TapeIds()))
            for stream, kind in ends
        }

    async def _deliver(self, session: Session, replays: dict[Pair, Replay], outage: str, name: str) -> None:
        try:
            await self._begin(replays, outage, name)
            async with aclosing(self._each(session.items())) as items:
                async for item in items:
                    await self._take(item)
        except Exception as error:
            await self._end(complete=False, reason=_words(error))
            raise
        finally:
            # Items that nobody began to take could not do it.
            session.close()
        complete = not self._stopped.done()
        await self._end(complete=complete, reason="end of data" if complete else self._stopped.result())

    async def _begin(self, replays: dict[Pair, Replay], outage: str, name: str) -> None:
        async with self._turn:
            for stream in self._streams:
                claim = self._claims.streams[stream]
                identity = SessionIdentity(self._claims.source, name, claim.epoch, self.line.origin)
                kinds = sorted(kind for of_stream, kind in self.line.pairs if of_stream == stream)
                of_stream = {kind: replay for (of, kind), replay in replays.items() if of == stream}
                writer = StreamWriter(
                    claim, self._claims, identity, self._settings.frame_limits(), self._totals, of_stream, kinds
                )
                self._writers[stream] = writer
                SESSIONS.labels(self._claims.source, stream).inc()
                await self._claims.tell(self._event("connected", identity, stream, ""))
                for kind in kinds:
                    if kind not in of_stream:
                        await self._note_gap(claim, kind, writer, outage)
        self._distrusted.clear()
        self.state = "delivering"
        log.info("connected", line=self.line.name, session=name, streams=list(self._streams), resumed=len(replays))

    async def _note_gap(self, claim: StreamClaim, kind: TickKind, writer: StreamWriter, outage: str) -> None:
        """Open a gap where a kind begins anew although the tape holds some of it, or it was listened to before."""
        if self._limits is None:
            return
        last = claim.cursors.delivered.kinds.get(kind)
        is_open = any(gap.symbols == WHOLE_STREAM and kind in gap.kinds for gap in claim.gaps.values())
        begins = last is None and (self._heard_ns is None or kind == "mbo" or kind in TOLD_ONCE)
        if begins or is_open:
            return
        from_ns = self._heard_ns if last is None else last.ts_event
        lost = Lost(claim.stream, kind, WHOLE_STREAM, f"{outage}, and it was not replayed", from_ns)
        await writer.lose(lost, self._clock_ns())

    async def _take(self, item: Item) -> None:
        if isinstance(item, Standing):
            self.state = "delivering" if item.delivers else "not delivering"
            self.reason = item.reason
            return
        now_ns = self._clock_ns()
        self._heard_ns = now_ns
        if self._first_item_s is None:
            self._first_item_s = self._loop.time()
        if isinstance(item, Announcement):
            await self._claims.announce(item)
            return
        async with self._turn:
            writer = self._writers[item.stream]
            match item:
                case Ticks():
                    await writer.add(item, now_ns)
                    cursors = self._claims.streams[item.stream].cursors
                    if cursors.due(now_ns / 1e9):
                        await cursors.write(now_ns / 1e9)
                case VendorClock():
                    await writer.vendor_time(item, now_ns)
                case Replayed():
                    if not await writer.replayed(item.kind, now_ns) and item.kind == "mbo":
                        # A book with a hole is told anew.
                        self._distrusted.add((item.stream, item.kind))
                        raise ReplayDistrusted(f"{item.stream}: the replay of {item.kind} disagrees with the tape")
                case Lost():
                    await writer.lose(item, now_ns)
            self._waiting.set()

    async def _end(self, *, complete: bool, reason: str) -> None:
        self.reason = reason
        now_ns = self._clock_ns()
        async with self._turn:
            writers, self._writers = self._writers, {}
            for stream, writer in writers.items():
                await writer.finish(now_ns, complete=complete)
                for heartbeat in writer.heartbeats(now_ns):
                    await self._claims.tell(heartbeat)
                await self._claims.tell(self._event("disconnected", writer.identity, stream, reason))
        log.info("session ended", line=self.line.name, reason=reason)

    async def _tell_stopped(self, session: str, reason: str) -> None:
        for stream in self._streams:
            epoch = self._claims.streams[stream].epoch
            identity = SessionIdentity(self._claims.source, session, epoch, self.line.origin)
            await self._claims.tell(self._event("stopped", identity, stream, reason))

    def _event(
        self, kind: Literal["connected", "disconnected", "stopped"], of: SessionIdentity, stream: str, reason: str
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

    def _delivered_s(self) -> float:
        return 0.0 if self._first_item_s is None else self._loop.time() - self._first_item_s

    def _stop_unless_cancelled(self, closing: asyncio.Task[None]) -> None:
        # The session in hand ends in order, and the failure is raised after it.
        if not closing.cancelled() and not self._stopped.done():
            self._stopped.set_result(str(closing.exception()))

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

    async def _each(self, coming: AsyncIterator[T]) -> AsyncGenerator[T, None]:
        """Yield what comes until it ends or all is stopped, even while the next one is awaited."""
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
        """Return what comes, or None where all is stopped first; `coming` is then cancelled."""
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


def _has_hole(claim: StreamClaim) -> bool:
    """Return whether orders are missing that no book was told anew for: a replay of what followed would not mend it."""
    return any("mbo" in gap.kinds for gap in claim.gaps.values())


def _words(error: Exception) -> str:
    return str(error) or repr(error)
