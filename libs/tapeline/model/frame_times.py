"""When the ticks of a frame were received, read from the frame without decoding it."""

from __future__ import annotations

from typing import Final

import orjson
import simdjson

from tapeline.model.frames import SCHEMA

_BEGINNING: Final = orjson.dumps({"schema": SCHEMA})[:-1]


class FrameTimes:
    """Reads the time of frames; keep one per thread, as the parser's memory is reused from frame to frame."""

    def __init__(self) -> None:
        self._parser = simdjson.Parser()

    def first_ts_recv(self, value: bytes) -> int | None:
        """Return the vendor's receive time of a frame's first tick, ns since the epoch.

        None for marks, and for whatever is no frame. It is exchange time but for the way to the vendor, and does not go
        back where `ts_event` does: the orders of a snapshot have the times at which they were placed.
        """
        if not value.startswith(_BEGINNING):
            return None
        try:
            document = self._parser.parse(value)
        except (ValueError, RuntimeError):
            return None
        if not isinstance(document, simdjson.Object):
            return None
        try:
            base, offset = document.at_pointer("/ts_base"), document.at_pointer("/columns/ts_recv/0")
        except (KeyError, IndexError, ValueError):
            return None
        finally:
            del document
        # An undefined time is stored as 0, and the frame's own is the nearest to it.
        return int(base) + offset if isinstance(base, str) and base.isdigit() and isinstance(offset, int) else None
