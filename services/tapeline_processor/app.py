"""The worker: from start to the last checkpoint."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from faust.types import TP
from mode.supervisors import CrashingSupervisor

from tapeline.bus.publisher import Publisher
from tapeline.feed.calendar import cme_globex_equity
from tapeline.ops.health import HealthEndpoint
from tapeline.ops.logs import get_logger
from tapeline.ops.memory import give_back_code
from tapeline.ops.stopping import stopped_by_signals
from tapeline.orderflow.sessions import Sessions
from tapeline_processor import kernels
from tapeline_processor.agents.ticks import TicksAgent
from tapeline_processor.checkpoints import Loader, Saver
from tapeline_processor.dead_letters import DeadLetters
from tapeline_processor.faust_app import GROUP, build_app
from tapeline_processor.operators.states import Reference
from tapeline_processor.options_desk import OptionsDesk
from tapeline_processor.partitions import Partitions
from tapeline_processor.settings import ProcessorSettings
from tapeline_processor.topics import chain_topics
from tapeline_processor.transport import RawBytes

log = get_logger("processor")

_MAX_MESSAGE_BYTES = 4 << 20
"""Of a dead letter: as much as any topic takes."""
_STOP_TIMEOUT_S = 1.0


class Worker:
    """One processor: reads ticks topics, keeps a state per partition, writes rows and checkpoints."""

    def __init__(
        self,
        settings: ProcessorSettings,
        *,
        servers: str,
        topics: Mapping[str, str],
        sessions: Sessions,
        clock: Callable[[], float] = time.monotonic,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """`topics` maps each ticks topic to its checkpoint topic, as they are called on the broker.

        The chains of the partitions that it holds of the first one are judged.
        """
        self._settings = settings
        self._sessions = sessions
        self._clock = clock
        self._stop = asyncio.Event()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._first_topic = next(iter(topics))
        reference = Reference(sessions)
        loader = Loader(servers, topics.__getitem__, reference)
        self.partitions = Partitions(
            loader.load, self._fail, on_restored=self._own, timeout_s=settings.restore_timeout_s, clock=clock
        )
        self._app = build_app(settings, servers, self.partitions)
        self._publisher = Publisher(
            servers,
            GROUP,
            linger_ms=settings.linger_ms,
            max_queue_bytes=settings.queue_bytes,
            max_message_bytes=_MAX_MESSAGE_BYTES,
            on_failed=self._fail,
        )
        self._saver = Saver(
            self._publisher,
            topics.__getitem__,
            self._fail,
            interval_s=settings.checkpoint_interval_s,
            ticks=settings.checkpoint_ticks,
            part_bytes=settings.checkpoint_part_bytes,
            clock=clock,
            new_id=lambda: secrets.token_hex(8),
        )
        dead_letters = DeadLetters(self._publisher)
        self._desk = OptionsDesk(
            settings,
            reference.define,
            self.partitions,
            self._publisher,
            dead_letters,
            self._fail,
            servers=servers,
            chain_topics=chain_topics(),
            may_work=lambda: self._holds_partitions,
            now_ns=now_ns,
            session=secrets.token_hex(8),
        )
        self._agents = [
            TicksAgent(topic, self.partitions, self._publisher, self._saver, dead_letters) for topic in topics
        ]
        for topic, agent in zip(topics, self._agents, strict=True):
            self._app.agent(
                self._app.topic(topic, schema=RawBytes()),
                name=topic,
                concurrency=1,
                supervisor_strategy=CrashingSupervisor,
            )(agent.run)

    async def run(self) -> None:
        """Work until `stop`; then deliver the rows, save a last checkpoint per partition, and leave.

        Raises what ended the worker otherwise.
        """
        self._app.finalize()
        work = asyncio.create_task(self._work())
        stop = asyncio.create_task(self._stop.wait())
        ends: list[asyncio.Future[Any]] = [work, stop, self._failed]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if self._failed.done():
                await self._failed
            if work.done():
                await work
            async with asyncio.timeout(self._settings.shutdown_timeout_s):
                await self._save_last()
        finally:
            work.cancel()
            stop.cancel()
            await self._leave()

    def stop(self) -> None:
        """End `run` in good order."""
        self._stop.set()

    def status(self) -> dict[str, object]:
        """Return the facts of /readyz."""
        partitions = self.partitions
        assigned = partitions.restored
        now_s = self._clock()
        saved_at_s = self._saver.saved_at_s
        events = [partition.last_ts_event for partition in partitions.values() if partition.last_ts_event is not None]
        return {
            "ready": self._holds_partitions and self._desk.is_ready,
            "assigned": [f"{tp.topic}[{tp.partition}]" for tp in sorted(assigned or ())],
            "last_ts_event": str(max(events)) if events else None,
            "last_checkpoint_age_s": None if saved_at_s is None else round(now_s - saved_at_s, 3),
            "undelivered": self._publisher.queued_messages,
            **self._desk.status(),
        }

    @property
    def _holds_partitions(self) -> bool:
        return self.partitions.restored is not None and not self._app.rebalancing and not self._stop.is_set()

    def _own(self, assigned: frozenset[TP]) -> None:
        self._desk.own(tp.partition for tp in assigned if tp.topic == self._first_topic)

    async def _work(self) -> None:
        log.info("loading_kernels", note="a first start compiles them, which takes about half a minute")
        await _in_daemon_thread(lambda: kernels.load(self._sessions))
        # What is loaded by now stays: neither its objects nor the compiler's code need be looked at again.
        gc.freeze()
        give_back_code("libllvmlite")
        await self._desk.start()
        await self._app.start()
        await self._app.wait_until_stopped()
        raise self._app.crash_reason or RuntimeError("Faust stopped without a reason")

    async def _save_last(self) -> None:
        for agent in self._agents:
            agent.stopping = True
        await asyncio.gather(*(self._saver.save_last(partition) for partition in self.partitions.values()))

    async def _leave(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_TIMEOUT_S):
                await self._app.stop()
        await self._desk.close()
        # What had to be delivered was waited for; what is left is done again by whoever goes on.
        await self._publisher.close(0.0)

    def _fail(self, error: BaseException) -> None:
        if not self._failed.done():
            self._failed.set_exception(error)


async def _in_daemon_thread(work: Callable[[], None]) -> None:
    """Run `work` in a thread that, unlike an executor's, does not keep a stopped process alive."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def settle(error: BaseException | None) -> None:
        if not done.done():
            done.set_result(None) if error is None else done.set_exception(error)

    def target() -> None:
        error: BaseException | None = None
        try:
            work()
        except BaseException as raised:
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, error)

    threading.Thread(target=target, name="kernels", daemon=True).start()
    await done


async def run(settings: ProcessorSettings, *, servers: str, topics: Mapping[str, str]) -> None:
    """Run a worker with its health endpoint until SIGTERM or SIGINT; `topics` and what it raises as `Worker`."""
    worker = Worker(settings, servers=servers, topics=topics, sessions=sessions())
    with stopped_by_signals(worker.stop):
        async with HealthEndpoint(worker.status, port=settings.health_port) as health:
            log.info("started", health=health.url, topics=list(topics))
            await worker.run()
    log.info("stopped")


def sessions() -> Sessions:
    """Return the trading sessions that the states go by."""
    calendar = cme_globex_equity()
    return Sessions.of_days(calendar.opens, calendar.closes, calendar.days, "GLBX.MDP3")
