"""When each series is asked for next."""

from __future__ import annotations

from tests.unit.barchart.test_hybrid import CME, TUESDAY_NS, S, at

from tapeline_barchart.polling import Intervals

INTERVALS = Intervals(open_s=300.0, closed_s=1_800.0, failed_s=60.0)
SATURDAY_NS = at(2025, 6, 7, 12)


def test_the_market_s_hours_decide() -> None:
    assert INTERVALS.next_ns(TUESDAY_NS, CME) == TUESDAY_NS + 300 * S
    assert INTERVALS.next_ns(SATURDAY_NS, CME) == SATURDAY_NS + 1_800 * S


def test_the_open_is_not_slept_over() -> None:
    assert INTERVALS.next_ns(at(2025, 6, 8, 16, 55), CME) == at(2025, 6, 8, 17)


def test_a_poll_that_would_bring_nothing_new_waits_until_the_kept_chain_is_no_longer_valid() -> None:
    valid_ns = TUESDAY_NS + 301 * S
    assert INTERVALS.next_ns(TUESDAY_NS, CME, valid_until_ns=valid_ns) == valid_ns
    # One who polls much more often than that wants to.
    assert INTERVALS.next_ns(TUESDAY_NS, CME, valid_until_ns=TUESDAY_NS + 600 * S) == TUESDAY_NS + 300 * S


def test_a_failure_is_tried_again_sooner_but_not_before_the_site_may_be_called() -> None:
    assert INTERVALS.next_ns(TUESDAY_NS, CME, has_failed=True) == TUESDAY_NS + 60 * S
    assert INTERVALS.next_ns(TUESDAY_NS, CME, has_failed=True, rest_s=240.0) == TUESDAY_NS + 240 * S
    assert Intervals(5.0, 5.0, 60.0).next_ns(TUESDAY_NS, CME, has_failed=True) == TUESDAY_NS + 5 * S
