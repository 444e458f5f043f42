"""What Databento's schemas are made of: their record types, the layout of their records, the time of capture. Pure."""

from __future__ import annotations

import functools
from typing import Final

import numpy as np
import numpy.typing as npt

from tapeline.errors import BadData
from tapeline.feed.dbn_records import Array, layouts

RTYPES: Final = {
    "mbo": 0xA0,
    "mbp-1": 0x01,
    "mbp-10": 0x0A,
    "tbbo": 0x01,
    "trades": 0x00,
    "bbo-1s": 0xC3,
    "bbo-1m": 0xC4,
    "cmbp-1": 0xB1,
    "cbbo-1s": 0xC0,
    "cbbo-1m": 0xC1,
    "tcbbo": 0xC2,
    "ohlcv-1s": 0x20,
    "ohlcv-1m": 0x21,
    "ohlcv-1h": 0x22,
    "ohlcv-1d": 0x23,
    "ohlcv-eod": 0x24,
    "definition": 0x13,
    "imbalance": 0x14,
    "status": 0x12,
    "statistics": 0x18,
}
"""Record type per schema."""

_TS_EVENT_AT: Final = 8
_LAYOUTS: Final = layouts(3, ts_out=False)
_TS_RECV_AT: Final = {
    0xA0: 40,
    **dict.fromkeys((0x00, 0x01, 0x0A, 0xB1, 0xC0, 0xC1, 0xC2, 0xC3, 0xC4), 32),
    **dict.fromkeys((0x12, 0x13, 0x14, 0x18), 16),
}
"""Where a record type has its `ts_recv`, in bytes; the others have none."""


def record_of(schema: str) -> np.dtype[np.void]:
    """Return the layout (version 3, without `ts_out`) of the records of `schema`. Raises BadData for no such schema."""
    if schema not in RTYPES:
        raise BadData("schema", f"must be one of {', '.join(RTYPES)}, is {schema!r}")
    return _LAYOUTS[RTYPES[schema]].record


def capture_times(records: Array) -> npt.NDArray[np.int64]:
    """Return a view of the `ts_recv` (int64 ns) of records of one type, or of `ts_event` where the type has none."""
    offset = _TS_RECV_AT.get(int(records["rtype"][0])) if len(records) else None
    clock = _clock(records.itemsize, _TS_EVENT_AT if offset is None else offset)
    times: npt.NDArray[np.int64] = records.view(clock)["ns"]
    return times


def take(records: Array, mask: npt.NDArray[np.bool_]) -> Array:
    """Return the records that `mask` names, whole: numpy's own copy leaves out what no field of the layout covers."""
    return records.view(f"V{records.itemsize}")[mask].view(records.dtype)


@functools.cache
def _clock(itemsize: int, offset: int) -> np.dtype[np.void]:
    return np.dtype({"names": ["ns"], "formats": ["<i8"], "offsets": [offset], "itemsize": itemsize})
