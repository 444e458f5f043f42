"""A thread reads ahead: in order, bounded, and never in the way of a shutdown."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import aclosing

import pytest

from tapeline.feed.reading import ReadAhead

DEADLINE_S = 5.0


def reading_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "read-ahead"]


async def until_no_thread_reads() -> None:
    deadline = time.monotonic() + DEADLINE_S
    while reading_threads():
        assert time.monotonic() < deadline, "the reading thread goes on"
        await asyncio.sleep(0.001)


async def test_gives_every_item_in_order() -> None:
    assert [item async for item in ReadAhead(lambda: iter(range(1_000)), limit=3)] == list(range(1_000))


async def test_reads_at_most_so_far_ahead() -> None:
    given: list[int] = []

    def items() -> Iterator[int]:
        for item in range(50):
            given.append(item)
            yield item

    ahead = 0
    async for item in ReadAhead(items, limit=4):
        await asyncio.sleep(0)
        ahead = max(ahead, len(given) - (item + 1))
    # One more than the limit is in the thread's hands while it waits for room.
    assert 0 < ahead <= 5


async def test_what_came_before_an_error_is_given_first() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("broken")

    reading = aiter(ReadAhead(items))
    assert [await anext(reading), await anext(reading)] == [1, 2]
    with pytest.raises(ValueError, match="broken"):
        await anext(reading)


async def test_an_error_of_the_opening_is_raised() -> None:
    def fail() -> Iterator[int]:
        raise OSError("no file")

    with pytest.raises(OSError, match="no file"):
        await anext(aiter(ReadAhead(fail)))


async def test_a_consumer_that_leaves_ends_the_thread_and_closes_the_items() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    async with aclosing(aiter(ReadAhead(items, limit=2))) as reading:
        await anext(reading)
    await until_no_thread_reads()
    assert closed.is_set()


async def test_a_read_that_blocks_does_not_hold_up_its_consumer() -> None:
    begun, release = threading.Event(), threading.Event()

    def items() -> Iterator[int]:
        begun.set()
        release.wait(DEADLINE_S)
        yield 1

    reading = asyncio.ensure_future(anext(aiter(ReadAhead(items))))
    assert await asyncio.to_thread(begun.wait, DEADLINE_S)
    reading.cancel()
    await asyncio.wait((reading,), timeout=1.0)
    assert reading.cancelled()
    release.set()
    await until_no_thread_reads()


def test_a_thread_that_outlives_the_loop_ends_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    uncaught: list[object] = []
    monkeypatch.setattr(threading, "excepthook", uncaught.append)
    begun, release = threading.Event(), threading.Event()

    def items() -> Iterator[int]:
        begun.set()
        release.wait(DEADLINE_S)
        yield 1

    async def leave() -> None:
        reading = asyncio.ensure_future(anext(aiter(ReadAhead(items))))
        assert await asyncio.to_thread(begun.wait, DEADLINE_S)
        reading.cancel()

    asyncio.run(leave())
    (thread,) = reading_threads()
    release.set()
    thread.join(DEADLINE_S)
    assert not thread.is_alive()
    assert uncaught == []
