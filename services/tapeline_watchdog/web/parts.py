"""The parts of the page that the watchdog tells of over HTTP as well: the same documents, at most once a second."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from tapeline_watchdog.web.hub import Hub

Document = dict[str, Any]
Parts = Mapping[str, Callable[[], Document | None]]
"""By type of event: what returns the document of its path, None while there is none."""

AVAILABILITY: Final = "parts"
"""The type of event that says which parts of the page have something to show: part, available, reason, left_out."""
NAMES: Final = ("feeds", "lag", "gaps", "incidents", "costs")
_SAME_AGAIN_S: Final = 5.0
"""After so long a document is sent again of which only the moment is another one; the page calls none old so soon."""
_NOT_YET: Final = "nothing has been read yet"
_NOT_HERE: Final = "this watchdog does not tell of it"


class PartDocuments:
    """Puts the documents into the hub when a client asks for news, so that they cost nothing while nobody looks."""

    def __init__(
        self, hub: Hub, parts: Parts, *, every_s: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._hub = hub
        self._parts = parts
        self._every_s = every_s
        self._clock = clock
        self._next_s = float("-inf")
        self._said: dict[str, tuple[bytes, float]] = {}

    def refresh(self) -> None:
        """Bring the hub up to date, unless it was not long ago."""
        now_s = self._clock()
        if now_s < self._next_s:
            return
        self._next_s = now_s + self._every_s
        for name in NAMES:
            part = self._parts.get(name)
            document = None if part is None else part()
            if document is not None:
                self._put(name, document, now_s)
            tell(self._hub, name, None if document is not None else _NOT_HERE if part is None else _NOT_YET)

    def _put(self, name: str, document: Document, now_s: float) -> None:
        facts = orjson.dumps({key: value for key, value in document.items() if key != "at"})
        said = hashlib.sha256(facts).digest()
        before, put_s = self._said.get(name, (b"", 0.0))
        if said != before or now_s - put_s >= _SAME_AGAIN_S:
            self._said[name] = said, now_s
            self._hub.put(name, "", document)


def tell(hub: Hub, part: str, reason: str | None, *, left_out: int = 0) -> None:
    """Say of a part of the page that it is available, or for what reason it is not; and how much it has no room for."""
    document = {"part": part, "available": reason is None, "reason": reason, "left_out": left_out}
    hub.put(AVAILABILITY, part, document)
