"""Writes one claimed stream to the tape: frames, clocks and gaps in order, and what its heartbeats say."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, cast

import numpy as np
from prometheus_client import Counter

from tapeline.bus.tail import ticks_topic
from tapeline.feed.calendar import calendar_of
from tapeline.feed.claims import Claims, StreamClaim
from tapeline.feed.framer import FrameLimits, Framer, SessionIdentity, Ticks
from tapeline.feed.pulse import Pulse
from tapeline.feed.resume import Replay
from tapeline.feed.source import Lost, VendorClock
from tapeline.model.codec import encode
from tapeline.model.columns import F_SNAPSHOT, TickKind
from tapeline.model.cursors import last_ts_event
from tapeline.model.events import FeedEvent
from tapeline.model.frames import Gap, Resume, TickFrame
from tapeline.model.windows import all_closed_ns
from tapeline.ops.metrics import FRAMES, GAPS, REPEATED_TICKS, TICKS

CLOCK_BEHIND_NS: Final = 1_000_000_000
"""A clock says that much less than the newest vendor time, as records may still be on their way."""
CLOCK_EVERY_NS: Final = 250_000_000
"""Least time between two clocks."""
QUIET_CLOCK_EVERY_NS: Final = 10_000_000_000
"""Least vendor time between two clocks of a kind once all of its windows have closed."""
WHOLE_STREAM: Final = ("*",)


@dataclass(slots=True)
class Totals:
    """What was handed to Kafka, per stream and over all sessions; a stream is there from its first session on."""

    ticks: Tally[str] = field(default_factory=Tally)
    frames: Tally[str] = field(default_factory=Tally)


@dataclass(slots=True)
class _Lane:
    """What a stream keeps per kind within a session; counters are looked up once, as that is dear beside a frame."""

    framer: Framer
    pulse: Pulse
    ticks: Counter
    frames: Counter
    replay: Replay | None
    """Until it is complete."""
    clock_ns: int = 0
    has_ticks: bool = False


class StreamWriter:
    """One stream within one session of one line. All times are ns since the epoch by the caller's clock.

    `replays` says what is continued, per kind. Calls must not overlap: every method hands its frames to the publisher
    in order and waits where that is full.
    """

    def __init__(
        self,
        claim: StreamClaim,
        claims: Claims,
        identity: SessionIdentity,
        limits: FrameLimits,
        totals: Totals,
        replays: Mapping[TickKind, Replay],
        kinds: Iterable[TickKind],
    ) -> None:
        self.stream = claim.stream
        self.identity = identity
        self._claim = claim
        self._claims = claims
        self._totals = totals
        self._limits = limits
        self._topic = ticks_topic(identity.source)
        self._calendar = calendar_of(claim.dataset)
        self._publisher_id = 0
        self._clock_at_ns = 0
        self._lanes: dict[TickKind, _Lane] = {}
        totals.ticks[self.stream] += 0
        for kind in kinds:
            self._open(kind, replays.get(kind))

    @property
    def due_ns(self) -> int | None:
        """When the next frame closes by age, None while no tick waits."""
        dues = (lane.framer.due_ns for lane in self._lanes.values())
        return min((due_ns for due_ns in dues if due_ns is not None), default=None)

    async def add(self, ticks: Ticks, now_ns: int) -> None:
        """Take ticks that arrived at `now_ns`, and publish the frames that they fill."""
        lane = self._lanes.get(ticks.kind) or self._open(ticks.kind, None)
        self._publisher_id = ticks.publisher_id
        if lane.replay is not None and ticks.origin == "replay":
            ticks = lane.replay.new(ticks)
            if not len(ticks):
                return
        if self._claim.gaps:
            for part, ended in _cut_where_gaps_end(ticks, list(self._claim.gaps.values())):
                ts_event, ts_recv = int(part.columns["ts_event"][0]), int(part.columns["ts_recv"][0])
                for gap in ended:
                    await self._bound(lane, gap, ts_event or ts_recv, ts_recv, now_ns)
                await self._take(lane, part, now_ns)
        else:
            await self._take(lane, ticks, now_ns)

    async def replayed(self, kind: TickKind, now_ns: int) -> bool:
        """Take note that the replay of a kind is complete; return whether it is to be trusted.

        It is not where it left out what is on the tape, or holds within that what is neither there nor in a known gap:
        a gap then begins at the end of what was on the tape.
        """
        lane = self._lanes[kind]
        replay, lane.replay = lane.replay, None
        if replay is None:
            return True
        REPEATED_TICKS.labels(self.identity.source, self.stream, kind).inc(replay.repeated)
        begin = None if replay.last is None else replay.last.ts_event
        if replay.missing:
            reason = f"count mismatch: the replay left out {replay.missing} records that are on the tape"
        elif replay.stray_times is not None and not self._claim.is_known_gap(kind, *replay.stray_times):
            reason = f"count mismatch: the replay holds {replay.strays} records that are not on the tape"
            begin = replay.stray_times[0]
        else:
            return True
        await self.lose(Lost(self.stream, kind, WHOLE_STREAM, reason, begin), now_ns)
        return False

    async def lose(self, lost: Lost, now_ns: int) -> None:
        """Open a gap, after what came before it."""
        lane = self._lanes.get(lost.kind) or self._open(lost.kind, None)
        await self._publish(lane, lane.framer.finish(now_ns))
        gap = Gap(
            id=self._claims.new_id(),
            state="open",
            kinds=(lost.kind,),
            symbols=lost.symbols,
            reason=lost.reason,
            ts_event_from=lane.pulse.ts_event or None if lost.ts_event_from is None else lost.ts_event_from,
            ts_recv_from=self._claim.ts_recv.get(lost.kind),
        )
        GAPS.labels(self.identity.source, self.stream, lost.kind).inc()
        await self._mark_gap(gap, now_ns)

    async def close_due(self, now_ns: int) -> None:
        """Publish the frames whose age limit has come."""
        for lane in self._lanes.values():
            await self._publish(lane, lane.framer.close_due(now_ns))

    async def vendor_time(self, clock: VendorClock, now_ns: int) -> None:
        """Let windows close by the newest vendor time, while no tick does it; at most every 250 ms.

        A gap of a whole stream ends with it as well: the connection lives, and had nothing to say.
        """
        lanes = {kind: lane for kind, lane in self._lanes.items() if clock.kinds is None or kind in clock.kinds}
        for gap in list(self._claim.gaps.values()):
            lane = lanes.get(_kind_of(gap))
            if lane is None or lane.replay is not None or gap.symbols != WHOLE_STREAM:
                continue
            # A book is known again by its snapshot only.
            if lane.has_ticks or _kind_of(gap) != "mbo":
                await self._bound(lane, gap, clock.at_ns, None, now_ns)
        if now_ns - self._clock_at_ns < CLOCK_EVERY_NS:
            return
        watermark_ns = clock.at_ns - CLOCK_BEHIND_NS
        due: list[TickKind] = [kind for kind, lane in lanes.items() if _clock_is_due(lane, watermark_ns)]
        if due:
            self._clock_at_ns = now_ns
            for kind in due:
                lanes[kind].clock_ns = watermark_ns
            await self._mark("clock", now_ns, watermark_ns, clock=dict.fromkeys(due, watermark_ns))

    async def finish(self, now_ns: int, *, complete: bool) -> None:
        """Publish what waits; after a complete saved pass, a clock that closes its last windows.

        An unfinished event of a vendor's broken session is dropped, as the next session brings it whole.
        """
        is_saved = self.identity.origin == "saved"
        for kind, lane in self._lanes.items():
            await self._publish(lane, lane.framer.finish(now_ns) if is_saved else lane.framer.leave(now_ns))
            if lane.pulse.ts_recv is not None:
                self._claim.ts_recv[kind] = lane.pulse.ts_recv
        newest = {kind: lane.pulse.ts_event for kind, lane in self._lanes.items() if lane.pulse.ts_event}
        if complete and is_saved and newest:
            clock = {kind: all_closed_ns(at_ns) for kind, at_ns in newest.items()}
            await self._mark("clock", now_ns, max(clock.values()), clock=clock)

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
                queue_fill=min(1.0, self._claims.publisher.queue_fill),
                **lane.pulse.take(),
            )
            for kind, lane in self._lanes.items()
        ]

    def _open(self, kind: TickKind, replay: Replay | None) -> _Lane:
        labels = (self.identity.source, self.stream, kind)
        last = None if replay is None else replay.last
        resumes = None if last is None else Resume(last.session, last.frame)
        framer = Framer(self.identity, self._limits, self._calendar, resumes)
        pulse = Pulse()
        if last is not None:
            pulse.published(last.ts_event)
        lane = self._lanes[kind] = _Lane(framer, pulse, TICKS.labels(*labels), FRAMES.labels(*labels), replay)
        return lane

    async def _take(self, lane: _Lane, ticks: Ticks, now_ns: int) -> None:
        lane.has_ticks = True
        lane.pulse.arrived(ticks, now_ns)
        await self._publish(lane, lane.framer.add(ticks, now_ns))

    async def _bound(self, lane: _Lane, gap: Gap, ts_event: int, ts_recv: int | None, now_ns: int) -> None:
        await self._publish(lane, lane.framer.finish(now_ns))
        # Venue times of different instruments are not in order: a gap must not end before it begins.
        ts_event = max(ts_event, gap.ts_event_from or ts_event)
        await self._mark_gap(replace(gap, state="bounded", ts_event_to=ts_event, ts_recv_to=ts_recv), now_ns)

    async def _mark_gap(self, gap: Gap, now_ns: int) -> None:
        self._claim.note_gap(gap)
        await self._mark("gap", now_ns, gap.ts_event_to or gap.ts_event_from or now_ns, gap=gap)
        await self._claims.tell(
            FeedEvent(
                type="gap_opened" if gap.state == "open" else "gap_closed",
                source=self.identity.source,
                stream=self.stream,
                session=self.identity.session,
                epoch=self.identity.epoch,
                at=now_ns,
                gap=gap,
            )
        )

    async def _publish(self, lane: _Lane, frames: Iterable[TickFrame]) -> None:
        for frame in frames:
            lane.pulse.published(last_ts_event(frame))
            on_delivered = self._claim.cursors.delivery_of(frame)
            await self._claims.publisher.publish(self._topic, self.stream, encode(frame), on_delivered)
            self._totals.ticks[self.stream] += len(frame)
            self._totals.frames[self.stream] += 1
            lane.ticks.inc(len(frame))
            lane.frames.inc()

    async def _mark(
        self,
        kind: Literal["clock", "gap"],
        now_ns: int,
        at_ns: int,
        *,
        clock: Mapping[TickKind, int] | None = None,
        gap: Gap | None = None,
    ) -> None:
        frame = TickFrame(
            source=self.identity.source,
            dataset=self._claim.dataset,
            publisher_id=self._publisher_id,
            stream=self.stream,
            kind=kind,
            session=self.identity.session,
            epoch=self.identity.epoch,
            frame=None,
            origin=self.identity.origin,
            ts_base=now_ns,
            opened=now_ns,
            sent=now_ns,
            trading_day=self._calendar.trading_day(at_ns),
            gap=gap,
            clock=None if clock is None else {str(name): value for name, value in clock.items()},
        )
        on_delivered = None if gap is None else self._claim.cursors.delivery_of(frame)
        await self._claims.publisher.publish(self._topic, self.stream, encode(frame), on_delivered)


def _kind_of(gap: Gap) -> TickKind:
    # A producer's gaps are of one kind each.
    return cast(TickKind, gap.kinds[0])


def _clock_is_due(lane: _Lane, watermark_ns: int) -> bool:
    # What arrived before the clock must be on the tape before it, or it would be late.
    if len(lane.framer) or lane.replay is not None or watermark_ns <= max(lane.pulse.ts_event, lane.clock_ns):
        return False
    if lane.clock_ns < all_closed_ns(lane.pulse.ts_event):
        return True
    return watermark_ns - lane.clock_ns >= QUIET_CLOCK_EVERY_NS


def _cut_where_gaps_end(ticks: Ticks, gaps: Sequence[Gap]) -> Iterator[tuple[Ticks, list[Gap]]]:
    """Yield the ticks in parts, each with the gaps that end right before its first tick. Pure.

    A gap ends at the first tick of its symbols that is not a snapshot's: that is where the stream is live again.
    """
    live = np.ones(len(ticks), dtype=bool)
    if "flags" in ticks.columns:
        live = (ticks.columns["flags"] & F_SNAPSHOT) == 0
    ends: dict[int, list[Gap]] = {}
    for gap in gaps:
        if ticks.kind not in gap.kinds:
            continue
        of_gap = live
        if gap.symbols != WHOLE_STREAM:
            wanted = set(gap.symbols)
            ids = [number for number, instrument in ticks.directory.items() if instrument.symbol in wanted]
            of_gap = live & np.isin(ticks.instrument_ids, np.array(ids, dtype=np.int64))
        if of_gap.any():
            ends.setdefault(int(of_gap.argmax()), []).append(gap)
    begins = sorted({0, *ends})
    for begin, end in zip(begins, [*begins[1:], len(ticks)], strict=True):
        yield ticks.cut(begin, end), ends.get(begin, [])
