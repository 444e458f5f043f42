"""Tells what becomes of one request, together with its data, and notices that nobody wants it any more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Literal, TypeVar

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.transactions import Outgoing, TransactionalPublisher
from tapeline.model.backfill import EVENTS_TOPIC, BackfillEvent, EventType
from tapeline.ops.logs import get_logger
from tapeline_backfill.requests import FILLED, told_at_ns

log = get_logger("backfill")

_LOOK_S: Final = 0.2
_QUIET: Final[frozenset[EventType]] = frozenset({"progress"})

Done = TypeVar("Done")
Halt = Literal["", "stopped", "cancelled"]


class Halted(Exception):
    """The request is not to be worked on now: this worker stops, or a command has cancelled it."""

    def __init__(self, halt: Halt) -> None:
        super().__init__(halt)
        self.halt = halt


class Journal:
    """The events of one request; `event` is the last one that is on the tape, as far as it has not been corrected.

    `halt` says whether work on it is to end. At least every `beat_s` something is told while `alive` waits, so that no
    other worker takes the request over.
    """

    def __init__(
        self,
        publisher: TransactionalPublisher,
        event: BackfillEvent,
        worker: str,
        beat_s: float,
        halt: Callable[[], Halt],
        now_ns: Callable[[], int],
    ) -> None:
        self._publisher = publisher
        self._worker = worker
        self._beat_s = beat_s
        self._halt = halt
        self._now_ns = now_ns
        self._told_s = time.monotonic()
        self.event = event

    async def tell(
        self,
        type_: EventType,
        frames: Sequence[Outgoing] = (),
        *,
        then: EventType | None = None,
        **changes: Any,
    ) -> None:
        """Put an event on the tape in one transaction with `frames`, and with a second event of the type `then`.

        It says what the last one said, but for `changes` and what is of one moment only: reason, failure, next attempt.
        Raises Fenced and DeliveryFailed.
        """
        of_the_moment = {"reason": "", "failure": None, "next_attempt_at": None}
        at_ns = told_at_ns(self._now_ns(), changes.get("request", self.event.request))
        update = {"type": type_, "at": at_ns, "worker": self._worker, **of_the_moment, **changes}
        events = [self.event.model_copy(update=update)]
        if then is not None:
            events.append(events[0].model_copy(update={"type": then}))
        topic = namespaced(EVENTS_TOPIC)
        told = [Outgoing(topic, event.key, event.encode()) for event in events]
        # A commit is not left in the middle, whatever ends the work: what it did would not be known.
        await asyncio.shield(asyncio.to_thread(self._publisher.commit, [*frames, *told]))
        self._told_s = time.monotonic()
        is_news = any(event.type not in _QUIET and event.type != self.event.type for event in events)
        self.event = events[-1]
        if is_news:
            for event in events:
                _log(event)

    def correct(self, **changes: Any) -> None:
        """Change what the next event says, and tell nothing now."""
        self.event = self.event.model_copy(update=changes)

    async def alive(self, work: Awaitable[Done]) -> Done:
        """Return what `work` comes to, and keep the request meanwhile. Raises Halted, and what `work` and `tell` do."""
        task = asyncio.ensure_future(work)
        try:
            while not (await asyncio.wait({task}, timeout=_LOOK_S))[0]:
                self.check()
                if time.monotonic() - self._told_s >= self._beat_s:
                    kept = {name: getattr(self.event, name) for name in ("reason", "failure", "next_attempt_at")}
                    await self.tell(self.event.type, **kept)
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    def check(self) -> None:
        """Return where the work may go on. Raises Halted.

        What is on the tape cannot be cancelled any more.
        """
        halt = self._halt()
        if halt == "stopped" or (halt and self.event.type not in FILLED):
            raise Halted(halt)

    @property
    def is_cancelled(self) -> bool:
        """Whether the last command is to cancel it."""
        return self._halt() == "cancelled"


def _log(event: BackfillEvent) -> None:
    is_bad = event.type in ("failed", "dead_lettered", "rejected")
    tell = log.warning if is_bad else log.info
    request = event.request
    facts = {"reason": event.reason} if event.reason else {}
    counts = {"read": event.read, "published": event.published, "skipped": event.skipped} if event.read else {}
    tell(
        event.type,
        request=request.id,
        stream=f"{request.source}/{request.stream}",
        kind=request.kind,
        **counts,
        **facts,
    )
