"""The assigned partitions of this worker: their states, and where they stand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field

from faust.types import TP

from tapeline.ops.logs import get_logger
from tapeline_processor.operators.states import OperatorStates

log = get_logger("processor.partitions")

Fail = Callable[[BaseException], None]
"""Ends the worker with an error. The first call decides."""


@dataclass(frozen=True, slots=True)
class Restored:
    """The operators' states, and the offset of the first message that they do not cover."""

    states: OperatorStates
    next: int


@dataclass(slots=True, eq=False)
class Partition:
    """One assigned partition. `lock` is held while a message is taken in, so that a copy never sees half of one."""

    tp: TP
    states: OperatorStates
    next: int
    saved_next: int
    saved_ticks: int
    saved_at_s: float
    last_ts_event: int | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    saving: asyncio.Task[None] | None = None


class Partitions(Mapping[TP, Partition]):
    """The partitions that this worker has now; `restore` replaces them as a whole, and tells `on_restored` of it."""

    def __init__(
        self,
        load: Callable[[set[TP]], Awaitable[Mapping[TP, Restored]]],
        fail: Fail,
        *,
        on_restored: Callable[[frozenset[TP]], None] = lambda _: None,
        timeout_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._load = load
        self._fail = fail
        self._on_restored = on_restored
        self._timeout_s = timeout_s
        self._clock = clock
        self._lock = asyncio.Lock()
        self._current: dict[TP, Partition] = {}
        self.restored: frozenset[TP] | None = None

    async def restore(self, assigned: set[TP]) -> Mapping[TP, int]:
        """Load the states of the assigned partitions; return the offset at which each goes on.

        Concurrent calls take turns, and the new states come into force together, after the last one is loaded.
        """
        async with self._lock:
            try:
                async with asyncio.timeout(self._timeout_s):
                    restored = await self._load(assigned)
            except Exception as error:
                self._fail(error)
                raise
            self._current = {tp: self._partition(tp, found) for tp, found in restored.items()}
            self.restored = frozenset(assigned)
            self._on_restored(self.restored)
            log.info("restored", partitions={f"{tp.topic}[{tp.partition}]": at.next for tp, at in restored.items()})
            return {tp: found.next for tp, found in restored.items()}

    def _partition(self, tp: TP, found: Restored) -> Partition:
        return Partition(
            tp=tp,
            states=found.states,
            next=found.next,
            saved_next=found.next,
            saved_ticks=found.states.ticks,
            saved_at_s=self._clock(),
        )

    def __getitem__(self, tp: TP) -> Partition:
        return self._current[tp]

    def __iter__(self) -> Iterator[TP]:
        return iter(self._current)

    def __len__(self) -> int:
        return len(self._current)
