"""Reads what a recompute is made of: states, marks, rows, and what backfills have brought. Blocking calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Final, NamedTuple

from tapeline.bus import checkpoints
from tapeline.bus.bootstrap import namespaced
from tapeline.bus.checkpoint_log import find_checkpoint
from tapeline.bus.checkpoints import Checkpoint
from tapeline.bus.log import Log
from tapeline.bus.partitioner import partition_of
from tapeline.bus.tail import backfill_topic, frames_of, ticks_topic
from tapeline.bus.topics import checkpoint_topic
from tapeline.errors import BadData
from tapeline.model.backfill import EVENTS_TOPIC, BackfillRequest
from tapeline.model.columns import INT64_MIN
from tapeline.model.cursors import last_ts_event
from tapeline.model.frames import Gap, TickFrame
from tapeline.ops.logs import get_logger
from tapeline.orderflow import partition
from tapeline.orderflow.partition import PartitionState
from tapeline.orderflow.parts import PRESSURE, unpack_parts
from tapeline.orderflow.revising import NewestRows, revised_rows
from tapeline.orderflow.sessions import Sessions
from tapeline.orderflow.soundness import is_sound
from tapeline_backfill.recompute_backfills import Backfills, backfills_of, decoded

log = get_logger("backfill.recompute")

PRESSURE_TOPIC: Final = "md.pressure.v1"
_CLIENT_ID: Final = "tapeline-recompute"
_CLOCKS_APART_MS: Final = 600_000


class Start(NamedTuple):
    """A state from before a gap, and the offset of the first message that it does not cover."""

    state: PartitionState
    next: int


class Marks(NamedTuple):
    """What a stretch of the log tells of gaps, and the newest venue time (ns) in it."""

    gaps: dict[str, Gap]
    newest_ts: int


class TapeReader:
    """The tape of the stream that a request is about."""

    def __init__(self, bootstrap: str, request: BackfillRequest, sessions: Sessions) -> None:
        self._bootstrap = bootstrap
        self._request = request
        self._sessions = sessions
        self._topic = ticks_topic(request.source)
        with self._log() as reader:
            self._partition = partition_of(request.stream, reader.partitions(self._topic))

    def bounds(self) -> tuple[int, int]:
        """Return the first offset of the live log that is kept, and the one after its end. Raises BrokerUnavailable."""
        with self._log() as reader:
            return reader.bounds(self._topic, self._partition)

    def frames(self, begin: int, end: int) -> Iterator[tuple[int, TickFrame]]:
        """Yield offset and frame of what the stream's live log has within [begin, end)."""
        with self._log() as reader:
            yield from frames_of(reader, self._topic, self._partition, self._request.stream, begin, end)

    def marks(self, begin: int, end: int) -> Marks:
        """Return the gaps within [begin, end) of the live log, by id as they were told last, and its newest time."""
        gaps: dict[str, Gap] = {}
        newest = INT64_MIN
        for _, frame in self.frames(begin, end):
            if frame.gap is not None:
                gaps[frame.gap.id] = frame.gap
            elif frame.clock is not None:
                newest = max(newest, frame.clock.get(self._request.kind, newest))
            elif frame.kind == self._request.kind:
                newest = max(newest, last_ts_event(frame) or newest)
        return Marks(gaps, newest)

    def backfills(self, watermark: int | None) -> Backfills:
        """Return the requests of which something is on the tape, by the log of their events: see `backfills_of`."""
        topic = namespaced(EVENTS_TOPIC)
        with self._log() as reader:
            first, end = reader.bounds(topic, 0)
            values = (message.value() for message in reader.read(topic, 0, first, end))
            return backfills_of(decoded(values), self._request, watermark)

    def rows(self, since_offset: int) -> NewestRows:
        """Return the newest rows of all windows that may have closed since a message of the live log was written."""
        request = self._request
        rows = NewestRows(request.source, request.stream, request.kind)
        key = self._rows_key
        with self._log() as reader:
            topic, at = self._rows_place(reader)
            first, end = reader.bounds(topic, at)
            begin = reader.offset_since(topic, at, max(0, self._written_ms(reader, since_offset) - _CLOCKS_APART_MS))
            for message in reader.read(topic, at, end if begin is None else max(first, begin), end):
                if message.key() == key.encode():
                    try:
                        rows.take(message.value() or b"")
                    except BadData as error:
                        log.warning("bad rows", offset=message.offset(), reason=str(error))
        return rows

    def rows_end(self) -> int:
        """Return the offset after the last message of the stream's partition of rows."""
        with self._log() as reader:
            return reader.bounds(*self._rows_place(reader))[1]

    def revised_since(self, begin: int) -> int:
        """Return how many rows of the kind were computed anew, by whomever, since `rows_end` was `begin`."""
        request = self._request
        revised = 0
        with self._log() as reader:
            topic, at = self._rows_place(reader)
            for message in reader.read(topic, at, begin, reader.bounds(topic, at)[1]):
                revised += revised_rows(message.value() or b"", request.source, request.stream, request.kind)
        return revised

    def _rows_place(self, reader: Log) -> tuple[str, int]:
        topic = namespaced(PRESSURE_TOPIC)
        return topic, partition_of(self._rows_key, reader.partitions(topic))

    @property
    def _rows_key(self) -> str:
        return f"{self._request.source}/{self._request.stream}"

    def _written_ms(self, reader: Log, offset: int) -> int:
        _, end = reader.bounds(self._topic, self._partition)
        message = next(reader.read(self._topic, self._partition, offset, end), None)
        return 0 if message is None else message.timestamp()[1]

    # -- states ------------------------------------------------------------------------------------------------------

    def sound_start(self, first: int, end: int) -> Start | None:
        """Return a late state from before the request's window, valid for its symbols; None where none is kept.

        The live log is kept within [first, end); where that is all there ever was, it begins with nothing.
        """
        topic = namespaced(checkpoint_topic(f"md.ticks.{self._request.source}.v1"))

        def sound(checkpoint: Checkpoint) -> Start | None:
            return self._sound(checkpoint) if first <= checkpoint.next <= end else None

        with self._log() as reader:
            found = find_checkpoint(reader, topic, self._partition, sound)
        return Start(PartitionState(self._sessions), 0) if found is None and first == 0 else found

    def _sound(self, checkpoint: Checkpoint) -> Start | None:
        request = self._request
        try:
            data = unpack_parts(checkpoints.decompress(checkpoint.data)).get(PRESSURE)
            state = None if data is None else partition.unpack(data, self._sessions)
        except BadData as error:
            log.warning("checkpoint unreadable", partition=self._partition, next=checkpoint.next, reason=str(error))
            return None
        where = request.source, request.stream, request.kind
        if state is None or not is_sound(state, *where, request.symbols, request.window.ts_event_from):
            return None
        return Start(state, checkpoint.next)

    # -- backfills ---------------------------------------------------------------------------------------------------

    def stretches(self, since: Mapping[str, int]) -> dict[str, list[tuple[int, int]]]:
        """Return, by request, the stretches of offsets whose frames of it are in the order of their time.

        `since` gives, by request, an offset before which it has none. One that was fetched in two ranges has the later
        one first.
        """
        found: dict[str, list[tuple[int, int]]] = {request_id: [] for request_id in since}
        if not since:
            return found
        topic = backfill_topic(self._request.source)
        latest: dict[str, int] = {}
        with self._log() as reader:
            first, _ = reader.bounds(topic, self._partition)
            end = self._committed_end(topic)
            begin = min(since.values())
            # An offset past the end is of a topic that has been made anew since.
            begin = first if begin > end else max(first, begin)
            for offset, frame in frames_of(reader, topic, self._partition, self._request.stream, begin, end):
                if frame.session not in found or not len(frame):
                    continue
                times, known = frame.ts_event(), found[frame.session]
                if known and int(times[0]) >= latest[frame.session]:
                    known[-1] = (known[-1][0], offset + 1)
                else:
                    known.append((offset, offset + 1))
                latest[frame.session] = int(times[-1])
        return found

    def backfilled(self, request: BackfillRequest, stretches: Sequence[tuple[int, int]]) -> list[Iterator[TickFrame]]:
        """Return what a request has put on the tape, a stretch each, read as it is asked for."""
        return [self._backfilled(request.id, begin, end) for begin, end in stretches]

    def _backfilled(self, request_id: str, begin: int, end: int) -> Iterator[TickFrame]:
        topic = backfill_topic(self._request.source)
        with self._log() as reader:
            for _, frame in frames_of(reader, topic, self._partition, self._request.stream, begin, end):
                if frame.session == request_id:
                    yield frame

    def _committed_end(self, topic: str) -> int:
        # Behind a transaction that is open there may be what has been committed long ago.
        with closing(Log(self._bootstrap, _CLIENT_ID, committed_only=False)) as reader:
            return reader.bounds(topic, self._partition)[1]

    def _log(self) -> Log:
        return Log(self._bootstrap, _CLIENT_ID)
