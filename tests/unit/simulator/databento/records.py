"""Small records for tests of the vendor's side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tapeline_simulator.databento.schemas import RTYPES, capture_times, record_of

START = 1_790_000_000_000_000_000  # 2026-09-21T14:13:20Z
SECOND = 10**9


def records_of(
    schema: str, ts_event: Sequence[int], *, instrument_ids: Sequence[int] = (1,), latency_ns: int = 100
) -> npt.NDArray[Any]:
    """Records of `schema` at these times (ns), which go round the instruments and are received `latency_ns` later."""
    record = record_of(schema)
    out = np.zeros(len(ts_event), dtype=record)
    out["length"], out["rtype"], out["publisher_id"] = record.itemsize // 4, RTYPES[schema], 1
    out["instrument_id"] = np.resize(instrument_ids, len(ts_event))
    out["ts_event"] = ts_event
    if not np.shares_memory(received := capture_times(out), out["ts_event"]):
        received[:] = np.asarray(ts_event) + latency_ns
    if "sequence" in (record.names or ()):
        out["sequence"] = np.arange(len(ts_event))
    return out
