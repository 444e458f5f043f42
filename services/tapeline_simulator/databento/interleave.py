"""Records of several schemas as one stream of bytes, in the order in which they were captured. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

_WORD_BYTES: Final = 8
"""Every record of DBN has a multiple of it."""

Rows = npt.NDArray[np.uint8]


def interleave(parts: Sequence[tuple[npt.NDArray[np.uint64], Rows]]) -> bytes | memoryview:
    """Return the bytes of all parts, ordered by key; parts of equal keys in their order.

    A part is (keys, rows): its keys never fall, and rows, (records, bytes), is contiguous.
    """
    parts = [(keys, rows) for keys, rows in parts if len(rows)]
    if len(parts) <= 1:
        return parts[0][1].reshape(-1).data if parts else b""
    counts = [len(rows) for _, rows in parts]
    order = np.argsort(np.concatenate([keys for keys, _ in parts]), kind="stable")
    owner = np.repeat(np.arange(len(parts)), counts)[order]
    words = np.array([rows.shape[1] // _WORD_BYTES for _, rows in parts])[owner]
    starts = np.cumsum(words) - words
    out = np.empty(int(words.sum()), dtype=np.uint64)
    for index, (_, rows) in enumerate(parts):
        # Within a part the order stays, so its n-th record has the n-th place that it owns.
        places = starts[owner == index][:, None] + np.arange(rows.shape[1] // _WORD_BYTES)
        out[places] = rows.view(np.uint64)
    return out.view(np.uint8).data
