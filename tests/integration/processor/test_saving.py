"""Saving a state: only after the rows it covers, one save at a time, when due."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from itertools import count

import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from faust.types import TP
from tests.integration.hanging import address, stopped

from tapeline.bus.checkpoints import Checkpoint, Part, complete, decompress
from tapeline.bus.log import Log
from tapeline.bus.publisher import Publisher
from tapeline.errors import DeliveryFailed
from tapeline.orderflow.sessions import Sessions
from tapeline_cli.local_broker import LocalBroker
from tapeline_processor.checkpoints import Saver
from tapeline_processor.operators.states import OperatorStates, Reference, unpack_states
from tapeline_processor.partitions import Partition

AT = TP("ticks", 3)


class Setting:
    """A partition with a saver, and the topics `rows` and `checkpoints` of one test."""

    def __init__(self, servers: str, prefix: str) -> None:
        self.servers = servers
        self.rows, self.checkpoints = f"{prefix}.rows", f"{prefix}.checkpoints"
        admin = AdminClient({"bootstrap.servers": servers})
        for future in admin.create_topics([NewTopic(self.rows, 1), NewTopic(self.checkpoints, 4)]).values():
            future.result(30)
        self.now_s = 100.0
        self.failures: list[BaseException] = []
        self.publisher = Publisher(servers, "test", max_message_bytes=3_000_000)
        ids = count()
        self.saver = Saver(
            self.publisher,
            lambda _: self.checkpoints,
            self.failures.append,
            interval_s=30.0,
            ticks=500,
            part_bytes=64,
            clock=lambda: self.now_s,
            new_id=lambda: f"id-{next(ids)}",
        )
        self.partition = Partition(
            tp=AT,
            states=OperatorStates.empty(Reference(Sessions.always())),
            next=7,
            saved_next=0,
            saved_ticks=0,
            saved_at_s=100.0,
        )

    def saved(self) -> list[Checkpoint]:
        with Log(self.servers, "test") as log:
            bounds = log.bounds(self.checkpoints, AT.partition)
            messages = list(log.read(self.checkpoints, AT.partition, *bounds))
        return complete(Part(message.value() or b"", message.headers() or ()) for message in messages)  # type: ignore[arg-type]


@pytest.fixture
async def make(own_broker: LocalBroker, namespace: str) -> AsyncIterator[Callable[[], Setting]]:
    made: list[Setting] = []

    def begin() -> Setting:
        made.append(Setting(address(own_broker), f"{namespace}.{len(made)}"))
        return made[-1]

    yield begin
    for at in made:
        await at.publisher.close(5.0)


async def test_a_state_is_sent_only_after_the_delivery_of_its_rows(
    make: Callable[[], Setting], own_broker: LocalBroker
) -> None:
    at = make()
    await at.publisher.deliver(at.rows, "a", b"first", 30.0)
    with stopped(own_broker):
        await at.publisher.publish(at.rows, "a", b"row")
        saving = asyncio.create_task(at.saver.save_last(at.partition))
        done, _ = await asyncio.wait([saving], timeout=0.5)
        assert (done, at.publisher.queued_messages) == (set(), 1)
    async with asyncio.timeout(30):
        await saving
    (checkpoint,) = at.saved()
    assert (checkpoint.next, checkpoint.id) == (7, "id-0")
    assert unpack_states(decompress(checkpoint.data), Reference(Sessions.always())).ticks == 0


async def test_no_state_is_sent_after_a_row_that_failed(make: Callable[[], Setting]) -> None:
    at = make()
    await at.publisher.publish(at.rows, "a", os.urandom(2_000_000))
    with pytest.raises(DeliveryFailed, match="rows"):
        await at.saver.save_last(at.partition)
    assert at.saved() == []


async def test_a_save_in_the_background_that_fails_is_told(make: Callable[[], Setting]) -> None:
    at = make()
    await at.publisher.publish(at.rows, "a", os.urandom(2_000_000))
    at.now_s += 60
    at.saver.maybe_save(at.partition)
    assert at.partition.saving is not None
    await asyncio.wait([at.partition.saving], timeout=30)
    await asyncio.sleep(0)
    assert [type(failure) for failure in at.failures] == [DeliveryFailed]


@pytest.mark.parametrize(
    ("ticks", "seconds", "due"), [(0, 0.0, False), (499, 29.9, False), (500, 0.0, True), (0, 30.0, True)]
)
async def test_a_partition_is_due_by_ticks_or_by_time(
    make: Callable[[], Setting], ticks: int, seconds: float, due: bool
) -> None:
    at = make()
    at.partition.states.pressure.ticks = ticks
    at.now_s += seconds
    at.saver.maybe_save(at.partition)
    assert (at.partition.saving is not None) == due
    if at.partition.saving is not None:
        first = at.partition.saving
        at.now_s += 60
        at.saver.maybe_save(at.partition)
        assert at.partition.saving is first
        await first
        assert (at.partition.saved_next, at.partition.saved_ticks) == (7, ticks)


async def test_nothing_is_saved_twice(make: Callable[[], Setting]) -> None:
    at = make()
    await at.saver.save_last(at.partition)
    await at.saver.save_last(at.partition)
    assert len(at.saved()) == 1
