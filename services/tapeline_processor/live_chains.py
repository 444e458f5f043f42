"""Tells of the live chains that changed: each with forward and volatilities, to their topic and to the option flow."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from concurrent.futures import Executor

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.publisher import Publisher
from tapeline.model.chain_codec import encode_chain
from tapeline.model.chains import Chain, chain_topic
from tapeline.ops.metrics import LIVE_CHAINS
from tapeline_processor.operators.assembly import complete
from tapeline_processor.partitions import Partition, Partitions
from tapeline_processor.underlyings import Underlyings


class LiveChains:
    """Publishes the assembled chains of all partitions. `executor` does what takes milliseconds.

    `rate` is the interest rate for volatilities, continuous, per year. Chains of a source without a topic in
    `chain_topics` only value the option flow.
    """

    def __init__(
        self,
        partitions: Partitions,
        underlyings: Underlyings,
        publisher: Publisher,
        executor: Executor,
        *,
        chain_topics: Collection[str],
        rate: float,
    ) -> None:
        self._partitions = partitions
        self._underlyings = underlyings
        self._publisher = publisher
        self._executor = executor
        self._chain_topics = chain_topics
        self._rate = rate

    async def tell(self, now_ns: int) -> None:
        """Publish the chains that are due at `now_ns`."""
        for partition in list(self._partitions.values()):
            chains = partition.states.assembler.due(now_ns, self._underlyings.prices(now_ns))
            self._underlyings.want(chain.underlying for chain in chains)
            for chain in chains:
                await self._tell(partition, chain)

    async def _tell(self, partition: Partition, chain: Chain) -> None:
        loop = asyncio.get_running_loop()
        completed, value = await loop.run_in_executor(self._executor, self._complete, chain)
        if self._partitions.get(partition.tp) is not partition:
            return  # it was given to another worker, or is told of from its checkpoint on, meanwhile
        partition.states.option_flow.take_chain(completed)
        topic = chain_topic(completed.source)
        if topic in self._chain_topics:
            await self._publisher.publish(namespaced(topic), completed.key, value)
            LIVE_CHAINS.labels(completed.source).inc()

    def _complete(self, chain: Chain) -> tuple[Chain, bytes]:
        completed = complete(chain, rate=self._rate)
        return completed, encode_chain(completed)
