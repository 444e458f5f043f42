"""Judge the ticks of one partition of a ticks topic, and report what is wrong with them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Protocol

import numpy as np
import orjson

from tapeline.errors import Bug
from tapeline.model.columns import INT64_MAX, INT64_MIN
from tapeline.model.frames import Gap, TickFrame
from tapeline.model.tick_quality import CHECKED_KINDS, EVERY_SYMBOL, TickReport
from tapeline.quality.tick_definitions import Definitions
from tapeline.quality.tick_flow import SymbolMarks, TickFlow
from tapeline.quality.tick_kernels.layout import FLOW_WIDTH, Int64s

_UPPER_LIMIT: Final = 17
_LOWER_LIMIT: Final = 18
"""Kinds of statistics, as DBN numbers them: the venue's price limits."""


class Packed(Protocol):
    """A packed state as it is read back: the header, then its arrays in their order."""

    header: dict[str, Any]

    def array(self, dtype: type[np.int64], shape: tuple[int, ...]) -> Int64s:
        """Return the next array, read-only."""


@dataclass(slots=True)
class _Stream:
    """What one stream has said so far."""

    source: str
    stream: str
    dataset: str
    epoch: int = 0
    marks: SymbolMarks = field(default_factory=SymbolMarks)
    flows: dict[str, TickFlow] = field(default_factory=dict)


class TickQuality:
    """The quality of all streams of one partition: mbo and l1, in windows of 60 s of the tape's own time.

    It is the last operator of a partition. `definitions` grow as they are read. Tell it per frame what the pressure
    operator found of the book with `note_book`, and the frame itself with `apply`: that returns the reports to publish,
    keyed by their `key`. There is a report of each window in which
    something was found; windows in which nothing was are reported together, an hour's at most, so that silence means
    that nothing was checked. A kind's first tick at or past a window's end closes it, or a clock; nothing depends on
    how ticks are framed. What the book was like in a minute is known, and reported, one window later. Findings that
    need definitions depend on when these were read; all others are the same in each replay.

    The rules: crossed and locked tops (01, 02) while the instrument trades, on l1 with how long, on mbo as often as
    the pressure rows of 100 ms say so; prices and sizes (03, 04), price steps (05); stale quotes (06) by the symbol's
    usual share of its stream, so that a quiet hour is none; clocks and order (07, 08); frames, gaps and bad books (09,
    10); duplicates (11: neighbours only, and frames); trades of futures far from those before (12); the venue's own
    price limits (15); definitions (17); orders that the pressure book does not know (18). Where a day has no
    definitions at all, 05 and 17 are not checked, and a report says so.

    `hours` returns the trading intervals of a dataset: int64 of shape (n, 2 or more), each [open, close), sorted, ns
    since the epoch; `Sessions.table` is such a one.
    """

    def __init__(self, hours: Callable[[str], Int64s], definitions: Definitions) -> None:
        self._hours = hours
        self._hours_of: dict[str, Int64s] = {}
        self._definitions = definitions
        self._streams: dict[tuple[str, str], _Stream] = {}

    def apply(self, frame: TickFrame) -> list[TickReport]:
        """Judge a frame; return what there is to report now, mostly nothing."""
        stream = self._stream_of(frame)
        if frame.epoch < stream.epoch:
            return []
        stream.epoch = frame.epoch
        if frame.kind in CHECKED_KINDS:
            return self._ticks(self._flow(stream, frame.kind), frame)
        if frame.clock is not None:
            kinds = [(kind, ts) for kind, ts in frame.clock.items() if kind in stream.flows]
            return [report for kind, ts in kinds for report in stream.flows[kind].clock(ts)]
        if frame.gap is not None:
            self._gap(stream, frame.gap, frame.opened)
        elif frame.kind == "status":
            self._status(stream, frame)
        elif frame.kind == "statistics":
            self._statistics(stream, frame)
        return []

    def note_book(self, source: str, stream: str, doubts: Iterable[tuple[str, str, int, int]]) -> None:
        """Take what a book was like: (``crossed_book``, ``locked_book`` or ``unknown_order``, symbol, since, count)."""
        known = self._streams.get((source, stream))
        flow = None if known is None else known.flows.get("mbo")
        if flow is None:
            return
        for name, symbol, first_at, count in doubts:
            flow.note(name, symbol, first_at, count=count)

    # -- frames ------------------------------------------------------------------------------------------------------

    def _stream_of(self, frame: TickFrame) -> _Stream:
        key = (frame.source, frame.stream)
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = _Stream(*key, frame.dataset)
        return stream

    def _flow(self, stream: _Stream, kind: str) -> TickFlow:
        flow = stream.flows.get(kind)
        if flow is None:
            if stream.dataset not in self._hours_of:
                self._hours_of[stream.dataset] = np.ascontiguousarray(self._hours(stream.dataset))
            hours = self._hours_of[stream.dataset]
            flow = stream.flows[kind] = TickFlow(
                stream.source, stream.stream, kind, stream.dataset, hours, self._definitions, stream.marks
            )
        return flow

    def _ticks(self, flow: TickFlow, frame: TickFrame) -> list[TickReport]:
        if frame.frame is None:
            raise Bug(f"a frame of {frame.kind} without a number")
        opened = frame.ts_base + int(frame.columns["ts_recv"][0])
        reports: list[TickReport] = []
        if frame.session == flow.session:
            if frame.frame <= flow.frame:
                flow.note("repeated", EVERY_SYMBOL, opened)
                return []
            lost = frame.frame - flow.frame - 1
        elif flow.session is None:
            lost = 0
        elif frame.resumes is None:
            reports = flow.begin_anew()
            lost = frame.frame
        elif frame.resumes.session == flow.session:
            lost = max(0, frame.resumes.frame - flow.frame)
        else:
            lost = 1
        flow.session, flow.frame = frame.session, frame.frame
        if lost:
            flow.note("lost_frames", EVERY_SYMBOL, opened, worst=lost)
        return reports + flow.take(frame)

    def _gap(self, stream: _Stream, gap: Gap, at: int) -> None:
        if gap.state != "open":
            return
        ts = at if gap.ts_event_from is None else gap.ts_event_from
        for kind in gap.kinds:
            if kind in CHECKED_KINDS:
                for symbol in gap.symbols:
                    self._flow(stream, kind).note("gap", symbol, ts, detail=gap.reason)

    def _status(self, stream: _Stream, frame: TickFrame) -> None:
        letters = frame.columns["is_trading"].tobytes().decode("ascii")
        for letter, number, ts in zip(letters, frame.columns["symbol"].tolist(), frame.ts_recv().tolist(), strict=True):
            if letter != "~":
                stream.marks.halts[frame.symbols[number]] = ts, letter == "N"
                _tell(stream, frame.symbols[number])

    def _statistics(self, stream: _Stream, frame: TickFrame) -> None:
        kinds = frame.columns["stat_type"]
        undefined = frame.undefined.get("price", ())
        for row in np.flatnonzero((kinds == _UPPER_LIMIT) | (kinds == _LOWER_LIMIT)).tolist():
            symbol = frame.symbols[int(frame.columns["symbol"][row])]
            price = int(frame.columns["price"][row])
            lower, upper = stream.marks.limits.get(symbol, (INT64_MIN, INT64_MAX))
            if kinds[row] == _UPPER_LIMIT:
                upper = INT64_MAX if row in undefined else price
            else:
                lower = INT64_MIN if row in undefined else price
            stream.marks.limits[symbol] = lower, upper
            _tell(stream, symbol)

    # -- checkpoints -------------------------------------------------------------------------------------------------

    def copy(self) -> tuple[bytes, list[Int64s]]:
        """Copy the state as it is between two frames: a header (JSON) and int64 arrays in its order."""
        arrays: list[Int64s] = []
        streams = []
        for stream in self._streams.values():
            flows: dict[str, Any] = {}
            for kind, flow in stream.flows.items():
                arrays += [flow.state.copy(), flow.flow.copy()]
                flows[kind] = {
                    "session": flow.session,
                    "frame": flow.frame,
                    "trading_day": flow.trading_day,
                    "symbols": flow.symbols,
                    "numbers": len(flow.state),
                    "noted": [[*key, *counts] for key, counts in flow.noted.items()],
                }
            streams.append(
                {
                    "source": stream.source,
                    "stream": stream.stream,
                    "dataset": stream.dataset,
                    "epoch": stream.epoch,
                    "marks": asdict(stream.marks),
                    "flows": flows,
                }
            )
        return orjson.dumps({"streams": streams}), arrays

    @classmethod
    def from_packed(cls, packed: Packed, hours: Callable[[str], Int64s], definitions: Definitions) -> TickQuality:
        """Return the state that was copied, to go on with these definitions, which are no part of it."""
        quality = cls(hours, definitions)
        for saved in packed.header["streams"]:
            stream = _Stream(saved["source"], saved["stream"], saved["dataset"], saved["epoch"])
            quality._streams[stream.source, stream.stream] = stream
            for symbol, (ts, is_halted) in saved["marks"]["halts"].items():
                stream.marks.halts[symbol] = ts, is_halted
            for symbol, (lower, upper) in saved["marks"]["limits"].items():
                stream.marks.limits[symbol] = lower, upper
            for kind, part in saved["flows"].items():
                flow = quality._flow(stream, kind)
                flow.session, flow.frame, flow.trading_day = part["session"], part["frame"], part["trading_day"]
                state, scalars = packed.array(np.int64, (part["numbers"],)), packed.array(np.int64, (FLOW_WIDTH,))
                flow.restore(part["symbols"], state.copy(), scalars.copy())
                for name, symbol, detail, *counts in part["noted"]:
                    flow.noted[name, symbol, detail] = tuple(counts)
        return quality


def _tell(stream: _Stream, symbol: str) -> None:
    for flow in stream.flows.values():
        flow.mark(symbol)
