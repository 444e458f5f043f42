"""After which sessions something is left to correct."""

from __future__ import annotations

import pytest

from tapeline.model.backfill import BackfillEvent, BackfillRequest, request_id
from tapeline.model.control import Interval
from tapeline_backfill.recompute import Recomputed
from tapeline_backfill.recompute_sessions import GRACE_NS, KEPT_NS, SessionCorrections, to_correct, to_settle

S = 1_000_000_000
OPEN = 1_703_545_200 * S  # 2023-12-25T23:00:00Z
CLOSE = OPEN + 23 * 3_600 * S
WINDOW = Interval(ts_event_from=OPEN + 60 * S, ts_event_until=OPEN + 120 * S)
STREAM = "GLBX.MDP3/ES.FUT"


def event(at: int, revised_rows: int | None = 3, window: Interval = WINDOW) -> BackfillEvent:
    request = BackfillRequest(
        id=request_id("databento", "GLBX.MDP3", STREAM, "mbo", ("*",), window),
        source="databento",
        dataset="GLBX.MDP3",
        stream=STREAM,
        kind="mbo",
        window=window,
        requested_by="test",
        requested_at=OPEN,
    )
    return BackfillEvent(type="recomputed", request=request, at=at, revised_rows=revised_rows)


@pytest.mark.parametrize(
    ("at", "is_awaited"),
    [
        pytest.param(OPEN + 200 * S, True, id="within the session"),
        pytest.param(CLOSE + GRACE_NS - 1, True, id="its last ticks were on their way"),
        pytest.param(CLOSE + GRACE_NS, False, id="it was over already"),
    ],
)
def test_what_is_recomputed_before_its_session_is_over_is_to_be_corrected(at: int, is_awaited: bool) -> None:
    assert [each.window for each in to_correct([event(at)]).values()] == [WINDOW] * is_awaited


def test_what_was_not_recomputed_is_not_corrected() -> None:
    assert to_correct([event(OPEN, None)]) == {}


def test_one_outside_the_calendar_hinders_no_other() -> None:
    far = Interval(ts_event_from=1, ts_event_until=2)
    assert list(to_correct([event(OPEN, window=far), event(OPEN)]).values()) == [event(OPEN).request]


@pytest.mark.parametrize(
    ("at", "now_ns", "is_settled_again"),
    [
        pytest.param(WINDOW.ts_event_until + S, CLOSE, True, id="windows were open"),
        pytest.param(WINDOW.ts_event_until + 600 * S, CLOSE, False, id="they were closed"),
        pytest.param(WINDOW.ts_event_until + S, WINDOW.ts_event_until + KEPT_NS, False, id="its ticks are gone"),
    ],
)
def test_what_may_have_been_open_is_settled_again_while_its_ticks_are_kept(
    at: int, now_ns: int, is_settled_again: bool
) -> None:
    assert [each.window for each in to_settle([event(at)], now_ns).values()] == [WINDOW] * is_settled_again


async def test_one_that_cannot_be_settled_for_a_reason_nobody_foresaw_hinders_no_other() -> None:
    other = Interval(ts_event_from=WINDOW.ts_event_from, ts_event_until=WINDOW.ts_event_until + S)
    [bad, good] = [event(OPEN, window=window).request for window in (WINDOW, other)]
    recomputed: list[BackfillRequest] = []

    async def recompute(request: BackfillRequest) -> Recomputed:
        recomputed.append(request)
        if recomputed.count(request) > 1 and request == bad:
            raise ZeroDivisionError
        return Recomputed(0, has_open=recomputed.count(request) == 1)

    now_ns = OPEN
    corrections = SessionCorrections("nowhere", recompute, lambda: now_ns)
    for request in (bad, good):
        await corrections.recompute(request)
    now_ns = CLOSE
    for _ in range(2):
        await corrections.settle()
    assert recomputed == [bad, good, bad, good]
