"""The newest of everything that the page shows, and what of it a client has not been sent. Pure.

There is no queue per client: a client holds one number, up to where it has everything, and takes what came since then
whenever it can take more. So a slow client misses what was replaced meanwhile, and holds up and costs nobody anything.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson


@dataclass(frozen=True, slots=True)
class Shelf:
    """How much is kept of a type of event: `depth` values of each of `keys` keys.

    Of more keys than that, the one whose newest value is oldest goes.
    """

    keys: int
    depth: int = 1


@dataclass(slots=True)
class _Kept:
    """Values with the number of their arrival, oldest first, by key; the key that changed last is the last one."""

    shelf: Shelf
    by_key: OrderedDict[str, deque[tuple[int, bytes]]] = field(default_factory=OrderedDict)


class Hub:
    """Keeps values by type of event and key. Everything in it is bounded by its shelves. For one thread."""

    def __init__(self, shelves: Mapping[str, Shelf]) -> None:
        self._kept = {event: _Kept(shelf) for event, shelf in shelves.items()}
        self._number = 0

    def put(self, event: str, key: str, document: object) -> None:
        """Keep a document as the newest of its key; one that is the same as the newest is no news."""
        # A copy, as what orjson returns holds on to all of its buffer: 8 kB for each row of 400 B.
        kept, value = self._kept[event], bytes(memoryview(orjson.dumps(document)))
        values = kept.by_key.get(key)
        if values is None:
            values = kept.by_key[key] = deque(maxlen=kept.shelf.depth)
        elif values[-1][1] == value:
            return
        self._number += 1
        values.append((self._number, value))
        kept.by_key.move_to_end(key)
        if len(kept.by_key) > kept.shelf.keys:
            kept.by_key.popitem(last=False)

    def forget(self, event: str) -> None:
        """Drop all that is kept of a type of event."""
        self._kept[event].by_key.clear()

    def since(self, seen: int) -> tuple[int, dict[str, list[bytes]]]:
        """Return the number up to where a client then has everything, and the values after `seen`, in their order."""
        news = {event: _after(kept, seen) for event, kept in self._kept.items()}
        return self._number, {event: values for event, values in news.items() if values}


def _after(kept: _Kept, seen: int) -> list[bytes]:
    found: list[tuple[int, bytes]] = []
    for values in reversed(kept.by_key.values()):
        if values[-1][0] <= seen:
            break
        found += [each for each in values if each[0] > seen]
    return [value for _, value in sorted(found)]
