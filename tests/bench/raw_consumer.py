"""Read a ticks topic as fast as librdkafka can, apply every frame, send nothing: `raw_consumer.py SERVERS TOPIC N…`.

Prints a line when each of the numbers of ticks is applied, and ends after the last one.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict

import orjson
from confluent_kafka import Consumer, TopicPartition

from tapeline.model.codec import Decoder
from tapeline.orderflow.partition import PartitionState
from tapeline_processor.app import sessions

_BATCH = 64


def main(servers: str, topic: str, marks: list[int]) -> None:
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "tapeline-bench", "enable.auto.commit": False})
    partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    table = sessions()
    states: defaultdict[int | None, PartitionState] = defaultdict(lambda: PartitionState(table))
    decoder = Decoder()
    applied = 0
    for mark in marks:
        while applied < mark:
            for message in consumer.consume(_BATCH, 0.1):
                fault = message.error()
                if fault is not None:
                    raise RuntimeError(fault.str())
                frame = decoder.decode(message.value() or b"")
                states[message.partition()].apply(frame)
                applied += len(frame)
        sys.stdout.write(orjson.dumps({"ticks": applied, "at_ns": time.time_ns()}).decode() + "\n")
        sys.stdout.flush()
    consumer.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], [int(mark) for mark in sys.argv[3:]])
