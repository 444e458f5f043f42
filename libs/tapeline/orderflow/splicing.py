"""Put the ticks of several frames into one order by when they were received. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np

from tapeline.model.columns import INT64_MIN
from tapeline.model.frames import TickFrame
from tapeline.orderflow.frame_columns import Int64s, receive_times

_RELATIVE: Final = ("ts_event", "ts_recv", "ts_ref")
_SEQUENCE_BITS: Final = 32


class Place(NamedTuple):
    """Where a tick stands: the receive time (ns since the epoch), then the sequence."""

    ts_recv: int = INT64_MIN
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Placed:
    """A frame whose ticks stand in order: none before the one ahead of it, whatever its own times say."""

    frame: TickFrame
    ts_recv: Int64s
    sequence: Int64s

    def __len__(self) -> int:
        return len(self.ts_recv)

    @property
    def last(self) -> Place:
        """The place of the last tick."""
        return Place(int(self.ts_recv[-1]), int(self.sequence[-1]))

    def cut(self, start: int, stop: int) -> Placed:
        """Return ticks [start, stop)."""
        return Placed(cut(self.frame, start, stop), self.ts_recv[start:stop], self.sequence[start:stop])


def place(frame: TickFrame, after: Place, timeless: np.ndarray[Any, Any] | None = None) -> Placed:
    """Return a frame with its ticks' places, none before `after`; those of the mask `timeless` follow at once."""
    times = receive_times(frame)
    if timeless is not None:
        times[timeless] = after.ts_recv
    ts_recv = np.maximum.accumulate(np.maximum(times, after.ts_recv))
    sequence = frame.columns["sequence"] if "sequence" in frame.columns else np.zeros(len(frame), dtype=np.int64)
    is_later = np.diff(ts_recv, prepend=after.ts_recv) > 0
    # Within one receive time sequences do not go back either; the group's number keeps the times apart.
    groups = np.cumsum(is_later) << _SEQUENCE_BITS
    lowest = np.where(groups == 0, after.sequence, 0)
    ranks = np.maximum.accumulate(groups | np.maximum(sequence, lowest))
    return Placed(frame, ts_recv, ranks & ((1 << _SEQUENCE_BITS) - 1))


class Queue:
    """Frames that wait for their turn, in their own order; only the next one is held in memory."""

    def __init__(self, frames: Iterable[TickFrame]) -> None:
        self._frames: Iterator[TickFrame] = iter(frames)
        self._head: Placed | None = None
        self._last = Place()

    def take(self, until_ts_recv: int | None) -> Iterator[Placed]:
        """Yield, and forget, what was received until then (ns since the epoch); all that is left where it is None."""
        while (head := self._next()) is not None:
            stop = len(head) if until_ts_recv is None else int(np.searchsorted(head.ts_recv, until_ts_recv, "right"))
            if stop:
                yield head.cut(0, stop)
            if stop < len(head):
                self._head = head.cut(stop, len(head))
                return
            self._head = None

    @property
    def end_of_next(self) -> int | None:
        """When the last tick of the next frame was received, ns since the epoch; None where there is none."""
        head = self._next()
        return None if head is None else head.last.ts_recv

    def _next(self) -> Placed | None:
        while self._head is None:
            frame = next(self._frames, None)
            if frame is None:
                return None
            if len(frame):
                self._head = place(frame, self._last)
                self._last = self._head.last
        return self._head


def cut(frame: TickFrame, start: int, stop: int) -> TickFrame:
    """Return ticks [start, stop) of a frame, its header as it is."""
    return frame if (start, stop) == (0, len(frame)) else only(frame, np.arange(start, stop))


def only(frame: TickFrame, rows: Int64s) -> TickFrame:
    """Return these ticks of a frame, in this order, its header as it is."""
    places = np.full(len(frame), -1, dtype=np.int64)
    places[rows] = np.arange(len(rows))
    undefined = {name: np.sort(places[of][places[of] >= 0]) for name, of in frame.undefined.items()}
    return replace(
        frame,
        columns={name: values[rows] for name, values in frame.columns.items()},
        undefined={name: of for name, of in undefined.items() if len(of)},
    )


def splice(parts: Sequence[Placed]) -> TickFrame:
    """Return the ticks of all parts in one frame; of equal places, those of the earlier part come first.

    The parts are of one kind, and there is at least one; the header is the first one's.
    """
    if len(parts) == 1:
        return parts[0].frame
    frames = [part.frame for part in parts]
    numbers: dict[tuple[str, int, str], int] = {}
    columns: dict[str, list[Any]] = {name: [] for name in frames[0].columns}
    undefined: dict[str, list[Any]] = {}
    begin = 0
    for frame in frames:
        listed = zip(frame.symbols, frame.instrument_ids, frame.classes, strict=True)
        renumbered = np.array([numbers.setdefault(each, len(numbers)) for each in listed], dtype=np.int64)
        for name, values in frame.columns.items():
            if name == "symbol":
                columns[name].append(renumbered[values])
            elif name in _RELATIVE:
                columns[name].append(values + np.int64(frame.ts_base - frames[0].ts_base))
            else:
                columns[name].append(values)
        for name, rows in frame.undefined.items():
            undefined.setdefault(name, []).append(rows + begin)
        begin += len(frame)
    whole = replace(
        frames[0],
        symbols=tuple(symbol for symbol, _, _ in numbers),
        instrument_ids=tuple(number for _, number, _ in numbers),
        classes="".join(letter for _, _, letter in numbers),
        columns={name: np.concatenate(values) for name, values in columns.items()},
        undefined={name: np.concatenate(rows) for name, rows in undefined.items()},
    )
    ts_recv = np.concatenate([part.ts_recv for part in parts])
    sequence = np.concatenate([part.sequence for part in parts])
    return only(whole, np.lexsort((sequence, ts_recv)))
