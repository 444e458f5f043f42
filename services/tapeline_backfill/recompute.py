"""Computes pressure anew after backfills: the rows that differ are published with their next revision.

Option flow and chains are left as they are: they are joined with what was known at the moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Final

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.publisher import Publisher
from tapeline.errors import TopicMismatch
from tapeline.feed.calendar import cme_globex_equity
from tapeline.model.backfill import BackfillRequest
from tapeline.ops.logs import get_logger
from tapeline.orderflow.filling import filling_of
from tapeline.orderflow.partition import RowMessage
from tapeline.orderflow.recomputing import Recompute
from tapeline.orderflow.sessions import Sessions
from tapeline.orderflow.soundness import watermark_of
from tapeline_backfill.recompute_reading import PRESSURE_TOPIC, TapeReader
from tapeline_backfill.settings import BackfillSettings
from tapeline_backfill.yielding import LiveLag

log = get_logger("backfill.recompute")

ReasonToWait = Callable[[], Awaitable[str]]
"""Says why a recompute waits now, empty: it does not. Raises Retryable."""

_FRAMES: Final = 50
"""So many frames of the log are taken before it is asked again whether live ticks need the machine."""
_WAIT_S: Final = 1.0
_DELIVERY_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Recomputed:
    """What a recompute came to.

    `rows` were published anew. `again_after` is the venue time (ns since the epoch) from which on it is to be done once
    more: the end of a session whose `cumulative_volume_delta` cannot be corrected before; None: it is settled.
    `has_open`: some windows that a gap touched were still open, whose rows the processor tells as it saw them; they are
    to be computed anew once they are closed. `reason` says why nothing could be done, where that is so.
    """

    rows: int
    again_after: int | None = None
    has_open: bool = False
    reason: str = ""


class Recomputer:
    """Recomputes what backfills have touched, one at a time per stream. A repeat publishes nothing.

    Two workers may do so at the same time: whoever finds the other's rows among its own does it once more, until a pass
    is alone. The rows that come last are then computed with all that either knew of.
    """

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._turns: dict[tuple[str, str], asyncio.Lock] = {}

    async def recompute_after(self, request: BackfillRequest, reason_to_wait: ReasonToWait) -> Recomputed:
        """Compute the rows anew that a request has touched, after its completion, with all that is completed by then.

        Raises BrokerUnavailable, DeliveryFailed, and what `reason_to_wait` raises.
        """
        async with self._turns.setdefault((request.source, request.stream), asyncio.Lock()):
            rows = 0
            while True:
                await _unhurried(reason_to_wait)
                try:
                    one = await asyncio.to_thread(_Pass.begin, self._bootstrap, request)
                    reason = "no state from before the gap is kept, and neither is the log from its beginning"
                except TopicMismatch as error:
                    # Where no processor was ever set up there is nothing to compute anew.
                    one, reason = None, str(error)
                if one is None:
                    log.warning("not recomputed", request=request.id, stream=request.stream, reason=reason)
                    return Recomputed(rows, reason=reason)
                publisher = Publisher(self._bootstrap, "tapeline-recompute")
                try:
                    published = await self._run(one, publisher, reason_to_wait)
                    await publisher.delivered(_DELIVERY_S)
                    is_alone = await asyncio.to_thread(one.revised) <= published
                finally:
                    await publisher.close(0.0)
                    one.close()
                rows += published
                if is_alone:
                    break
                # Another worker's rows came in between: whichever came last, they may know of less.
        log.info("recomputed", request=request.id, stream=request.stream, kind=request.kind, rows=rows)
        return Recomputed(rows, one.closes_at, has_open=one.has_open)

    async def _run(self, one: _Pass, publisher: Publisher, reason_to_wait: ReasonToWait) -> int:
        rows = 0
        topic = namespaced(PRESSURE_TOPIC)
        while (messages := await asyncio.to_thread(one.step)) is not None:
            for message in messages:
                await publisher.publish(topic, message.key, message.value)
                rows += message.rows
            await _unhurried(reason_to_wait)
        return rows


async def _unhurried(reason_to_wait: ReasonToWait) -> None:
    while True:
        if not await reason_to_wait():
            return
        await asyncio.sleep(_WAIT_S)


class _Pass:
    """One pass over the log, in steps. Blocking calls, from one thread at a time."""

    def __init__(
        self, recompute: Recompute, messages: Iterator[list[RowMessage]], reader: TapeReader, rows_end: int
    ) -> None:
        self.closes_at = recompute.days.closes_at
        self.has_open = recompute.has_open
        self._messages = messages
        self._reader = reader
        self._rows_end = rows_end

    @staticmethod
    def begin(bootstrap: str, request: BackfillRequest) -> _Pass | None:
        """Read all that is to be known first; None where there is nothing to begin from."""
        calendar = cme_globex_equity()
        sessions = Sessions.of_days(calendar.opens, calendar.closes, calendar.days, "GLBX.MDP3")
        reader = TapeReader(bootstrap, request, sessions)
        rows_end = reader.rows_end()
        first, end = reader.bounds()
        start = reader.sound_start(first, end)
        if start is None:
            return None
        marks = reader.marks(start.next, end)
        known = start.state.stream_of(request.source, request.stream)
        watermark = None if known is None else watermark_of(known.flows.get(request.kind))
        completed, partial, since = reader.backfills(watermark)
        stretches = reader.stretches(since)
        filling = filling_of(
            request.kind,
            marks.gaps,
            completed,
            partial,
            lambda each: reader.backfilled(each, stretches.get(each.id, ())),
            watermark,
        )
        rows = reader.rows(start.next)
        recompute = Recompute(request, start.state, filling, rows, sessions, marks.newest_ts)
        return _Pass(recompute, _steps(recompute, reader, start.next, end), reader, rows_end)

    def step(self) -> list[RowMessage] | None:
        """Go on for a while and return what is to be published; None at the end."""
        return next(self._messages, None)

    def revised(self) -> int:
        """Return how many rows of the stream's kind were computed anew since the pass began, by whomever."""
        return self._reader.revised_since(self._rows_end)

    def close(self) -> None:
        """Leave the broker; where a step was cancelled that its thread is still in, once that has ended."""
        if hasattr(self._messages, "close"):
            with suppress(ValueError):
                self._messages.close()


def _steps(recompute: Recompute, reader: TapeReader, begin: int, end: int) -> Iterator[list[RowMessage]]:
    frames = reader.frames(begin, end)
    while batch := list(islice(frames, _FRAMES)):
        messages: list[RowMessage] = []
        for _, frame in batch:
            messages += recompute.take(frame)
            if recompute.is_done:
                yield messages
                return
        yield messages
    yield list(recompute.finish())


def recompute_with(settings: BackfillSettings, bootstrap: str) -> Callable[[BackfillRequest], Awaitable[Recomputed]]:
    """Return what computes anew what a request touches, while the processor keeps up."""
    recomputer = Recomputer(bootstrap)

    async def recompute(request: BackfillRequest) -> Recomputed:
        lag = LiveLag(bootstrap, request.source, settings)
        try:
            return await recomputer.recompute_after(request, lag.reason_to_wait)
        finally:
            await lag.close()

    return recompute
