"""Reads what the operators need from other topics than ticks: one thread per worker, without a consumer group.

What it reads is decoded in its thread and handed to the event loop batch by batch; the next batch is fetched once the
last one was taken, so nothing piles up. Messages that cannot be decoded go to the dead letters.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import wait
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, Final

from confluent_kafka import Message

from tapeline.bus.log import Log, Place
from tapeline.errors import BadData, Retryable
from tapeline.ops.logs import get_logger
from tapeline.ops.metrics import READ_MESSAGES
from tapeline_processor.dead_letters import DeadLetters
from tapeline_processor.partitions import Fail

log = get_logger("processor.reading")

_WAIT_S: Final = 0.1
_RETRY_S: Final = 1.0
_STOP_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Feed:
    """A topic (its name on the broker), and what becomes of its messages.

    It is read from its beginning, or, with `last_messages`, from so many before the end of each partition on; of those
    only the newest per key count. `decode` runs in the reading thread: it raises BadData, and returns None for what is
    of no interest. `take` runs on the event loop with partition and value, and `take_end` once a partition was read to
    the end that there was when its reading began.
    """

    topic: str
    decode: Callable[[bytes], Any]
    take: Callable[[int, Any], None]
    take_end: Callable[[int], None] = lambda _: None
    last_messages: int | None = None


@dataclass(slots=True)
class _Reading:
    """How far one partition is read. `held`: the newest message per key, until its end is reached."""

    feed: Feed
    order: int
    next: int
    end: int
    held: dict[bytes | None, Message] | None
    is_end_told: bool = False


@dataclass(slots=True)
class _Batch:
    """What one partition gave: values in order, and what could not be decoded."""

    reading: _Reading
    partition: int
    values: list[Any] = field(default_factory=list)
    bad: list[tuple[Message, BadData]] = field(default_factory=list)
    is_end: bool = False


class Reader:
    """One thread that reads the partitions it is told to, until it is closed. Make it within a running event loop."""

    def __init__(self, bootstrap: str, dead_letters: DeadLetters, fail: Fail) -> None:
        self._bootstrap = bootstrap
        self._dead_letters = dead_letters
        self._fail = fail
        self._loop = asyncio.get_running_loop()
        # Of the event loop: which order each partition (None: every one) of a topic is read by.
        self._ordered: dict[str, dict[int | None, int]] = {}
        self._orders = 0
        self._queue: SimpleQueue[tuple[Feed, dict[int | None, int]]] = SimpleQueue()
        # Of the thread.
        self._pending: deque[tuple[Feed, dict[int | None, int]]] = deque()
        self._readings: dict[Place, _Reading] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reading", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def read(self, feed: Feed, partitions: Collection[int] | None = None) -> None:
        """Read these partitions of a feed (None: all), and no others of it; those that are read already go on."""
        before = self._ordered.get(feed.topic, {})
        self._orders += 1
        wanted: Collection[int | None] = (None,) if partitions is None else partitions
        ordered = {partition: before.get(partition, self._orders) for partition in wanted}
        self._ordered[feed.topic] = ordered
        self._queue.put((feed, ordered))

    async def close(self) -> None:
        """End the thread. What it has not handed over is dropped."""
        self._stop.set()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, _STOP_S)

    def _run(self) -> None:
        try:
            with Log(self._bootstrap, "tapeline-processor-reading") as source:
                is_failing = False
                while not self._stop.is_set():
                    try:
                        batches = self._next(source, anew=is_failing)
                    except Retryable as error:
                        log.warning("reading_interrupted", error=str(error))
                        is_failing = True
                        self._stop.wait(_RETRY_S)
                        continue
                    is_failing = False
                    self._hand_over(batches)
        except BaseException as error:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._fail, error)

    def _next(self, source: Log, *, anew: bool) -> list[_Batch]:
        """Carry out what was ordered meanwhile, and read on. Raises Retryable."""
        if self._carry_out(source) or anew:
            source.assign({place: reading.next for place, reading in self._readings.items()})
        batches: dict[Place, _Batch] = {}
        for message in source.fetch(_WAIT_S):
            place = (message.topic() or "", message.partition() or 0)
            batch = batches.setdefault(place, _Batch(self._readings[place], place[1]))
            _advance(batch, message)
        for place, reading in self._readings.items():
            if not reading.is_end_told and reading.next >= reading.end:
                _end(batches.setdefault(place, _Batch(reading, place[1])))
        return list(batches.values())

    def _carry_out(self, source: Log) -> bool:
        """Begin and end readings as ordered; return whether any were. Raises Retryable: what is left comes again."""
        with suppress(Empty):
            while True:
                self._pending.append(self._queue.get_nowait())
        is_changed = bool(self._pending)
        while self._pending:
            feed, ordered = self._pending[0]
            wanted = dict.fromkeys(range(source.partitions(feed.topic)), ordered[None]) if None in ordered else ordered
            readings = {place: reading for place, reading in self._readings.items() if place[0] != feed.topic}
            for partition, order in wanted.items():
                if self._stop.is_set():
                    return False
                place = (feed.topic, partition or 0)
                reading = self._readings.get(place)
                if reading is None or reading.order != order:
                    reading = _begin(feed, order, *source.bounds(*place))
                readings[place] = reading
            self._readings = readings
            self._pending.popleft()
        return is_changed

    def _hand_over(self, batches: list[_Batch]) -> None:
        if not any(batch.values or batch.bad or batch.is_end for batch in batches):
            return
        taken = asyncio.run_coroutine_threadsafe(self._take(batches), self._loop)
        while not (taken.done() or self._stop.is_set()):
            wait([taken], _WAIT_S)
        if taken.done():
            taken.result()
        else:
            taken.cancel()

    async def _take(self, batches: list[_Batch]) -> None:
        for batch in batches:
            feed = batch.reading.feed
            for message, error in batch.bad:
                await self._dead_letters.set_aside(
                    feed.topic,
                    batch.partition,
                    message.offset() or 0,
                    key=message.key(),
                    value=message.value(),
                    error=error,
                )
            ordered = self._ordered[feed.topic]
            if ordered.get(batch.partition, ordered.get(None)) != batch.reading.order:
                continue  # it was given up meanwhile
            for value in batch.values:
                feed.take(batch.partition, value)
            if batch.is_end:
                feed.take_end(batch.partition)


def _begin(feed: Feed, order: int, first: int, end: int) -> _Reading:
    start = first if feed.last_messages is None else max(first, end - feed.last_messages)
    return _Reading(feed, order, start, end, held=None if feed.last_messages is None else {})


def _advance(batch: _Batch, message: Message) -> None:
    """Take a message, or the mark that a partition has nothing more for now."""
    reading, offset = batch.reading, message.offset() or 0
    if message.error() is not None:
        reading.next = max(reading.next, offset)
        return
    if reading.held is not None and offset < reading.end:
        reading.held[message.key()] = message
    else:
        _end_held(batch)
        _decode(batch, message)
    reading.next = offset + 1
    READ_MESSAGES.labels(reading.feed.topic).inc()


def _end(batch: _Batch) -> None:
    _end_held(batch)
    batch.is_end = batch.reading.is_end_told = True


def _end_held(batch: _Batch) -> None:
    for message in (batch.reading.held or {}).values():
        _decode(batch, message)
    batch.reading.held = None


def _decode(batch: _Batch, message: Message) -> None:
    value = message.value()
    if value is None:
        return
    try:
        decoded = batch.reading.feed.decode(value)
    except BadData as error:
        batch.bad.append((message, error))
    else:
        if decoded is not None:
            batch.values.append(decoded)
