"""Saving a state: only after the rows it covers, one save at a time, when due."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from itertools import count
from typing import Any

import pytest
from faust.types import TP

from tapeline.bus.checkpoints import Part, complete, decompress
from tapeline.orderflow.partition import PartitionState, unpack
from tapeline.orderflow.sessions import Sessions
from tapeline_processor.checkpoints import Saver
from tapeline_processor.partitions import Deliveries, Partition

AT = TP("ticks", 3)


class Broker:
    """Stands for Faust's producer: remembers what it is given and acknowledges it at once."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, int | None, Part]] = []

    async def send(
        self, topic: str, key: Any, value: bytes | None, partition: int | None, timestamp: Any, headers: Any
    ) -> Awaitable[None]:
        self.sent.append((topic, partition, Part(value or b"", headers)))
        delivered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        delivered.set_result(None)
        return delivered


class Setting:
    def __init__(self) -> None:
        self.now_s = 100.0
        self.failures: list[BaseException] = []
        self.broker = Broker()
        ids = count()
        self.saver = Saver(
            lambda: self.broker,
            lambda topic: f"checkpoints.{topic}",
            self.failures.append,
            interval_s=30.0,
            ticks=500,
            part_bytes=64,
            clock=lambda: self.now_s,
            new_id=lambda: f"id-{next(ids)}",
        )
        self.partition = Partition(
            tp=AT,
            state=PartitionState(Sessions.always()),
            next=7,
            deliveries=Deliveries(self.failures.append),
            saved_next=0,
            saved_ticks=0,
            saved_at_s=100.0,
        )


async def test_a_state_is_sent_only_after_the_delivery_of_its_rows() -> None:
    at = Setting()
    row: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    at.partition.deliveries.add(row)
    saving = asyncio.create_task(at.saver.save_last(at.partition))
    done, _ = await asyncio.wait([saving], timeout=0.3)
    assert (done, at.broker.sent) == (set(), [])
    row.set_result(None)
    await saving
    assert {(topic, partition) for topic, partition, _ in at.broker.sent} == {("checkpoints.ticks", 3)}
    (checkpoint,) = complete(part for _, _, part in at.broker.sent)
    assert (checkpoint.next, checkpoint.id) == (7, "id-0")
    assert unpack(decompress(checkpoint.data), Sessions.always()).ticks == 0


async def test_no_state_is_sent_after_a_row_that_failed() -> None:
    at = Setting()
    row: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    at.partition.deliveries.add(row)
    row.set_exception(OSError("refused"))
    with pytest.raises(OSError, match="refused"):
        await at.saver.save_last(at.partition)
    assert at.broker.sent == []


@pytest.mark.parametrize(
    ("ticks", "seconds", "due"), [(0, 0.0, False), (499, 29.9, False), (500, 0.0, True), (0, 30.0, True)]
)
async def test_a_partition_is_due_by_ticks_or_by_time(ticks: int, seconds: float, due: bool) -> None:
    at = Setting()
    at.partition.state.ticks = ticks
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


async def test_nothing_is_saved_twice() -> None:
    at = Setting()
    await at.saver.save_last(at.partition)
    parts = len(at.broker.sent)
    await at.saver.save_last(at.partition)
    assert parts == len(at.broker.sent) > 0
