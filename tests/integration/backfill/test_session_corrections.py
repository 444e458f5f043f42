"""What was recomputed within a session is recomputed once more after it, whatever else is told of it by then."""

from __future__ import annotations

import pytest
from confluent_kafka.admin import AdminClient
from tests.integration.backfill.rig import DEADLINE_S, Rig, a_request
from tests.integration.backfill.scripted import between

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.topics import apply_topics, load_topics
from tapeline.errors import BadData, Retryable
from tapeline.model.backfill import EVENTS_TOPIC, BackfillEvent, BackfillRequest
from tapeline.model.windows import all_closed_ns
from tapeline_backfill.recompute import Recomputed
from tapeline_backfill.recompute_sessions import CLOSED_NS, GRACE_NS, KEPT_NS, SessionCorrections, close_of

S = 1_000_000_000
OPEN = 1_703_545_200 * S  # 2023-12-25T23:00:00Z
WINDOWS = [between(OPEN + at * S, OPEN + (at + 60) * S) for at in (60, 180, 300)]


class Clock:
    """What the time is, and what was recomputed; one request cannot be, and of the next the broker is away once."""

    def __init__(self, damaged: BackfillRequest, late: BackfillRequest) -> None:
        self.now_ns = OPEN + 1_000 * S
        self.closed_ns = 0
        self.recomputed: list[BackfillRequest] = []
        self._damaged, self._late = damaged, late
        self._is_away = True

    async def recompute(self, request: BackfillRequest) -> Recomputed:
        self.recomputed.append(request)
        if request == self._damaged:
            raise BadData("rows", "must be rows")
        if request == self._late and self._is_away:
            self._is_away = False
            raise Retryable("away")
        return Recomputed(0, has_open=self.now_ns < self.closed_ns)


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


async def test_windows_that_were_open_are_computed_anew_once_they_are_closed(rig: Rig) -> None:
    request, other = (a_request(window, requested_at=OPEN) for window in WINDOWS[:2])
    clock = Clock(other, other)
    corrections = SessionCorrections(rig.servers, clock.recompute, lambda: clock.now_ns)
    closed_ns = all_closed_ns(request.window.ts_event_until)
    # The venue's clock is ten seconds behind.
    clock.now_ns, clock.closed_ns = closed_ns - 40 * S, closed_ns + 10 * S
    assert (await corrections.recompute(request)).has_open
    for now_ns in (closed_ns, closed_ns + CLOSED_NS, closed_ns + 2 * CLOSED_NS, closed_ns + 60 * S, closed_ns + 90 * S):
        clock.now_ns = now_ns
        await corrections.settle()
    assert clock.recomputed == [request] * 3, "at first, when they should be closed, and when they are"
    # Whoever begins anew knows by the topic.
    event = BackfillEvent(type="recomputed", request=request, at=closed_ns - 20 * S, revised_rows=3)
    rig.producer.produce(namespaced(EVENTS_TOPIC), event.encode(), event.key)
    assert not rig.producer.flush(DEADLINE_S)
    heir = SessionCorrections(rig.servers, clock.recompute, lambda: clock.now_ns)
    for _ in range(2):
        await heir.look()
        await heir.settle()
    assert clock.recomputed == [request] * 4


async def test_hears_of_recomputes_on_a_topic_that_was_made_anew(rig: Rig) -> None:
    *before, after = (a_request(window, requested_at=OPEN) for window in WINDOWS)
    clock = Clock(*before)
    corrections = SessionCorrections(rig.servers, clock.recompute, lambda: clock.now_ns)
    events = [BackfillEvent(type="recomputed", request=each, at=clock.now_ns, revised_rows=3) for each in before]
    for event in events:
        rig.producer.produce(namespaced(EVENTS_TOPIC), event.encode(), event.key)
    assert not rig.producer.flush(DEADLINE_S)
    await corrections.look()
    admin = AdminClient({"bootstrap.servers": rig.servers})
    admin.delete_topics([namespaced(EVENTS_TOPIC)])[namespaced(EVENTS_TOPIC)].result()
    apply_topics(rig.servers, [load_topics()[EVENTS_TOPIC]])
    event = BackfillEvent(type="recomputed", request=after, at=clock.now_ns, revised_rows=3)
    rig.producer.produce(namespaced(EVENTS_TOPIC), event.encode(), event.key)
    assert not rig.producer.flush(DEADLINE_S)
    await corrections.look()
    clock.now_ns = close_of(after) + GRACE_NS
    with pytest.raises(Retryable):
        await corrections.look()
    await corrections.look()
    assert clock.recomputed == [before[0], before[1], before[1], after]
