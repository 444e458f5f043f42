"""Finds the checkpoint that a reader wants among all that are kept, without reading them all. Blocking calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from tapeline.bus import checkpoints
from tapeline.bus.checkpoints import Checkpoint, Part
from tapeline.bus.log import Log

_MESSAGES: Final = 64
"""So many messages hold a complete checkpoint, unless states are huge: then an older one is found."""

T = TypeVar("T")


def find_checkpoint(log: Log, topic: str, partition: int, wanted: Callable[[Checkpoint], T | None]) -> T | None:
    """Return what `wanted` makes of a late checkpoint that it takes, None where it takes none.

    Looks further and further back from the end, then closer to it again. It is the last one where all that are older
    are taken as well; else it is one of them. Raises BrokerUnavailable.
    """
    low, high = log.bounds(topic, partition)

    def look(begin: int) -> T | None:
        return _within(log, topic, partition, begin, min(high, begin + _MESSAGES), wanted)

    found: T | None = None
    at = near = high
    back = checkpoints.FIRST_DEPTH
    while found is None and at > low:
        near, at = at, max(low, high - back)
        found = look(at)
        back *= checkpoints.DEEPEN
    while found is not None and near - at > _MESSAGES:
        middle = (at + near) // 2
        better = look(middle)
        at, near, found = (at, middle, found) if better is None else (middle, near, better)
    return found


def _within(
    log: Log, topic: str, partition: int, begin: int, end: int, wanted: Callable[[Checkpoint], T | None]
) -> T | None:
    parts = []
    for message in log.read(topic, partition, begin, end):
        headers = message.headers() or []
        pairs = headers.items() if isinstance(headers, dict) else headers
        parts.append(Part(message.value() or b"", [(name, _bytes(value)) for name, value in pairs]))
    found = (wanted(candidate) for candidate in checkpoints.complete(parts))
    return next((each for each in found if each is not None), None)


def _bytes(value: str | bytes | None) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""
