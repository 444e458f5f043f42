"""For how long a site is left alone."""

from __future__ import annotations

from tapeline_barchart.breaker import LONGEST_QUIET_S, Breaker, Quiet, after_throttling

NOW_NS = 1_790_000_000_000_000_000
BREAKER = Breaker(failures=3, open_s=300.0)


def test_a_site_that_says_for_how_long_is_believed() -> None:
    assert after_throttling(None, NOW_NS, 17.0, 20.0).rest_s(NOW_NS) == 17.0
    assert after_throttling(Quiet(0, 4, "429"), NOW_NS, 0.0, 20.0).rest_s(NOW_NS) == 0.0
    assert after_throttling(None, NOW_NS, 1e12, 20.0).rest_s(NOW_NS) == LONGEST_QUIET_S


def test_without_its_word_each_429_in_a_row_brings_more_quiet() -> None:
    quiet, rests_s = None, []
    for _ in range(3):
        quiet = after_throttling(quiet, NOW_NS, None, 20.0)
        rests_s.append(quiet.rest_s(NOW_NS))
    assert rests_s == [20.0, 40.0, 60.0]


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    quiet, rests_s = None, []
    for _ in range(3):
        quiet = BREAKER.after_failure(quiet, NOW_NS, "503")
        rests_s.append(quiet.rest_s(NOW_NS))
    assert rests_s == [0.0, 0.0, 300.0]


def test_a_failure_that_more_would_make_worse_opens_it_at_once() -> None:
    assert BREAKER.after_failure(None, NOW_NS, "401", at_once=True).rest_s(NOW_NS) == 300.0


def test_half_open_the_next_failure_opens_it_again() -> None:
    quiet = BREAKER.after_failure(None, NOW_NS, "401", at_once=True)
    later_ns = quiet.until_ns
    assert quiet.rest_s(later_ns) == 0.0
    assert BREAKER.after_failure(quiet, later_ns, "503").rest_s(later_ns) == 300.0
    assert Quiet(later_ns, 1, "").rest_s(later_ns - 1) > 0
