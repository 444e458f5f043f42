"""The option flow operator: a frame in, the rows of the windows that it closed out."""

from __future__ import annotations

from typing import Final

from tapeline.model.frames import TickFrame
from tapeline.orderflow.option_flow import OptionFlow
from tapeline.orderflow.partition import RowMessage

TOPIC: Final = "md.option-flow.v1"


def option_flow(state: OptionFlow, frame: TickFrame) -> list[RowMessage]:
    """Apply `frame` to `state`; return row messages for `TOPIC`, none unless a window closed."""
    return state.apply(frame)
