"""The streams that a producer holds: claimed once, shared by its lines, and given up when another takes them over."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.cursors import CursorWriter, FenceWatch
from tapeline.bus.publisher import Publisher
from tapeline.bus.tail import TailState, claim_stream, read_tail
from tapeline.errors import Retryable
from tapeline.feed.calendar import calendar_of
from tapeline.feed.source import Announcement
from tapeline.model.columns import TickKind
from tapeline.model.events import FeedEvent, encode_event
from tapeline.model.frames import Gap, Origin
from tapeline.ops.logs import get_logger

EVENTS_TOPIC: Final = "md.feed-events.v1"
_GAPS_REMEMBERED: Final = 64
_CLAIMS_AT_ONCE: Final = 8

log = get_logger("claims")


@dataclass(frozen=True, slots=True)
class StreamClaim:
    """One claimed stream.

    `gaps` are the open ones, by id, `bounded` the last ones that ended; `ts_recv` is the newest time of receipt per
    kind, ns.
    """

    stream: str
    dataset: str
    epoch: int
    cursors: CursorWriter
    gaps: dict[str, Gap]
    bounded: deque[Gap] = field(default_factory=lambda: deque(maxlen=_GAPS_REMEMBERED))
    ts_recv: dict[TickKind, int] = field(default_factory=dict)

    def note_gap(self, gap: Gap) -> None:
        """Take note of a gap that was opened or bounded."""
        self.gaps.pop(gap.id, None)
        if gap.state == "open":
            self.gaps[gap.id] = gap
        else:
            self.bounded.append(gap)

    def is_known_gap(self, kind: TickKind, begin_ns: int, end_ns: int) -> bool:
        """Return whether one of the last gaps of `kind` covers the venue times from `begin_ns` to `end_ns`."""
        return any(
            kind in gap.kinds
            and (gap.ts_event_from is None or gap.ts_event_from <= begin_ns)
            and (gap.ts_event_to is None or end_ns <= gap.ts_event_to)
            for gap in (*self.gaps.values(), *self.bounded)
        )


class Claims:
    """Claims streams of one source, and writes their cursors and events."""

    def __init__(
        self, source: str, publisher: Publisher, bootstrap: str, overlap_s: float, new_id: Callable[[], str]
    ) -> None:
        self.source = source
        self.new_id = new_id
        """Names sessions and gaps."""
        self.publisher = publisher
        self.bootstrap = bootstrap
        self.streams: dict[str, StreamClaim] = {}
        self._overlap_s = overlap_s
        self._watch: FenceWatch | None = None
        self._turn = asyncio.Lock()

    async def claim(self, streams: Mapping[str, str], session: str, origin: Origin, now_ns: int) -> None:
        """Claim those of `streams` (stream → dataset) that are not yet held. Raises Fenced where another was faster."""
        async with self._turn:
            new = [stream for stream in streams if stream not in self.streams]
            for at in range(0, len(new), _CLAIMS_AT_ONCE):
                some = new[at : at + _CLAIMS_AT_ONCE]
                tails = await asyncio.gather(*(read_tail(self.bootstrap, self.source, stream) for stream in some))
                if self._watch is None:
                    self._watch = FenceWatch(self.bootstrap, self.source, min(tail.cursors_offset for tail in tails))
                watch = self._watch
                claims = (self._claim(tail, streams[tail.stream], watch, session, origin, now_ns) for tail in tails)
                # All come to their end, or a second attempt would claim against those that are still under way.
                done = await asyncio.gather(*claims, return_exceptions=True)
                failures = [each for each in done if each is not None]
                if failures:
                    # One that was Fenced must not be tried again.
                    raise min(failures, key=lambda failure: isinstance(failure, Retryable))

    async def _claim(
        self, tail: TailState, dataset: str, watch: FenceWatch, session: str, origin: Origin, now_ns: int
    ) -> None:
        claimed = await claim_stream(
            self.publisher,
            self.bootstrap,
            tail,
            session=session,
            dataset=dataset,
            publisher_id=0,
            origin=origin,
            trading_day=calendar_of(dataset).trading_day(now_ns),
            now_ns=now_ns,
        )
        cursors = CursorWriter(self.publisher, watch, claimed, overlap_s=self._overlap_s)
        self.streams[tail.stream] = StreamClaim(tail.stream, dataset, claimed.epoch, cursors, dict(claimed.gaps))
        log.info("claimed", stream=tail.stream, epoch=claimed.epoch)

    def check(self) -> None:
        """Raise Fenced where another producer holds one of the streams by now."""
        for stream, claim in self.streams.items():
            if self._watch is not None:
                self._watch.check(stream, claim.epoch)

    async def write_cursors(self, now_s: float, *, only_due: bool) -> None:
        """Write the cursors of all streams, or of those for which it is time."""
        # Other lines may claim more meanwhile.
        for claim in list(self.streams.values()):
            if not only_due or claim.cursors.due(now_s):
                await claim.cursors.write(now_s)

    async def tell(self, event: FeedEvent) -> None:
        """Publish a feed event."""
        await self.publisher.publish(namespaced(EVENTS_TOPIC), event.key, encode_event(event))

    async def announce(self, announcement: Announcement) -> None:
        """Publish a message of a source's own."""
        topic = namespaced(announcement.topic)
        await self.publisher.publish(topic, announcement.key, announcement.value, headers=announcement.headers)

    def close(self) -> None:
        """Leave the broker."""
        if self._watch is not None:
            self._watch.close()
