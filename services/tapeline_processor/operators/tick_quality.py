"""The tick quality operator: a frame in, and what its rows of pressure said of the books; reports of findings out."""

from __future__ import annotations

from tapeline.model.frames import TickFrame
from tapeline.model.tick_quality import TickReport
from tapeline.orderflow.partition import PartitionState
from tapeline.quality.ticks import TickQuality


def tick_quality(state: TickQuality, frame: TickFrame, pressure: PartitionState) -> list[TickReport]:
    """Apply `frame`, which `pressure` has taken already; return what there is to report, mostly nothing."""
    doubts = pressure.take_doubts(frame.source, frame.stream)
    if doubts:
        state.note_book(frame.source, frame.stream, doubts)
    return state.apply(frame)
