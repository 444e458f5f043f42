"""Publishes messages of several topics together or not at all, and shuts out whoever else does so under the same id."""

from __future__ import annotations

import contextlib
import logging
import time
import warnings
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from confluent_kafka import KafkaError, KafkaException, Producer

from tapeline.bus.bootstrap import namespaced
from tapeline.errors import BadData, BrokerUnavailable, DeliveryFailed, Fenced
from tapeline.ops import metrics

_FENCED: Final = (
    KafkaError._FENCED,  # noqa: SLF001
    KafkaError.PRODUCER_FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
)
_POLL_S: Final = 0.05

_log = logging.getLogger("tapeline.bus.transactions")
# librdkafka says it at every attempt, and of a fenced producer several times; the errors that are raised say it once.
_RAISED: Final = ("FAIL ", "GETPID ", "TXNERR ", "FATAL ", "ADDPARTS ")
_log.addFilter(lambda record: not record.getMessage().startswith(_RAISED))
# Of one that is fenced, or whose broker is away, nothing is left to abort.
warnings.filterwarnings("ignore", message="Producer abort_transaction failed during close", category=RuntimeWarning)


class Outgoing(NamedTuple):
    """One message; `topic` is the name on the broker."""

    topic: str
    key: str
    value: bytes


class TransactionalPublisher:
    """Commits batches of messages under one transactional id. Blocking calls: use it from one thread that may wait.

    Whoever opens a publisher of the same id shuts out the one before it, and ends what that one had begun. A
    transaction that is not committed within `timeout_s` is ended by the broker, and so is whoever began it. After any
    error the publisher is of no more use: what became of its last batch, a reader of committed messages sees once
    another publisher of the same id is open.
    """

    def __init__(self, bootstrap: str, transactional_id: str, *, timeout_s: float = 10.0) -> None:
        self._bootstrap = bootstrap
        self._id = transactional_id
        self._timeout_s = timeout_s
        self._last_error = "no answer from the broker"
        self._fault: KafkaError | None = None
        self._is_fenced = False
        config: dict[str, Any] = {
            "bootstrap.servers": bootstrap,
            "client.id": "tapeline-transactions",
            "transactional.id": namespaced(transactional_id),
            "transaction.timeout.ms": round(timeout_s * 1e3),
            "compression.type": "zstd",
            "compression.level": 1,
            "partitioner": "murmur2_random",
            "linger.ms": 0,
            "socket.keepalive.enable": True,
            "reconnect.backoff.max.ms": 1_000,
            "error_cb": self._on_error,
            "logger": _log,
        }
        self._producer = Producer(config)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> None:
        """Shut out every other publisher of this id, and wait until nothing that it began is open any more.

        Raises BrokerUnavailable, and Fenced where yet another has done the same meanwhile.
        """
        deadline_s = time.monotonic() + 3 * self._timeout_s
        while True:
            try:
                self._producer.init_transactions(self._timeout_s)
            except KafkaException as error:
                fault: KafkaError = error.args[0]
                if fault.retriable() and time.monotonic() < deadline_s:
                    continue
                if fault.code() in _FENCED:
                    raise self._fenced() from None
                raise BrokerUnavailable(
                    f"{self._bootstrap} opened no transactions for {self._id}: {fault.str()} ({self._last_error})"
                ) from None
            return

    def commit(self, messages: Sequence[Outgoing]) -> None:
        """Return once Kafka has all of the messages, for readers of committed ones all at the same moment.

        Raises Fenced where another publisher of this id has been opened, or the broker has given this one up;
        DeliveryFailed where it is not known, or known not, that Kafka has them; BadData where one is too large.
        """
        if self._is_fenced:
            raise self._fenced()
        deadline_s = time.monotonic() + self._timeout_s
        self._fault = None
        try:
            self._producer.begin_transaction()
            for message in messages:
                self._produce(message, deadline_s)
            self._commit(deadline_s)
        except KafkaException as error:
            raise self._failed(error.args[0], len(messages)) from None
        for message in messages:
            metrics.PUBLISHED.labels(message.topic).inc()

    def close(self) -> None:
        """Leave the broker; a batch that is not committed never will be."""
        self._producer.purge()
        # To end its transaction is the broker's business, or that of whoever has followed.
        with contextlib.suppress(KafkaException):
            self._producer.close()

    def _produce(self, message: Outgoing, deadline_s: float) -> None:
        while True:
            try:
                self._producer.produce(message.topic, message.value, message.key, on_delivery=self._on_delivery)
            except BufferError:
                if time.monotonic() > deadline_s:
                    raise DeliveryFailed(f"Kafka takes no more messages: {self._last_error}", 1) from None
                self._producer.poll(_POLL_S)
                continue
            self._producer.poll(0.0)
            return

    def _commit(self, deadline_s: float) -> None:
        while True:
            try:
                self._producer.commit_transaction(max(_POLL_S, deadline_s - time.monotonic()))
            except KafkaException as error:
                # To commit again is safe, and tells what became of it.
                if error.args[0].retriable() and time.monotonic() < deadline_s:
                    continue
                raise
            return

    def _failed(self, fault: KafkaError, messages: int) -> Fenced | DeliveryFailed | BadData:
        if fault.code() in _FENCED:
            return self._fenced()
        try:
            self._producer.abort_transaction(self._timeout_s)
        except KafkaException as error:
            if error.args[0].code() in _FENCED:
                return self._fenced()
        if fault.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            return BadData("value", "must have at most as many bytes as the topic takes")
        reason = (self._fault or fault).str()
        return DeliveryFailed(f"Kafka did not commit {messages} messages of {self._id}: {reason}", messages)

    def _fenced(self) -> Fenced:
        self._is_fenced = True
        return Fenced(f"{self._id}: taken over by another, or given up by the broker after {self._timeout_s:g} s")

    def _on_delivery(self, error: KafkaError | None, _: object) -> None:
        if error is not None:
            self._fault = self._fault or error

    def _on_error(self, error: KafkaError) -> None:
        self._last_error = error.str()
