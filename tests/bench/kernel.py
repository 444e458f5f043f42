"""The cost of book and metrics alone."""

from __future__ import annotations

import time
from statistics import median

from ticks_file import TicksFile, frames

from tapeline.model.windows import WINDOWS_MS
from tapeline.orderflow.flow import Flow, Marks
from tapeline.orderflow.rows import RowBuffer
from tapeline_processor.app import sessions


def measure(file: TicksFile, passes: int) -> float:
    """Return the ns per tick that `Flow.take` takes on one core: book, all metrics and windows, but no JSON of rows.

    Decoded frames of the default size are held in memory and taken in their order, pass after pass, each beginning
    anew, as `tapeline replay --passes` makes them. The rows are taken out between the frames, outside of what is
    timed. The figure is the median pass, after two that load the kernels and grow the arrays.
    """
    held = frames(file.path)
    ticks = sum(len(frame) for frame in held)
    buffer = RowBuffer()
    flow = Flow("mbo", WINDOWS_MS, sessions().of(held[0].dataset).table(), Marks(), buffer)
    costs_ns = []
    for _ in range(passes + 2):
        flow.begin_anew()
        rows = spent_ns = 0
        for frame in held:
            began_ns = time.perf_counter_ns()
            flow.take(frame)
            spent_ns += time.perf_counter_ns() - began_ns
            flow.drain()
            rows += sum(count for _, count in buffer.take(b"", 1 << 20))
        costs_ns.append(spent_ns / ticks)
        if not rows:
            raise RuntimeError("the kernels made no rows")
    return median(costs_ns[2:])
