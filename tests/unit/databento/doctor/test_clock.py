"""Clock differences from stamps, whatever the network takes."""

from __future__ import annotations

import random

import pytest

from tapeline_databento.doctor.clock import ClockBounds, clock_check

MS = 1_000_000
T = 1_790_000_000_000 * MS


def bounds(skew_ms: float, there_ms: float, back_ms: float) -> ClockBounds:
    """What one answer tells, where local time is `skew_ms` ahead and messages take so long."""
    found = ClockBounds()
    asked_ns = T
    stamped_local_ns = T + round(there_ms * MS)
    found.answered(stamped_local_ns - round(skew_ms * MS), asked_ns, stamped_local_ns + round(back_ms * MS))
    return found


@pytest.mark.parametrize("skew_ms", [-3_000.0, -150.0, 0.0, 20.0, 5_000.0])
def test_the_difference_lies_within_the_bounds_and_they_close_in(skew_ms: float) -> None:
    draw = random.Random(int(skew_ms))
    found = ClockBounds()
    widths = []
    for second in range(20):
        asked_ns = T + second * 1_000 * MS
        stamped_ns = asked_ns + round(draw.uniform(1, 80) * MS)
        found.answered(stamped_ns - round(skew_ms * MS), asked_ns, stamped_ns + round(draw.uniform(1, 80) * MS))
        assert found.lowest_ns is not None
        assert found.highest_ns is not None
        assert found.lowest_ns <= skew_ms * MS <= found.highest_ns
        widths.append(found.highest_ns - found.lowest_ns)
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < widths[0]


@pytest.mark.parametrize(
    ("skew_ms", "status", "told"),
    [
        (0, "ok", "within [-20.0, 30.0] ms"),
        (110, "ok", "within [90.0, 140.0] ms"),
        (121, "warning", "at least 101.0 ms ahead of the vendor's"),
        (-131, "warning", "at least 101.0 ms behind the vendor's"),
        (1_019, "warning", "at least 999.0 ms ahead of"),
        (1_021, "red", "at least 1,001.0 ms ahead of"),
        (-1_031, "red", "at least 1,001.0 ms behind"),
    ],
)
def test_only_what_is_proven_counts(skew_ms: float, status: str, told: str) -> None:
    check = clock_check(bounds(skew_ms, there_ms=20, back_ms=30))
    assert check.status == status
    assert told in check.detail
    assert (check.remedy is None) == (status == "ok")
    assert check.remedy is None or "NTP" in check.remedy


def test_a_slow_network_is_no_skew() -> None:
    assert clock_check(bounds(0, there_ms=3_000, back_ms=4_000)).status == "ok"


def test_data_bounds_one_side_only() -> None:
    found = ClockBounds()
    found.arrived(T, T + 5 * MS)
    assert clock_check(found).status == "skipped"
    found = bounds(2_000, there_ms=3_000, back_ms=10)
    found.arrived(T + 3_000 * MS - 2_000 * MS, T + 3_000 * MS + 1 * MS)
    assert found.highest_ns == 2_001 * MS


def test_undefined_stamps_say_nothing() -> None:
    found = ClockBounds()
    found.answered(-1, T, T)
    found.arrived(0, T)
    assert (found.lowest_ns, found.highest_ns) == (None, None)
    assert clock_check(found).status == "skipped"
