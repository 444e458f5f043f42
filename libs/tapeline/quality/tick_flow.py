"""Hold the ticks of one (stream, kind) against the rules: its state, the slots of its symbols, and its reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from tapeline.model.columns import INT64_MAX, INT64_MIN
from tapeline.model.frames import Array, TickFrame
from tapeline.model.tick_quality import TickFinding, TickReport
from tapeline.quality.tick_definitions import Definitions
from tapeline.quality.tick_findings import NOTED, compiled_findings, named
from tapeline.quality.tick_kernels.layout import (
    CROSSED_SINCE,
    FIRST_TICK,
    FLOW_WIDTH,
    FUTURE,
    HAS_DEFINITIONS,
    HAS_FINDING,
    IS_DEFINED,
    IS_HALTED,
    KIND_OF,
    LAST_SEQUENCE,
    LAST_TS,
    LOCKED_SINCE,
    LOWER,
    NULL,
    OPTION,
    RULES_FROM,
    SINCE,
    SPREAD,
    STATUS_AT,
    SYMBOLS,
    TICK_HIGH,
    TICK_LIMIT,
    TICK_LOW,
    TICKS_REPORTED,
    TICKS_SEEN,
    TRADES,
    UPPER,
    WATERMARK,
    WIDTH,
    WINDOW_END,
    WINDOW_NS,
    WINDOW_TICKS,
    Int64s,
)
from tapeline.quality.tick_kernels.take import end_window, pass_window, take_l1, take_mbo

_WHEN_AND_WHAT: Final = ("ts_event", "ts_recv", "symbol", "action", "price", "size")
_COLUMNS: Final = {
    "mbo": (*_WHEN_AND_WHAT, "order_id", "sequence", "flags"),
    "l1": (*_WHEN_AND_WHAT, "bid_price", "bid_size", "ask_price", "ask_size", "sequence", "flags"),
}
_KINDS_OF: Final = {"F": FUTURE, "C": OPTION, "P": OPTION}
_MOST_FRAMES_KNOWN: Final = 64


@dataclass(slots=True)
class SymbolMarks:
    """What the venue says of a stream's symbols: halts (ns, whether halted) and price limits (lower, upper)."""

    halts: dict[str, tuple[int, bool]] = field(default_factory=dict)
    limits: dict[str, tuple[int, int]] = field(default_factory=dict)


class TickFlow:
    """The ticks of one (stream, kind).

    `session` and `frame` are where it stands on the tape. `noted` are findings of NOTED for the next report: name,
    symbol, detail -> when first, how often, what was worst.
    """

    def __init__(
        self,
        source: str,
        stream: str,
        kind: str,
        dataset: str,
        hours: Int64s,
        definitions: Definitions,
        marks: SymbolMarks,
    ) -> None:
        self.kind = kind
        self.session: str | None = None
        self.frame = -1
        self.symbols: list[str] = []
        self.trading_day = ""
        self.noted: dict[tuple[str, str, str], tuple[int, int, int]] = {}
        self.state = np.zeros(8 * WIDTH, dtype=np.int64)
        self.flow = np.zeros(FLOW_WIDTH, dtype=np.int64)
        self._forget_time()
        self._source = source
        self._stream = stream
        self._dataset = dataset
        self._hours = hours
        self._definitions = definitions
        self._marks = marks
        self._version = -1
        self._slots: dict[str, int] = {}
        self._resolved: dict[tuple[str, int], int] = {}
        self._frames: dict[tuple[tuple[str, ...], tuple[int, ...]], tuple[Int64s, int]] = {}

    # -- ticks -------------------------------------------------------------------------------------------------------

    def take(self, frame: TickFrame) -> list[TickReport]:
        """Judge the ticks of a frame; return what there is to report before or within it."""
        slots, step = self._slots_of(frame)
        columns = _kernel_columns(frame, _COLUMNS[self.kind])
        reports: list[TickReport] = []
        begin = 0
        while True:
            if self.kind == "mbo":
                begin = take_mbo(self.state, self.flow, self._hours, slots, begin, step, frame.ts_base, *columns)
            else:
                begin = take_l1(self.state, self.flow, self._hours, slots, begin, frame.ts_base, *columns)
            if begin == len(frame):
                return reports
            reports += self._report()

    def clock(self, ts: int) -> list[TickReport]:
        """Close the window that `ts` (ns since the epoch) has passed; return what there is to report."""
        if self.flow[WINDOW_END] == NULL or ts < self.flow[WINDOW_END]:
            return []
        self.flow[WATERMARK] = max(int(self.flow[WATERMARK]), ts)
        if pass_window(self.state, self.flow, self._hours, ts):
            return self._report()
        return []

    def begin_anew(self) -> list[TickReport]:
        """Report what is left of the session before, and forget its times and prices."""
        reports = []
        if self.flow[WINDOW_END] != NULL:
            end_window(self.state, self.flow, self._hours)
            reports = self._report()
        self._forget_time()
        return reports

    def note(self, name: str, symbol: str, ts: int, *, count: int = 1, worst: int = 0, detail: str = "") -> None:
        """Take a finding of one of NOTED to the next report; `detail` says more than the rule's own."""
        first_at, counted, worst_yet = self.noted.get((name, symbol, detail), (ts, 0, 0))
        self.noted[name, symbol, detail] = first_at, counted + count, max(worst_yet, worst)
        self.state[HAS_FINDING] = 1

    # -- marks -------------------------------------------------------------------------------------------------------

    def mark(self, symbol: str) -> None:
        """Take over what the marks say of a symbol, if it is known."""
        slot = self._slots.get(symbol)
        if slot is not None:
            self._mark(self.state[slot : slot + WIDTH], symbol)

    def _mark(self, row: Int64s, symbol: str) -> None:
        if symbol in self._marks.halts:
            row[STATUS_AT], row[IS_HALTED] = self._marks.halts[symbol]
        row[LOWER], row[UPPER] = self._marks.limits.get(symbol, (INT64_MIN, INT64_MAX))

    # -- symbols -----------------------------------------------------------------------------------------------------

    def _slots_of(self, frame: TickFrame) -> tuple[Int64s, int]:
        """Return where the symbols of a frame begin in the state, and the price step that they share."""
        if frame.trading_day != self.trading_day:
            self._begin_day(frame)
        elif self._version != self._definitions.version:
            self._look_up_again()
        key = (frame.symbols, frame.instrument_ids)
        known = self._frames.get(key)
        if known is None:
            slots = [
                self._resolved.get(pair) or self._resolve(*pair, letter, frame)
                for pair, letter in zip(
                    zip(frame.symbols, frame.instrument_ids, strict=True), frame.classes, strict=True
                )
            ]
            known = np.array(slots, dtype=np.int64), self._common_step(slots)
            if len(self._frames) >= _MOST_FRAMES_KNOWN:
                self._frames.clear()
            self._frames[key] = known
        return known

    def _begin_day(self, frame: TickFrame) -> None:
        self.trading_day = frame.trading_day
        rows = self.state.reshape(-1, WIDTH)[1 : len(self.symbols) + 1]
        rows[:, IS_DEFINED] = 0
        rows[:, FIRST_TICK] = frame.ts_base + int(frame.columns["ts_recv"][0])
        self._look_up_again()

    def _look_up_again(self) -> None:
        self._version = self._definitions.version
        self.flow[HAS_DEFINITIONS] = self._definitions.has(self._dataset, self.trading_day)
        self._resolved.clear()
        self._frames.clear()

    def _resolve(self, symbol: str, instrument_id: int, letter: str, frame: TickFrame) -> int:
        """Return the slot of a symbol, made where there is none, with what its definition says of it."""
        slot = self._slots.get(symbol)
        if slot is None:
            slot = self._add(symbol, frame)
        row = self.state[slot : slot + WIDTH]
        row[KIND_OF] = _KINDS_OF.get(letter, SPREAD)
        definition = self._definitions.of(self._dataset, self.trading_day, instrument_id)
        if definition is not None:
            row[IS_DEFINED] = 1
            row[TICK_LOW], row[TICK_LIMIT], row[TICK_HIGH] = definition
        self._resolved[symbol, instrument_id] = slot
        return slot

    def _add(self, symbol: str, frame: TickFrame) -> int:
        self.symbols.append(symbol)
        slot = self._slots[symbol] = len(self.symbols) * WIDTH
        if slot + WIDTH > len(self.state):
            self.state = np.concatenate([self.state, np.zeros_like(self.state)])
        self.flow[SYMBOLS] = len(self.symbols)
        row = self.state[slot : slot + WIDTH]
        row[[LAST_TS, CROSSED_SINCE, LOCKED_SINCE, STATUS_AT]] = NULL
        row[FIRST_TICK] = frame.ts_base + int(frame.columns["ts_recv"][0])
        self._mark(row, symbol)
        return slot

    def _common_step(self, slots: list[int]) -> int:
        rows = self.state.reshape(-1, WIDTH)[np.array(slots) // WIDTH]
        steps = set(rows[:, TICK_LOW].tolist())
        has_two_steps = bool(((rows[:, TICK_LOW] != 0) & (rows[:, TICK_LIMIT] != INT64_MAX)).any())
        return 0 if len(steps) > 1 or has_two_steps else max(1, int(steps.pop()))

    def restore(self, symbols: list[str], state: Int64s, flow: Int64s) -> None:
        """Take over a packed state."""
        self.symbols = symbols
        self._slots = {symbol: slot * WIDTH for slot, symbol in enumerate(symbols, start=1)}
        self.state, self.flow = state, flow

    # -- reports -----------------------------------------------------------------------------------------------------

    def _forget_time(self) -> None:
        rows = self.state.reshape(-1, WIDTH)[1:]
        rows[:, [LAST_TS, CROSSED_SINCE, LOCKED_SINCE]] = NULL
        rows[:, [LAST_SEQUENCE, TRADES]] = 0
        self.flow[[WATERMARK, WINDOW_END, SINCE]] = NULL

    def _report(self) -> list[TickReport]:
        """Report the window that has ended, and those before it in which nothing was found, and begin to count anew."""
        flow = self.flow
        since, end = int(flow[SINCE]), int(flow[WINDOW_END])
        findings = compiled_findings(self.state, self.symbols)
        findings += [
            NOTED[name].finding(symbol, count, first_at, worst, detail)
            for (name, symbol, detail), (first_at, count, worst) in self.noted.items()
        ]
        reports = []
        if findings and since < end - WINDOW_NS:
            reports.append(self._told(since, end - WINDOW_NS, int(flow[WINDOW_TICKS] - flow[TICKS_REPORTED]), []))
            since = end - WINDOW_NS
            flow[TICKS_REPORTED] = flow[WINDOW_TICKS]
        reports.append(self._told(since, end, int(flow[TICKS_SEEN] - flow[TICKS_REPORTED]), findings))
        self.state.reshape(-1, WIDTH)[1:, RULES_FROM:] = 0
        self.state[HAS_FINDING] = 0
        self.noted.clear()
        flow[TICKS_REPORTED] = flow[TICKS_SEEN]
        flow[[WINDOW_END, SINCE]] = NULL
        return reports

    def _told(self, since: int, at: int, ticks: int, findings: list[TickFinding]) -> TickReport:
        severities = [finding.severity for finding in findings]
        return TickReport(
            source=self._source,
            stream=self._stream,
            kind=self.kind,
            since=since,
            at=at,
            ticks=ticks,
            errors=severities.count("error"),
            warnings=severities.count("warning"),
            findings=named(findings),
            not_checked=self._not_checked(),
        )

    def _not_checked(self) -> Mapping[str, str]:
        if self.flow[HAS_DEFINITIONS]:
            return {}
        reason = f"there are no definitions of {self._dataset} on {self.trading_day}"
        return {"05_off_grid": reason, "17_definition": reason}


def _kernel_columns(frame: TickFrame, names: tuple[str, ...]) -> list[Array]:
    """Return columns with NULL for what is undefined.

    A kernel would be compiled anew for another memory layout: letters are read-only, numbers as new arrays are.
    """
    columns = []
    for name in names:
        values = frame.columns[name]
        if name == "action":
            if values.flags.writeable:
                values = values.view()
                values.flags.writeable = False
        elif not values.flags.carray or name in frame.undefined:
            values = values.copy()
            values[frame.undefined.get(name, [])] = NULL
        columns.append(values)
    return columns
