"""Which times tell how long a stretch of the tape is."""

from __future__ import annotations

from typing import Final

import pytest

from tapeline.bus.record_times import RecordTime, StretchTimes

NQ: Final = b"GLBX.MDP3/NQ.FUT"
S: Final = 10**9


@pytest.mark.parametrize(
    ("first", "last", "seconds"),
    [
        # ticks of one stream: replayed within 2 s, an hour apart on the exchange
        (RecordTime(NQ, 5_000, 100 * S), RecordTime(NQ, 7_000, 3_700 * S + 250_000_000), 3600.25),
        (RecordTime(NQ, 5_000, 100 * S), RecordTime(NQ, 5_000, 100 * S), 0.0),
        # other streams have times of their own
        (RecordTime(NQ, 5_000, 100 * S), RecordTime(b"other", 7_500, 3_700 * S), 2.5),
        # a mark, or a topic without frames
        (RecordTime(NQ, 5_000, None), RecordTime(NQ, 7_500, 3_700 * S), 2.5),
        (RecordTime(None, 5_000, None), RecordTime(None, 7_500, None), 2.5),
        # the day is replayed once more
        (RecordTime(NQ, 5_000, 3_700 * S), RecordTime(NQ, 7_500, 100 * S), 2.5),
        # the broker's clock was set back
        (RecordTime(None, 7_500, None), RecordTime(None, 5_000, None), 0.0),
    ],
)
def test_seconds(first: RecordTime, last: RecordTime, seconds: float) -> None:
    assert StretchTimes(first, last).seconds == seconds
