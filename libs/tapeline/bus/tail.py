"""The end of a stream on the tape, and taking the stream over from whoever held it (claims and fencing)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, cast

from confluent_kafka import Message

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.log import Log
from tapeline.bus.partitioner import partition_of
from tapeline.bus.publisher import Publisher
from tapeline.errors import BadData, Fenced
from tapeline.model.codec import Decoder, encode
from tapeline.model.columns import MARK_KINDS, TickKind
from tapeline.model.cursors import Cursor, LastFrame, Span, begins_anew, decode_cursor, encode_cursor, last_frame
from tapeline.model.frames import Gap, Origin, TickFrame

CURSORS_TOPIC: Final = "md.cursors.v1"
_CLAIM_DEADLINE_S: Final = 30.0

_log = logging.getLogger("tapeline.bus.tail")


def ticks_topic(source: str) -> str:
    """Return the name on the broker of the topic that holds the source's frames."""
    return namespaced(f"md.ticks.{source}.v1")


def backfill_topic(source: str) -> str:
    """Return the topic of a source's ticks that were put on the tape afterwards, in this installation's namespace."""
    return namespaced(f"md.ticks-backfill.{source}.v1")


@dataclass(frozen=True, slots=True)
class TailState:
    """What the tape holds of a stream, up to `next_offset` of its partition.

    `epoch` is the highest one seen (0: the stream was never claimed) and `session` the one that claimed it. `kinds`
    holds, per tick kind, the last frame that counts, `overlaps` where the events of the last `resume_overlap_s` before
    that are, and `gaps` those that are open, by id. `cursors_offset` is the end of the cursors' topic when reading
    began.
    """

    source: str
    stream: str
    partition: int
    next_offset: int
    cursors_offset: int
    epoch: int = 0
    session: str | None = None
    kinds: dict[TickKind, LastFrame] = field(default_factory=dict)
    overlaps: dict[TickKind, Span] = field(default_factory=dict)
    gaps: dict[str, Gap] = field(default_factory=dict)


async def read_tail(bootstrap: str, source: str, stream: str, *, timeout_s: float = 30.0) -> TailState:
    """Read the end of a stream: from its last cursor (without one, from the partition's beginning) to the end.

    Raises BrokerUnavailable if the broker gives nothing for `timeout_s`, TopicMismatch if a topic is missing.
    """
    return await asyncio.to_thread(_read_tail, bootstrap, source, stream, timeout_s)


async def claim_stream(
    publisher: Publisher,
    bootstrap: str,
    tail: TailState,
    *,
    session: str,
    dataset: str,
    publisher_id: int,
    origin: Origin,
    trading_day: str,
    now_ns: int,
) -> TailState:
    """Take the stream over with the next epoch and return its tail up to the claim.

    Writes a `claim` frame, awaits its offset, reads up to it (frames of the previous holder may have come in between,
    and count) and writes the new epoch's first cursor. Of two claims of one epoch the first one wins.
    Raises Fenced if another claimed first, DeliveryFailed, BrokerUnavailable.
    """
    claim = TickFrame(
        source=tail.source,
        dataset=dataset,
        publisher_id=publisher_id,
        stream=tail.stream,
        kind="claim",
        session=session,
        epoch=tail.epoch + 1,
        frame=None,
        origin=origin,
        ts_base=now_ns,
        opened=now_ns,
        sent=now_ns,
        trading_day=trading_day,
    )
    topic = ticks_topic(tail.source)
    _, offset = await publisher.deliver(topic, tail.stream, encode(claim), _CLAIM_DEADLINE_S)
    before = await asyncio.to_thread(_read_up_to, bootstrap, tail, offset)
    if before.epoch >= claim.epoch:
        raise Fenced(f"{tail.source} {tail.stream}: session {before.session} claimed epoch {before.epoch} first")
    claimed = replace(before, epoch=claim.epoch, session=session, next_offset=offset + 1)
    cursor = Cursor(
        source=claimed.source,
        stream=claimed.stream,
        epoch=claimed.epoch,
        session=session,
        partition=claimed.partition,
        next_offset=claimed.next_offset,
        kinds=claimed.kinds,
        overlaps=claimed.overlaps,
        gaps=tuple(claimed.gaps.values()),
    )
    await publisher.deliver(namespaced(CURSORS_TOPIC), cursor.key, encode_cursor(cursor), _CLAIM_DEADLINE_S)
    return claimed


def advance(tail: TailState, frame: TickFrame, offset: int) -> TailState:
    """Return the tail after one more frame of its stream, at `offset`. One of a lower epoch does not count. Pure."""
    if frame.epoch < tail.epoch:
        return replace(tail, next_offset=offset + 1)
    if frame.kind == "claim" and frame.epoch > tail.epoch:
        return replace(tail, epoch=frame.epoch, session=frame.session, next_offset=offset + 1)
    if frame.gap is not None:
        return replace(tail, gaps=open_gaps(tail.gaps, frame.gap), next_offset=offset + 1)
    if frame.kind in MARK_KINDS:
        return replace(tail, next_offset=offset + 1)
    kind = cast(TickKind, frame.kind)
    previous, overlap = tail.kinds.get(kind), tail.overlaps.get(kind)
    anew = previous is None or overlap is None or begins_anew(previous, frame)
    return replace(
        tail,
        epoch=frame.epoch,
        session=frame.session if frame.epoch > tail.epoch else tail.session,
        kinds={**tail.kinds, kind: last_frame(previous, frame)},
        overlaps={**tail.overlaps, kind: Span(offset if anew or overlap is None else overlap.begin, offset + 1)},
        next_offset=offset + 1,
    )


def open_gaps(known: Mapping[str, Gap], gap: Gap) -> dict[str, Gap]:
    """Return the open gaps, by id, after one more gap mark. Pure."""
    still = {gap_id: each for gap_id, each in known.items() if gap_id != gap.id}
    return {**still, gap.id: gap} if gap.state == "open" else still


def newest_cursor(cursors: Iterable[Cursor], source: str, stream: str, partition: int) -> Cursor | None:
    """Return the last written of the stream's cursors with the highest epoch; None if there is none. Pure."""
    newest: Cursor | None = None
    for cursor in cursors:
        if (cursor.source, cursor.stream, cursor.partition) == (source, stream, partition) and (
            newest is None or cursor.epoch >= newest.epoch
        ):
            newest = cursor
    return newest


def _read_tail(bootstrap: str, source: str, stream: str, timeout_s: float) -> TailState:
    topic, cursors = ticks_topic(source), namespaced(CURSORS_TOPIC)
    with Log(bootstrap, "tapeline-tail", timeout_s=timeout_s) as log:
        partition = partition_of(stream, log.partitions(topic))
        first, cursors_end = log.bounds(cursors, 0)
        prefix = f"{source}/{stream}/".encode()
        messages = (m for m in log.read(cursors, 0, first, cursors_end) if (m.key() or b"").startswith(prefix))
        found = newest_cursor(_readable(messages), source, stream, partition)
        first, end = log.bounds(topic, partition)
        tail = TailState(source, stream, partition, first, cursors_end)
        if found is not None:
            tail = replace(tail, epoch=found.epoch, session=found.session)
            # A cursor past the end is of a topic that has been made anew since.
            if found.next_offset <= end:
                tail = replace(
                    tail,
                    next_offset=max(first, found.next_offset),
                    kinds=dict(found.kinds),
                    overlaps=dict(found.overlaps),
                    gaps={gap.id: gap for gap in found.gaps},
                )
        return _advance_to(log, tail, topic, end)


def _readable(messages: Iterable[Message]) -> Iterator[Cursor]:
    for message in messages:
        try:
            yield decode_cursor(message.value() or b"")
        except BadData:
            # An older cursor costs a longer read of the tape and nothing else.
            _log.warning("damaged cursor at offset %s", message.offset())


def _read_up_to(bootstrap: str, tail: TailState, offset: int) -> TailState:
    with Log(bootstrap, "tapeline-tail") as log:
        return _advance_to(log, tail, ticks_topic(tail.source), offset)


def _advance_to(log: Log, tail: TailState, topic: str, end: int) -> TailState:
    for offset, frame in frames_of(log, topic, tail.partition, tail.stream, tail.next_offset, end):
        tail = advance(tail, frame, offset)
    return replace(tail, next_offset=max(tail.next_offset, end))


def frames_of(
    log: Log, topic: str, partition: int, stream: str, begin: int, end: int
) -> Iterator[tuple[int, TickFrame]]:
    """Yield offset and frame of everything that one stream has within [begin, end) of its partition."""
    decoder = Decoder()
    for message in log.read(topic, partition, begin, end):
        if message.key() != stream.encode():
            continue
        try:
            yield message.offset() or 0, decoder.decode(message.value() or b"")
        except BadData as error:
            # Consumers set such a frame aside, so it counts for nothing here.
            _log.warning("bad frame at offset %s: %s", message.offset(), error)
