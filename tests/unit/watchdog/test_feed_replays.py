"""What is of the past is told as that: it is neither live nor late."""

from __future__ import annotations

import pytest
from tests.unit.watchdog.feeding import S, beat, by_stream, ns, row_of, told

from tapeline_watchdog.feeds import FeedKey, Feeds
from tapeline_watchdog.lane import FeedState

HOUR = 3_600 * S


@pytest.mark.parametrize(
    ("source", "late_ns", "state"),
    [
        ("saved", 2 * HOUR, FeedState.REPLAYING),
        ("saved", 48 * HOUR, FeedState.REPLAYING),
        # Its times were moved to now.
        ("saved", 20_000_000, FeedState.LIVE),
        ("databento", 2 * HOUR, FeedState.DEGRADED),
        ("databento", 48 * HOUR, FeedState.REPLAYING),
    ],
)
def test_saved_ticks_are_of_the_past_however_young_they_are(source: str, late_ns: int, state: FeedState) -> None:
    begin_ns = ns("2026-11-24 17:00")
    key = FeedKey(source, "GLBX.MDP3/NQ.FUT", "mbo")
    feeds = Feeds((), by_stream, begin_ns)
    feeds.take(told("connected", key, begin_ns), begin_ns)
    for second in range(1, 8):
        at_ns = begin_ns + second * S
        feeds.take(beat(key, at_ns, 100, latency_p50_ns=late_ns, latency_p99_ns=late_ns), at_ns)
    assert row_of(feeds.report(at_ns), key).state is state
