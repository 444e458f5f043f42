"""Reads partitions from offset to offset, without a consumer group: what tails, cursors and `consume` are made of."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Final, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from tapeline.errors import BrokerUnavailable, Retryable, TopicMismatch

BATCH_MESSAGES: Final = 100
_QUEUE_KIB: Final = 32 * 1024
_PARTITION_FETCH_BYTES: Final = 1 << 20
_LEADER_WAIT_S: Final = 0.05
_METADATA_WAIT_S: Final = 2.0
# Right after a topic was made, or a broker went, a partition has no leader for a moment.
_NO_LEADER_YET: Final = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)
_NO_ANSWER_YET: Final = (KafkaError._TRANSPORT, KafkaError._TIMED_OUT)  # noqa: SLF001

_log = logging.getLogger("tapeline.bus.log")
# librdkafka says it at every attempt, hundreds of times in one wait; `_on_error` keeps what is told in the end.
_log.addFilter(lambda record: not record.getMessage().startswith("FAIL "))

Place = tuple[str, int]
"""Topic (its name on the broker) and partition."""


class Log:
    """Partitions of a cluster, read by offset. Blocking calls: use it from one thread that may wait.

    `timeout_s` bounds every wait for the broker's answer. Only committed messages are read, up to about
    `partition_fetch_bytes` of a partition at a time; and bounds end where a transaction is open, unless
    `committed_only` is turned off. Where nothing new is there, the broker says so after `idle_wait_ms`.
    """

    def __init__(
        self,
        bootstrap: str,
        client_id: str,
        *,
        timeout_s: float = 30.0,
        partition_fetch_bytes: int = _PARTITION_FETCH_BYTES,
        committed_only: bool = True,
        idle_wait_ms: int = 100,
    ) -> None:
        self._timeout_s = timeout_s
        self._bootstrap = bootstrap
        self._last_error = "no answer"
        config: dict[str, Any] = {
            "bootstrap.servers": bootstrap,
            "client.id": client_id,
            # Never joined and nothing is committed to it, but librdkafka asks for a name.
            "group.id": f"{client_id}-{secrets.token_hex(4)}",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed" if committed_only else "read_uncommitted",
            "allow.auto.create.topics": False,
            "fetch.wait.max.ms": idle_wait_ms,
            "queued.max.messages.kbytes": _QUEUE_KIB,
            "fetch.message.max.bytes": partition_fetch_bytes,
            # By default a full queue is left alone for a second, which frames fill in a few milliseconds.
            "fetch.queue.backoff.ms": 5,
            "reconnect.backoff.max.ms": 1_000,
            "error_cb": self._on_error,
            "logger": _log,
        }
        self._consumer = Consumer(config)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the broker. The log cannot be used after that."""
        self._consumer.close()

    def partitions(self, topic: str) -> int:
        """Return the number of partitions. Raises TopicMismatch if there is no such topic, BrokerUnavailable."""
        deadline = time.monotonic() + self._timeout_s
        while True:
            # No signal is seen inside of the call, so it is short: Ctrl-C ends a wait for a broker that is away.
            wait_s = min(_METADATA_WAIT_S, self._timeout_s)
            try:
                metadata = self._consumer.list_topics(topic, timeout=wait_s).topics[topic]
                break
            except KafkaException as error:
                if error.args[0].code() not in _NO_ANSWER_YET or time.monotonic() >= deadline:
                    raise self._unavailable(error) from None
        if metadata.error is not None:
            if metadata.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise TopicMismatch(f"there is no topic {topic} at {self._bootstrap}; run `tapeline topics apply`")
            raise Retryable(f"{topic}: {metadata.error.str()}")
        return len(metadata.partitions)

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """Return the first offset that is still kept and the offset after the last message."""
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                bounds = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=self._timeout_s)
            except KafkaException as error:
                if error.args[0].code() not in _NO_LEADER_YET or time.monotonic() > deadline:
                    raise self._unavailable(error) from None
                time.sleep(_LEADER_WAIT_S)
                continue
            if bounds is None:
                raise BrokerUnavailable(f"{self._bootstrap} gave no end of {topic}/{partition}: {self._last_error}")
            return bounds

    def offset_since(self, topic: str, partition: int, since_ms: int) -> int | None:
        """Return the offset of the first message since `since_ms` (ms since the epoch), None where there is none.

        Raises BrokerUnavailable.
        """
        asked = [TopicPartition(topic, partition, since_ms)]
        try:
            [found] = self._consumer.offsets_for_times(asked, timeout=self._timeout_s)
        except KafkaException as error:
            raise self._unavailable(error) from None
        return found.offset if found.error is None and found.offset >= 0 else None

    def assign(self, starts: Mapping[Place, int]) -> None:
        """Make `fetch` continue at these offsets, and nowhere else."""
        self._consumer.assign([TopicPartition(topic, partition, at) for (topic, partition), at in starts.items()])

    def leave(self, places: Iterable[Place]) -> None:
        """Fetch no more of these partitions; what was fetched of them already may still come."""
        self._consumer.incremental_unassign([TopicPartition(*place) for place in places])

    def fetch(self, timeout_s: float) -> list[Message]:
        """Return the next messages in each partition's order; empty if there are none within `timeout_s`.

        Messages whose `error()` is _PARTITION_EOF say that a partition was read to its end. Raises Retryable where the
        broker refuses to serve a partition.
        """
        try:
            # Asking for the whole batch would wait until it is full; so wait for one, and take what else is there.
            first = self._consumer.poll(timeout_s)
            messages = [] if first is None else [first, *self._consumer.consume(BATCH_MESSAGES - 1, 0.0)]
        except KafkaException as error:
            raise Retryable(str(error.args[0])) from None
        for message in messages:
            fault = message.error()
            if fault is not None and fault.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001
                raise Retryable(f"{message.topic()}/{message.partition()}: {fault.str()}")
        return messages

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[Message]:
        """Yield the messages within [start, end) of a partition.

        Raises BrokerUnavailable if nothing arrives for `timeout_s` before the end is reached.
        """
        if start >= end:
            return
        self.assign({(topic, partition): start})
        deadline = time.monotonic() + self._timeout_s
        while True:
            for message in self.fetch(0.5):
                at = message.offset() or 0
                if message.error() is None and at < end:
                    yield message
                # Ends by the end-of-partition mark as well: the last offsets may be compacted away, or be markers.
                if at + (message.error() is None) >= end:
                    return
                deadline = time.monotonic() + self._timeout_s
            if time.monotonic() > deadline:
                raise BrokerUnavailable(
                    f"{topic}/{partition} gave nothing for {self._timeout_s:g} s: {self._last_error}"
                )

    def _on_error(self, error: KafkaError) -> None:
        self._last_error = error.str()

    def _unavailable(self, error: KafkaException) -> BrokerUnavailable:
        fault: KafkaError = error.args[0]
        return BrokerUnavailable(
            f"{self._bootstrap} did not answer: {fault.str()} ({self._last_error}); start it with `tapeline kafka up`,"
            " or name another in KAFKA_BOOTSTRAP_SERVERS"
        )
