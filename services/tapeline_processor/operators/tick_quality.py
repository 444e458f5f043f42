"""The tick quality operator: a frame and the pressure rows that it closed in, what is wrong with the ticks out."""

from __future__ import annotations

from collections.abc import Iterable

from tapeline.model.frames import TickFrame
from tapeline.model.tick_quality import TickReport
from tapeline.orderflow.partition import RowMessage
from tapeline.quality.ticks import TickQuality


def tick_quality(state: TickQuality, frame: TickFrame, rows: Iterable[RowMessage]) -> list[TickReport]:
    """Apply `frame` and the pressure `rows` that it closed; return what there is to report, mostly nothing."""
    for row in rows:
        state.take_rows(row.value)
    return state.apply(frame)
