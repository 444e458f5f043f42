"""Writes one claimed stream to the tape: frames and clocks in order, and what its heartbeats say."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import Counter

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

    ticks: Tally[str] = field(default_factory=Tally)
    frames: Tally[str] = field(default_factory=Tally)


@dataclass(frozen=True, slots=True)
class _Lane:
    """What a stream keeps per kind; its counters are looked up once, as that is dear beside a frame."""

    framer: Framer
    pulse: Pulse
    ticks: Counter
    frames: Counter


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
        self._lanes: dict[TickKind, _Lane] = {}
        self._publisher_id = 0
        self._clock_at_ns = 0
        totals.ticks[stream] += 0

    @property
    def due_ns(self) -> int | None:
        """When the next frame closes by age, None while no tick waits."""
        dues = (lane.framer.due_ns for lane in self._lanes.values())
        return min((due_ns for due_ns in dues if due_ns is not None), default=None)

    async def add(self, ticks: Ticks, now_ns: int) -> None:
        """Take ticks that arrived at `now_ns`, and publish the frames that they fill."""
        lane = self._lanes.get(ticks.kind) or self._open(ticks.kind)
        self._publisher_id = ticks.publisher_id
        lane.pulse.arrived(ticks, now_ns)
        await self._publish(lane, lane.framer.add(ticks, now_ns))

    async def close_due(self, now_ns: int) -> None:
        """Publish the frames whose age limit has come."""
        for lane in self._lanes.values():
            await self._publish(lane, lane.framer.close_due(now_ns))

    async def vendor_time(self, at_ns: int, now_ns: int) -> None:
        """Let windows close by the newest vendor time `at_ns`, while no tick does it; at most every 250 ms."""
        # What arrived before the clock must be on the tape before it, or it would be late.
        if any(len(lane.framer) for lane in self._lanes.values()):
            return
        watermark_ns = at_ns - CLOCK_BEHIND_NS
        newest_ns = max((lane.pulse.ts_event for lane in self._lanes.values()), default=0)
        if watermark_ns <= newest_ns or now_ns - self._clock_at_ns < CLOCK_EVERY_NS:
            return
        await self._clock(dict.fromkeys(self._lanes, watermark_ns), now_ns)

    async def finish(self, now_ns: int, *, complete: bool) -> None:
        """Publish all that waits; after a complete saved pass, a clock that closes its last windows."""
        for lane in self._lanes.values():
            await self._publish(lane, lane.framer.finish(now_ns))
        if complete and self.identity.origin == "saved":
            newest = {kind: lane.pulse.ts_event for kind, lane in self._lanes.items()}
            await self._clock({kind: all_closed_ns(at_ns) for kind, at_ns in newest.items() if at_ns}, now_ns)

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
                frame=lane.framer.next_frame - 1 if lane.framer.next_frame else None,
                queue_fill=min(1.0, self._publisher.queue_fill),
                **lane.pulse.take(),
            )
            for kind, lane in self._lanes.items()
        ]

    def _open(self, kind: TickKind) -> _Lane:
        resumes = self._session.resumes.get((self.stream, kind))
        labels = (self.identity.source, self.stream, kind)
        framer = Framer(self.identity, self._limits, self._calendar, resumes)
        lane = self._lanes[kind] = _Lane(framer, Pulse(), TICKS.labels(*labels), FRAMES.labels(*labels))
        return lane

    async def _publish(self, lane: _Lane, frames: Iterable[TickFrame]) -> None:
        for frame in frames:
            lane.pulse.published(last_ts_event(frame))
            await self._publisher.publish(self._topic, self.stream, encode(frame), self._cursors.delivery_of(frame))
            self._totals.ticks[self.stream] += len(frame)
            self._totals.frames[self.stream] += 1
            lane.ticks.inc(len(frame))
            lane.frames.inc()

    async def _clock(self, clocks: dict[TickKind, int], now_ns: int) -> None:
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
