"""What cannot be understood goes to the dead letters as it was, with what is wrong with it and where it came from."""

from __future__ import annotations

from typing import Final

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.publisher import Publisher
from tapeline.errors import BadData
from tapeline.ops.logs import get_logger
from tapeline.ops.metrics import DEAD_LETTERS

log = get_logger("processor.dead_letters")

TOPIC: Final = "md.dead-letters.v1"


class DeadLetters:
    """Sets messages aside."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._topic = namespaced(TOPIC)

    async def set_aside(
        self, topic: str, partition: int, offset: int, *, key: bytes | None, value: bytes | None, error: BadData
    ) -> None:
        """Publish a message as a dead letter; topic, partition and offset say where it was."""
        headers = [
            ("error", str(error).encode()),
            ("field", error.field.encode()),
            ("rule", error.rule.encode()),
            ("origin_topic", topic.encode()),
            ("origin_partition", b"%d" % partition),
            ("origin_offset", b"%d" % offset),
            ("service", b"tapeline-processor"),
        ]
        await self._publisher.publish(self._topic, key, value or b"", headers=headers)
        DEAD_LETTERS.labels(topic).inc()
        log.warning("bad_message", topic=topic, partition=partition, offset=offset, error=str(error))
