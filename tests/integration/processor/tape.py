"""Put frames on the ticks topic of a namespace and read rows back; what rows must come out, computed in-process."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import zstandard
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from tests.unit.orderflow.builders import replay_dbn

from tapeline.bus.bootstrap import namespaced
from tapeline.model.codec import decode, encode
from tapeline.model.frames import TickFrame
from tapeline.orderflow.partition import PartitionState
from tapeline_processor.app import sessions
from tapeline_processor.topics import chain_topics

TICKS = "md.ticks.saved.v1"
CHECKPOINTS = "md.checkpoints.ticks.saved.v1"
ROWS = "md.pressure.v1"
DEAD_LETTERS = "md.dead-letters.v1"
INSTRUMENTS = "md.instruments.v1"
QUALITY = "md.quality.v1"
EVENTS = "md.feed-events.v1"
FLOW = "md.option-flow.v1"
BEST = "md.chains.v1"
CHAINS = (BEST, *chain_topics())

Key = tuple[str, str, str, str, str, int, int]
Rows = dict[Key, dict[str, Any]]


class Tape:
    """The topics of one namespace, with as many partitions as a test likes."""

    def __init__(self, servers: str, partitions: int) -> None:
        self.servers = servers
        self.partitions = partitions
        self.admin = AdminClient({"bootstrap.servers": servers})
        self._producer = Producer(
            {"bootstrap.servers": servers, "enable.idempotence": True, "message.max.bytes": 4_000_000}
        )
        self._undelivered: list[str] = []
        self.sent: list[TickFrame] = []
        self.create({TICKS: partitions, CHECKPOINTS: partitions, ROWS: 3, DEAD_LETTERS: 1})
        self.create(dict.fromkeys(CHAINS, partitions) | dict.fromkeys((INSTRUMENTS, QUALITY, EVENTS, FLOW), 1))

    def create(self, topics: dict[str, int]) -> None:
        new = [
            NewTopic(
                namespaced(name),
                count,
                1,
                config={"message.timestamp.type": "LogAppendTime", "max.message.bytes": "4194304"},
            )
            for name, count in topics.items()
        ]
        for future in self.admin.create_topics(new).values():
            future.result(30)

    def put(self, frames: Iterable[TickFrame], *, pause_s: float = 0.0) -> None:
        """Send frames to the partition of their stream, in order, `pause_s` apart, and wait for their delivery."""
        for frame in frames:
            self.put_raw(encode(frame), partition=self.partition_of(frame.stream), key=frame.stream.encode())
            self.sent.append(frame)
            time.sleep(pause_s)
        self.flush()

    def put_raw(
        self,
        value: bytes | None,
        *,
        partition: int,
        key: bytes | None = None,
        topic: str = TICKS,
        headers: Any = None,
    ) -> None:
        self._producer.produce(
            namespaced(topic), value=value, key=key, partition=partition, headers=headers, on_delivery=self._delivered
        )
        self._producer.poll(0)

    def flush(self) -> None:
        assert self._producer.flush(30) == 0
        assert not self._undelivered, self._undelivered

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._undelivered.append(f"{message.topic()}[{message.partition()}]: {error.str()}")

    def delete_before(self, offset: int) -> None:
        """Delete the ticks of partition 0 before `offset`, as retention does."""
        for future in self.admin.delete_records([TopicPartition(namespaced(TICKS), 0, offset)]).values():
            assert future.result(30).low_watermark == offset

    def partition_of(self, stream: str) -> int:
        return int(stream.rsplit("#", 1)[1]) % self.partitions if "#" in stream else 0

    def read(self, topic: str) -> Iterator[Message]:
        """Yield what is on the topic now, partition by partition."""
        with _consumer(self.servers) as consumer:
            name = namespaced(topic)
            for partition in consumer.list_topics(name, timeout=10).topics[name].partitions:
                at = TopicPartition(name, partition)
                low, high = consumer.get_watermark_offsets(at, timeout=10)
                at.offset = low
                consumer.assign([at])
                while low < high:
                    message = consumer.poll(10)
                    assert message is not None, f"no answer for {name}[{partition}] at {low}"
                    assert message.error() is None, message.error()
                    low = message.offset() + 1  # type: ignore[operator]
                    yield message

    def ends(self, topic: str) -> dict[int, int]:
        with _consumer(self.servers) as consumer:
            name = namespaced(topic)
            return {
                partition: consumer.get_watermark_offsets(TopicPartition(name, partition), timeout=10)[1]
                for partition in consumer.list_topics(name, timeout=10).topics[name].partitions
            }

    def rows(self) -> Rows:
        """Return the rows on the topic by their key, as a consumer that upserts has them; repeats must be identical."""
        found: Rows = {}
        for message in self.read(ROWS):
            for key, row in rows_of(message.value()):
                assert found.setdefault(key, row) == row, f"{key} was written twice, and differently"
        return found

    def expected(self) -> Rows:
        """Return the rows of an undisturbed run over all frames that were put."""
        return expected_rows(self.sent, self.partition_of)

    def await_rows(self, expected: Rows, *, timeout_s: float = 40.0) -> None:
        """Wait until all expected rows are there; fail where one is missing, wrong or unexpected."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            found = self.rows()
            missing = expected.keys() - found.keys()
            if not missing:
                break
            if time.monotonic() > deadline_s:
                break
            time.sleep(0.25)
        assert not missing, (
            f"{len(missing)} rows of {len(expected)} missing, from {min(missing)} on; "
            f"not expected: {sorted(found.keys() - expected.keys())[:3]}"
        )
        assert found == expected


def rows_of(value: bytes | None) -> Iterator[tuple[Key, dict[str, Any]]]:
    document = json.loads(value or b"")
    for row in document["rows"]:
        key = (
            *(document[name] for name in ("source", "stream", "kind")),
            *(row[name] for name in ("symbol", "window_start", "window_ms", "revision")),
        )
        yield key, row


def expected_rows(frames: Iterable[TickFrame], partition_of: Callable[[str], int]) -> Rows:
    states: dict[int, PartitionState] = {}
    found: Rows = {}
    for frame in frames:
        state = states.setdefault(partition_of(frame.stream), PartitionState(sessions()))
        for message in state.apply(decode(encode(frame))):
            found.update(rows_of(message.value))
    return found


def esh4(real_data: Path, streams: Sequence[str], *, ticks_per_frame: int = 500) -> list[TickFrame]:
    """Return the real ESH4 session once per stream, the streams' frames taking turns."""
    frames = list(replay_dbn(real_data / "databento" / "esh4-glbx-mdp3-20231225.mbo.dbn.zst", ticks_per_frame))
    return [replace(frame, stream=stream) for frame in frames for stream in streams]


def market(folder: Path, streams: Sequence[str], *, ticks_per_frame: int = 500) -> list[TickFrame]:
    """Return 50 seconds of the synthetic market, on a day that CME trades, once per stream, the frames taking turns."""
    path = folder / "market.dbn.zst"
    options = ["--seed", "7", "--seconds", "50", "--speed", "max", "--start", "2023-12-26T15:00", "-o", "-"]
    command = [Path(sys.executable).with_name("tapeline"), "simulate", "market", *options]
    path.write_bytes(
        zstandard.compress(subprocess.run(command, check=True, timeout=120, stdout=subprocess.PIPE).stdout)
    )
    frames = list(replay_dbn(path, ticks_per_frame))
    return [replace(frame, stream=stream) for frame in frames for stream in streams]


def _consumer(servers: str) -> Any:
    return _Closing(Consumer({"bootstrap.servers": servers, "group.id": "unused", "enable.auto.commit": False}))


class _Closing:
    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    def __enter__(self) -> Consumer:
        return self._consumer

    def __exit__(self, *_: object) -> None:
        self._consumer.close()
