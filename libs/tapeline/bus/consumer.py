"""Read the topics from Python: `tapeline.consume` yields frames and rows as they come, or up to the present end."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Literal, Self

import orjson
from confluent_kafka import Message

from tapeline.bus.bootstrap import bootstrap_servers, namespaced
from tapeline.bus.log import Log, Place
from tapeline.bus.topics import Topic, load_topics
from tapeline.errors import BadData, Misconfigured
from tapeline.model.codec import Decoder
from tapeline.model.epochs import EpochGate
from tapeline.model.frames import TickFrame

Start = Literal["earliest", "latest"] | Mapping[int, int]
Value = TickFrame | dict[str, Any] | bytes

_WAIT_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Record:
    """One value with its place. `timestamp_ms` is when the broker appended the message, ms since the epoch."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    value: Value


class Reader:
    """Iterates over the values of topics; see `consume`. Not for several threads at once.

    After BadData was raised for a message, iteration may go on with the next one.
    """

    def __init__(
        self,
        bootstrap: str,
        topics: Collection[Topic],
        start: Start,
        *,
        follow: bool,
        streams: Collection[str] | None,
        kinds: Collection[str] | None,
    ) -> None:
        self._topics = {namespaced(topic.name): topic for topic in topics}
        self._follow = follow
        self._streams = None if streams is None else frozenset(streams)
        self._kinds = None if kinds is None else frozenset(kinds)
        self._decoder = Decoder()
        self._gate = EpochGate()
        self._messages: deque[Message] = deque()
        self._records: deque[Record] = deque()
        self._log = Log(bootstrap, "tapeline-consume")
        try:
            starts, self._unfinished = self._places(start)
            self._log.assign(starts)
        except BaseException:
            self._log.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Value:
        while True:
            record = self.read(_WAIT_S)
            if record is not None:
                return record.value
            if self.finished:
                raise StopIteration

    @property
    def finished(self) -> bool:
        """Whether everything up to the end was read; never so for a reader that follows."""
        return not (self._follow or self._unfinished or self._messages or self._records)

    def read(self, timeout_s: float) -> Record | None:
        """Return the next value with its place, or None if there is none within `timeout_s` or the end is reached.

        Raises BadData for a message that cannot be decoded, and Retryable where the broker refuses to serve.
        """
        deadline = time.monotonic() + timeout_s
        while not self._records:
            if self._messages:
                self._take(self._messages.popleft())
                continue
            remaining_s = deadline - time.monotonic()
            if self.finished or remaining_s <= 0.0:
                return None
            self._messages.extend(message for message in self._log.fetch(remaining_s) if self._wanted(message))
        return self._records.popleft()

    def close(self) -> None:
        """Leave the broker."""
        self._log.close()

    def _places(self, start: Start) -> tuple[dict[Place, int], dict[Place, int]]:
        """Return where each partition begins, and, unless followed, the end of those that have something to read."""
        starts: dict[Place, int] = {}
        ends: dict[Place, int] = {}
        for topic in self._topics:
            for partition in range(self._log.partitions(topic)):
                if isinstance(start, Mapping) and partition not in start:
                    continue
                first, end = self._log.bounds(topic, partition)
                at = first if start == "earliest" else end if start == "latest" else start[partition]
                if self._follow or at < end:
                    starts[topic, partition] = at
                    ends[topic, partition] = end
        return starts, {} if self._follow else ends

    def _wanted(self, message: Message) -> bool:
        place, at = (message.topic() or "", message.partition() or 0), message.offset() or 0
        if self._follow:
            return message.error() is None
        end = self._unfinished.get(place)
        if end is None:
            return False
        # The end may also be a mark that only says the partition has nothing more: its last offsets can be markers.
        is_message = message.error() is None
        if at + is_message >= end:
            del self._unfinished[place]
        return is_message and at < end

    def _take(self, message: Message) -> None:
        topic = self._topics[message.topic() or ""]
        try:
            values = self._values(topic, message)
        except BadData as error:
            error.add_note(f"in {message.topic()}/{message.partition()} at offset {message.offset()}")
            raise
        place = (message.topic() or "", message.partition() or 0, message.offset() or 0, message.timestamp()[1])
        self._records.extend(Record(*place, value) for value in values)

    def _values(self, topic: Topic, message: Message) -> list[Value]:
        value = message.value()
        if value is None:
            return []
        if topic.value_schema == "bytes":
            return [value]
        if topic.is_ticks:
            return self._frames(message.key() or b"", value)
        try:
            document = orjson.loads(value)
        except orjson.JSONDecodeError as error:
            raise BadData("value", f"must be JSON: {error}") from None
        if not isinstance(document, dict):
            raise BadData("value", "must be a JSON object")
        rows: list[dict[str, Any]] = [document]
        if "rows" in document:
            header = {name: held for name, held in document.items() if name != "rows"}
            rows = [header | row for row in document["rows"]]
        return [row for row in rows if self._selects(row.get("stream"), row.get("kind"))]

    def _frames(self, key: bytes, value: bytes) -> list[Value]:
        if self._streams is not None and key.decode(errors="replace") not in self._streams:
            return []
        frame = self._decoder.decode(value)
        if not self._gate.admits(frame.source, frame.stream, frame.epoch):
            return []
        return [frame] if self._selects(frame.stream, frame.kind) else []

    def _selects(self, stream: str | None, kind: str | None) -> bool:
        return (self._streams is None or stream in self._streams) and (self._kinds is None or kind in self._kinds)


def consume(
    *topics: str,
    start: Start = "latest",
    follow: bool = True,
    streams: Collection[str] | None = None,
    kinds: Collection[str] | None = None,
    bootstrap: str | None = None,
) -> Reader:
    """Iterate over what is on topics of schemas/topics.yaml: without a consumer group, nothing is committed.

    Topics with frames yield TickFrame, marks included; frames of a producer that was taken over from are left out.
    Topics of rows yield one dict per row with the fields of its message, other JSON topics one dict per message, topics
    of bytes their bytes. `start` is "earliest", "latest" (what comes from now on) or a map of partition to offset;
    without `follow` the iteration ends where the topics ended when it began. `streams` and `kinds` keep only those.

        with tapeline.consume("md.ticks.saved.v1", start="earliest", follow=False, kinds=["mbo"]) as frames:
            table = tapeline.to_pandas(frames, "mbo")

    Raises Misconfigured for a topic that is not declared, TopicMismatch for one that is not there, BrokerUnavailable,
    and BadData from the iteration.
    """
    declared = load_topics()
    unknown = [topic for topic in topics if topic not in declared]
    if unknown or not topics:
        raise Misconfigured(f"no such topic: {', '.join(unknown) or 'none named'}; there are {', '.join(declared)}")
    return Reader(
        bootstrap or bootstrap_servers(),
        [declared[topic] for topic in topics],
        start,
        follow=follow,
        streams=streams,
        kinds=kinds,
    )
