"""Runs a source: its lines side by side, their heartbeats and cursors, and a shutdown that leaves nothing behind."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

from tapeline.bus.publisher import Publisher
from tapeline.errors import BrokerUnavailable, DeliveryFailed, Fenced
from tapeline.feed.claims import Claims
from tapeline.feed.line import LineRunner
from tapeline.feed.source import FeedSettings, Source
from tapeline.feed.writer import Totals
from tapeline.ops.logs import get_logger

_HEARTBEAT_S: Final = 1.0
_MAX_MESSAGE_BYTES: Final = 4 << 20
"""Of a chain or a dead letter; frames are bounded by the framer."""
_FATAL: Final = (Fenced, DeliveryFailed, BrokerUnavailable)
"""What concerns all lines: the tape cannot be written any further."""

log = get_logger("runner")


class Runner:
    """Puts what a source gives on the tape until it ends or `stop` is called. Make it inside the event loop.

    `totals` counts what is published while it runs. `clock_ns` gives the time in ns since the epoch, `new_id` a name
    for each session and gap.
    """

    def __init__(
        self,
        source: Source,
        settings: FeedSettings,
        bootstrap: str,
        totals: Totals,
        *,
        clock_ns: Callable[[], int] = time.time_ns,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._source = source
        self._settings = settings
        self._bootstrap = bootstrap
        self._totals = totals
        self._clock_ns = clock_ns
        self._new_id = new_id
        self._loop = asyncio.get_running_loop()
        self._stopped: asyncio.Future[str] = self._loop.create_future()
        self._failure: Exception | None = None
        self._claims: Claims | None = None
        self._lines: list[LineRunner] = []

    def stop(self) -> None:
        """Ask for an end: the sessions in hand are left, and what they gave is delivered within `flush_timeout_s`."""
        self._stop("stopped")

    def _stop(self, reason: str) -> None:
        if not self._stopped.done():
            self._stopped.set_result(reason)

    def status(self) -> Mapping[str, object]:
        """Return the facts of the health endpoint; ready while a session of each line delivers."""
        claimed = {} if self._claims is None else self._claims.streams
        return {
            "ready": bool(self._lines) and all(line.state == "delivering" for line in self._lines),
            "source": self._source.name,
            "lines": {line.line.name: {"state": line.state, "reason": line.reason} for line in self._lines},
            "streams": {
                stream: {"epoch": claim.epoch, "ticks": self._totals.ticks[stream], "open_gaps": len(claim.gaps)}
                for stream, claim in claimed.items()
            },
        }

    async def run(self) -> None:
        """Run until no line has any more sessions, or until `stop`. May be called once.

        A line that nothing can mend stops, and the others go on; what stopped it is raised in the end. Raises Fenced
        where another producer took a stream over, DeliveryFailed where Kafka did not take everything, and what the
        source raises; all that the source gave before is delivered first.
        """
        publisher = Publisher(
            self._bootstrap,
            f"tapeline-{self._source.name}",
            linger_ms=self._settings.linger_ms,
            max_queue_bytes=self._settings.queue_bytes,
            max_message_bytes=_MAX_MESSAGE_BYTES,
        )
        limits = self._settings.resume_limits()
        overlap_s = 0.0 if limits is None else limits.overlap_ns / 1e9
        claims = self._claims = Claims(self._source.name, publisher, self._bootstrap, overlap_s, self._new_id)
        beating = asyncio.create_task(self._or_fail(partial(self._beat, claims), "heartbeats"))
        timeout_s = self._settings.flush_timeout_s
        try:
            async with asyncio.timeout(None) as limit:
                bound = partial(_reschedule, limit, timeout_s)
                self._stopped.add_done_callback(bound)
                try:
                    await self._run_lines(claims)
                finally:
                    self._stopped.remove_done_callback(bound)
        except TimeoutError:
            if not limit.expired():
                raise
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
            # Deliveries were waited for, so that what is left now is given up.
            undelivered = await publisher.close(0.0)
            claims.close()
        if limit.expired():
            raise self._too_late(undelivered)

    async def _run_lines(self, claims: Claims) -> None:
        self._lines = [
            LineRunner(line, claims, self._settings, self._totals, self._stopped, self._clock_ns)
            for line in self._source.lines()
        ]
        try:
            async with asyncio.TaskGroup() as group:
                for line in self._lines:
                    group.create_task(self._or_fail(line.run, line.line.name))
        finally:
            await self._deliver(claims)
        if self._failure is not None:
            raise self._failure

    async def _or_fail(self, duty: Callable[[], Awaitable[None]], name: str) -> None:
        try:
            await duty()
        except Exception as error:
            log.error("stopped for good", duty=name, reason=str(error) or repr(error))
            if self._failure is None or isinstance(error, _FATAL):
                self._failure = error
            if isinstance(error, _FATAL) or name == "heartbeats":
                # The sessions in hand end in order instead of in the middle of a frame.
                self._stop(str(error) or repr(error))

    async def _deliver(self, claims: Claims) -> None:
        """Wait for all deliveries, and leave cursors that say so."""
        await self._flush(claims.publisher)
        await claims.write_cursors(self._clock_ns() / 1e9, only_due=False)
        await self._flush(claims.publisher)

    async def _flush(self, publisher: Publisher) -> None:
        undelivered = await publisher.flush(self._settings.flush_timeout_s)
        if undelivered:
            raise self._too_late(undelivered)

    def _too_late(self, undelivered: int) -> DeliveryFailed:
        timeout_s = self._settings.flush_timeout_s
        return DeliveryFailed(f"Kafka did not acknowledge {undelivered} messages within {timeout_s:g} s", undelivered)

    async def _beat(self, claims: Claims) -> None:
        while True:
            await asyncio.sleep(_HEARTBEAT_S)
            claims.check()
            for line in self._lines:
                for heartbeat in await line.heartbeats():
                    await claims.tell(heartbeat)
            await claims.write_cursors(self._clock_ns() / 1e9, only_due=True)


def _reschedule(limit: asyncio.Timeout, timeout_s: float, _stopped: asyncio.Future[str]) -> None:
    limit.reschedule(asyncio.get_running_loop().time() + timeout_s)
