"""Brings what is missing: slice after slice from the back ends, chunk after chunk onto the tape."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Final

import numpy as np

from tapeline.bus.tail import backfill_topic
from tapeline.bus.transactions import Outgoing
from tapeline.feed.back_ends import BackEnd
from tapeline.feed.calendar import calendar_of
from tapeline.feed.cost import Cap, Estimate, check_caps
from tapeline.feed.framer import FrameLimits, Framer, SessionIdentity, Ticks
from tapeline.model.codec import encode
from tapeline.model.control import Interval
from tapeline.model.ids import TapeIds
from tapeline.ops.metrics import BACKFILL_PAUSED_SECONDS, BACKFILL_PUBLISHED, BACKFILL_SKIPPED
from tapeline_backfill.budget import Quote, is_quoted, price
from tapeline_backfill.chunks import Chunker, chosen, rows_of
from tapeline_backfill.cursor import Cursor
from tapeline_backfill.errors import NeverThere, NotYet, Unequal
from tapeline_backfill.journal import Journal
from tapeline_backfill.settings import BackfillSettings
from tapeline_backfill.tape import Tape
from tapeline_backfill.windows import (
    Part,
    out_of_reach,
    parts,
    told,
    without,
    worth_fetching,
    worth_waiting_until,
)
from tapeline_backfill.yielding import LiveLag

_UNFENCED_EPOCH: Final = 0


class Filling:
    """One attempt to bring what is left of a request.

    `caps` gives the limits, as they are now, of what it may cost in all; `hold` is told what it comes to
    (micro-dollars) at the same moment, so that no other request counts on it as well.
    """

    def __init__(
        self,
        journal: Journal,
        ways: Sequence[BackEnd],
        tape: Tape,
        lag: LiveLag,
        caps: Callable[[], Sequence[Cap]],
        hold: Callable[[int], None],
        settings: BackfillSettings,
        now_ns: Callable[[], int],
    ) -> None:
        self._journal = journal
        self._request = request = journal.event.request
        self._ways = ways
        self._tape = tape
        self._lag = lag
        self._caps = caps
        self._hold = hold
        self._settings = settings
        self._now_ns = now_ns
        self._cursor = Cursor.of(journal.event)
        self._quotes: list[Quote] = []
        """What was last said of the rest."""
        self._slice_ns = round(settings.slice_s * 1e9)
        self._ready_s = 0.0
        self._framer = Framer(
            SessionIdentity(request.source, request.id, _UNFENCED_EPOCH, "backfill"),
            FrameLimits(),
            calendar_of(request.dataset),
        )
        self._framer.next_frame = self._cursor.frame

    async def run(self, shut_out: Callable[[], Awaitable[None]]) -> None:
        """Return once all of the window is dealt with.

        `shut_out` ends what others bring of the same, once it is told that this one is started. Raises NotYet where
        some of it is not to be had yet, NeverThere, OverCap, Halted, and what back ends raise.
        """
        await self._estimate()
        await self._journal.tell("started", attempt=self._journal.event.attempt + 1, counted=None)
        await shut_out()
        while part := next(iter(self._worth_fetching()), None):
            cursor = self._cursor.begin(part, self._slice_ns, self._journal.event)
            interval = cursor.in_hand.interval
            if not is_quoted(self._quotes, part.way.name, interval):
                # What the one before forgot meanwhile falls to this one, and that may cost more.
                await self._estimate()
            self._cursor = cursor.pays(price(self._quotes, part.way.name, interval))
            await self._fill(part.way, interval)
        self._raise_not_yet()

    @property
    def _remaining(self) -> list[Interval]:
        return self._cursor.remaining(self._request.window)

    def _worth_fetching(self) -> list[Part]:
        return worth_fetching(self._request, self._remaining, self._ways, self._now_ns(), self._slice_ns)

    def _raise_not_yet(self) -> None:
        remaining, now_ns = self._remaining, self._now_ns()
        never = out_of_reach(self._request, remaining, self._ways, now_ns)
        if never:
            names = ", ".join(way.name for way in self._ways) or "none"
            raise NeverThere(
                f"no back end of {self._request.source} ({names}) has {told(never)}, nor will any: ask for another"
                " window"
            )
        if remaining:
            there = [part.interval for part in parts(self._request, remaining, self._ways, now_ns)]
            at_ns = worth_waiting_until(self._request, remaining, self._ways, now_ns, self._slice_ns)
            raise NotYet(f"no back end has {told(without(remaining, there) or remaining)} yet", at_ns)

    async def _estimate(self) -> None:
        """Ask what the rest comes to and hold it to the caps. Raises OverCap, NeverThere, NotYet."""
        event, now_ns = self._journal.event, self._now_ns()
        if out_of_reach(self._request, self._remaining, self._ways, now_ns) or not self._worth_fetching():
            self._raise_not_yet()
        # Also what is to be fetched later counts, as soon as it can be asked for.
        plan = parts(self._request, self._remaining, self._ways, now_ns)
        quotes: list[Quote] = []
        total = Estimate()
        for part in plan:
            for interval in self._cursor.pieces(part):
                estimate = await self._journal.alive(part.way.estimate(self._request, interval))
                quotes.append(Quote(part.way.name, interval, estimate.cost_micro_usd))
                total += estimate
        cost_micro_usd = self._cursor.cost_micro_usd + sum(self._cursor.due(*quote) for quote in quotes)
        check_caps(replace(total, cost_micro_usd=cost_micro_usd), self._caps())
        self._hold(cost_micro_usd)
        self._quotes = quotes
        held = self._cursor.slice
        facts: dict[str, Any] = {
            "estimated_records": total.records + (event.read if held is None else held.read),
            "cost_micro_usd": cost_micro_usd,
        }
        if event.estimated_records is None:
            await self._journal.tell("accepted", then="estimated", **facts)
        elif facts != {name: getattr(event, name) for name in facts}:
            await self._journal.tell("estimated", **facts)

    async def _fill(self, way: BackEnd, interval: Interval) -> None:
        """Bring one slice, from where the cursor is in it."""
        journal, cursor = self._journal, self._cursor
        if cursor.since is None:
            since = await journal.alive(asyncio.to_thread(self._tape.backfill_end, self._request))
            self._cursor = cursor.model_copy(update={"since": since})
        present = await journal.alive(asyncio.to_thread(self._tape.present, self._request, interval))
        taken = cursor.in_hand.taken
        if not taken:
            # As it was when the slice was begun for the first time, if this is not the first.
            counts = {"read": cursor.in_hand.read, "skipped": cursor.in_hand.skipped}
            journal.correct(**counts)
        if self._cursor.cost_micro_usd != Cursor.of(journal.event).cost_micro_usd:
            # Whoever goes on after a worker that dies must know of what that has paid.
            await journal.tell("progress", cursor=self._cursor.encode(), back_end=way.name)
        chunker = Chunker(self._settings.chunk_records)
        async with aclosing(way.fetch(self._request, interval)) as fetched:
            while (ticks := await journal.alive(anext(fetched, None))) is not None:
                if taken:
                    known = ticks.cut(0, min(taken, len(ticks)))
                    present.take(rows_of(known))
                    taken -= len(known)
                    ticks = ticks.cut(len(known), len(ticks))
                if len(ticks):
                    for chunk in chunker.add(ticks):
                        await self._publish(chunk, present, way)
        for chunk in chunker.finish():
            await self._publish(chunk, present, way)
        if taken:
            raise Unequal(f"{way.name} has {taken:,} records less of {told([interval])} than it had before")
        self._cursor = self._cursor.finish()
        await journal.tell("progress", cursor=self._cursor.encode(), back_end=way.name)

    async def _publish(self, chunk: Ticks, present: TapeIds, way: BackEnd) -> None:
        """Put on the tape what is new of a chunk, with how far the request is by then."""
        await self._may_go_on(len(chunk))
        event, request, now_ns = self._journal.event, self._request, self._now_ns()
        new = chosen(chunk, present.take(rows_of(chunk)))
        frames = [*self._framer.add(new, now_ns), *self._framer.finish(now_ns)] if len(new) else []
        topic = backfill_topic(request.source)
        values = [encode(replace(frame, gap_id=request.gap_id)) for frame in frames]
        ids = int(event.ids or "0", 16)
        if len(new):
            ids ^= int(np.bitwise_xor.reduce(rows_of(new).hashes()))
        cursor = self._cursor.took(len(chunk), len(frames))
        await self._journal.tell(
            "progress",
            [Outgoing(topic, request.stream, value) for value in values],
            # What brought something was no failure: whoever is interrupted often still gets on.
            attempt=1 if len(new) else event.attempt,
            revised_rows=None if len(new) else event.revised_rows,
            back_end=way.name,
            read=event.read + len(chunk),
            published=event.published + len(new),
            skipped=event.skipped + len(chunk) - len(new),
            bytes=event.bytes + sum(map(len, values)),
            ids=f"{ids:016x}",
            cursor=cursor.encode(),
        )
        self._cursor = cursor
        BACKFILL_PUBLISHED.labels(request.source).inc(len(new))
        BACKFILL_SKIPPED.labels(request.source).inc(len(chunk) - len(new))

    async def _may_go_on(self, records: int) -> None:
        """Wait until as many more records are within the rate, and the processor keeps up with live ticks."""
        journal = self._journal
        journal.check()
        wait_s = self._ready_s - time.monotonic()
        self._ready_s = time.monotonic() + max(0.0, wait_s) + records / self._settings.records_per_s
        if wait_s > 0.0:
            await journal.alive(asyncio.sleep(wait_s))
        while reason := await journal.alive(self._lag.reason_to_wait()):
            if not journal.event.reason:
                await journal.tell(journal.event.type, reason=reason)
            began_s = time.monotonic()
            await journal.alive(asyncio.sleep(self._settings.lag_interval_s))
            BACKFILL_PAUSED_SECONDS.labels(self._request.source).inc(time.monotonic() - began_s)
