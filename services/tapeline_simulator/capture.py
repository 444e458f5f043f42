"""Puts what several parts of a venue send into the order in which the vendor captured it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from tapeline.feed.dbn_records import Array
from tapeline_simulator.databento.schemas import capture_times
from tapeline_simulator.listings import Listings


class Tape(Protocol):
    """Where the vendor keeps what it captured."""

    dataset: str
    listings: Listings

    def append(self, schema: str, records: Array) -> None:
        """Add records of one schema, in order of capture."""


class Capture:
    """Holds records back until no earlier one of their schema can come, so that `tape` gets them by `ts_recv`.

    Each source of a schema (a small number) brings its records in that order; of records captured in the same
    nanosecond those of the lower source come first. What `tape` gets does not depend on how the time is cut.
    """

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._waiting: dict[tuple[str, int], list[Array]] = {}

    def put(self, schema: str, source: int, records: Array) -> None:
        """Bring records (a fresh array) of one source, none earlier than those that it brought before."""
        if len(records):
            self._waiting.setdefault((schema, source), []).append(records)

    def release(self, until_ns: int) -> None:
        """Append everything captured up to `until_ns`; all sources have brought what they have up to there."""
        due: dict[str, list[Array]] = {}
        for (schema, source), waiting in sorted(self._waiting.items(), key=lambda item: item[0]):
            records = joined(waiting)
            count = int(np.searchsorted(capture_times(records), until_ns, side="right"))
            if count:
                due.setdefault(schema, []).append(records[:count])
            if count < len(records):
                self._waiting[schema, source] = [records[count:]]
            else:
                del self._waiting[schema, source]
        for schema, parts in due.items():
            self._tape.append(schema, by_capture(joined(parts)))


def by_capture(records: Array) -> Array:
    """Return records of one type in order of `ts_recv`; those of one nanosecond stay in their order."""
    order = np.argsort(capture_times(records), kind="stable")
    result: Array = _whole(records)[order].view(records.dtype)
    return result


def joined(parts: Sequence[Array]) -> Array:
    """Return the records of all parts, which are of one layout, in one array."""
    if len(parts) == 1:
        return parts[0]
    result: Array = np.concatenate([_whole(part) for part in parts]).view(parts[0].dtype)
    return result


def _whole(records: Array) -> Array:
    """Return a view as bytes, because numpy does not copy the bytes of a record that its layout does not name."""
    return records.view(np.dtype((np.void, records.dtype.itemsize)))
