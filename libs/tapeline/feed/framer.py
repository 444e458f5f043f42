"""Cuts a stream's ticks into frames: by count, size and age, at event ends where there is one. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tapeline.feed.calendar import Calendar
from tapeline.model.columns import COLUMNS, F_LAST, F_SNAPSHOT, TickKind
from tapeline.model.frames import Array, Origin, Resume, TickFrame

_WITH_EVENTS: Final = ("mbo", "l1")
_TIMES: Final = ("ts_event", "ts_recv", "ts_ref")
_HEADER_BYTES: Final = 2_048
_FEW_INSTRUMENTS: Final = 16
_FIRST_WINDOW: Final = 64


class Instrument(NamedTuple):
    """What a frame says of an instrument: raw symbol and DBN instrument class (`?` where unknown)."""

    symbol: str
    instrument_class: str


@dataclass(frozen=True, slots=True)
class Ticks:
    """Ticks of one stream and kind as a source delivers them.

    `columns` are those of `COLUMNS[kind]` but `symbol`, of one length, with absolute times (int64 ns since the epoch,
    0 where undefined); `instrument_ids` (int64) stands for `symbol`, and `directory` says what the ids mean. `origin`
    says where they come from: a vendor may send some of a live session again.
    """

    stream: str
    dataset: str
    publisher_id: int
    kind: TickKind
    instrument_ids: npt.NDArray[np.int64]
    columns: Mapping[str, Array]
    undefined: Mapping[str, Array]
    directory: Mapping[int, Instrument]
    origin: Origin

    def __len__(self) -> int:
        return len(self.instrument_ids)

    def cut(self, begin: int, end: int) -> Ticks:
        """Return the rows [begin, end) as views."""
        undefined = {}
        for name, rows in self.undefined.items():
            low, high = np.searchsorted(rows, (begin, end))
            if low < high:
                undefined[name] = rows[low:high] - begin
        return Ticks(
            self.stream,
            self.dataset,
            self.publisher_id,
            self.kind,
            self.instrument_ids[begin:end],
            {name: values[begin:end] for name, values in self.columns.items()},
            undefined,
            self.directory,
            self.origin,
        )


@dataclass(frozen=True, slots=True)
class FrameLimits:
    """When a frame closes, whichever comes first."""

    ticks: int = 4_000
    bytes: int = 524_288
    age_ns: int = 5_000_000


@dataclass(frozen=True, slots=True)
class SessionIdentity:
    """Whose frames these are: one vendor session of one source, under one epoch."""

    source: str
    session: str
    epoch: int
    origin: Origin


class Framer:
    """Frames of one stream and kind within one session, numbered from 0.

    `resumes` goes into the first frame. Times are given by the caller (ns since the epoch).
    """

    def __init__(
        self, identity: SessionIdentity, limits: FrameLimits, calendar: Calendar, resumes: Resume | None = None
    ) -> None:
        self._identity = identity
        self._limits = limits
        self._calendar = calendar
        self._resumes = resumes
        self._pieces: deque[_Piece] = deque()
        self._rows = 0
        self._day_end_ns = 0
        self.next_frame = 0

    def __len__(self) -> int:
        """Number of ticks that wait for their frame."""
        return self._rows

    @property
    def due_ns(self) -> int | None:
        """When the age limit closes the open frame (ns), None while there is none."""
        return self._pieces[0].arrived_ns + self._limits.age_ns if self._pieces else None

    def add(self, ticks: Ticks, now_ns: int) -> Iterator[TickFrame]:
        """Take ticks that arrived at `now_ns` and yield the frames that are full."""
        if self._pieces and not _may_join(self._pieces[-1].ticks, ticks):
            yield from self.finish(now_ns)
        while len(ticks):
            times = ticks.columns["ts_recv"]
            if not self._rows:
                self._day_end_ns = self._calendar.day_end(int(times[0]) or int(ticks.columns["ts_event"][0]))
            if int(times.max()) < self._day_end_ns:
                self._append(ticks, now_ns)
                break
            of_next_day = int(np.argmax(times >= self._day_end_ns))
            if of_next_day:
                self._append(ticks.cut(0, of_next_day), now_ns)
            yield from self.finish(now_ns)
            ticks = ticks.cut(of_next_day, len(ticks))
        while self._rows >= self._limits.ticks:
            yield self._close(now_ns)

    def close_due(self, now_ns: int) -> Iterator[TickFrame]:
        """Yield the frames whose ticks have waited for the age limit."""
        while self._pieces and self._pieces[0].arrived_ns + self._limits.age_ns <= now_ns:
            yield self._close(now_ns)

    def finish(self, now_ns: int) -> Iterator[TickFrame]:
        """Yield all that is left; the last event ends here, complete or not."""
        if self._pieces:
            self._end_event()
        while self._rows:
            yield self._close(now_ns)

    def leave(self, now_ns: int) -> Iterator[TickFrame]:
        """Yield all whole events that are left, and drop an unfinished one: it will come again, or be a gap's."""
        surplus = self._rows - self._at_event_end(self._rows)
        while surplus:
            piece = self._pieces.pop()
            size = len(piece.ticks)
            dropped = min(surplus, size)
            if dropped < size:
                self._pieces.append(_Piece(piece.ticks.cut(0, size - dropped), piece.arrived_ns, ends_event=True))
            surplus -= dropped
            self._rows -= dropped
        while self._rows:
            yield self._close(now_ns)

    def _append(self, ticks: Ticks, now_ns: int) -> None:
        if self._pieces and _begins_event(self._pieces[-1].ticks, ticks):
            self._end_event()
        self._pieces.append(_Piece(ticks, now_ns, ends_event=_ends_event(ticks)))
        self._rows += len(ticks)

    def _end_event(self) -> None:
        self._pieces[-1] = self._pieces[-1]._replace(ends_event=True)

    def _close(self, now_ns: int) -> TickFrame:
        rows = min(self._rows, self._limits.ticks)
        rows = self._at_event_end(rows) or rows
        if self._may_exceed_bytes(rows):
            fitting = self._fitting(rows)
            if fitting < rows:
                rows = self._at_event_end(fitting) or fitting
        opened_ns = self._pieces[0].arrived_ns
        ticks, complete = self._take(rows)
        frame = _frame(
            ticks, self._identity, self._calendar, opened_ns, now_ns, self.next_frame, not complete, self._resumes
        )
        self.next_frame += 1
        self._resumes = None
        return frame

    def _at_event_end(self, rows: int) -> int:
        """Return the most rows, at most `rows`, after which an event ends; 0 if none does."""
        best = seen = 0
        for piece in self._pieces:
            if ended := piece.rows_to_event_end(rows - seen):
                best = seen + ended
            seen += len(piece.ticks)
            if seen >= rows:
                break
        return best

    def _may_exceed_bytes(self, rows: int) -> bool:
        """Return whether ticks as wide as they can be would pass the byte limit; looks at no values."""
        width = _WIDEST_TICK_BYTES[self._pieces[0].ticks.kind]
        undefined = 0
        for piece in self._pieces:
            if len(piece.ticks.directory) > _FEW_INSTRUMENTS:
                return True
            undefined += sum(len(marked) for marked in piece.ticks.undefined.values())
        return rows * width + undefined * _row_bytes(rows) > self._limits.bytes - _HEADER_BYTES

    def _fitting(self, rows: int) -> int:
        """Return how many of the first `rows` ticks surely fit the byte limit."""
        ticks = _join([piece.ticks for piece in self._pieces]).cut(0, rows)
        first = int(ticks.columns["ts_event"][0])
        width = 0
        for name, values in ticks.columns.items():
            if values.dtype == np.uint8:
                width += 1
            else:
                offset = first if name in _TIMES else 0
                extremes = (int(values.min()) - offset, int(values.max()) - offset, 0)
                width += max(len(str(value)) for value in extremes) + 1
        present = np.unique(ticks.instrument_ids).tolist()
        width += len(str(len(present))) + 1
        instruments = [_INSTRUMENT_BYTES + len(ticks.directory[instrument_id].symbol) for instrument_id in present]
        undefined = sum(len(marked) for marked in ticks.undefined.values())
        room = self._limits.bytes - _HEADER_BYTES
        if rows * width + sum(instruments) + undefined * _row_bytes(rows) <= room:
            return rows
        # Any of fewer rows may bring a new instrument and be undefined in all the columns.
        return max(1, min(rows, room // (width + max(instruments) + len(ticks.undefined) * _row_bytes(rows))))

    def _take(self, rows: int) -> tuple[Ticks, bool]:
        parts: list[Ticks] = []
        complete = True
        while rows:
            piece = self._pieces.popleft()
            size = len(piece.ticks)
            count = min(rows, size)
            complete = piece.rows_to_event_end(count) == count
            if count < size:
                self._pieces.appendleft(piece._replace(ticks=piece.ticks.cut(count, size)))
            parts.append(piece.ticks if count == size else piece.ticks.cut(0, count))
            rows -= count
            self._rows -= count
        return _join(parts), complete


class _Piece(NamedTuple):
    ticks: Ticks
    arrived_ns: int
    ends_event: bool
    """Whether an event ends with the last tick."""

    def rows_to_event_end(self, rows: int) -> int:
        """Return the most rows, at most `rows`, after which an event ends; 0 if none does."""
        end = min(rows, len(self.ticks))
        if self.ticks.kind not in _WITH_EVENTS or (end == len(self.ticks) and self.ends_event):
            return end
        window = _FIRST_WINDOW
        # From the end in growing windows, as events are short: most ticks are never looked at.
        while end > 0:
            begin = max(0, end - window)
            ended = _event_ends(self.ticks, begin, end)
            if ended.any():
                return end - int(ended[::-1].argmax())
            end, window = begin, window * 8
        return 0


_WIDEST_TICK_BYTES: Final = {
    kind: sum(
        1 if column.is_text else 1 + max(len(str(column.low)), len(str(column.high)))
        for column in columns
        if column.name != "symbol"
    )
    + 1
    + len(str(_FEW_INSTRUMENTS))
    for kind, columns in COLUMNS.items()
}
_INSTRUMENT_BYTES: Final = len('"",') + len(f"{2**32},") + len("F")


def _row_bytes(rows: int) -> int:
    return len(f"{rows},")


def _ends_event(ticks: Ticks) -> bool:
    return ticks.kind not in _WITH_EVENTS or bool(ticks.columns["flags"][-1] & F_LAST)


def _event_ends(ticks: Ticks, begin: int, end: int) -> npt.NDArray[np.bool_]:
    """Return for the rows [begin, end) whether an event ends there, as far as these ticks alone can tell."""
    flags, times = ticks.columns["flags"][begin : end + 1], ticks.columns["ts_event"][begin : end + 1]
    ends: npt.NDArray[np.bool_] = (flags & F_LAST) != 0
    ends[:-1] |= (times[1:] != times[:-1]) | (((flags[1:] ^ flags[:-1]) & F_SNAPSHOT) != 0)
    return ends[: end - begin]


def _may_join(before: Ticks, after: Ticks) -> bool:
    return before.publisher_id == after.publisher_id and before.origin == after.origin


def _begins_event(before: Ticks, after: Ticks) -> bool:
    if before.kind not in _WITH_EVENTS:
        return True
    changed = before.columns["ts_event"][-1] != after.columns["ts_event"][0]
    flags = int(before.columns["flags"][-1]) ^ int(after.columns["flags"][0])
    return bool(changed) or bool(flags & F_SNAPSHOT)


def _join(parts: list[Ticks]) -> Ticks:
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    starts = np.cumsum([0, *(len(part) for part in parts[:-1])])
    undefined: dict[str, list[Array]] = {}
    for part, start in zip(parts, starts, strict=True):
        for name, rows in part.undefined.items():
            undefined.setdefault(name, []).append(rows + start)
    directory = first.directory
    for part in parts:
        if part.directory is not directory:
            directory = {**directory, **part.directory}
    return Ticks(
        first.stream,
        first.dataset,
        first.publisher_id,
        first.kind,
        np.concatenate([part.instrument_ids for part in parts]),
        {name: np.concatenate([part.columns[name] for part in parts]) for name in first.columns},
        {name: np.concatenate(rows) for name, rows in undefined.items()},
        directory,
        first.origin,
    )


def _frame(
    ticks: Ticks,
    identity: SessionIdentity,
    calendar: Calendar,
    opened_ns: int,
    sent_ns: int,
    number: int,
    continues: bool,
    resumes: Resume | None,
) -> TickFrame:
    ids = ticks.instrument_ids
    if (ids == ids[0]).all():
        present, symbol = ids[:1], np.zeros(len(ids), dtype=np.int64)
    else:
        present, inverse = np.unique(ids, return_inverse=True)
        symbol = inverse.astype(np.int64, copy=False)
    instruments = [ticks.directory[instrument_id] for instrument_id in present.tolist()]
    base = int(ticks.columns["ts_event"][0]) or int(ticks.columns["ts_recv"][0])
    columns: dict[str, Array] = {"symbol": symbol}
    for name, values in ticks.columns.items():
        if name in _TIMES:
            columns[name] = values - base
            if name in ticks.undefined:
                columns[name][ticks.undefined[name]] = 0
        else:
            columns[name] = values
    return TickFrame(
        source=identity.source,
        dataset=ticks.dataset,
        publisher_id=ticks.publisher_id,
        stream=ticks.stream,
        kind=ticks.kind,
        session=identity.session,
        epoch=identity.epoch,
        frame=number,
        origin=ticks.origin,
        ts_base=base,
        opened=opened_ns,
        sent=sent_ns,
        trading_day=calendar.trading_day(int(ticks.columns["ts_recv"][0]) or base),
        symbols=tuple(instrument.symbol for instrument in instruments),
        instrument_ids=tuple(present.tolist()),
        classes="".join(instrument.instrument_class for instrument in instruments),
        continues=continues,
        resumes=resumes,
        columns=columns,
        undefined=ticks.undefined,
    )
