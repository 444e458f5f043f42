"""After which sessions something is left to correct."""

from __future__ import annotations

import pytest

from tapeline.model.backfill import BackfillEvent, BackfillRequest, request_id
from tapeline.model.control import Interval
from tapeline_backfill.recompute_sessions import GRACE_NS, KEPT_NS, to_correct

S = 1_000_000_000
OPEN = 1_703_545_200 * S  # 2023-12-25T23:00:00Z
CLOSE = OPEN + 23 * 3_600 * S
WINDOW = Interval(ts_event_from=OPEN + 60 * S, ts_event_until=OPEN + 120 * S)
STREAM = "GLBX.MDP3/ES.FUT"


def event(at: int, revised_rows: int | None = 3) -> BackfillEvent:
    request = BackfillRequest(
        id=request_id("databento", "GLBX.MDP3", STREAM, "mbo", ("*",), WINDOW),
        source="databento",
        dataset="GLBX.MDP3",
        stream=STREAM,
        kind="mbo",
        window=WINDOW,
        requested_by="test",
        requested_at=OPEN,
    )
    return BackfillEvent(type="recomputed", request=request, at=at, revised_rows=revised_rows)


@pytest.mark.parametrize(
    ("at", "now", "is_due"),
    [
        pytest.param(OPEN + 200 * S, CLOSE, False, id="the session's last ticks are on their way"),
        pytest.param(OPEN + 200 * S, CLOSE + GRACE_NS, True, id="the session is over"),
        pytest.param(CLOSE + GRACE_NS, CLOSE + 2 * GRACE_NS, False, id="it was over already"),
        pytest.param(OPEN + 200 * S, CLOSE + KEPT_NS, False, id="its ticks are not kept any more"),
    ],
)
def test_a_session_is_corrected_once_it_is_over(at: int, now: int, is_due: bool) -> None:
    assert [each.window for each in to_correct([event(at)], now)] == [WINDOW] * is_due


def test_what_was_not_recomputed_is_not_corrected() -> None:
    assert to_correct([event(OPEN, None)], CLOSE + GRACE_NS) == []
