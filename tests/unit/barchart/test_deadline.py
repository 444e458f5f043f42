"""Time that is spent waiting for one's turn does not count."""

from __future__ import annotations

import asyncio

import pytest

from tapeline_barchart.deadline import Deadline


async def test_it_is_over_after_its_time() -> None:
    with pytest.raises(TimeoutError):
        async with Deadline(0.01):
            await asyncio.sleep(30)


async def test_pauses_do_not_count_and_may_overlap() -> None:
    async def pause(deadline: Deadline, seconds: float) -> None:
        with deadline.paused():
            await asyncio.sleep(seconds)

    async with Deadline(0.05) as deadline:
        await asyncio.gather(pause(deadline, 0.1), pause(deadline, 0.15))


async def test_after_a_pause_the_rest_counts() -> None:
    async def pause_and_hang() -> None:
        async with Deadline(0.01) as deadline:
            with deadline.paused():
                pass
            await asyncio.sleep(30)

    with pytest.raises(TimeoutError):
        await pause_and_hang()


async def test_a_pause_may_outlast_it() -> None:
    with pytest.raises(TimeoutError):
        async with Deadline(0.0) as deadline:
            await asyncio.sleep(30)
    with deadline.paused():
        pass
