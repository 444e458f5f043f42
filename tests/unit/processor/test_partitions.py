"""Restoring partitions: calls take turns, states come into force together, failures end the worker."""

from __future__ import annotations

import asyncio

import pytest
from faust.types import TP

from tapeline.orderflow.sessions import Sessions
from tapeline_processor.operators.states import OperatorStates, Reference
from tapeline_processor.partitions import Partitions, Restored

ASSIGNED = {TP("ticks", 0), TP("ticks", 1)}


async def test_concurrent_restores_take_turns_and_swap_whole() -> None:
    inside = 0
    places = iter((10, 20))
    seen: list[set[int]] = []

    async def load(assigned: set[TP]) -> dict[TP, Restored]:
        nonlocal inside
        inside += 1
        assert inside == 1
        place = next(places)
        restored = {}
        for tp in sorted(assigned):
            restored[tp] = Restored(OperatorStates.empty(Reference(Sessions.always())), place)
            await asyncio.sleep(0)
            seen.append({partition.next for partition in partitions.values()})
        inside -= 1
        return restored

    partitions = Partitions(load, raise_it, timeout_s=5, clock=lambda: 0.0)
    first, second = await asyncio.gather(partitions.restore(ASSIGNED), partitions.restore(ASSIGNED))
    assert (set(first.values()), set(second.values())) == ({10}, {20})
    assert seen == [set(), set(), {10}, {10}]
    assert {partition.next for partition in partitions.values()} == {20}


async def test_a_failed_restore_ends_the_worker_and_keeps_the_old_states() -> None:
    failures: list[BaseException] = []

    async def load(_: set[TP]) -> dict[TP, Restored]:
        raise OSError("away")

    partitions = Partitions(load, failures.append, timeout_s=5, clock=lambda: 0.0)
    with pytest.raises(OSError, match="away"):
        await partitions.restore(ASSIGNED)
    assert [str(error) for error in failures] == ["away"]
    assert (len(partitions), partitions.restored) == (0, None)


def raise_it(error: BaseException) -> None:
    raise error
