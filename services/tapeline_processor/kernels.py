"""Load the kernels, compiling what this machine has not compiled yet: ``python -m tapeline_processor.kernels``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from tapeline.model.columns import COLUMNS, TICK_KINDS, Kind, TickKind
from tapeline.model.frames import Array, Gap, TickFrame
from tapeline.orderflow.flow import KINDS
from tapeline.orderflow.sessions import Sessions
from tapeline_processor.operators.states import OperatorStates, Reference, pack_states, unpack_states

_DAY_NS: Final = 86_400_000_000_000
_ORDERS: Final = 200
"""At as many prices, so that the book has to grow."""


def load(sessions: Sessions) -> None:
    """Run every kernel once, so that neither the first real frame nor the first gap need wait for it."""
    reference = Reference(sessions)
    states = OperatorStates.empty(reference)
    for frame in _frames():
        states.pressure.apply(frame)
        states.tick_quality.apply(frame)
    unpack_states(pack_states(states.copy()), reference)


def _frames() -> Iterator[TickFrame]:
    """Yield what can happen to a stream: ticks, a growing book, a halt, a gap, a clock, another session."""
    for kind in TICK_KINDS:
        yield _ticks(kind, 1)
    yield _orders()
    yield _changed(_ticks("status", 1), is_trading=np.array([ord("N")], dtype=np.uint8))
    gap = Gap("warm", "open", tuple(KINDS), ("*",), "warm", ts_event_from=0)
    yield replace(_mark("gap"), gap=gap)
    yield replace(_mark("clock"), clock=dict.fromkeys(KINDS, _DAY_NS))
    for kind in TICK_KINDS:
        yield replace(_ticks(kind, 1), session="another")


def _ticks(kind: TickKind, count: int) -> TickFrame:
    columns = {
        column.name: np.full(count, ord(column.letters[-1]) if column.is_text else 0, dtype=column.dtype)
        for column in COLUMNS[kind]
    }
    return replace(_mark(kind), frame=0, symbols=("WARM",), instrument_ids=(1,), classes="F", columns=columns)


def _orders() -> TickFrame:
    numbers = np.arange(1, _ORDERS + 1)
    return _changed(
        replace(_ticks("mbo", _ORDERS), frame=1),
        action=np.full(_ORDERS, ord("A"), dtype=np.uint8),
        side=np.full(_ORDERS, ord("B"), dtype=np.uint8),
        price=numbers.astype(np.int64),
        size=np.ones(_ORDERS, dtype=np.int64),
        order_id=numbers.astype(np.uint64),
    )


def _changed(frame: TickFrame, **columns: Array) -> TickFrame:
    return replace(frame, columns={**frame.columns, **columns})


def _mark(kind: Kind) -> TickFrame:
    return TickFrame(
        source="warm",
        dataset="warm",
        publisher_id=0,
        stream="warm/warm",
        kind=kind,
        session="warm",
        epoch=0,
        frame=None,
        origin="saved",
        ts_base=0,
        opened=0,
        sent=0,
        trading_day="1970-01-01",
    )


if __name__ == "__main__":
    load(Sessions.always())
