"""What a worker does for options beside its frames: definitions, prices of underlyings, live chains, best chains."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.publisher import Publisher
from tapeline.model.instrument_codec import decode_instrument
from tapeline.model.instruments import TOPIC as INSTRUMENTS_TOPIC
from tapeline.model.instruments import Instrument
from tapeline.ops.logs import get_logger
from tapeline.quality.best import Limits
from tapeline.quality.chains import ChainLimits
from tapeline_processor.dead_letters import DeadLetters
from tapeline_processor.judging import Judging
from tapeline_processor.live_chains import LiveChains
from tapeline_processor.operators import pressure
from tapeline_processor.operators.best_chain import BestChains
from tapeline_processor.partitions import Fail, Partitions
from tapeline_processor.reading import Feed, Reader
from tapeline_processor.settings import ProcessorSettings
from tapeline_processor.underlyings import Underlyings

log = get_logger("processor.options")

_LIVE_INTERVAL_S: Final = 1.0
_JUDGE_INTERVAL_S: Final = 1.0
_DOUBT_S: Final = 5.0


class OptionsDesk:
    """Everything about options of one worker that is not told by the frames of one partition.

    `may_work` says whether this worker's partitions are its own right now; `now_ns` is the time, ns since the epoch.
    """

    def __init__(
        self,
        settings: ProcessorSettings,
        define: Callable[[Instrument], None],
        partitions: Partitions,
        publisher: Publisher,
        dead_letters: DeadLetters,
        fail: Fail,
        *,
        servers: str,
        chain_topics: Sequence[str],
        may_work: Callable[[], bool],
        now_ns: Callable[[], int],
        session: str,
    ) -> None:
        self._settings = settings
        self._take_definition = define
        self._fail = fail
        self._may_work = may_work
        self._now_ns = now_ns
        self._reader = Reader(servers, dead_letters, fail)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="chains")
        prices = Underlyings(lambda: self._reader.read(self._price_feed))
        self._price_feed = Feed(namespaced(pressure.TOPIC), prices.decode, prices.take, last_messages=0)
        self._live_chains = LiveChains(
            partitions,
            prices,
            publisher,
            self._executor,
            chain_topics=chain_topics,
            rate=settings.interest_rate,
        )
        best_chains = BestChains(
            Limits(settings.chain_max_age_s, settings.chain_hold_s),
            ChainLimits(),
            rate=settings.interest_rate,
            session=session,
        )
        self._judging = Judging(best_chains, chain_topics, self._reader, publisher, self._executor)
        self._definitions = 0
        self._are_defined = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Read the definitions that there are, then begin with chains; give up waiting after the set time, aloud."""
        timeout_s = self._settings.definitions_timeout_s
        self._reader.start()
        self._reader.read(
            Feed(namespaced(INSTRUMENTS_TOPIC), decode_instrument, self._define, lambda _: self._are_defined.set())
        )
        try:
            async with asyncio.timeout(timeout_s):
                await self._are_defined.wait()
            log.info("definitions_read", definitions=self._definitions)
        except TimeoutError:
            log.error("definitions_late", timeout_s=timeout_s, read=self._definitions, note="live chains wait for them")
        self._tasks = [
            asyncio.create_task(self._every(_LIVE_INTERVAL_S, self._tell_live_chains)),
            asyncio.create_task(self._every(_JUDGE_INTERVAL_S, self._judging.judge)),
        ]

    def own(self, partitions: Iterable[int]) -> None:
        """Judge the chains of these partitions from now on, and no others."""
        self._judging.own(partitions)

    @property
    def is_ready(self) -> bool:
        """Whether all definitions were read that there were at the start."""
        return self._are_defined.is_set()

    def status(self) -> dict[str, object]:
        """Return the facts of /readyz."""
        return {
            "definitions": self._definitions,
            "definitions_read": self.is_ready,
            "chains_judged": self._judging.keys,
            "chain_partitions_judged": self._judging.judged,
        }

    async def close(self) -> None:
        """End what was begun."""
        for task in self._tasks:
            task.cancel()
        await self._reader.close()
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def _tell_live_chains(self, now_ns: int) -> None:
        if self.is_ready:
            await self._live_chains.tell(now_ns)

    async def _every(self, interval_s: float, work: Callable[[int], Awaitable[None]]) -> None:
        try:
            while True:
                began_s = time.monotonic()
                if self._may_work():
                    await work(self._now_ns())
                await asyncio.sleep(max(0.0, began_s + interval_s - time.monotonic()))
                if time.monotonic() - began_s > self._settings.session_timeout_s:
                    # Whoever slept for so long may hold nothing any more, and is told of it in a moment.
                    await asyncio.sleep(_DOUBT_S)
        except Exception as error:
            self._fail(error)

    def _define(self, _: int, instrument: Instrument) -> None:
        self._take_definition(instrument)
        self._definitions += 1
