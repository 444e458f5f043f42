"""Order books that may have lost records: their orders are held back until a snapshot tells the book anew. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from tapeline.feed.framer import Ticks
from tapeline.feed.selection import rows
from tapeline.model.columns import F_MAYBE_BAD_BOOK, F_SNAPSHOT

_LAST_ROWS: Final = 64
"""So many rows of a batch are looked at for the last good records: older ones make a gap longer, never too short."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A book that can no longer be trusted; `ts_event_from` is the venue time (ns) of its last good record, or None."""

    stream: str
    instrument_id: int
    symbol: str
    ts_event_from: int | None


class Books:
    """The books of one connection."""

    def __init__(self) -> None:
        self._held: set[int] = set()
        self._last_good: dict[int, int] = {}

    def sift(self, ticks: Ticks) -> tuple[Ticks, list[Doubt]]:
        """Return what may be published of some orders, and the books that became doubtful.

        From an instrument's first record with F_MAYBE_BAD_BOOK on, all of its records are held back.
        """
        flagged = (ticks.columns["flags"] & F_MAYBE_BAD_BOOK) != 0
        if not self._held and not flagged.any():
            self._note(ticks)
            return ticks, []
        ids = ticks.instrument_ids
        kept = ~np.isin(ids, list(self._held))
        doubts = []
        for instrument_id in np.unique(ids[flagged & kept]).tolist():
            of_instrument = ids == instrument_id
            first = int((flagged & of_instrument).argmax())
            self._note(rows(ticks, np.flatnonzero(of_instrument[:first])))
            kept[first:] &= ~of_instrument[first:]
            self._held.add(instrument_id)
            symbol = ticks.directory[instrument_id].symbol
            doubts.append(Doubt(ticks.stream, instrument_id, symbol, self._last_good.get(instrument_id)))
        good = rows(ticks, np.flatnonzero(kept))
        self._note(good)
        return good, doubts

    def last_good(self, instrument_id: int) -> int | None:
        """Return the venue time (ns) of an instrument's last good record, None before its first."""
        return self._last_good.get(instrument_id)

    def _note(self, ticks: Ticks) -> None:
        last = ticks.cut(max(0, len(ticks) - _LAST_ROWS), len(ticks))
        times = last.columns["ts_event"]
        telling = (times != 0) & ((last.columns["flags"] & F_SNAPSHOT) == 0)
        self._last_good.update(zip(last.instrument_ids[telling].tolist(), times[telling].tolist(), strict=True))
