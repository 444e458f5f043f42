"""The pressure operator: a frame in, the rows of the windows that it closed out."""

from __future__ import annotations

from typing import Final

from tapeline.model.frames import TickFrame
from tapeline.orderflow.partition import PartitionState, RowMessage

TOPIC: Final = "md.pressure.v1"


def pressure(state: PartitionState, frame: TickFrame) -> list[RowMessage]:
    """Apply `frame` to `state`; return row messages for `TOPIC`, none unless a window closed."""
    return state.apply(frame)
