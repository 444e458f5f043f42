"""The rules of a frame, however it came about: what `encode` refuses to write and `decode` refuses to read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final

import numpy as np

from tapeline.errors import BadData
from tapeline.model.columns import COLUMNS, INT64_MAX, INT64_MIN, Column, TickKind
from tapeline.model.frames import GAP_STATES, GAP_TIMES, ORIGINS, Array, Gap, TickFrame

MAX_TICKS: Final = 65_536
"""Most ticks that one frame may carry; the framer's own limit is far below."""

_TIMES: Final = ("ts_event", "ts_recv", "ts_ref")
_DTYPES: Final = {name: np.dtype(name) for name in ("u1", "<i8", "<u8")}
_LETTERS: Final = {c.letters: c.letters.encode("ascii") for columns in COLUMNS.values() for c in columns if c.is_text}


def check_frame(frame: TickFrame) -> None:
    """Raise BadData that names the field and the rule if the frame breaks one."""
    _check_header(frame)
    _check_instruments(frame)
    if frame.kind in COLUMNS:
        _check_columns(frame, frame.kind)
    else:
        _check_mark(frame)


def check_gap(gap: Gap) -> None:
    """Raise BadData that names the field and the rule if the gap breaks one."""
    for name in ("id", "reason"):
        if not getattr(gap, name):
            raise BadData(f"gap.{name}", "must not be empty")
    if gap.state not in GAP_STATES:
        raise BadData("gap.state", f"must be one of {', '.join(GAP_STATES)}, is {gap.state!r}")
    if not gap.kinds or any(kind not in COLUMNS for kind in gap.kinds):
        raise BadData("gap.kinds", "must name at least one tick kind, and only tick kinds")
    if not gap.symbols or not all(gap.symbols):
        raise BadData("gap.symbols", "must name symbols, or be ['*']")
    for name in GAP_TIMES:
        at = getattr(gap, name)
        if at is not None and not INT64_MIN <= at <= INT64_MAX:
            raise BadData(f"gap.{name}", "must fit 64 bits")


def _check_header(frame: TickFrame) -> None:
    for name in ("source", "dataset", "stream", "session"):
        if not getattr(frame, name):
            raise BadData(name, "must not be empty")
    if not 0 <= frame.publisher_id <= 65_535:
        raise BadData("publisher_id", "must be within [0, 65535]")
    if not 0 <= frame.epoch <= INT64_MAX:
        raise BadData("epoch", f"must be within [0, {INT64_MAX}]")
    if frame.origin not in ORIGINS:
        raise BadData("origin", f"must be one of {', '.join(ORIGINS)}, is {frame.origin!r}")
    for name in ("ts_base", "opened", "sent"):
        if not INT64_MIN <= getattr(frame, name) <= INT64_MAX:
            raise BadData(name, "must fit 64 bits")
    try:
        valid_day = date.fromisoformat(frame.trading_day).isoformat() == frame.trading_day
    except ValueError:
        valid_day = False
    if not valid_day:
        raise BadData("trading_day", f"must be a date as YYYY-MM-DD, is {frame.trading_day!r}")
    if (frame.kind == "gap") != (frame.gap is not None):
        raise BadData("gap", "must be there for the kind gap, and only there")
    if (frame.kind == "clock") != (frame.clock is not None):
        raise BadData("clock", "must be there for the kind clock, and only there")
    if frame.gap_id is not None and not frame.gap_id:
        raise BadData("gap_id", "must not be empty where it is given")


def _check_instruments(frame: TickFrame) -> None:
    if not len(frame.symbols) == len(frame.instrument_ids) == len(frame.classes):
        raise BadData("symbols", "symbols, instrument_ids and classes must have one length")
    if not all(frame.symbols):
        raise BadData("symbols", "must not hold an empty symbol")
    if any(not 0 <= instrument_id < 2**32 for instrument_id in frame.instrument_ids):
        raise BadData("instrument_ids", "must be within [0, 4294967295]")
    if not (frame.classes.isascii() and frame.classes.isprintable()):
        raise BadData("classes", "must be printable ASCII letters")


def _check_mark(frame: TickFrame) -> None:
    if frame.frame is not None:
        raise BadData("frame", f"must be null for the kind {frame.kind}")
    if frame.columns or frame.undefined:
        raise BadData("columns", f"must be empty for the kind {frame.kind}")
    if frame.resumes is not None:
        raise BadData("resumes", f"must be null for the kind {frame.kind}")
    if frame.continues:
        raise BadData("continues", f"must be false for the kind {frame.kind}")
    if frame.gap is not None:
        check_gap(frame.gap)
    if frame.clock is not None:
        if not frame.clock:
            raise BadData("clock", "must name at least one tick kind")
        for kind, at in frame.clock.items():
            if kind not in COLUMNS or not INT64_MIN <= at <= INT64_MAX:
                raise BadData(f"clock.{kind}", "must map a tick kind to ns since the epoch")


def _check_columns(frame: TickFrame, kind: TickKind) -> None:
    if frame.frame is None or not 0 <= frame.frame <= INT64_MAX:
        raise BadData("frame", f"must be within [0, {INT64_MAX}] for the kind {kind}")
    if frame.resumes is not None and (not frame.resumes.session or not 0 <= frame.resumes.frame <= INT64_MAX):
        raise BadData("resumes", "must name a session and a frame")
    declared = COLUMNS[kind]
    n = len(frame.columns.get("ts_event", ()))
    if not 0 < n <= MAX_TICKS:
        raise BadData("n", f"must be within [1, {MAX_TICKS}], is {n}")
    for column in declared:
        if column.name not in frame.columns:
            raise BadData(f"columns.{column.name}", f"must be there in a frame of the kind {kind}")
        _check_column(column, frame.columns[column.name], n, frame.ts_base)
    if len(frame.columns) != len(declared):
        extra = set(frame.columns) - {column.name for column in declared}
        raise BadData("columns", f"must be those of the kind {kind}; unknown: {', '.join(sorted(extra))}")
    if int(np.maximum.reduce(frame.columns["symbol"])) >= len(frame.symbols):
        raise BadData("columns.symbol", f"must index the {len(frame.symbols)} symbols")
    for name, rows in frame.undefined.items():
        _check_undefined(name, rows, declared, frame.columns, n)


def _check_column(column: Column, values: Array, n: int, ts_base: int) -> None:
    if values.ndim != 1 or len(values) != n:
        raise BadData(f"columns.{column.name}", f"must hold n = {n} values, holds {values.size}")
    if values.dtype != _DTYPES[column.dtype]:
        raise BadData(f"columns.{column.name}", f"must have dtype {column.dtype}, has {values.dtype}")
    if column.is_text:
        # Deleting the allowed letters is five times faster than looking each up.
        if values.tobytes().translate(None, _LETTERS[column.letters]):
            raise BadData(f"columns.{column.name}", f"must hold only the letters {column.letters}")
    elif column.low == 0:
        # As unsigned, what is negative is above every limit: one pass instead of two.
        if column.high < 2**64 - 1 and int(np.maximum.reduce(values.view(_DTYPES["<u8"]))) > column.high:
            raise BadData(f"columns.{column.name}", f"must be within [0, {column.high}]")
    elif column.low > INT64_MIN or column.name in _TIMES:
        low, high = int(np.minimum.reduce(values)), int(np.maximum.reduce(values))
        if low < column.low or high > column.high:
            raise BadData(f"columns.{column.name}", f"must be within [{column.low}, {column.high}]")
        # Absolute times must fit 64 bits too, or they would wrap round in silence.
        if column.name in _TIMES and (ts_base + low < INT64_MIN or ts_base + high > INT64_MAX):
            raise BadData(f"columns.{column.name}", "must fit 64 bits when added to ts_base")


def _check_undefined(
    name: str, rows: Array, declared: tuple[Column, ...], columns: Mapping[str, Array], n: int
) -> None:
    if not any(column.name == name and column.can_be_undefined for column in declared):
        raise BadData(f"undefined.{name}", "must be a column that can be undefined")
    if rows.ndim != 1 or rows.dtype != _DTYPES["<i8"]:
        raise BadData(f"undefined.{name}", "must be row numbers of dtype <i8")
    if len(rows) and (int(rows[0]) < 0 or int(rows[-1]) >= n or not (rows[1:] > rows[:-1]).all()):
        raise BadData(f"undefined.{name}", "must be increasing row numbers of the frame")
    if columns[name][rows].any():
        raise BadData(f"undefined.{name}", "must mark values that are stored as 0")
