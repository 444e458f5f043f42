"""Hypothesis strategies for everything that the model encodes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
from hypothesis import strategies as st

from tapeline.model.columns import COLUMNS, INT64_MAX, INT64_MIN, TICK_KINDS, Column, TickKind
from tapeline.model.cursors import Cursor, LastFrame, Span
from tapeline.model.events import EVENT_TYPES, HEARTBEAT_KINDS, FeedEvent
from tapeline.model.frames import GAP_STATES, GAP_TIMES, ORIGINS, Array, Gap, Resume, TickFrame
from tapeline.model.usage import LINES, SchemaUse, Usage

MOST_TICKS: Final = 8

counts = st.integers(0, INT64_MAX)
int64s = st.integers(INT64_MIN, INT64_MAX)
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
days = st.dates().map(lambda day: day.isoformat())
kinds = st.sampled_from(TICK_KINDS)

gaps = st.builds(
    Gap,
    id=texts,
    state=st.sampled_from(GAP_STATES),
    kinds=st.lists(kinds, min_size=1, unique=True).map(tuple),
    symbols=st.lists(texts, min_size=1, max_size=3).map(tuple),
    reason=texts,
    **{name: st.none() | int64s for name in GAP_TIMES},
)


def _header(draw: st.DrawFn) -> dict[str, Any]:
    symbols = draw(st.lists(texts, min_size=1, max_size=3))
    return {
        "source": draw(texts),
        "dataset": draw(texts),
        "publisher_id": draw(st.integers(0, 65_535)),
        "stream": draw(texts),
        "session": draw(texts),
        "epoch": draw(counts),
        "origin": draw(st.sampled_from(ORIGINS)),
        "ts_base": draw(int64s),
        "opened": draw(int64s),
        "sent": draw(int64s),
        "trading_day": draw(days),
        "symbols": tuple(symbols),
        "instrument_ids": tuple(draw(st.integers(0, 2**32 - 1)) for _ in symbols),
        "classes": draw(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=len(symbols)))[
            : len(symbols)
        ],
        "gap_id": draw(st.none() | texts),
    }


def _column(draw: st.DrawFn, column: Column, n: int, header: dict[str, Any]) -> Array:
    if column.is_text:
        letters = draw(st.text(column.letters, min_size=n, max_size=n))
        return np.frombuffer(letters.encode(), dtype=np.uint8)
    low, high = column.low, column.high
    if column.name == "symbol":
        high = len(header["symbols"]) - 1
    if column.name in ("ts_event", "ts_recv", "ts_ref"):
        low, high = max(low, INT64_MIN - header["ts_base"]), min(high, INT64_MAX - header["ts_base"])
    return np.array(draw(st.lists(st.integers(low, high), min_size=n, max_size=n)), dtype=column.dtype)


@st.composite
def tick_frames(draw: st.DrawFn, kind: TickKind) -> TickFrame:
    """A frame of a kind that keeps every rule."""
    header = _header(draw)
    n = draw(st.integers(1, MOST_TICKS))
    columns = {column.name: _column(draw, column, n, header) for column in COLUMNS[kind]}
    undefined = {}
    for column in COLUMNS[kind]:
        rows = sorted(draw(st.sets(st.integers(0, n - 1)))) if column.can_be_undefined else []
        if rows:
            undefined[column.name] = np.array(rows, dtype=np.int64)
            columns[column.name][rows] = 0
    return TickFrame(
        **header,
        kind=kind,
        frame=draw(counts),
        continues=draw(st.booleans()),
        resumes=draw(st.none() | st.builds(Resume, session=texts, frame=counts)),
        columns=columns,
        undefined=undefined,
    )


@st.composite
def marks(draw: st.DrawFn) -> TickFrame:
    """A gap, clock or claim that keeps every rule."""
    header = _header(draw)
    kind = draw(st.sampled_from(["gap", "clock", "claim"]))
    gap = draw(gaps) if kind == "gap" else None
    clock = draw(st.dictionaries(kinds, int64s, min_size=1)) if kind == "clock" else None
    return TickFrame(**header, kind=kind, frame=None, gap=gap, clock=clock)


frames = st.one_of(*(tick_frames(kind) for kind in TICK_KINDS), marks())


@st.composite
def cursors(draw: st.DrawFn) -> Cursor:
    """A cursor that keeps every rule."""
    last_frames = st.builds(LastFrame, session=texts, frame=counts, ts_event=st.none() | int64s)
    last = draw(st.dictionaries(kinds, last_frames, max_size=5))
    next_offset = draw(counts)
    bounds = st.tuples(*[st.integers(0, next_offset)] * 2).map(sorted)
    return Cursor(
        **{name: draw(texts) for name in ("source", "stream", "session")},
        epoch=draw(counts),
        partition=draw(st.integers(0, 2**31 - 1)),
        next_offset=next_offset,
        kinds=last,
        overlaps={kind: Span(*draw(bounds)) for kind in last},
        gaps=tuple(replace(gap, state="open") for gap in draw(st.lists(gaps, max_size=2))),
    )


@st.composite
def feed_events(draw: st.DrawFn) -> FeedEvent:
    """An event of any type that keeps every rule."""
    kind = draw(st.sampled_from(EVENT_TYPES))
    fields: dict[str, Any] = {name: draw(texts) for name in ("source", "stream", "session")}
    if kind in ("disconnected", "stopped", "source_changed", "fetch_failed"):
        fields["reason"] = draw(texts)
    if kind == "source_changed":
        fields |= {"was": draw(texts), "now": draw(texts)}
    elif kind == "fetch_failed":
        fields["captures"] = tuple(draw(st.lists(texts, max_size=3)))
    elif kind in ("gap_opened", "gap_closed"):
        fields["gap"] = draw(gaps)
    elif kind == "heartbeat":
        fields |= {
            "kind": draw(st.sampled_from(HEARTBEAT_KINDS)),
            "frame": draw(st.none() | counts),
            "ticks": draw(counts),
            "queue_fill": draw(st.floats(0, 1)),
        }
        for name in (
            "ts_event",
            "ts_recv",
            "latency_p50_ns",
            "latency_p99_ns",
            "ts_in_delta_p50_ns",
            "ts_in_delta_p99_ns",
        ):
            fields[name] = draw(st.none() | int64s)
    return FeedEvent(type=kind, epoch=draw(counts), at=draw(int64s), **fields)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """A day's usage of any line that keeps every rule."""
    line = draw(st.sampled_from(LINES))
    uses = st.builds(
        SchemaUse, bytes=counts, price_micro_usd_per_gib=st.none() | counts, cost_micro_usd=st.none() | counts
    )
    return Usage(
        source=draw(texts),
        line=line,
        day=draw(days),
        meter=draw(texts),
        notional=line == "flat",
        fee_micro_usd_per_month=0 if line == "metered" else draw(counts),
        **{name: draw(counts) for name in ("requests", "cache_hits", "cache_misses", "saved_micro_usd")},
        schemas=draw(st.dictionaries(texts, uses, max_size=3)),
    )


def same(left: TickFrame, right: TickFrame) -> bool:
    """Return whether two frames say the same: the dataclass' own comparison does not know arrays."""
    fields = [name for name in TickFrame.__dataclass_fields__ if name not in ("columns", "undefined")]
    return (
        all(getattr(left, name) == getattr(right, name) for name in fields)
        and _same_arrays(left.columns, right.columns)
        and _same_arrays(left.undefined, right.undefined)
    )


def _same_arrays(left: Any, right: Any) -> bool:
    return left.keys() == right.keys() and all(
        left[name].dtype == right[name].dtype and np.array_equal(left[name], right[name]) for name in left
    )
