"""Hold the state of one (stream, kind) and run the kernels over it, making room when they ask for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tapeline.errors import Bug
from tapeline.model.columns import F_SNAPSHOT, INT64_MIN
from tapeline.model.frames import Gap, TickFrame
from tapeline.orderflow.doubts import BookDoubt, book_doubts
from tapeline.orderflow.layout import (
    DONE,
    END,
    GAP_OPEN,
    GAP_UNTIL_NEXT_EVENT,
    L1,
    MBO,
    NEED_LEVELS,
    NEED_ORDERS,
    NEED_PRINTS,
    NEED_ROWS,
    NULL,
    POSITION,
    ROWS_USED,
    TRADE,
    WATERMARK,
    Arrays,
    Int64s,
)
from tapeline.orderflow.marks import close_all, lose, set_gap, set_status, take_clock
from tapeline.orderflow.pressure import take_l1, take_mbo, take_trades
from tapeline.orderflow.rows import RowBuffer, RowWriter
from tapeline.orderflow.state import clear, new_arrays, with_more_levels, with_more_orders, with_more_prints, with_slot

KINDS: Final = {"mbo": MBO, "l1": L1, "trade": TRADE}
CLASSES_IN_SCOPE: Final = "F?"
EVERY_SYMBOL: Final = "*"

_WHEN_AND_WHOSE: Final = ("ts_event", "symbol")
_TOP: Final = ("bid_price", "bid_size", "ask_price", "ask_size")
_KERNELS: Final[dict[str, tuple[Callable[..., int], tuple[str, ...]]]] = {
    "mbo": (take_mbo, (*_WHEN_AND_WHOSE, "action", "side", "price", "size", "order_id", "flags")),
    "l1": (take_l1, (*_WHEN_AND_WHOSE, "action", "side", "price", "size", *_TOP, "flags")),
    "trade": (take_trades, (*_WHEN_AND_WHOSE, "side", "price", "size")),
}


@dataclass(slots=True)
class Marks:
    """What holds for symbols of a stream whatever their kind and session: gaps by id, and the latest status by symbol.

    `statuses`: symbol -> (ns since the epoch, is_trading).
    """

    gaps: dict[str, Gap] = field(default_factory=dict)
    statuses: dict[str, tuple[int, bool]] = field(default_factory=dict)


class Flow:
    """Pressure of one (stream, kind): arrays, the names of its slots, and its way of writing rows."""

    def __init__(self, kind: str, windows_ms: Sequence[int], sessions: Int64s, marks: Marks, buffer: RowBuffer) -> None:
        self.kind = kind
        self.session: str | None = None
        self.frame = -1
        self.has_loss = False
        self._number = KINDS[kind]
        self._windows_ms = windows_ms
        self._marks = marks
        self._buffer = buffer
        self.doubts: list[BookDoubt] = []
        """What closed windows said of the books, until somebody takes it."""
        self.arrays = new_arrays(np.array(windows_ms, dtype=np.int64) * 1_000_000, sessions)
        self._forget_symbols()

    def _forget_symbols(self) -> None:
        self.slots: dict[str, int] = {}
        self._writer = RowWriter(self._windows_ms, self._buffer)
        self._frame_slots: dict[tuple[tuple[str, ...], str], Int64s] = {}

    # -- symbols -----------------------------------------------------------------------------------------------------

    def _slot(self, symbol: str) -> int:
        """Return the slot of a symbol; a new one takes over what is known of its stream."""
        found = self.slots.get(symbol)
        if found is not None:
            return found
        slot = self.slots[symbol] = len(self.slots)
        self._writer.add_symbol(symbol)
        self.arrays = with_slot(self.arrays, slot, has_book=self.kind != "trade")
        if self.has_loss:
            set_gap(self.arrays, slot, INT64_MIN, GAP_UNTIL_NEXT_EVENT)
        for gap in self._marks.gaps.values():
            if self.kind in gap.kinds and names(gap, symbol):
                set_gap(self.arrays, slot, *self._bounds(gap, symbol))
        if symbol in self._marks.statuses:
            ts, is_trading = self._marks.statuses[symbol]
            set_status(self.arrays, slot, ts, int(is_trading))
        return slot

    def _slots_of(self, frame: TickFrame) -> Int64s:
        """Return the slot of each symbol of a frame, -1 out of scope.

        New slots are given in the order of the ticks, so that they do not depend on how ticks came to be framed.
        """
        key = (frame.symbols, frame.classes)
        slots = self._frame_slots.get(key)
        if slots is None:
            numbers = [
                self.slots.get(symbol, END) if letter in CLASSES_IN_SCOPE else END
                for symbol, letter in zip(frame.symbols, frame.classes, strict=True)
            ]
            wanted = [i for i, letter in enumerate(frame.classes) if letter in CLASSES_IN_SCOPE and numbers[i] == END]
            if wanted:
                column = frame.columns["symbol"]
                seen, first = np.unique(column, return_index=True)
                for i in seen[np.argsort(first)].tolist():
                    if frame.classes[i] in CLASSES_IN_SCOPE:
                        numbers[i] = self._slot(frame.symbols[i])
            slots = np.array(numbers, dtype=np.int64)
            if END not in [numbers[i] for i in wanted]:
                if len(self._frame_slots) >= 64:
                    self._frame_slots.clear()
                self._frame_slots[key] = slots
        return slots

    def restore(self, symbols: Sequence[str], arrays: Arrays) -> None:
        """Take over the slots and arrays of a packed state."""
        self._forget_symbols()
        self.arrays = arrays
        for slot, symbol in enumerate(symbols):
            self.slots[symbol] = slot
            self._writer.add_symbol(symbol)

    # -- ticks -------------------------------------------------------------------------------------------------------

    def take(self, frame: TickFrame) -> None:
        """Apply the ticks of a frame."""
        slots = self._slots_of(frame)
        if not self.slots:
            self._take_watermark(frame)
            return
        take, names = _KERNELS[self.kind]
        columns = kernel_columns(frame, names)
        begin = 0
        while (need := take(self.arrays, begin, frame.ts_base, slots, *columns)) != DONE:
            begin = int(self.arrays.flow[POSITION])
            self._make_room(need)

    def _take_watermark(self, frame: TickFrame) -> None:
        """Take what a frame without any symbol in scope says of the time, at the price of one look at a column."""
        times = frame.columns["ts_event"]
        if "flags" in frame.columns:
            times = times[frame.columns["flags"] & F_SNAPSHOT == 0]
        if len(times):
            self.arrays.flow[WATERMARK] = max(int(self.arrays.flow[WATERMARK]), frame.ts_base + int(times.max()))

    def _make_room(self, need: int) -> None:
        if need == NEED_ROWS:
            self.drain()
        elif need == NEED_ORDERS:
            self.arrays = with_more_orders(self.arrays)
        elif need == NEED_LEVELS:
            self.arrays = with_more_levels(self.arrays)
        elif need == NEED_PRINTS:
            self.arrays = with_more_prints(self.arrays)
        else:
            raise Bug(f"a kernel answered {need}")

    # -- marks -------------------------------------------------------------------------------------------------------

    def clock(self, ts: int) -> None:
        """Raise the watermark to `ts`, ns since the epoch."""
        self.drain()
        take_clock(self.arrays, ts, self._number)

    def lose_all(self) -> None:
        """Take note that records of any symbol are missing, up to the next event of each."""
        self.has_loss = True
        for symbol, slot in self.slots.items():
            lose(self.arrays, slot, INT64_MIN, self._end(symbol, None))

    def gap(self, gap: Gap, *, is_known: bool) -> None:
        """Apply a gap that is among the stream's marks; one that is known already only changes its bounds."""
        for symbol, slot in self.slots.items():
            if names(gap, symbol):
                if is_known:
                    set_gap(self.arrays, slot, *self._bounds(gap, symbol))
                else:
                    lose(self.arrays, slot, *self._bounds(gap, symbol))

    def _bounds(self, gap: Gap, symbol: str) -> tuple[int, int]:
        """Return from when and until when records are missing; a gap does not end while another one is open."""
        ts_from = INT64_MIN if gap.ts_event_from is None else gap.ts_event_from
        return ts_from, self._end(symbol, gap.ts_event_to)

    def _end(self, symbol: str, ts_to: int | None) -> int:
        if any(
            other.state == "open" and self.kind in other.kinds and names(other, symbol)
            for other in self._marks.gaps.values()
        ):
            return GAP_OPEN
        return GAP_UNTIL_NEXT_EVENT if ts_to is None else ts_to

    def set_status(self, symbol: str, ts: int, is_trading: bool) -> None:
        """Let a status message of a symbol overrule the calendar."""
        if symbol in self.slots:
            set_status(self.arrays, self.slots[symbol], ts, int(is_trading))

    def begin_anew(self) -> None:
        """Close every window that is open, as one that a gap touches, and forget books, sums and watermark."""
        self.drain()
        close_all(self.arrays, self._number)
        self.drain()
        clear(self.arrays)
        self._forget_symbols()
        self.has_loss = False

    # -- rows --------------------------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Write the rows that were closed to the buffer."""
        count = int(self.arrays.flow[ROWS_USED])
        if count:
            self._writer.write(self.arrays.rows, count)
            if self.kind == "mbo":
                self.doubts += book_doubts(self.arrays.rows[:count], list(self.slots), self._windows_ms)
            self.arrays.flow[ROWS_USED] = 0


def names(gap: Gap, symbol: str) -> bool:
    """Say whether a gap is one of the symbol."""
    return gap.symbols == (EVERY_SYMBOL,) or symbol in gap.symbols


def kernel_columns(frame: TickFrame, names: Sequence[str]) -> list[npt.NDArray[Any]]:
    """Return columns with undefined values as NULL, an undefined `ts_event` replaced by `ts_recv`, ids as int64.

    All are read-only, aligned and contiguous: a kernel would be compiled anew for every other mix.
    """
    columns = []
    for name in names:
        values = frame.columns[name]
        if name in frame.undefined:
            rows = frame.undefined[name]
            values = values.copy()
            values[rows] = frame.columns["ts_recv"][rows] if name == "ts_event" else NULL
        elif not (values.flags.c_contiguous and values.flags.aligned):
            values = values.copy()
        if name == "order_id" or values.flags.writeable:
            values = values.view(np.int64 if name == "order_id" else values.dtype)
            values.flags.writeable = False
        columns.append(values)
    return columns
