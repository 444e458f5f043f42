"""What several sources bring comes out in one order of capture, however the time is cut."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tapeline.feed.dbn_records import Array
from tapeline_simulator.capture import Capture
from tapeline_simulator.databento.schemas import record_of
from tapeline_simulator.listings import Listings

END = 60
SCHEMA = "status"
"""Its layout does not name all of a record's bytes; all of them must come through."""


class Kept:
    """A tape in memory."""

    def __init__(self) -> None:
        self.dataset, self.listings = "TAPELINE.SIM", Listings()
        self.data = b""

    def append(self, schema: str, records: Array) -> None:
        assert schema == SCHEMA
        assert len(records)
        self.data += records.tobytes()


def made(source: int, times: list[int]) -> Array:
    """Records of a source at these times, every byte of which says which record it is."""
    records = np.zeros((len(times), 40), dtype=np.uint8)
    records[:] = (np.arange(len(times)) * 2 + source)[:, None]
    found: Array = records.reshape(-1).view(record_of(SCHEMA))
    found["rtype"], found["ts_recv"] = 0x12, times
    return found


TIMES = st.lists(st.integers(0, END), max_size=20).map(sorted)


@given(TIMES, TIMES, st.lists(st.integers(0, END), max_size=6).map(sorted))
def test_the_order_is_by_capture_and_then_by_source(first: list[int], second: list[int], cuts: list[int]) -> None:
    tape = Kept()
    capture = Capture(tape)
    before = -1
    for cut in [*cuts, END]:
        # The second source comes first here: who brings its records sooner must not matter.
        for source, times in ((1, second), (0, first)):
            records = made(source, times)
            begin, end = np.searchsorted(records["ts_recv"], [before, cut], side="right")
            capture.put(SCHEMA, source, records[begin:end])
        capture.release(cut)
        before = cut
    every = [
        (at, source, bytes(record))
        for source, times in ((0, first), (1, second))
        for at, record in _rows(source, times)
    ]
    assert tape.data == b"".join(record for _, _, record in sorted(every, key=lambda each: each[:2]))


def _rows(source: int, times: list[int]) -> list[tuple[int, bytes]]:
    data = made(source, times).tobytes()
    return [(at, data[40 * row : 40 * row + 40]) for row, at in enumerate(times)]


def test_what_is_not_due_waits() -> None:
    tape = Kept()
    capture = Capture(tape)
    capture.put(SCHEMA, 0, made(0, [10, 20, 30]))
    capture.release(19)
    assert tape.data == made(0, [10, 20, 30]).tobytes()[:40]
    capture.put(SCHEMA, 1, made(1, [20]))
    capture.release(20)
    assert len(tape.data) == 3 * 40
    capture.release(30)
    assert len(tape.data) == 4 * 40
