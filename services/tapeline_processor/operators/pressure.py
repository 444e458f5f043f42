"""The pressure operator: a frame in, the rows of the windows that it closed out."""

from __future__ import annotations

from typing import Final

import numpy as np

from tapeline.model.columns import COLUMNS, TICK_KINDS, TickKind
from tapeline.model.frames import TickFrame
from tapeline.orderflow.partition import PartitionState, RowMessage, pack, unpack
from tapeline.orderflow.sessions import Sessions

TOPIC: Final = "md.pressure.v1"

_DAY_NS: Final = 86_400_000_000_000


def pressure(state: PartitionState, frame: TickFrame) -> list[RowMessage]:
    """Apply `frame` to `state`; return row messages for `TOPIC`, none unless a window closed."""
    return state.apply(frame)


def warm(sessions: Sessions) -> None:
    """Compile the kernels, or load them from disk, so that the first real frame need not wait for them."""
    state = PartitionState(sessions)
    for kind in TICK_KINDS:
        for number in range(2):
            state.apply(_tick(kind, number))
    unpack(pack(state.copy()), sessions)


def _tick(kind: TickKind, number: int) -> TickFrame:
    columns = {
        column.name: np.full(1, ord(column.letters[-1]) if column.is_text else 0, dtype=column.dtype)
        for column in COLUMNS[kind]
    }
    return TickFrame(
        source="warm",
        dataset="warm",
        publisher_id=0,
        stream="warm/warm",
        kind=kind,
        session="warm",
        epoch=0,
        frame=number,
        origin="saved",
        ts_base=number * _DAY_NS,
        opened=0,
        sent=0,
        trading_day="1970-01-01",
        symbols=("WARM",),
        instrument_ids=(1,),
        classes="F",
        columns=columns,
    )
