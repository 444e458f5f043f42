"""Cuts what a back end gives into chunks of whole events, each published in one transaction. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from tapeline.feed.framer import Ticks
from tapeline.model.columns import F_LAST
from tapeline.model.ids import Mask, Rows

_WITH_EVENTS: Final = ("mbo", "l1")
_LONGEST: Final = 4
"""An event that is not over after so many chunks' records is cut."""


class Chunker:
    """Chunks of about `records` ticks, in order. An event is cut only where it is longer than several chunks."""

    def __init__(self, records: int) -> None:
        self._records = records
        self._held: Ticks | None = None

    def add(self, ticks: Ticks) -> Iterator[Ticks]:
        """Take more ticks of the slice and yield the chunks that are full."""
        if self._held is not None and not may_join(self._held, ticks):
            yield from self.finish()
        held = ticks if self._held is None else join(self._held, ticks)
        while len(held) >= self._records:
            end = event_end(held.cut(0, self._records)) or event_end(held)
            if not end and len(held) < _LONGEST * self._records:
                break
            end = end or len(held)
            yield held.cut(0, end)
            held = held.cut(end, len(held))
        self._held = held if len(held) else None

    def finish(self) -> Iterator[Ticks]:
        """Yield what is left."""
        held, self._held = self._held, None
        while held is not None and len(held):
            yield held.cut(0, self._records)
            held = held.cut(self._records, len(held))


def event_end(ticks: Ticks) -> int:
    """Return after how many of the ticks, at most, an event surely ends; 0 if none does."""
    if ticks.kind not in _WITH_EVENTS:
        return len(ticks)
    times = ticks.columns["ts_event"]
    ends = (ticks.columns["flags"] & F_LAST) != 0
    ends[:-1] |= times[1:] != times[:-1]
    at = np.flatnonzero(ends)
    return int(at[-1]) + 1 if len(at) else 0


def rows_of(ticks: Ticks) -> Rows:
    """Return the ticks as event ids see them."""
    return Rows(ticks.kind, ticks.publisher_id, ticks.instrument_ids, ticks.columns, ticks.undefined)


def chosen(ticks: Ticks, mask: Mask) -> Ticks:
    """Return the ticks for which `mask` holds, in their order."""
    if mask.all():
        return ticks
    rows = rows_of(ticks).only(mask)
    return replace(ticks, instrument_ids=rows.instrument_ids, columns=rows.columns, undefined=rows.undefined)


def may_join(one: Ticks, other: Ticks) -> bool:
    """Return whether ticks of both may be in one chunk."""
    return one.publisher_id == other.publisher_id


def join(one: Ticks, other: Ticks) -> Ticks:
    """Return the ticks of both, in order."""
    names = one.undefined.keys() | other.undefined.keys()
    nothing = np.empty(0, dtype=np.int64)
    return replace(
        one,
        instrument_ids=np.concatenate([one.instrument_ids, other.instrument_ids]),
        columns={name: np.concatenate([values, other.columns[name]]) for name, values in one.columns.items()},
        undefined={
            name: np.concatenate([one.undefined.get(name, nothing), other.undefined.get(name, nothing) + len(one)])
            for name in names
        },
        directory={**one.directory, **other.directory},
    )
