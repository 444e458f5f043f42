"""Several asynchronous generators, taken as one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from typing import Any, Generic, TypeVar

K = TypeVar("K")
T = TypeVar("T")


class Merged(Generic[K, T]):
    """Takes from whichever generator has something; each is known by its key, and runs only as far as it is taken."""

    def __init__(self) -> None:
        self._sources: dict[K, AsyncGenerator[T, None]] = {}
        self._pending: dict[K, asyncio.Task[T]] = {}

    def add(self, key: K, source: AsyncGenerator[T, None]) -> None:
        """Take from `source` too."""
        self._sources[key] = source

    async def remove(self, key: K) -> None:
        """Close a generator, wherever it stands."""
        source, task = self._sources.pop(key), self._pending.pop(key, None)
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
            if not task.cancelled():
                task.exception()
        await source.aclose()

    async def close(self) -> None:
        """Close all."""
        for key in list(self._sources):
            await self.remove(key)

    async def next(self) -> tuple[K, T]:
        """Return what comes next, and of whom. Raises what a generator raises, StopAsyncIteration where one ends."""
        if len(self._sources) == 1 and not self._pending:
            # The usual case, without a task for each.
            ((key, source),) = self._sources.items()
            return key, await anext(source)
        for key, source in self._sources.items():
            if key not in self._pending:
                self._pending[key] = asyncio.create_task(_as_coroutine(source))
        done, _ = await asyncio.wait(self._pending.values(), return_when=asyncio.FIRST_COMPLETED)
        key = next(key for key, task in self._pending.items() if task in done)
        return key, self._pending.pop(key).result()


def _as_coroutine(source: AsyncGenerator[T, None]) -> Coroutine[Any, Any, T]:
    async def following() -> T:
        return await anext(source)

    return following()
