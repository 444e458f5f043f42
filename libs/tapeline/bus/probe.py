"""Whether a broker is there: that something listens, quickly; that it takes writes, which an answer does not prove."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from tapeline.errors import BrokerUnavailable

PROBE_TOPIC = "tapeline-probe"
_RETENTION_MS = 3_600_000

_silent = logging.getLogger("tapeline.bus.probe")
_silent.addFilter(lambda _record: False)  # what matters of librdkafka's retries is in the error that is raised


async def is_listening(bootstrap_servers: str, timeout_s: float = 1.0) -> bool:
    """Return whether anything takes connections at one of these addresses, each of which may take `timeout_s`.

    Kafka's client would take long, and many words, to say no.
    """
    for address in bootstrap_servers.split(","):
        host, _, port = address.strip().rpartition(":")
        with suppress(OSError, ValueError, TimeoutError):
            async with asyncio.timeout(timeout_s):
                _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
            writer.close()
            return True
    return False


async def absence(bootstrap_servers: str) -> str:
    """Return in words that no broker can be there, with the remedy; empty where something listens."""
    if await is_listening(bootstrap_servers):
        return ""
    remedy = "start it with `tapeline kafka up`, or name another in KAFKA_BOOTSTRAP_SERVERS"
    return f"no Kafka broker answers at {bootstrap_servers}; {remedy}"


def prove_writable(bootstrap_servers: str, timeout_s: float) -> None:
    """Return once one idempotent message has been acknowledged by all replicas.

    The message goes to a topic of its own (`PROBE_TOPIC`, created when missing, kept for an hour). A broker that is
    still starting is waited for up to `timeout_s` seconds.
    Raises BrokerUnavailable with the last fault seen.
    """
    deadline = time.monotonic() + timeout_s
    faults: list[str] = ["no answer"]

    def remember(error: KafkaError) -> None:
        faults[0] = error.str()

    connection: dict[str, Any] = {
        "bootstrap.servers": bootstrap_servers,
        "error_cb": remember,
        "logger": _silent,
        "reconnect.backoff.max.ms": 500,
    }
    admin = AdminClient(connection)
    while not _topic_exists(admin, deadline, faults):
        if time.monotonic() >= deadline:
            raise BrokerUnavailable(
                f"no Kafka broker took a topic at {bootstrap_servers} in {timeout_s:g} s: {faults[0]}"
            )

    delivered: list[KafkaError | None] = []

    def on_delivery(error: KafkaError | None, _message: Message) -> None:
        delivered.append(error)

    remaining_s = max(deadline - time.monotonic(), 1.0)
    producer = Producer(connection | {"enable.idempotence": True, "message.timeout.ms": int(remaining_s * 1000)})
    producer.produce(PROBE_TOPIC, value=b"probe", on_delivery=on_delivery)
    producer.flush(remaining_s + 1.0)
    if not delivered:
        raise BrokerUnavailable(f"{bootstrap_servers} acknowledged nothing in {timeout_s:g} s: {faults[0]}")
    if delivered[0] is not None:
        raise BrokerUnavailable(f"{bootstrap_servers} refused a message: {delivered[0].str()}")


def _topic_exists(admin: AdminClient, deadline: float, faults: list[str]) -> bool:
    step_s = min(5.0, max(deadline - time.monotonic(), 0.1))
    new = NewTopic(PROBE_TOPIC, num_partitions=1, config={"retention.ms": str(_RETENTION_MS)})
    try:
        future = admin.create_topics([new], operation_timeout=step_s, request_timeout=step_s)[PROBE_TOPIC]
        future.result(step_s + 1.0)
    except KafkaException as error:
        fault = error.args[0]
        if fault.code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return True
        faults[0] = fault.str()
        return False
    except TimeoutError:
        return False
    return True
