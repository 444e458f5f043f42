"""The cost of book and metrics alone."""

from __future__ import annotations

import time
from dataclasses import replace
from statistics import median

from ticks_file import TicksFile, frames

from tapeline.orderflow.partition import PartitionState
from tapeline_processor.app import sessions


def measure(file: TicksFile, passes: int) -> float:
    """Return the ns per tick that `PartitionState.apply` takes on one core: book, all metrics, windows and rows.

    Decoded frames of the default size are held in memory and applied in their order, pass after pass into one state,
    each pass as a session of its own, as `tapeline replay --passes` makes them. The figure is the median pass, after
    two that load the kernels and grow the arrays.
    """
    held = frames(file.path)
    ticks = sum(len(frame) for frame in held)
    state = PartitionState(sessions())
    costs_ns = []
    for number in range(passes + 2):
        of_pass = [replace(frame, session=str(number)) for frame in held]
        rows = 0
        began_ns = time.perf_counter_ns()
        for frame in of_pass:
            for message in state.apply(frame):
                rows += message.rows
        costs_ns.append((time.perf_counter_ns() - began_ns) / ticks)
        if not rows:
            raise RuntimeError("the kernels made no rows")
    return median(costs_ns[2:])
