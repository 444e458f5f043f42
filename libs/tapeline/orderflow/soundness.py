"""Say whether a flow knows all that rows are made of, so that they can be computed anew from there on. Pure."""

from __future__ import annotations

from tapeline.orderflow.continuity import EVERY_SYMBOL
from tapeline.orderflow.flow import Flow
from tapeline.orderflow.layout import (
    BOOK,
    CUMULATIVE_FROM,
    CUMULATIVE_LOST,
    GAP_TO,
    IS_TOUCHED,
    NO_BOOK,
    NONE,
    NULL,
    REASONS,
    START,
    VALID,
    WATERMARK,
    Arrays,
)
from tapeline.orderflow.partition import PartitionState


def is_sound(
    state: PartitionState, source: str, stream: str, kind: str, symbols: tuple[str, ...], ts_event: int
) -> bool:
    """Say whether a stream's state is one from before `ts_event` (ns), with books and sums of the symbols valid.

    Before means that its watermark is not past `ts_event`. A symbol that has not come yet, and a stream of which
    nothing has, are as valid as can be.
    """
    of_stream = state.stream_of(source, stream)
    flow = None if of_stream is None else of_stream.flows.get(kind)
    if of_stream is None or flow is None:
        return True
    if int(flow.arrays.flow[WATERMARK]) > ts_event:
        return False
    if any(gap.state == "open" and kind in gap.kinds for gap in of_stream.marks.gaps.values()):
        return False
    return all(_is_slot_sound(flow.arrays, slot) for slot in slots_of(flow, symbols).values())


def has_valid_book(flow: Flow | None, symbol: str) -> bool:
    """Say whether the book of a symbol is known and may be relied on."""
    return flow is not None and symbol in flow.slots and int(flow.arrays.symbols[flow.slots[symbol], BOOK]) == VALID


def watermark_of(flow: Flow | None) -> int | None:
    """Return the watermark of a flow, ns since the epoch; None while it has none."""
    return None if flow is None or (at := int(flow.arrays.flow[WATERMARK])) == NULL else at


def slots_of(flow: Flow, symbols: tuple[str, ...]) -> dict[str, int]:
    """Return the slots of these symbols that have come."""
    return {symbol: slot for symbol, slot in flow.slots.items() if symbols == (EVERY_SYMBOL,) or symbol in symbols}


def _is_slot_sound(arrays: Arrays, slot: int) -> bool:
    symbol = arrays.symbols[slot]
    if symbol[BOOK] not in (VALID, NO_BOOK):
        return False
    # A gap that ended before the day's first open has no part in its sums.
    if symbol[CUMULATIVE_LOST] != NONE or symbol[GAP_TO] > symbol[CUMULATIVE_FROM]:
        return False
    levels = len(arrays.windows_ns)
    first = slot * (levels + 1)
    windows = arrays.sums[first : first + levels]
    return not bool(((windows[:, START] != NULL) & (windows[:, REASONS] & IS_TOUCHED != 0)).any())
