"""Judges the chains of this worker's partitions: reads them from the topics of all sources, tells which is the best.

A worker judges the keys that lie in the partitions it holds of its first ticks topic, so that of several workers one
judges each key: all topics of chains have as many partitions, and keys are spread over them alike.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from typing import Final

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.publisher import Publisher
from tapeline.errors import BadData
from tapeline.model.chain_codec import decode_chain
from tapeline.model.chains import BEST_TOPIC, Chain
from tapeline.ops.logs import get_logger
from tapeline.ops.metrics import BEST_CHAINS, CHAINS_JUDGED
from tapeline_processor.operators.best_chain import BestChains, Output
from tapeline_processor.reading import Feed, Reader

log = get_logger("processor.judging")

LAST_MESSAGES: Final = 100
"""How many messages from the end of a partition a worker begins: every chain that is alive is among them."""


class Judging:
    """The best chain operator with its inputs and outputs. `executor` runs it, one call at a time."""

    def __init__(
        self,
        best_chains: BestChains,
        chain_topics: Iterable[str],
        reader: Reader,
        publisher: Publisher,
        executor: Executor,
    ) -> None:
        self._best_chains = best_chains
        self._reader = reader
        self._publisher = publisher
        self._executor = executor
        self._best_feed = self._feed(BEST_TOPIC, self._take_best, self._take_end_of_best)
        self._feeds = [self._feed(topic, self._take, self._take_end) for topic in chain_topics]
        self._owned: frozenset[int] = frozenset()
        # Per partition, how many feeds are not read to their end yet: before that, a choice would be premature.
        self._unread: dict[int, int] = {}
        self._unread_best: frozenset[int] = frozenset()
        # The newest of each, until the next time that keys are judged.
        self._chains: dict[tuple[str, str], tuple[int, Chain]] = {}
        self._best: dict[str, tuple[int, Chain]] = {}

    @property
    def keys(self) -> int:
        """How many keys are judged."""
        return self._best_chains.keys

    @property
    def judged(self) -> list[int]:
        """The partitions whose keys are judged: those that were read to their end."""
        return sorted(partition for partition in self._owned if not self._unread[partition])

    def own(self, partitions: Iterable[int]) -> None:
        """Judge the keys of these partitions from now on, and no others."""
        owned = frozenset(partitions)
        new = owned - self._owned
        self._owned = owned
        feeds = len(self._feeds) + 1
        self._unread = {partition: feeds if partition in new else self._unread[partition] for partition in owned}
        self._unread_best = (self._unread_best & owned) | new
        for feed in self._feeds:
            self._reader.read(feed, owned)
        self._reader.read(self._best_feed, self._unread_best)

    async def judge(self, at_ns: int) -> None:
        """Judge the keys of all partitions that were read to their end, and publish what is to be told."""
        judged = frozenset(self.judged)
        best = {key: held for key, held in self._best.items() if held[0] in judged}
        chains = {key: held for key, held in self._chains.items() if held[0] in judged}
        self._best = {key: held for key, held in self._best.items() if held[0] in self._owned - judged}
        self._chains = {key: held for key, held in self._chains.items() if held[0] in self._owned - judged}
        loop = asyncio.get_running_loop()
        outputs = await loop.run_in_executor(self._executor, self._work, judged, best, chains, at_ns)
        CHAINS_JUDGED.set(self.keys)
        for output in outputs:
            if output.partition not in self._owned:
                continue
            if output.topic == BEST_TOPIC:
                BEST_CHAINS.inc()
            await self._publisher.publish(namespaced(output.topic), output.key, output.value)

    def _work(
        self,
        judged: frozenset[int],
        best: Mapping[str, tuple[int, Chain]],
        chains: Mapping[tuple[str, str], tuple[int, Chain]],
        at_ns: int,
    ) -> list[Output]:
        self._best_chains.keep(judged)
        for partition, chain in best.values():
            self._best_chains.resume(partition, chain)
        for partition, chain in chains.values():
            try:
                self._best_chains.take(partition, chain, at_ns)
            except BadData as error:
                log.error("chain_not_taken", chain=chain.key, source=chain.source, error=str(error))
        return list(self._best_chains.judge(at_ns))

    def _feed(self, topic: str, take: Callable[[int, Chain], None], take_end: Callable[[int], None]) -> Feed:
        return Feed(namespaced(topic), decode_chain, take, take_end, last_messages=LAST_MESSAGES)

    def _take(self, partition: int, chain: Chain) -> None:
        self._chains[chain.key, chain.source] = partition, chain

    def _take_best(self, partition: int, chain: Chain) -> None:
        if partition in self._unread_best:
            self._best[chain.key] = partition, chain

    def _take_end(self, partition: int) -> None:
        self._unread[partition] -= 1

    def _take_end_of_best(self, partition: int) -> None:
        self._take_end(partition)
        # From here on they are this worker's own.
        self._unread_best -= {partition}
        self._reader.read(self._best_feed, self._unread_best)
