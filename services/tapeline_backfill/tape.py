"""What the tape has of a window and of a request. Blocking calls; only what is committed is seen, and all of it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Final

import numpy as np

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.log import Log
from tapeline.bus.partitioner import partition_of
from tapeline.bus.tail import backfill_topic, frames_of, ticks_topic
from tapeline.errors import BadData
from tapeline.model.backfill import EVENTS_TOPIC, BackfillEvent, BackfillRequest
from tapeline.model.control import Interval
from tapeline.model.epochs import EpochGate
from tapeline.model.ids import Rows, TapeIds

_CLIENT_ID: Final = "tapeline-backfill"
_CLOCKS_APART_MS: Final = 600_000
"""How far the broker's clock may be from the venue's."""


@dataclass(frozen=True, slots=True)
class Published:
    """What is on the tape of one request: its records, the xor of their ids' hashes, and its frames.

    `in_order`: frames are numbered on from the first, none missing and none twice.
    """

    records: int
    ids: int
    frames: int
    in_order: bool


class Tape:
    """The tape of one cluster."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

    def present(self, request: BackfillRequest, window: Interval) -> TapeIds:
        """Return the ids of the request's kind that are on its stream within the window, live or put there before.

        Raises BrokerUnavailable.
        """
        ids = TapeIds()
        since_ms = window.ts_event_from // 1_000_000 - _CLOCKS_APART_MS
        with closing(Log(self._bootstrap, _CLIENT_ID)) as log:
            for topic in (ticks_topic(request.source), backfill_topic(request.source)):
                partition = partition_of(request.stream, log.partitions(topic))
                end = self._end(topic, partition)
                begin = log.offset_since(topic, partition, max(0, since_ms))
                gate = EpochGate()
                for _, frame in frames_of(log, topic, partition, request.stream, end if begin is None else begin, end):
                    counts = gate.admits(frame.source, frame.stream, frame.epoch)
                    if counts and frame.kind == request.kind and frame.dataset == request.dataset:
                        times = frame.ts_event()
                        within = (times >= window.ts_event_from) & (times < window.ts_event_until)
                        if within.any():
                            ids.add(Rows.of_frame(frame).only(within))
        return ids

    def published(self, request: BackfillRequest, since: int, first: int) -> Published:
        """Return what is on the backfill topic of the request, from the offset `since` on: frames from number `first`.

        Raises BrokerUnavailable.
        """
        topic = backfill_topic(request.source)
        records, ids, numbers = 0, np.uint64(0), []
        with closing(Log(self._bootstrap, _CLIENT_ID)) as log:
            partition = partition_of(request.stream, log.partitions(topic))
            end = self._end(topic, partition)
            for _, frame in frames_of(log, topic, partition, request.stream, since, end):
                if frame.session == request.id:
                    records += len(frame)
                    ids ^= np.bitwise_xor.reduce(Rows.of_frame(frame).hashes())
                    numbers.append(frame.frame)
        return Published(records, int(ids), len(numbers), numbers == list(range(first, first + len(numbers))))

    def backfill_end(self, request: BackfillRequest) -> int:
        """Return an offset of the stream's partition of the backfill topic that nothing later is before."""
        topic = backfill_topic(request.source)
        with closing(Log(self._bootstrap, _CLIENT_ID)) as log:
            return log.bounds(topic, partition_of(request.stream, log.partitions(topic)))[1]

    def last_event(self, request_id: str, since: int, known: BackfillEvent | None) -> BackfillEvent | None:
        """Return the last event of a request from the offset `since` on, and `known` where there is none.

        Raises BrokerUnavailable.
        """
        last = known
        for event in self.events(since):
            if event.key == request_id:
                last = event
        return last

    def events(self, since: int) -> Iterator[BackfillEvent]:
        """Yield all events from the offset `since` on. Raises BrokerUnavailable."""
        topic = namespaced(EVENTS_TOPIC)
        with closing(Log(self._bootstrap, _CLIENT_ID)) as log:
            for message in log.read(topic, 0, since, self._end(topic, 0)):
                try:
                    yield BackfillEvent.decode(message.value() or b"")
                except BadData:
                    continue

    def _end(self, topic: str, partition: int) -> int:
        """Return the offset after the last message, committed or not.

        To read up to there is to wait for the transactions of others that are open now: behind one of them there may be
        what has been committed long ago.
        """
        with closing(Log(self._bootstrap, _CLIENT_ID, committed_only=False)) as log:
            return log.bounds(topic, partition)[1]
