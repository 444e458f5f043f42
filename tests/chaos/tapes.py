"""What befalls the topics: records that nobody understands, and retention."""

from __future__ import annotations

import asyncio

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from tests.chaos.desk import Desk
from tests.chaos.gateways import lasts
from tests.chaos.verdict import BACKFILL_TOPIC, LETTERS_TOPIC, TICKS_TOPIC

from tapeline.bus.bootstrap import namespaced

_LARGEST = 1_000_000
"""Bytes; a topic takes a little more."""
_RETENTION_S = 45.0
_CHECKS_S = 5.0


async def poisoned(desk: Desk) -> None:
    """Put what is no frame among the stream's frames, some of it as large as the broker takes, and larger."""
    poison = [
        b"",
        b"{",
        b"\xff\xfe\x00",
        b'{"schema": "tick-frame.v9"}',
        b'{"schema": "tick-frame.v1", "n": 3}',
        b"[" * 10_000,
        b"x" * _LARGEST,
    ]
    taken = await asyncio.to_thread(_produce, desk, [*poison, b"x" * 3 * _LARGEST])
    assert taken == len(poison), "the broker takes what it should not"
    await desk.until_ticks(1_000)
    await desk.until_incident("dead_letters")

    async def are_kept() -> bool:
        kept = await asyncio.to_thread(desk.tape.values, LETTERS_TOPIC)
        return sorted(kept) == sorted(poison)

    await desk.until("the poison is with the dead letters", are_kept)


async def late(desk: Desk) -> None:
    """Fill a gap when its records are older than the topic keeps any, by their own time."""
    _keep_for(desk, BACKFILL_TOPIC, _RETENTION_S)
    await desk.backfill.kill()
    await lasts("outage")(desk)
    await asyncio.sleep(_RETENTION_S + 1.0)
    await desk.backfill.start()

    async def is_filled() -> bool:
        return bool(await asyncio.to_thread(desk.tape.backfilled))

    await desk.until("the gap is filled", is_filled)
    # Meanwhile the broker looks ten times for what is too old.
    await asyncio.sleep(_CHECKS_S)


def _produce(desk: Desk, values: list[bytes]) -> int:
    """Put values on the live topic where the stream is, and return how many were taken."""
    taken = 0
    producer = Producer({"bootstrap.servers": desk.servers, "message.max.bytes": 8 * _LARGEST})

    def delivered(error: object, _: object) -> None:
        nonlocal taken
        taken += error is None

    partition = desk.partition()
    for value in values:
        try:
            producer.produce(
                namespaced(TICKS_TOPIC), value, desk.vendor.stream, partition=partition, on_delivery=delivered
            )
        except KafkaException:
            continue
        # One by one: what is too large must not take others of its batch with it.
        producer.flush(30)
    return taken


def _keep_for(desk: Desk, topic: str, seconds: float) -> None:
    entry = ConfigEntry("retention.ms", str(round(seconds * 1_000)), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, namespaced(topic), incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": desk.servers})
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(30)
