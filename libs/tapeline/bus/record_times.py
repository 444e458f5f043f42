"""The times of the records at which stretches of a log begin and end: how far behind a reader is, in seconds."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, NamedTuple, Self

from confluent_kafka import Message

from tapeline.bus.log import Log, Place
from tapeline.model.frame_times import FrameTimes

_FETCH_WAIT_S: Final = 0.2
_PARTITION_FETCH_BYTES: Final = 64 << 10
"""One record of each partition is wanted; a longer one comes whole all the same."""


class Stretch(NamedTuple):
    """The offsets [begin, end) of a partition."""

    topic: str
    partition: int
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class RecordTime:
    """When a record was appended (ms since the epoch), and of a tick frame when its first tick was received (ns).

    `key` tells the records of one stream from those of others.
    """

    key: bytes | None
    appended_ms: int
    ts_recv: int | None


@dataclass(frozen=True, slots=True)
class StretchTimes:
    """The times of the first and the last record within a stretch."""

    first: RecordTime
    last: RecordTime

    @property
    def seconds(self) -> float:
        """How much later the last record is than the first; never below 0.

        By the times of the ticks, where both are frames of one stream and time has not gone back on the tape between
        them, as it does where a day is replayed again; by the times of appending otherwise.
        """
        first, last = self.first, self.last
        if first.key == last.key and first.ts_recv is not None and last.ts_recv is not None:
            passed_ns = last.ts_recv - first.ts_recv
            if passed_ns >= 0:
                return passed_ns / 1e9
        return max(0, last.appended_ms - first.appended_ms) / 1e3


class RecordTimes:
    """Reads the records at both ends of stretches. Blocking calls: use it from one thread that may wait.

    What was read stays known for as long as it is asked for again, so that a partition that does not move costs
    nothing.
    """

    def __init__(self, bootstrap: str, client_id: str) -> None:
        self._log = Log(bootstrap, client_id, partition_fetch_bytes=_PARTITION_FETCH_BYTES)
        self._frames = FrameTimes()
        self._firsts: dict[tuple[Place, int], RecordTime] = {}
        self._lasts: dict[tuple[Place, int], RecordTime] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the broker."""
        self._log.close()

    def read(self, stretches: Collection[Stretch], timeout_s: float = 5.0) -> dict[Stretch, StretchTimes | None]:
        """Return the times of each stretch, or None where it holds no record.

        That is so where only control records, records of aborted transactions, or compacted ones are left. A stretch
        that could not be read within `timeout_s` is missing from the answer. Raises Retryable where the broker refuses
        to serve a partition.
        """
        deadline_s = time.monotonic() + timeout_s
        self._forget_all_but(stretches)
        found: dict[Stretch, StretchTimes | None] = {}
        filled = []
        for stretch, first in self._read_firsts(stretches, deadline_s).items():
            if first is None:
                found[stretch] = None
            else:
                filled.append(stretch)
        self._read_lasts(filled, deadline_s)
        for stretch in filled:
            place = (stretch.topic, stretch.partition)
            last = self._lasts.get((place, stretch.end))
            if last is not None:
                found[stretch] = StretchTimes(self._firsts[place, stretch.begin], last)
        return found

    def _forget_all_but(self, stretches: Iterable[Stretch]) -> None:
        begins = {((each.topic, each.partition), each.begin) for each in stretches}
        ends = {((each.topic, each.partition), each.end) for each in stretches}
        self._firsts = {at: known for at, known in self._firsts.items() if at in begins}
        self._lasts = {at: known for at, known in self._lasts.items() if at in ends}

    def _read_firsts(self, stretches: Iterable[Stretch], deadline_s: float) -> dict[Stretch, RecordTime | None]:
        found: dict[Stretch, RecordTime | None] = {}
        waiting: dict[Place, list[Stretch]] = defaultdict(list)
        for stretch in stretches:
            place = (stretch.topic, stretch.partition)
            known = self._firsts.get((place, stretch.begin))
            if known is None:
                waiting[place].append(stretch)
            else:
                found[stretch] = known
        # A partition can be read at one offset at a time, and several groups may be behind on it.
        while waiting and time.monotonic() < deadline_s:
            turn = {place: stretches_of.pop() for place, stretches_of in waiting.items()}
            waiting = {place: left for place, left in waiting.items() if left}
            for place, record in self._scan(turn, deadline_s, only_first=True).items():
                stretch = turn[place]
                found[stretch] = record
                if record is not None:
                    self._firsts[place, stretch.begin] = record
        return found

    def _read_lasts(self, stretches: Iterable[Stretch], deadline_s: float) -> None:
        waiting: dict[Place, dict[int, int]] = defaultdict(dict)
        for stretch in stretches:
            place = (stretch.topic, stretch.partition)
            if (place, stretch.end) not in self._lasts:
                begins = waiting[place]
                begins[stretch.end] = min(begins.get(stretch.end, stretch.begin), stretch.begin)
        while waiting and time.monotonic() < deadline_s:
            turn = {place: Stretch(*place, *reversed(begins.popitem())) for place, begins in waiting.items()}
            waiting = {place: left for place, left in waiting.items() if left}
            self._search_lasts(turn, deadline_s)

    def _search_lasts(self, stretches: dict[Place, Stretch], deadline_s: float) -> None:
        step = 1
        while stretches and time.monotonic() < deadline_s:
            tails = {place: each._replace(begin=max(each.begin, each.end - step)) for place, each in stretches.items()}
            for place, record in self._scan(tails, deadline_s, only_first=False).items():
                if record is not None:
                    self._lasts[place, stretches.pop(place).end] = record
                elif tails[place].begin == stretches[place].begin:
                    del stretches[place]
            # The last offsets may be those of control records, or of what was aborted: look further back.
            step *= 8

    def _scan(
        self, stretches: Mapping[Place, Stretch], deadline_s: float, *, only_first: bool
    ) -> dict[Place, RecordTime | None]:
        """Return the first, or else the last, record of one stretch per partition; None where there is none."""
        unfinished = set(stretches)
        found: dict[Place, Message] = {}
        self._log.assign({place: stretch.begin for place, stretch in stretches.items()})
        while unfinished and time.monotonic() < deadline_s:
            finished = set()
            for message in self._log.fetch(_FETCH_WAIT_S):
                place = (message.topic() or "", message.partition() or 0)
                if place not in unfinished or place in finished:
                    continue
                at, end = message.offset() or 0, stretches[place].end
                is_record = message.error() is None and at < end
                if is_record:
                    found[place] = message
                if not is_record or only_first or at + 1 >= end:
                    finished.add(place)
            if finished:
                self._log.leave(finished)
                unfinished -= finished
        self._log.assign({})
        scanned = set(stretches) - unfinished
        return {place: self._time(found[place]) if place in found else None for place in scanned}

    def _time(self, message: Message) -> RecordTime:
        value = message.value()
        return RecordTime(
            key=message.key(),
            appended_ms=message.timestamp()[1],
            ts_recv=None if value is None else self._frames.first_ts_recv(value),
        )
