"""Several generators as one: none waits for another, and all are closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from tapeline_databento.merging import Merged


class Told:
    """A generator that yields what it is told."""

    def __init__(self) -> None:
        self.coming: asyncio.Queue[int | Exception] = asyncio.Queue()
        self.is_closed = False

    async def __call__(self) -> AsyncGenerator[int, None]:
        try:
            while True:
                item = await self.coming.get()
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self.is_closed = True


async def test_whichever_has_something_is_taken() -> None:
    merged: Merged[str, int] = Merged()
    first, second = Told(), Told()
    merged.add("first", first())
    first.coming.put_nowait(1)
    assert await merged.next() == ("first", 1)
    merged.add("second", second())
    second.coming.put_nowait(2)
    assert await merged.next() == ("second", 2)
    first.coming.put_nowait(3)
    assert await merged.next() == ("first", 3)
    await merged.close()
    assert first.is_closed
    assert second.is_closed


async def test_one_that_always_has_something_does_not_starve_the_other() -> None:
    merged: Merged[str, int] = Merged()
    busy, calm = Told(), Told()
    merged.add("busy", busy())
    merged.add("calm", calm())
    for number in range(10):
        busy.coming.put_nowait(number)
    calm.coming.put_nowait(100)
    taken = [await merged.next() for _ in range(11)]
    assert ("calm", 100) in taken[:3]
    assert [number for name, number in taken if name == "busy"] == list(range(10))
    await merged.close()


async def test_what_one_raises_is_raised_and_one_that_is_removed_is_closed() -> None:
    merged: Merged[str, int] = Merged()
    good, bad = Told(), Told()
    merged.add("good", good())
    merged.add("bad", bad())
    bad.coming.put_nowait(ValueError("bad"))
    with pytest.raises(ValueError, match="bad"):
        await merged.next()
    await merged.remove("bad")
    good.coming.put_nowait(1)
    assert await merged.next() == ("good", 1)
    await merged.close()
    assert good.is_closed


async def test_who_is_cancelled_while_waiting_can_still_close() -> None:
    merged: Merged[str, int] = Merged()
    first, second = Told(), Told()
    merged.add("first", first())
    merged.add("second", second())
    waiting = asyncio.create_task(merged.next())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait((waiting,))
    await merged.close()
    assert first.is_closed
    assert second.is_closed
