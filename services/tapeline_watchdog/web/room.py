"""Which symbols the page has room for, where there are more of them than it shows. Pure."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

_MOST_COUNTED: Final = 1_000


class Room:
    """Lets in `most` keys; one of which nothing came for `idle_ns` makes room for another one.

    Those that are let in stay so for as long as they are live: were the one that is oldest to go for each that is new,
    none of them would keep a history. Times are ns since the epoch, of the tape.
    """

    def __init__(self, most: int, idle_ns: int) -> None:
        self._most = most
        self._idle_ns = idle_ns
        self._inside: OrderedDict[str, int] = OrderedDict()
        self._outside: OrderedDict[str, int] = OrderedDict()
        self._newest_ns = 0

    def admits(self, key: str, at_ns: int) -> bool:
        """Return whether there is room for what came of a key and is of `at_ns`."""
        self._newest_ns = max(self._newest_ns, at_ns)
        if key not in self._inside and len(self._inside) >= self._most:
            if not self._is_idle(next(iter(self._inside.values()))):
                _note(self._outside, key, at_ns)
                if len(self._outside) > _MOST_COUNTED:
                    self._outside.popitem(last=False)
                return False
            self._inside.popitem(last=False)
        self._outside.pop(key, None)
        _note(self._inside, key, at_ns)
        return True

    def left_out(self) -> int:
        """Return how many keys are live for which there is no room."""
        return sum(not self._is_idle(at_ns) for at_ns in self._outside.values())

    def clear(self) -> None:
        """Begin anew, with nothing inside."""
        self._inside.clear()
        self._outside.clear()
        self._newest_ns = 0

    def _is_idle(self, at_ns: int) -> bool:
        return at_ns < self._newest_ns - self._idle_ns


def _note(keys: OrderedDict[str, int], key: str, at_ns: int) -> None:
    keys[key] = max(at_ns, keys.get(key, at_ns))
    keys.move_to_end(key)
