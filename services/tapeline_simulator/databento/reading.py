"""One session's reading of the tape: replays first, then live, merged in the order of capture, each record once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from tapeline.feed.dbn_records import Array
from tapeline_simulator.databento.interleave import Rows, interleave
from tapeline_simulator.databento.ledger import Ledger, Want, wanted
from tapeline_simulator.databento.marks import BadBooks
from tapeline_simulator.databento.schemas import capture_times, record_of, take
from tapeline_simulator.databento.tape import VendorTape
from tapeline_simulator.databento.wire import with_ts_out

READ_BYTES: Final = 1 << 20
"""So much of a schema is read from the tape, and sent, at once."""

Keys = npt.NDArray[np.uint64]
Span = tuple[str, int, int, tuple[Want, ...]]
"""Schema, begin and end on the tape, and what was wanted of it."""


@dataclass(slots=True)
class _Cursor:
    schema: str
    position: int
    wants: tuple[Want, ...] = ()
    is_replaying: bool = False
    to_lose: int = 0
    held: tuple[Array, Keys] | None = None
    """What was read from `position` on and not taken yet."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Bytes to send at once, and the length of the last record in them."""

    data: bytes | memoryview
    last_record_bytes: int
    spans: tuple[Span, ...]


class TapeReader:
    """Reads what the subscriptions of one session want; `Ledger.note` is to be told of a batch once it was sent."""

    def __init__(self, tape: VendorTape, bad_books: BadBooks, *, ts_out: bool) -> None:
        self._tape = tape
        self._bad_books = bad_books
        self._ts_out = ts_out
        self._cursors: dict[str, _Cursor] = {}

    @property
    def schemas(self) -> tuple[str, ...]:
        """The schemas that are read."""
        return tuple(self._cursors)

    def add(self, schema: str, want: Want, *, lose: int) -> None:
        """Read for one more subscription, the replay of which loses so many records."""
        cursor = self._cursors.get(schema)
        begin = want.live_from if want.start_ns is None else self._first(schema, want)
        if cursor is None:
            cursor = self._cursors[schema] = _Cursor(schema, begin)
        if want.start_ns is not None:
            cursor.position, cursor.held = min(cursor.position, begin), None
            cursor.is_replaying, cursor.to_lose = True, lose
        cursor.wants = (*cursor.wants, want)

    def widen(self, schema: str, want: Want, instrument_ids: npt.NDArray[np.uint32]) -> Want:
        """Let a subscription want these instruments from now on; return what it wants."""
        wider = replace(want, instrument_ids=instrument_ids)
        cursor = self._cursors[schema]
        cursor.wants = tuple(wider if each is want else each for each in cursor.wants)
        return wider

    def next_batches(self, stalled: Collection[str], ts_out_ns: int) -> Iterator[Batch]:
        """Yield what there is to send now: of the schemas that are replayed, then of the others."""
        going = [cursor for cursor in self._cursors.values() if cursor.schema not in stalled]
        for group in ([each for each in going if each.is_replaying], [each for each in going if not each.is_replaying]):
            batch = self._gather(group, ts_out_ns)
            if batch is not None:
                yield batch

    def completed(self) -> list[str]:
        """Return the schemas whose replay has caught up since this was asked last."""
        done = [
            cursor
            for cursor in self._cursors.values()
            if cursor.is_replaying and cursor.position >= self._tape.end(cursor.schema)
        ]
        for cursor in done:
            cursor.is_replaying = False
        return [cursor.schema for cursor in done]

    def behind(self) -> list[str]:
        """Return the schemas, those that are replayed left out, of which there are records that were not taken."""
        return [
            cursor.schema
            for cursor in self._cursors.values()
            if not cursor.is_replaying and cursor.position < self._tape.end(cursor.schema)
        ]

    def skip(self, schemas: Iterable[str]) -> None:
        """Leave out what is on the tape of these schemas and was not taken."""
        for schema in schemas:
            cursor = self._cursors[schema]
            cursor.position, cursor.held = self._tape.end(schema), None

    def _first(self, schema: str, want: Want) -> int:
        spans = self._tape.spans(schema, want.start_ns or 0, None, want.clock)
        begin, _ = next(spans, (want.live_from, 0))
        return min(begin, want.live_from)

    def _gather(self, cursors: list[_Cursor], ts_out_ns: int) -> Batch | None:
        ready = [(cursor, *self._held(cursor)) for cursor in cursors if cursor.position < self._tape.end(cursor.schema)]
        horizons = [
            keys[-1] for cursor, _, keys in ready if cursor.position + len(keys) < self._tape.end(cursor.schema)
        ]
        spans: list[Span] = []
        parts: list[tuple[Keys, Rows]] = []
        last_key, last_bytes = np.uint64(0), 0
        for cursor, records, keys in ready:
            count = int(np.searchsorted(keys, min(horizons), side="right")) if horizons else len(keys)
            rows, kept = self._take(cursor, records[:count], keys[:count], spans)
            cursor.held = (records[count:], keys[count:]) if count < len(keys) else None
            if len(rows):
                row_bytes = with_ts_out(rows, ts_out_ns) if self._ts_out else _bytes_of(rows)
                parts.append((kept, row_bytes))
                if kept[-1] >= last_key:
                    last_key, last_bytes = kept[-1], row_bytes.shape[1]
        if not spans:
            return None
        return Batch(interleave(parts), last_bytes, tuple(spans))

    def _held(self, cursor: _Cursor) -> tuple[Array, Keys]:
        if cursor.held is None:
            most = max(1, READ_BYTES // record_of(cursor.schema).itemsize)
            end = min(self._tape.end(cursor.schema), cursor.position + most)
            records = self._tape.read(cursor.schema, cursor.position, end)
            # Kept from falling, so that no schema is merged out of its own order.
            cursor.held = records, np.maximum.accumulate(capture_times(records).view(np.uint64))
        return cursor.held

    def _take(self, cursor: _Cursor, records: Array, keys: Keys, spans: list[Span]) -> tuple[Array, Keys]:
        """Move the cursor past `records`; return those that are to be sent, and note where they were."""
        begin, end = cursor.position, cursor.position + len(records)
        if begin == end:
            return records, keys
        cursor.position = end
        self._bad_books.mark(cursor.schema, records, begin)
        mask = wanted(cursor.wants, records, begin)
        lost = self._lose(cursor, np.arange(len(records)) if mask is None else np.flatnonzero(mask))
        if len(lost):
            mask = np.ones(len(records), dtype=np.bool_) if mask is None else mask
            mask[lost] = False
            spans.append((cursor.schema, begin, begin + int(lost[0]), cursor.wants))
            spans.append((cursor.schema, begin + int(lost[-1]) + 1, end, cursor.wants))
        else:
            spans.append((cursor.schema, begin, end, cursor.wants))
        return (records, keys) if mask is None else (take(records, mask), keys[mask])

    def _lose(self, cursor: _Cursor, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        if not cursor.to_lose or not cursor.is_replaying:
            return rows[:0]
        middle = len(rows) // 2
        lost = rows[middle : middle + cursor.to_lose]
        cursor.to_lose -= len(lost)
        return lost


def note(ledger: Ledger, batch: Batch) -> None:
    """Remember in `ledger` that `batch` was sent."""
    for schema, begin, end, wants in batch.spans:
        ledger.note(schema, begin, end, wants)


def _bytes_of(records: Array) -> Rows:
    return records.view(np.uint8).reshape(len(records), -1)
