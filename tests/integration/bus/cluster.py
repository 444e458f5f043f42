"""Topics, producers and consumers in a namespace, as the tests of everything that looks at groups need them."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from tapeline.bus.groups import Groups


class Cluster:
    """The broker as seen by the test: what is in its namespace."""

    def __init__(self, address: str, namespace: str) -> None:
        self.address = address
        self._namespace = namespace
        self._admin = AdminClient({"bootstrap.servers": address})
        self._open = ExitStack()

    def name(self, name: str) -> str:
        return f"{self._namespace}.{name}"

    def topic(self, name: str, partitions: int = 1) -> str:
        new = NewTopic(self.name(name), num_partitions=partitions)
        self._admin.create_topics([new])[new.topic].result(30)
        return new.topic

    def producer(self, **settings: Any) -> Producer:
        return Producer({"bootstrap.servers": self.address, "linger.ms": 0, **settings})

    def consumer(self, group: str, **settings: Any) -> Consumer:
        config = {"bootstrap.servers": self.address, "group.id": self.name(group), "enable.auto.commit": False}
        return self._open.enter_context(closing(Consumer({**config, "auto.offset.reset": "earliest", **settings})))

    def commit(self, group: str, topic: str, partition: int, offset: int) -> None:
        """Commit as a consumer that takes its partitions by itself, and is gone afterwards."""
        config = {"bootstrap.servers": self.address, "group.id": self.name(group)}
        with closing(Consumer(config)) as consumer:
            consumer.commit(offsets=[TopicPartition(topic, partition, offset)], asynchronous=False)

    def forget(self, topic: str, partition: int, before: int) -> None:
        """Delete records, as retention does."""
        place = TopicPartition(topic, partition, before)
        self._admin.delete_records([place])[place].result(30)

    def groups(self) -> Groups:
        """What reads the groups of the namespace."""

        def is_ours(name: str) -> bool:
            return name.startswith(f"{self._namespace}.")

        return Groups(self.address, "test", wants_group=is_ours, wants_topic=is_ours)

    def close(self) -> None:
        self._open.close()
