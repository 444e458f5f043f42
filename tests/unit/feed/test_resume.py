"""When a session continues the one before it, and how long the next attempt waits."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tapeline.feed.backoff import GOOD_S, Backoff, full_jitter
from tapeline.feed.calendar import always_open, cme_globex_equity
from tapeline.feed.resume import ResumeLimits, TapeEnd, silent_end, tape_end
from tapeline.model.columns import TickKind
from tapeline.model.cursors import LastFrame

S = 1_000_000_000
LIMITS = ResumeLimits(longest_outage_ns=3_600 * S, overlap_ns=2 * S, window_ns=86_000 * S)
NOW = 1_703_545_200 * S


def test_an_outage_up_to_the_limit_is_resumed_with_the_overlap() -> None:
    last = LastFrame("one", 4, NOW - 10 * S)
    assert tape_end(last, outage_ns=3_600 * S, aged_ns=0, now_ns=NOW, limits=LIMITS) == TapeEnd(
        NOW - 10 * S, NOW - 12 * S
    )
    assert tape_end(last, outage_ns=3_600 * S + 1, aged_ns=0, now_ns=NOW, limits=LIMITS) is None


def test_what_is_told_once_is_resumed_as_far_back_as_the_vendor_replays() -> None:
    last, outage_ns = LastFrame("one", 4, NOW - 80_000 * S), 80_000 * S
    starts = [
        tape_end(last, outage_ns=outage_ns, aged_ns=aged_ns, now_ns=NOW, limits=LIMITS.of(kind))
        for kind, aged_ns in (("statistics", 0), ("statistics", 1), ("status", 0), ("mbo", 0))
    ]
    assert starts == [TapeEnd(NOW - 80_000 * S, NOW - 80_002 * S), None, None, None]


@pytest.mark.parametrize("last", [None, LastFrame("one", 4, None)])
def test_where_nothing_is_on_the_tape_there_is_nothing_to_resume(last: LastFrame | None) -> None:
    assert tape_end(last, outage_ns=0, aged_ns=0, now_ns=NOW, limits=LIMITS) is None


@pytest.mark.parametrize(
    ("kind", "outage_s", "starts"),
    [("trade", 9, True), ("trade", 3_601, False), ("mbo", 9, False), ("statistics", 9, False)],
)
def test_a_kind_of_which_nothing_came_yet_goes_on_from_when_it_was_heard(
    kind: TickKind, outage_s: int, starts: bool
) -> None:
    end = silent_end(NOW - 9 * S, kind, outage_ns=outage_s * S, aged_ns=0, now_ns=NOW, limits=LIMITS)
    assert end == (TapeEnd(NOW - 9 * S, NOW - 11 * S) if starts else None)


def test_a_kind_that_was_quiet_for_days_starts_where_the_vendor_s_window_does() -> None:
    end = tape_end(LastFrame("one", 4, NOW - 200_000 * S), outage_ns=S, aged_ns=0, now_ns=NOW, limits=LIMITS)
    assert end == TapeEnd(NOW - 200_000 * S, NOW - 86_000 * S)


def test_waits_double_up_to_a_minute_and_are_spread_over_their_whole_length() -> None:
    longest = [full_jitter(attempt, lambda: 1.0) for attempt in range(12)]
    assert longest == [0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60]
    assert full_jitter(3, lambda: 0.25) == 1.0
    assert full_jitter(10_000, lambda: 1.0) == 60.0


def test_waits_grow_with_the_outage_until_a_minute_of_good_data() -> None:
    backoff = Backoff(lambda: 1.0)
    failures = [(100.0, 0.0), (100.5, 0.0), (101.0, 0.3), (104.0, GOOD_S - 1), (180.0, 0.0), (900.0, 0.0)]
    assert [backoff.failed(*failure) for failure in failures] == [0.5, 0.5, 0.5, 2.0, 40.0, 60.0]
    assert [backoff.failed(1_000.0, GOOD_S), backoff.failed(1_003.0, 0.0)] == [0.5, 1.5]
    assert Backoff(lambda: 0.5).failed(1.0, 0.0) == 0.25


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * S


@pytest.mark.parametrize(
    ("begin", "end", "minutes"),
    [
        ("2024-01-09T15:00:00", "2024-01-09T15:30:00", 30),
        ("2024-01-09T21:50:00", "2024-01-09T23:10:00", 20),  # over the daily break
        ("2024-01-12T22:00:00", "2024-01-14T23:00:00", 0),  # the weekend
        ("2024-01-12T21:30:00", "2024-01-15T00:00:00", 90),
        ("2024-01-13T10:00:00", "2024-01-13T10:00:00", 0),
    ],
)
def test_the_time_a_market_was_open(begin: str, end: str, minutes: int) -> None:
    assert cme_globex_equity().open_ns(ns(begin), ns(end)) == minutes * 60 * S


def test_a_market_that_never_closes_is_open_all_the_time() -> None:
    assert always_open().open_ns(ns("2024-01-09T15:00:00"), ns("2024-01-12T15:00:00")) == 3 * 86_400 * S
