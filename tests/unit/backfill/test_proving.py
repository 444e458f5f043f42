"""For how long a window's count is asked for."""

from __future__ import annotations

from tests.unit.backfill.scenes import a_request, of

from tapeline_backfill.proving import next_proof_ns
from tapeline_backfill.settings import BackfillSettings

HOUR_NS = 3_600_000_000_000
DAY_NS = 24 * HOUR_NS
SETTINGS = BackfillSettings(proof_interval_s=3_600.0, proof_limit_days=7.0)


def test_a_count_is_asked_for_again_until_a_week_after_the_window() -> None:
    request = a_request(of(1 * DAY_NS, 2 * DAY_NS), at=1 * DAY_NS)
    assert next_proof_ns(request, SETTINGS, 9 * DAY_NS - HOUR_NS) == 9 * DAY_NS
    assert next_proof_ns(request, SETTINGS, 9 * DAY_NS) is None


def test_an_old_window_has_as_long_from_when_it_was_asked_for() -> None:
    request = a_request(of(1 * DAY_NS, 2 * DAY_NS), at=30 * DAY_NS)
    assert next_proof_ns(request, SETTINGS, 37 * DAY_NS - HOUR_NS) == 37 * DAY_NS
    assert next_proof_ns(request, SETTINGS, 37 * DAY_NS) is None
