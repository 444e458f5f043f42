"""Writes one claimed stream to the tape: frames, clocks and cursors in order, and what its heartbeats say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, cast

from tapeline.bus.cursors import CursorWriter
from tapeline.bus.publisher import Publisher
from tapeline.bus.tail import ticks_topic
from tapeline.feed.calendar import calendar_of
from tapeline.feed.framer import FrameLimits, Framer, SessionIdentity, Ticks
from tapeline.feed.pulse import Pulse
from tapeline.feed.source import Session
from tapeline.model.codec import encode
from tapeline.model.columns import TickKind
from tapeline.model.cursors import last_ts_event
from tapeline.model.events import FeedEvent
from tapeline.model.frames import TickFrame
from tapeline.model.windows import all_closed_ns
from tapeline.ops.metrics import FRAMES, TICKS

CLOCK_BEHIND_NS: Final = 1_000_000_000
"""A clock says that much less than the newest vendor time, as records may still be on their way."""
CLOCK_EVERY_NS: Final = 250_000_000
"""Least time between two clocks."""


@dataclass(slots=True)
class Totals:
    """What was handed to Kafka, per stream and over all sessions; a stream is there from its first session on."""

    ticks: Counter[str] = field(default_factory=Counter)
    frames: Counter[str] = field(default_factory=Counter)


class StreamWriter:
    """One stream within one session. All times are ns since the epoch by the caller's clock.

    Calls must not overlap: every method hands its frames to the publisher in order and waits where that is full.
    """

    def __init__(
        self,
        stream: str,
        dataset: str,
        identity: SessionIdentity,
        session: Session,
        publisher: Publisher,
        cursors: CursorWriter,
        limits: FrameLimits,
        totals: Totals,
    ) -> None:
        self.stream = stream
        self.identity = identity
        self._dataset = dataset
        self._totals = totals
        self._session = session
        self._publisher = publisher
        self._cursors = cursors
        self._limits = limits
        self._topic = ticks_topic(identity.source)
        self._calendar = calendar_of(dataset)
        self._framers: dict[TickKind, Framer] = {}
        self._pulses: dict[TickKind, Pulse] = {}
        self._publisher_id = 0
        self._clock_at_ns = 0
        totals.ticks[stream] += 0

    @property
    def due_ns(self) -> int | None:
        """When the next frame closes by age, None while no tick waits."""
        return min((framer.due_ns for framer in self._framers.values() if framer.due_ns is not None), default=None)

    async def add(self, ticks: Ticks, now_ns: int) -> None:
        """Take ticks that arrived at `now_ns`, and publish the frames that they fill."""
        framer = self._framers.get(ticks.kind)
        if framer is None:
            resumes = self._session.resumes.get((self.stream, ticks.kind))
            framer = Framer(self.identity, self._limits, self._calendar, resumes)
            self._framers[ticks.kind] = framer
            self._pulses[ticks.kind] = Pulse()
        self._publisher_id = ticks.publisher_id
        self._pulses[ticks.kind].arrived(ticks, now_ns)
        await self._publish(framer.add(ticks, now_ns))

    async def close_due(self, now_ns: int) -> None:
        """Publish the frames whose age limit has come."""
        for framer in self._framers.values():
            await self._publish(framer.close_due(now_ns))

    async def vendor_time(self, at_ns: int, now_ns: int) -> None:
        """Let windows close by the newest vendor time `at_ns`, while no tick does it; at most every 250 ms."""
        watermark_ns = at_ns - CLOCK_BEHIND_NS
        newest_ns = max((pulse.ts_event for pulse in self._pulses.values()), default=0)
        if watermark_ns <= newest_ns or now_ns - self._clock_at_ns < CLOCK_EVERY_NS:
            return
        await self._clock(dict.fromkeys(self._framers, watermark_ns), now_ns)

    async def finish(self, now_ns: int, *, complete: bool) -> None:
        """Publish all that waits; after a complete saved pass, a clock that closes its last windows."""
        for framer in self._framers.values():
            await self._publish(framer.finish(now_ns))
        if complete and self.identity.origin == "saved":
            clocks = {kind: all_closed_ns(pulse.ts_event) for kind, pulse in self._pulses.items() if pulse.ts_event}
            await self._clock(clocks, now_ns)

    async def write_cursor(self, now_s: float, *, always: bool = False) -> None:
        """Publish the stream's cursor when it is due. Raises Fenced where another producer has taken it over."""
        if always or self._cursors.due(now_s):
            await self._cursors.write(now_s)

    def heartbeats(self, now_ns: int) -> list[FeedEvent]:
        """Return one heartbeat per kind, about the time since the last ones."""
        return [
            FeedEvent(
                type="heartbeat",
                source=self.identity.source,
                stream=self.stream,
                kind=kind,
                session=self.identity.session,
                epoch=self.identity.epoch,
                at=now_ns,
                frame=self._framers[kind].next_frame - 1 if self._framers[kind].next_frame else None,
                queue_fill=min(1.0, self._publisher.queue_fill),
                **pulse.take(),
            )
            for kind, pulse in self._pulses.items()
        ]

    async def _publish(self, frames: Iterable[TickFrame]) -> None:
        for frame in frames:
            kind = cast(TickKind, frame.kind)
            self._pulses[kind].published(last_ts_event(frame))
            await self._publisher.publish(self._topic, self.stream, encode(frame), self._cursors.delivery_of(frame))
            self._totals.ticks[self.stream] += len(frame)
            self._totals.frames[self.stream] += 1
            TICKS.labels(self.identity.source, self.stream, kind).inc(len(frame))
            FRAMES.labels(self.identity.source, self.stream, kind).inc()

    async def _clock(self, clocks: dict[TickKind, int], now_ns: int) -> None:
        # What arrived before the clock must be on the tape before it, or it would be late.
        for kind in clocks:
            await self._publish(self._framers[kind].finish(now_ns))
        if not clocks:
            return
        self._clock_at_ns = now_ns
        frame = TickFrame(
            source=self.identity.source,
            dataset=self._dataset,
            publisher_id=self._publisher_id,
            stream=self.stream,
            kind="clock",
            session=self.identity.session,
            epoch=self.identity.epoch,
            frame=None,
            origin=self.identity.origin,
            ts_base=now_ns,
            opened=now_ns,
            sent=now_ns,
            trading_day=self._calendar.trading_day(max(clocks.values())),
            clock={str(kind): at_ns for kind, at_ns in clocks.items()},
        )
        await self._publisher.publish(self._topic, self.stream, encode(frame))
