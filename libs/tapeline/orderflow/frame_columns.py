"""Read a frame's columns with what is not defined in place. Returns copies."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tapeline.model.columns import INT64_MIN
from tapeline.model.frames import TickFrame

Int64s = npt.NDArray[np.int64]


def with_null(frame: TickFrame, name: str) -> Int64s:
    """Return a column of integers with INT64_MIN where it is not defined."""
    values: Int64s = frame.columns[name].copy()
    if name in frame.undefined:
        values[frame.undefined[name]] = INT64_MIN
    return values


def event_times(frame: TickFrame) -> Int64s:
    """Return `ts_event`, ns since the epoch, and `ts_recv` where it is not defined."""
    return _times(frame, "ts_event", "ts_recv")


def receive_times(frame: TickFrame) -> Int64s:
    """Return `ts_recv`, ns since the epoch, and `ts_event` where it is not defined."""
    return _times(frame, "ts_recv", "ts_event")


def _times(frame: TickFrame, name: str, instead: str) -> Int64s:
    times: Int64s = frame.columns[name] + np.int64(frame.ts_base)
    undefined = frame.undefined.get(name)
    if undefined is not None:
        times[undefined] = frame.columns[instead][undefined] + np.int64(frame.ts_base)
    return times
