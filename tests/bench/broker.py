"""The broker of a run, and topics of its own for each measurement."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from confluent_kafka.admin import AdminClient, NewTopic

from tapeline.bus.log import Log, Place
from tapeline.bus.probe import prove_writable
from tapeline.bus.topics import apply_topics, load_topics
from tapeline_cli.local_broker import LocalBroker, state_folder

_START_TIMEOUT_S = 60.0
_ADMIN_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is; `pid` is None where it is not on this machine or not ours to look at."""

    servers: str
    pid: int | None


@contextmanager
def any_broker() -> Iterator[Broker]:
    """Yield the broker of KAFKA_BOOTSTRAP_SERVERS, else the local one.

    The local one is stopped at the end if it was not running. The broker becomes KAFKA_BOOTSTRAP_SERVERS of this
    process and of all that it starts.
    """
    named = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if named:
        prove_writable(named, timeout_s=_START_TIMEOUT_S)
        yield Broker(named, None)
        return
    local = LocalBroker(state_folder())
    ran = local.running() is not None
    state = local.start(_START_TIMEOUT_S)
    os.environ["KAFKA_BOOTSTRAP_SERVERS"] = state.bootstrap_servers
    try:
        yield Broker(state.bootstrap_servers, state.pid)
    finally:
        if not ran:
            local.stop()


@contextmanager
def fresh_namespace(broker: Broker, others: Iterable[str] = ()) -> Iterator[str]:
    """Yield a namespace with Tapeline's topics, or with `others` (one partition each).

    It is TAPELINE_NAMESPACE meanwhile; its topics are deleted at the end.
    """
    namespace = f"bench-{secrets.token_hex(4)}"
    os.environ["TAPELINE_NAMESPACE"] = namespace
    admin = AdminClient({"bootstrap.servers": broker.servers, "log_level": 5})
    try:
        wanted = [NewTopic(f"{namespace}.{name}", num_partitions=1, replication_factor=1) for name in others]
        if wanted:
            for future in admin.create_topics(wanted).values():
                future.result(_ADMIN_TIMEOUT_S)
        else:
            apply_topics(broker.servers, load_topics().values())
        yield namespace
    finally:
        del os.environ["TAPELINE_NAMESPACE"]
        made = [name for name in admin.list_topics(timeout=_ADMIN_TIMEOUT_S).topics if name.startswith(namespace)]
        if made:
            for future in admin.delete_topics(made, request_timeout=_ADMIN_TIMEOUT_S).values():
                future.result(_ADMIN_TIMEOUT_S)


def ends(log: Log, topic: str) -> dict[Place, int]:
    """Return the offset after the last message of each partition of a topic (its name on the broker)."""
    return {(topic, partition): log.bounds(topic, partition)[1] for partition in range(log.partitions(topic))}


def first_tick_ms(log: Log, starts: dict[Place, int]) -> int:
    """Return when the broker appended the first tick frame after `starts`, ms since the epoch."""
    times = []
    for (topic, partition), start in starts.items():
        for message in log.read(topic, partition, start, log.bounds(topic, partition)[1]):
            if b'"kind":"mbo"' in (message.value() or b"")[:1_000]:
                times.append(message.timestamp()[1])
                break
    return min(times)


def last_message_ms(log: Log, starts: dict[Place, int]) -> int:
    """Return when the broker appended the last message after `starts`, ms since the epoch."""
    times = []
    for (topic, partition), start in starts.items():
        end = log.bounds(topic, partition)[1]
        times += [message.timestamp()[1] for message in log.read(topic, partition, max(start, end - 1), end)]
    return max(times)
