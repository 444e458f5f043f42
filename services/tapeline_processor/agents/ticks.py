"""The agent of a ticks topic: decode a frame once, run the operators on it, send what comes out."""

from __future__ import annotations

from typing import Any, Final

from faust.types import Message, StreamT

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.publisher import Publisher
from tapeline.errors import BadData
from tapeline.model.codec import Decoder
from tapeline.ops.logs import get_logger
from tapeline.ops.metrics import DEAD_LETTERS, PRESSURE_ROWS, PROCESSED_FRAMES, PROCESSED_TICKS
from tapeline_processor.checkpoints import Saver
from tapeline_processor.errors import LostPlace
from tapeline_processor.operators import pressure
from tapeline_processor.partitions import Partition, Partitions

log = get_logger("processor.ticks")

DEAD_LETTER_TOPIC: Final = "md.dead-letters.v1"


class TicksAgent:
    """Takes the messages of one ticks topic in, each once and in order."""

    def __init__(self, topic: str, partitions: Partitions, publisher: Publisher, saver: Saver) -> None:
        self._partitions = partitions
        self._publisher = publisher
        self._saver = saver
        self._decoder = Decoder()
        self._pressure_topic = namespaced(pressure.TOPIC)
        self._dead_letter_topic = namespaced(DEAD_LETTER_TOPIC)
        self._frames = PROCESSED_FRAMES.labels(topic)
        self._ticks = PROCESSED_TICKS.labels(topic)
        self._rows = PRESSURE_ROWS.labels(topic)
        self._dead_letters = DEAD_LETTERS.labels(topic)
        self.stopping = False

    async def run(self, stream: StreamT[Any]) -> None:
        """Take in what the stream brings, until it ends or `stopping` is set."""
        async for event in stream.events():
            await self._take(event.message)

    async def _take(self, message: Message) -> None:
        partition = self._partitions[message.tp]
        async with partition.lock:
            if self.stopping:
                return
            if message.offset != partition.next:
                raise LostPlace(message.topic, message.partition, partition.next, message.offset)
            try:
                await self._apply(partition, message)
            except BadData as error:
                await self._set_aside(message, error)
            partition.next = message.offset + 1
            self._saver.maybe_save(partition)

    async def _apply(self, partition: Partition, message: Message) -> None:
        frame = self._decoder.decode(message.value or b"")
        rows = pressure.pressure(partition.states.pressure, frame)
        self._frames.inc()
        if frame.columns:
            self._ticks.inc(len(frame))
            partition.last_ts_event = frame.ts_base + int(frame.columns["ts_event"][-1])
        for row in rows:
            # When the frame that closed the windows was opened: what a row's latency is measured from.
            opened = [("opened", b"%d" % frame.opened)]
            await self._publisher.publish(self._pressure_topic, row.key, row.value, headers=opened)
            self._rows.inc(row.rows)

    async def _set_aside(self, message: Message, error: BadData) -> None:
        headers = [
            ("error", str(error).encode()),
            ("field", error.field.encode()),
            ("rule", error.rule.encode()),
            ("origin_topic", message.topic.encode()),
            ("origin_partition", b"%d" % message.partition),
            ("origin_offset", b"%d" % message.offset),
            ("service", b"tapeline-processor"),
        ]
        await self._publisher.publish(self._dead_letter_topic, message.key, message.value or b"", headers=headers)
        self._dead_letters.inc()
        log.warning(
            "bad_frame", topic=message.topic, partition=message.partition, offset=message.offset, error=str(error)
        )
