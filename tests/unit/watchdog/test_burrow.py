"""Burrow's rules against Burrow's own worked examples."""

from __future__ import annotations

from typing import Final, NamedTuple

import pytest

from tapeline_watchdog.burrow import Commit, Status, group_status, partition_status

# The examples are those that Burrow proves its evaluator with, by their numbers: core/internal/evaluator/
# caching_test.go (Apache License 2.0). Times are in ms here; there, "now" is in s.
RISING: Final = (1000, 2000, 3000, 4000, 5000)
SLOW_TOPIC_MS: Final = (
    *(1512224618356, 1512224619362, 1512224620366, 1512224621367, 1512224622370, 1512224623373, 1512224624378),
    *(1512224625379, 1512224626383, 1512224627383, 1512224628383, 1512224629388, 1512224630391, 1512224631394),
    1512224632397,
)
SLOW_TOPIC: Final = tuple(Commit(792748079 + number, at_ms, 0) for number, at_ms in enumerate(SLOW_TOPIC_MS))


class Example(NamedTuple):
    commits: tuple[Commit, ...]
    ends: tuple[int, ...]
    current_lag: int
    now_s: int
    status: Status


def every_100_s(offsets: tuple[int, ...], lags: tuple[int, ...]) -> tuple[Commit, ...]:
    return tuple(
        Commit(offset, number * 100_000, lag)
        for number, (offset, lag) in enumerate(zip(offsets, lags, strict=True), start=1)
    )


FROM_ZERO: Final = every_100_s(RISING, (0, 50, 100, 150, 200))
ALWAYS_BEHIND: Final = every_100_s(RISING, (50, 100, 150, 200, 250))
SAME: Final = (1000,) * 5
WITHOUT_SOME_LAGS: Final = tuple(
    Commit(1000 + 500 * number, 100_000 + 50_000 * number, 25 * number if number % 2 == 0 else None)
    for number in range(10)
)

EXAMPLES: Final = {
    "0 no lag somewhere": Example(FROM_ZERO, (5200,), 200, 600, Status.OK),
    "1 as long without a commit as the window": Example(FROM_ZERO, (5200,), 200, 900, Status.OK),
    "2 longer without a commit than the window": Example(FROM_ZERO, (5200,), 200, 1000, Status.STOP),
    "3 the same, always behind": Example(ALWAYS_BEHIND, (5250,), 250, 1000, Status.STOP),
    "4 one more commit and it has stalled": Example(
        every_100_s(SAME, (0, 50, 100, 150, 200)), (1200,), 200, 600, Status.OK
    ),
    "5 the same offset, more and more behind": Example(
        every_100_s(SAME, (100, 150, 200, 250, 300)), (1300,), 300, 600, Status.STALL
    ),
    "6 the same offset, the same lag": Example(every_100_s(SAME, (100,) * 5), (1100,), 100, 600, Status.STALL),
    # Example 7 was REWIND until a rewind that has recovered was forgiven: 4000 is beyond the 3000 from which it went
    # back, and the lag has become less since.
    "7 back and beyond again": Example(
        every_100_s((1000, 2000, 3000, 2000, 4000), (100, 150, 200, 1250, 300)), (4300,), 300, 600, Status.OK
    ),
    "7 back, and not yet where it was": Example(
        every_100_s((1000, 2000, 3000, 2000, 2900), (100, 150, 200, 1250, 300)), (4300,), 300, 600, Status.REWIND
    ),
    "8 no lag now": Example(ALWAYS_BEHIND, (5250,), 0, 1000, Status.OK),
    "9 never behind, then a lot of new data": Example(
        SLOW_TOPIC, (792749024, 792749000, 792748800, 792748600, 792748500), 931, 1512224650, Status.STOP
    ),
    "10 a slow topic's next message": Example(
        SLOW_TOPIC, (792748094, 792748093, 792748093, 792748093), 1, 1512224650, Status.OK
    ),
    "11 as 0, where some lags are not known": Example(WITHOUT_SOME_LAGS, (5700,), 200, 600, Status.OK),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_burrows_own_example(name: str) -> None:
    example = EXAMPLES[name]
    found = partition_status(
        example.commits, example.ends, current_lag=example.current_lag, now_ms=example.now_s * 1000
    )
    assert found is example.status


def test_a_consumer_that_falls_behind_is_slow() -> None:
    assert partition_status(ALWAYS_BEHIND, (5250,), current_lag=250, now_ms=510_000) is Status.WARN
    unknown = tuple(Commit(commit.offset, commit.timestamp_ms, None) for commit in ALWAYS_BEHIND[1:4])
    window = (ALWAYS_BEHIND[0], *unknown, ALWAYS_BEHIND[4])
    assert partition_status(window, (5250,), current_lag=250, now_ms=510_000) is Status.WARN


def test_one_that_catches_up_is_well() -> None:
    window = every_100_s(RISING, (250, 300, 280, 350, 400))
    assert partition_status(window, (5400,), current_lag=400, now_ms=510_000) is Status.OK


def test_a_rewind_counts_although_there_was_no_lag() -> None:
    window = every_100_s((4000, 5000, 0, 500, 1000), (100, 0, 5000, 4600, 4200))
    assert partition_status(window, (5200,), current_lag=4200, now_ms=510_000) is Status.REWIND


def test_a_second_rewind_counts_although_the_first_has_recovered() -> None:
    window = every_100_s((3000, 2000, 4000, 500, 3900), (900, 2000, 400, 4500, 1200))
    assert partition_status(window, (5200,), current_lag=1300, now_ms=510_000) is Status.REWIND


def test_allowed_lag_is_none() -> None:
    """What a transaction's control record leaves behind is no reason for an alarm."""
    window = every_100_s(SAME, (1,) * 5)
    assert partition_status(window, (1001,), current_lag=1, now_ms=510_000) is Status.STALL
    assert partition_status(window, (1001,), current_lag=1, now_ms=510_000, allowed_lag=1) is Status.OK
    behind = every_100_s(SAME, (1, 2, 3, 4, 5))
    assert partition_status(behind, (1005,), current_lag=5, now_ms=510_000, allowed_lag=1) is Status.OK
    assert partition_status(behind[1:], (1005,), current_lag=5, now_ms=510_000, allowed_lag=1) is Status.STALL


def test_without_commits_there_is_nothing_to_say() -> None:
    assert partition_status((), (5000,), current_lag=5000, now_ms=510_000) is Status.OK


def test_a_group_is_as_well_as_its_worst_partition() -> None:
    assert group_status([]) is Status.OK
    assert group_status([Status.OK, Status.OK]) is Status.OK
    assert group_status([Status.OK, Status.WARN]) is Status.WARN
    for bad in (Status.STOP, Status.STALL, Status.REWIND):
        assert group_status([Status.WARN, bad, Status.OK]) is Status.ERR
