"""What was recomputed within a session is recomputed once more after it, whatever else is told of it by then."""

from __future__ import annotations

import pytest
from tests.integration.backfill.rig import DEADLINE_S, Rig, a_request
from tests.integration.backfill.scripted import between

from tapeline.bus.bootstrap import namespaced
from tapeline.errors import BadData, Retryable
from tapeline.model.backfill import EVENTS_TOPIC, BackfillEvent, BackfillRequest
from tapeline_backfill.recompute_sessions import GRACE_NS, KEPT_NS, SessionCorrections, close_of

S = 1_000_000_000
OPEN = 1_703_545_200 * S  # 2023-12-25T23:00:00Z
WINDOWS = [between(OPEN + at * S, OPEN + (at + 60) * S) for at in (60, 180, 300)]


class Clock:
    """What the time is, and what was recomputed; one request cannot be, and of the next the broker is away once."""

    def __init__(self, damaged: BackfillRequest, late: BackfillRequest) -> None:
        self.now_ns = OPEN + 1_000 * S
        self.recomputed: list[BackfillRequest] = []
        self._damaged, self._late = damaged, late
        self._is_away = True

    async def recompute(self, request: BackfillRequest) -> int:
        self.recomputed.append(request)
        if request == self._damaged:
            raise BadData("rows", "must be rows")
        if request == self._late and self._is_away:
            self._is_away = False
            raise Retryable("away")
        return 0


async def test_sessions_are_corrected_once_each_when_they_are_over(rig: Rig) -> None:
    requests = [a_request(window, requested_at=OPEN) for window in WINDOWS]
    clock = Clock(*requests[:2])
    corrections = SessionCorrections(rig.servers, clock.recompute, lambda: clock.now_ns)

    def tell(kind: str, *which: BackfillRequest) -> None:
        for request in which:
            event = BackfillEvent(type=kind, request=request, at=clock.now_ns, revised_rows=3)  # type: ignore[arg-type]
            rig.producer.produce(namespaced(EVENTS_TOPIC), event.encode(), event.key)
        rig.producer.produce(namespaced(EVENTS_TOPIC), b"{", "damaged")
        assert not rig.producer.flush(DEADLINE_S)

    tell("recomputed", *requests)
    await corrections.look()
    assert clock.recomputed == []
    # The proof comes after the session, before the next look.
    clock.now_ns = close_of(requests[0]) + GRACE_NS
    tell("proven", requests[2])
    with pytest.raises(Retryable):
        await corrections.look()
    await corrections.look()
    assert clock.recomputed == [requests[0], requests[1], requests[1], requests[2]]
    await corrections.look()
    assert len(clock.recomputed) == 4
    # Of what is not kept any more nothing can be recomputed.
    clock.now_ns += KEPT_NS
    await SessionCorrections(rig.servers, clock.recompute, lambda: clock.now_ns).look()
    assert len(clock.recomputed) == 4
