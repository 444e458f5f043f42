"""Saving and loading the states of partitions: the checkpoint is the cursor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from faust.types import TP

from tapeline.bus import checkpoints
from tapeline.bus.checkpoints import Checkpoint, Part
from tapeline.bus.publisher import Publisher
from tapeline.errors import BadData, BrokerUnavailable
from tapeline.ops.logs import get_logger
from tapeline.ops.metrics import CHECKPOINT_SECONDS, CHECKPOINTS
from tapeline_processor.operators.states import OperatorStates, Reference, StatesCopy, pack_states, unpack_states
from tapeline_processor.partitions import Fail, Partition, Restored

log = get_logger("processor.checkpoints")

_MAX_POLL_S = 0.2


class Saver:
    """Writes checkpoints: when a partition is due, and once more at the end.

    Order is what makes them true: the rows that a state covers are delivered before the state is sent.
    """

    def __init__(
        self,
        publisher: Publisher,
        checkpoint_topic: Callable[[str], str],
        fail: Fail,
        *,
        interval_s: float,
        ticks: int,
        part_bytes: int,
        clock: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self._publisher = publisher
        self._checkpoint_topic = checkpoint_topic
        self._fail = fail
        self._interval_s = interval_s
        self._ticks = ticks
        self._part_bytes = part_bytes
        self._clock = clock
        self._new_id = new_id
        # One at a time: packing many partitions at once would starve the event loop.
        self._packing = asyncio.Semaphore(1)
        self.saved_at_s: float | None = None

    def maybe_save(self, partition: Partition) -> None:
        """Begin to save in the background if the partition is due and not being saved. Its lock must be held."""
        due = (
            partition.states.ticks - partition.saved_ticks >= self._ticks
            or self._clock() - partition.saved_at_s >= self._interval_s
        )
        if due and (partition.saving is None or partition.saving.done()):
            partition.saving = self._begin(partition)
            partition.saving.add_done_callback(self._settle)

    async def save_last(self, partition: Partition) -> None:
        """Save once more, after the save in progress, unless nothing has come since."""
        if partition.saving is not None:
            await partition.saving
        async with partition.lock:
            saving = None if partition.next == partition.saved_next else self._begin(partition)
        if saving is not None:
            await saving

    def _begin(self, partition: Partition) -> asyncio.Task[None]:
        partition.saved_next = partition.next
        partition.saved_ticks = partition.states.ticks
        partition.saved_at_s = self._clock()
        return asyncio.create_task(self._save(partition.tp, partition.next, partition.states.copy()))

    async def _save(self, tp: TP, next_: int, copy: StatesCopy) -> None:
        started_s = self._clock()
        async with self._packing:
            data = await asyncio.to_thread(lambda: checkpoints.compress(pack_states(copy)))
        await self._publisher.delivered()
        topic = self._checkpoint_topic(tp.topic)
        for part in checkpoints.split(Checkpoint(next_, self._new_id(), data), self._part_bytes):
            await self._publisher.publish(topic, None, part.value, headers=part.headers, partition=tp.partition)
        await self._publisher.delivered()
        self.saved_at_s = self._clock()
        CHECKPOINTS.labels(topic).inc()
        CHECKPOINT_SECONDS.observe(self.saved_at_s - started_s)

    def _settle(self, saving: asyncio.Task[None]) -> None:
        if not saving.cancelled() and (error := saving.exception()) is not None:
            self._fail(error)


class Loader:
    """Finds the state with which each partition goes on: that of the best checkpoint, else an empty one.

    The committed offset of the group plays no part.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        checkpoint_topic: Callable[[str], str],
        reference: Reference,
    ) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._checkpoint_topic = checkpoint_topic
        self._reference = reference

    async def load(self, assigned: set[TP]) -> Mapping[TP, Restored]:
        """Return state and place per partition. Raises BrokerUnavailable."""
        if not assigned:
            return {}
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap_servers,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=4 << 20,
            fetch_max_wait_ms=20,
        )
        try:
            await consumer.start()
            found = await self._newest(consumer, assigned)
            inputs = {tp: TopicPartition(tp.topic, tp.partition) for tp in assigned}
            begins = await consumer.beginning_offsets(inputs.values())
            ends = await consumer.end_offsets(inputs.values())
        except KafkaError as error:
            raise BrokerUnavailable(f"loading checkpoints: {error}") from error
        finally:
            await consumer.stop()
        return {tp: self._place(tp, found.get(tp), begins[at], ends[at]) for tp, at in inputs.items()}

    def _place(self, tp: TP, found: Restored | None, begin: int, end: int) -> Restored:
        where = {"topic": tp.topic, "partition": tp.partition}
        if found is None:
            return Restored(OperatorStates.empty(self._reference), begin)
        if found.next > end:
            # The log is another one than the checkpoint's: the topic was made anew, or the broker lost its end.
            log.error("checkpoint_beyond_log", **where, checkpoint_next=found.next, log_end=end, starting_at=begin)
            return Restored(OperatorStates.empty(self._reference), begin)
        if found.next < begin:
            # The state sees the jump in frame numbers and treats it as the gap that it is.
            log.error("log_deleted_before_read", **where, checkpoint_next=found.next, lost_messages=begin - found.next)
            return Restored(found.states, begin)
        return found

    async def _newest(self, consumer: AIOKafkaConsumer, assigned: set[TP]) -> dict[TP, Restored]:
        unread = {TopicPartition(self._checkpoint_topic(tp.topic), tp.partition): tp for tp in assigned}
        consumer.assign(list(unread))
        begins = await consumer.beginning_offsets(list(unread))
        ends = await consumer.end_offsets(list(unread))
        found: dict[TP, Restored] = {}
        depth = checkpoints.FIRST_DEPTH
        while unread:
            starts = {at: max(begins[at], ends[at] - depth) for at in unread}
            messages = await _read(consumer, starts, ends)
            for at, tp in list(unread.items()):
                restored = self._first_good(tp, checkpoints.complete(messages[at]))
                if restored is not None:
                    found[tp] = restored
                if restored is not None or starts[at] == begins[at]:
                    del unread[at]
            depth *= checkpoints.DEEPEN
        return found

    def _first_good(self, tp: TP, candidates: list[Checkpoint]) -> Restored | None:
        for candidate in candidates:
            try:
                states = unpack_states(checkpoints.decompress(candidate.data), self._reference)
            except BadData as error:
                log.error("checkpoint_unreadable", topic=tp.topic, partition=tp.partition, error=str(error))
            else:
                return Restored(states, candidate.next)
        return None


async def _read(
    consumer: AIOKafkaConsumer, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> dict[TopicPartition, list[Part]]:
    consumer.assign(list(starts))
    for at, start in starts.items():
        consumer.seek(at, start)
    messages: dict[TopicPartition, list[Part]] = {at: [] for at in starts}
    unread = {at for at, start in starts.items() if start < ends[at]}
    while unread:
        batch = await consumer.getmany(*unread, timeout_ms=int(_MAX_POLL_S * 1000))
        for at, records in batch.items():
            messages[at] += [Part(record.value, record.headers) for record in records if record.offset < ends[at]]
        unread = {at for at in unread if await consumer.position(at) < ends[at]}
    return messages
