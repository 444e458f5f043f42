"""The agent of a ticks topic: decode a frame once, run the operators on it, send what comes out."""

from __future__ import annotations

from typing import Any

from faust.types import Message, StreamT

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.publisher import Publisher
from tapeline.errors import BadData
from tapeline.model.codec import Decoder
from tapeline.model.quality import TOPIC as QUALITY_TOPIC
from tapeline.model.tick_quality import encode_tick_report
from tapeline.ops.metrics import OPTION_FLOW_ROWS, PRESSURE_ROWS, PROCESSED_FRAMES, PROCESSED_TICKS
from tapeline_processor.checkpoints import Saver
from tapeline_processor.dead_letters import DeadLetters
from tapeline_processor.errors import LostPlace
from tapeline_processor.operators import assembly, option_flow, pressure, tick_quality
from tapeline_processor.partitions import Partition, Partitions


class TicksAgent:
    """Takes the messages of one ticks topic in, each once and in order."""

    def __init__(
        self, topic: str, partitions: Partitions, publisher: Publisher, saver: Saver, dead_letters: DeadLetters
    ) -> None:
        self._partitions = partitions
        self._publisher = publisher
        self._saver = saver
        self._dead_letters = dead_letters
        self._decoder = Decoder()
        self._pressure_topic = namespaced(pressure.TOPIC)
        self._option_flow_topic = namespaced(option_flow.TOPIC)
        self._quality_topic = namespaced(QUALITY_TOPIC)
        self._frames = PROCESSED_FRAMES.labels(topic)
        self._ticks = PROCESSED_TICKS.labels(topic)
        self._pressure_rows = PRESSURE_ROWS.labels(topic)
        self._option_flow_rows = OPTION_FLOW_ROWS.labels(topic)
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
                await self._dead_letters.set_aside(
                    message.topic,
                    message.partition,
                    message.offset,
                    key=message.key,
                    value=message.value,
                    error=error,
                )
            partition.next = message.offset + 1
            self._saver.maybe_save(partition)

    async def _apply(self, partition: Partition, message: Message) -> None:
        frame = self._decoder.decode(message.value or b"")
        states = partition.states
        rows = pressure.pressure(states.pressure, frame)
        flow_rows = option_flow.option_flow(states.option_flow, frame)
        assembly.assemble(states.assembler, frame)
        reports = tick_quality.tick_quality(states.tick_quality, frame, states.pressure)
        self._frames.inc()
        if frame.columns:
            self._ticks.inc(len(frame))
            partition.last_ts_event = frame.ts_base + int(frame.columns["ts_event"][-1])
        # When the frame that closed the windows was opened: what a row's latency is measured from.
        opened = [("opened", b"%d" % frame.opened)]
        for row in rows:
            await self._publisher.publish(self._pressure_topic, row.key, row.value, headers=opened)
            self._pressure_rows.inc(row.rows)
        for row in flow_rows:
            await self._publisher.publish(self._option_flow_topic, row.key, row.value, headers=opened)
            self._option_flow_rows.inc(row.rows)
        for report in reports:
            await self._publisher.publish(self._quality_topic, report.key, encode_tick_report(report))
