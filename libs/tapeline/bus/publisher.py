"""Hands frames to Kafka in order, each once, acknowledged by all; stops its caller when Kafka cannot take more.

The producer is polled from the event loop and not from a thread: librdkafka takes the interpreter's lock once per
delivery report, so a polling thread would wait for a busy loop once per message.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from tapeline.errors import BadData, DeliveryFailed
from tapeline.ops import metrics

OnDelivered = Callable[[int, int], None]
"""Called on the event loop with the partition and the offset that Kafka gave the message."""

OnFailed = Callable[[DeliveryFailed], None]
"""Called on the event loop, once, where a delivery fails."""

Headers = Sequence[tuple[str, bytes]]

POLL_INTERVAL_S: Final = 0.005
"""How often deliveries are looked for while something is undelivered."""

_POLL_EVERY_MESSAGES: Final = 16
_PURGE_POLLS: Final = 100
_BY_KEY: Final = -1
_TOLD_EVERY_S: Final = 30.0

_log = logging.getLogger("tapeline.bus.publisher")
# librdkafka calls this setting experimental, once per producer; the tests hold it to what it is here for.
_log.addFilter(lambda record: "enable.gapless.guarantee is experimental" not in record.getMessage())


class Seldom(logging.Filter):
    """Lets through once in `every_s` that a broker is not reached, which librdkafka says at every attempt."""

    def __init__(self, every_s: float) -> None:
        super().__init__()
        self._every_s = every_s
        self._told_s = -every_s

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is to be told."""
        if not record.getMessage().startswith("FAIL "):
            return True
        if record.created - self._told_s < self._every_s:
            return False
        self._told_s = record.created
        return True


_log.addFilter(Seldom(_TOLD_EVERY_S))


class Publisher:
    """Publishes messages to any topics of one cluster. Make it, and use it, inside one running event loop.

    `max_queue_messages` and `max_queue_bytes` (keys and values) bound what is handed over and not yet acknowledged;
    `publish` waits at the bound, and gives up after `stall_limit_s` without a delivery. `linger_ms` trades latency for
    fewer, larger requests. After the first failed delivery everything queued is purged and the publisher is dead: what
    is on the tape is then a prefix of what was published, and the caller resumes as after a kill. Every later call
    says so, and `on_failed` tells a caller that makes none.
    """

    def __init__(
        self,
        bootstrap: str,
        client_id: str,
        *,
        linger_ms: float = 0.0,
        max_queue_messages: int = 20_000,
        max_queue_bytes: int = 64 * 2**20,
        max_message_bytes: int = 1_000_000,
        stall_limit_s: float = 120.0,
        on_failed: OnFailed | None = None,
    ) -> None:
        self.max_queue_messages = max_queue_messages
        self.max_queue_bytes = max_queue_bytes
        self.queued_bytes = 0
        self.waits = 0
        """How often `publish` had to wait for room."""
        self._max_message_bytes = max_message_bytes
        self._stall_limit_s = stall_limit_s
        self._on_failed = on_failed
        self._published = 0
        self._queued_sizes: dict[int, int] = {}  # by number of message, in the order of publishing
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._progress = asyncio.Event()
        self._since_poll = 0
        self._failure: DeliveryFailed | None = None
        self._fault: str | None = None
        self._last_error = "no answer from the broker"
        self._undelivered = 0
        config: dict[str, Any] = {
            "bootstrap.servers": bootstrap,
            "client.id": client_id,
            "acks": "all",
            "enable.idempotence": True,
            # A frame that is lost while later ones arrive would be a hole that no reader can see.
            "enable.gapless.guarantee": True,
            # Messages never time out one by one, for the same reason: `stall_limit_s` gives up on all at once.
            "message.timeout.ms": 0,
            "compression.type": "zstd",
            # On columns of numbers it takes a third less time than the default, and less room.
            "compression.level": 1,
            "partitioner": "murmur2_random",
            "linger.ms": linger_ms,
            "message.max.bytes": max_message_bytes,
            # The bound is kept here, exactly; librdkafka's own only has to be above it.
            "queue.buffering.max.messages": 2 * max_queue_messages,
            "queue.buffering.max.kbytes": 2 * (max_queue_bytes + max_message_bytes) // 1024 + 1,
            "socket.keepalive.enable": True,
            "reconnect.backoff.max.ms": 1_000,
            "error_cb": self._on_error,
            "logger": _log,
        }
        self._producer = Producer(config)

    @property
    def queued_messages(self) -> int:
        """How many messages are handed over and not yet acknowledged."""
        return len(self._queued_sizes)

    @property
    def queue_fill(self) -> float:
        """How full the queue is, from 0 to 1 (a last message may carry it slightly above)."""
        return max(self.queued_messages / self.max_queue_messages, self.queued_bytes / self.max_queue_bytes)

    async def publish(
        self,
        topic: str,
        key: str | bytes | None,
        value: bytes | None,
        on_delivered: OnDelivered | None = None,
        *,
        headers: Headers = (),
        partition: int | None = None,
    ) -> None:
        """Hand `value` to Kafka, after waiting for room if the queue is full. `topic` is the name on the broker.

        Without a value it removes what a compacted topic has under the key. Messages of one key, or of one `partition`
        where that is given, keep the order of the calls. `on_delivered` is called once Kafka has the message.
        Raises DeliveryFailed if nothing was delivered for `stall_limit_s` while it waited, or an earlier message could
        not be delivered; BadData if the value is larger than `max_message_bytes`.
        """
        if self._failure is not None:
            raise self._failure
        if self.queued_messages >= self.max_queue_messages or self.queued_bytes >= self.max_queue_bytes:
            await self._room()
        number, size = self._published + 1, 0 if value is None else len(value)
        try:
            self._producer.produce(
                topic,
                value,
                key,
                _BY_KEY if partition is None else partition,
                on_delivery=partial(self._on_delivery, number, on_delivered),
                headers=list(headers),
            )
        except KafkaException as error:
            if error.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE:
                raise BadData("value", f"must have at most {self._max_message_bytes} bytes, has {size}") from None
            raise self._fail(error.args[0].str()) from None
        self._published = number
        self._queued_sizes[number] = len(key or "") + size
        self.queued_bytes += self._queued_sizes[number]
        self._arm()
        self._since_poll += 1
        if self._since_poll >= _POLL_EVERY_MESSAGES:
            self._poll()
            # A caller that never waits would keep every other task of the loop from running.
            await asyncio.sleep(0)

    async def deliver(self, topic: str, key: str, value: bytes | None, deadline_s: float) -> tuple[int, int]:
        """Publish `value`; return its partition and offset. Raises DeliveryFailed after `deadline_s` without them."""
        delivered: list[tuple[int, int]] = []
        await self.publish(topic, key, value, lambda partition, offset: delivered.append((partition, offset)))
        deadline = self._loop.time() + deadline_s
        while not delivered:
            if not await self._progressed(deadline):
                raise DeliveryFailed(f"{topic} took no message in {deadline_s:g} s: {self._last_error}", 1)
        return delivered[0]

    async def delivered(self, deadline_s: float | None = None) -> None:
        """Wait until all that was published before this call is delivered, whatever is published meanwhile.

        Raises DeliveryFailed where a delivery failed, now or before, or it took longer than `deadline_s`.
        """
        deadline = None if deadline_s is None else self._loop.time() + deadline_s
        last = self._published
        while self._queued_sizes and next(iter(self._queued_sizes)) <= last:
            if not await self._progressed(deadline):
                raise DeliveryFailed(
                    f"nothing was taken for {deadline_s:g} s: {self._last_error}", self.queued_messages
                )
        if self._failure is not None:
            raise self._failure

    async def flush(self, deadline_s: float) -> int:
        """Wait until everything is delivered, at most `deadline_s`; return the number of messages that are not.

        They stay queued. Raises DeliveryFailed where a delivery failed, now or before.
        """
        deadline = self._loop.time() + deadline_s
        while self.queued_messages:
            if not await self._progressed(deadline):
                return self.queued_messages
        if self._failure is not None:
            raise self._failure
        return 0

    async def close(self, deadline_s: float) -> int:
        """Flush, give up what is not delivered by then, and return the number of messages Kafka did not acknowledge."""
        with suppress(DeliveryFailed):
            if await self.flush(deadline_s):
                self._fail(f"closed after {deadline_s:g} s with messages undelivered")
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._producer.close()
        return self._undelivered

    async def _room(self) -> None:
        self.waits += 1
        metrics.PUBLISHER_WAITS.inc()
        while self.queued_messages >= self.max_queue_messages or self.queued_bytes >= self.max_queue_bytes:
            if not await self._progressed(self._loop.time() + self._stall_limit_s):
                raise self._fail(f"nothing was taken for {self._stall_limit_s:g} s: {self._last_error}")

    async def _progressed(self, deadline: float | None) -> bool:
        """Wait for the next deliveries; False if there are none until `deadline` (the loop's time; None: for ever)."""
        if self._failure is not None:
            raise self._failure
        self._progress.clear()
        self._arm()
        try:
            async with asyncio.timeout_at(deadline):
                await self._progress.wait()
        except TimeoutError:
            return False
        if self._failure is not None:
            raise self._failure
        return True

    def _arm(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(POLL_INTERVAL_S, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._poll()
        if self.queued_messages:
            self._arm()

    def _poll(self) -> None:
        self._since_poll = 0
        self._serve(0.0)
        metrics.PUBLISHER_QUEUED_BYTES.set(self.queued_bytes)
        if self._fault is not None and self._failure is None:
            failure = self._fail(self._fault)
            if self._on_failed is not None:
                self._on_failed(failure)

    def _serve(self, timeout_s: float) -> None:
        try:
            self._producer.poll(timeout_s)
        except KafkaException as error:
            # A fatal error is raised here as well; the reports that come with it are still served by the next call.
            self._on_error(error.args[0])

    def _on_delivery(
        self, number: int, on_delivered: OnDelivered | None, error: KafkaError | None, message: Message
    ) -> None:
        self.queued_bytes -= self._queued_sizes.pop(number)
        self._progress.set()
        topic = message.topic() or ""
        if error is not None:
            self._undelivered += 1
            metrics.UNDELIVERED.labels(topic).inc()
            self._fault = self._fault or f"{topic}: {error.str()}"
            return
        metrics.PUBLISHED.labels(topic).inc()
        partition, offset = message.partition(), message.offset()
        if on_delivered is not None and partition is not None and offset is not None:
            on_delivered(partition, offset)

    def _on_error(self, error: KafkaError) -> None:
        self._last_error = error.str()
        if error.fatal():
            self._fault = self._fault or error.str()

    def _fail(self, fault: str) -> DeliveryFailed:
        """Purge what is queued and in flight, count it, and remember the failure for every later call."""
        self._producer.purge()
        for _ in range(_PURGE_POLLS):
            if not self.queued_messages:
                break
            self._serve(0.05)
        self._undelivered += self.queued_messages
        self._failure = DeliveryFailed(f"Kafka did not take {self._undelivered} messages: {fault}", self._undelivered)
        self._progress.set()
        return self._failure
