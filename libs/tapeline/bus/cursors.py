"""Knows what is delivered of a claimed stream, writes its cursors, and notices when another producer has taken it."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from functools import partial
from typing import Final, cast

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.log import Log
from tapeline.bus.publisher import OnDelivered, Publisher
from tapeline.bus.tail import CURSORS_TOPIC, TailState, open_gaps
from tapeline.errors import BadData, Fenced
from tapeline.model.columns import INT64_MIN, TickKind
from tapeline.model.cursors import Cursor, LastFrame, Span, begins_anew, decode_cursor, encode_cursor, last_frame
from tapeline.model.frames import Gap, TickFrame

_OVERLAP_STEPS: Final = 64


class FenceWatch:
    """Sees claims of a source's streams by the cursor that every new holder writes right after its claim.

    `start` is `TailState.cursors_offset` of the earliest tail that was read before claiming. Close it when done.
    """

    def __init__(self, bootstrap: str, source: str, start: int) -> None:
        self._source = source
        self._epochs: dict[str, int] = {}
        self._log = Log(bootstrap, "tapeline-fence-watch")
        self._log.assign({(namespaced(CURSORS_TOPIC), 0): start})

    def check(self, stream: str, epoch: int) -> None:
        """Return at once if nobody is known to hold the stream with an epoch above `epoch`. Raises Fenced otherwise."""
        while messages := self._log.fetch(0.0):
            for message in messages:
                if message.error() is None and (message.key() or b"").startswith(f"{self._source}/".encode()):
                    self._remember(message.value() or b"")
        if (holder := self._epochs.get(stream, 0)) > epoch:
            raise Fenced(f"{self._source} {stream}: taken over with epoch {holder}, this producer has {epoch}")

    def close(self) -> None:
        """Leave the broker."""
        self._log.close()

    def _remember(self, value: bytes) -> None:
        try:
            cursor = decode_cursor(value)
        except BadData:
            return
        if cursor.source == self._source:
            self._epochs[cursor.stream] = max(cursor.epoch, self._epochs.get(cursor.stream, 0))


class CursorWriter:
    """Keeps what is delivered of one claimed stream, and writes it to md.cursors.v1 from time to time.

    Every tick frame and gap is published with ``on_delivered=writer.delivery_of(frame)``. A cursor is due after
    `every_frames` delivered frames, or after `every_s` if there were any. `overlap_s` is the venue time that a resume
    goes back.
    """

    def __init__(
        self,
        publisher: Publisher,
        watch: FenceWatch,
        claimed: TailState,
        *,
        every_frames: int = 1_000,
        every_s: float = 5.0,
        overlap_s: float = 2.0,
    ) -> None:
        self._publisher = publisher
        self._watch = watch
        self._topic = namespaced(CURSORS_TOPIC)
        self._every_frames = every_frames
        self._every_s = every_s
        self._overlap_ns = round(overlap_s * 1e9)
        self._delivered = claimed
        self._overlaps = {
            kind: Overlap(self._overlap_ns, span.begin, claimed.kinds[kind].ts_event)
            for kind, span in claimed.overlaps.items()
        }
        self._published: dict[TickKind, LastFrame] = dict(claimed.kinds)
        self._frames_since = 0
        self._written_s: float | None = None

    @property
    def delivered(self) -> TailState:
        """What is on the tape of the stream by now, as far as Kafka has acknowledged it."""
        tail = self._delivered
        return replace(tail, kinds=dict(tail.kinds), overlaps=dict(tail.overlaps))

    def delivery_of(self, frame: TickFrame) -> OnDelivered:
        """Return the callback that notes the delivery of a frame. Call it in the order of publishing."""
        if frame.gap is not None:
            return partial(self._on_gap_delivered, frame.gap)
        kind = cast(TickKind, frame.kind)
        previous = self._published.get(kind)
        anew = previous is None or begins_anew(previous, frame)
        self._published[kind] = last = last_frame(previous, frame)
        return partial(self._on_delivered, kind, last, anew)

    def due(self, now_s: float) -> bool:
        """Return whether it is time to write; `now_s` is any steady clock."""
        if self._written_s is None:
            self._written_s = now_s
        return self._frames_since >= self._every_frames or (
            self._frames_since > 0 and now_s - self._written_s >= self._every_s
        )

    async def write(self, now_s: float) -> None:
        """Publish the cursor of what is delivered. Raises Fenced if another producer holds the stream by now."""
        tail = self._delivered
        self._watch.check(tail.stream, tail.epoch)
        cursor = Cursor(
            source=tail.source,
            stream=tail.stream,
            epoch=tail.epoch,
            session=tail.session or "",
            partition=tail.partition,
            next_offset=tail.next_offset,
            kinds=tail.kinds,
            overlaps=tail.overlaps,
            gaps=tuple(tail.gaps.values()),
        )
        self._frames_since = 0
        self._written_s = now_s
        await self._publisher.publish(self._topic, cursor.key, encode_cursor(cursor))

    def _on_delivered(self, kind: TickKind, last: LastFrame, anew: bool, _partition: int, offset: int) -> None:
        if anew:
            self._overlaps[kind] = Overlap(self._overlap_ns, offset, None)
        overlap = self._overlaps[kind]
        overlap.delivered(offset, last.ts_event)
        tail = self._delivered
        # In place: a frame is delivered thousands of times a second.
        tail.kinds[kind] = last
        tail.overlaps[kind] = Span(overlap.offset, offset + 1)
        self._delivered = replace(tail, session=last.session, next_offset=offset + 1)
        self._frames_since += 1

    def _on_gap_delivered(self, gap: Gap, _partition: int, offset: int) -> None:
        tail = self._delivered
        self._delivered = replace(tail, gaps=open_gaps(tail.gaps, gap), next_offset=offset + 1)
        self._frames_since += 1


class Overlap:
    """The offset from which a reader meets every event of a kind's last `length_ns` of venue time. Pure.

    Times are looked at in steps of a 64th of the length, so memory is bounded and the offset errs to the early side.
    """

    def __init__(self, length_ns: int, start: int, ts_event: int | None) -> None:
        self._length_ns = length_ns
        self._steps: deque[tuple[int, int]] = deque([(start, INT64_MIN if ts_event is None else ts_event)])

    @property
    def offset(self) -> int:
        """Every event of the overlap is at this offset or after it."""
        return self._steps[0][0]

    def delivered(self, offset: int, ts_event: int | None) -> None:
        """Note a frame at `offset` after which `ts_event` (ns) is the largest of its kind."""
        if ts_event is None:
            return
        if ts_event >= self._steps[-1][1] + self._length_ns // _OVERLAP_STEPS:
            self._steps.append((offset, ts_event))
            # What lies between two steps is no newer than the second.
            while len(self._steps) > 1 and self._steps[1][1] < ts_event - self._length_ns:
                self._steps.popleft()
