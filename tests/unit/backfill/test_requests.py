"""Each request is turned to when it is due, by one worker, and not again once it is done."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.backfill.scenes import a_request, an_event, of

from tapeline.model.backfill import BackfillRequest, EventType
from tapeline_backfill.cursor import Cursor
from tapeline_backfill.requests import Requests, is_again, is_done, is_waiting, told_at_ns

TAKEOVER_S = 60.0
DAY_NS = 86_400_000_000_000


def requests(*, recomputes: bool = False) -> Requests:
    return Requests("one", TAKEOVER_S, recomputes=recomputes)


def due(of_: Requests, now_ns: int = 100, now_s: float = 1.0) -> list[BackfillRequest]:
    return list(of_.due(now_ns, now_s))


def after(type_: EventType, *, recomputes: bool = False, heard_s: float = 1.0, **fields: Any) -> Requests:
    found = requests(recomputes=recomputes)
    found.take_command(a_request())
    found.take_event(an_event(type_, **fields), heard_s)
    return found


def test_new_requests_come_in_the_order_in_which_they_were_made() -> None:
    found = requests()
    later, earlier = a_request(of(1, 2), at=7), a_request(of(1, 3), at=5)
    for request in (later, earlier, later):
        found.take_command(request)
    assert due(found) == [earlier, later]
    assert found.states() == {"requested": 2}


@pytest.mark.parametrize("type_", ["requested", "accepted", "estimated", "started", "progress"])
def test_goes_on_at_once_with_its_own_and_leaves_another_s_until_that_is_silent(type_: EventType) -> None:
    assert due(after(type_))
    assert due(after(type_, worker=""))
    others = after(type_, worker="two", heard_s=10.0)
    assert not due(others, DAY_NS, 10.0 + TAKEOVER_S - 0.1)
    assert due(others, DAY_NS, 10.0 + TAKEOVER_S)


def test_leaves_what_another_took_from_it_until_that_is_silent() -> None:
    found = after("progress")
    found.leave(a_request().id, 5.0)
    assert not due(found, DAY_NS, 5.0 + TAKEOVER_S - 0.1)
    # The other may have the same name: it is still not this one.
    found.take_event(an_event("progress"), 30.0)
    assert not due(found, DAY_NS, 30.0 + TAKEOVER_S - 0.1)
    assert due(found, DAY_NS, 30.0 + TAKEOVER_S)
    found.take_event(an_event("progress", worker=""), 31.0)
    assert due(found, DAY_NS, 31.0)


def test_waits_for_the_next_attempt() -> None:
    found = after("failed", next_attempt_at=500, failure="transient")
    assert not due(found, 499)
    assert due(found, 500)
    others = after("failed", worker="two", next_attempt_at=500, heard_s=0.0)
    assert not due(others, 500, 1_000.0)
    assert due(others, 500 + round(TAKEOVER_S * 1e9), 1_000.0)


@pytest.mark.parametrize("type_", ["rejected", "dead_lettered", "cancelled"])
def test_what_was_given_up_is_done_again_only_if_it_is_asked_for_again_later(type_: EventType) -> None:
    found = after(type_, at=10)
    assert not due(found, DAY_NS)
    found.take_command(a_request(at=10))
    assert not due(found, DAY_NS)
    found.take_command(a_request(at=11))
    assert due(found, DAY_NS)
    found.take_command(a_request(at=12, command="cancel"))
    assert not due(found, DAY_NS)


def test_is_not_asked_again_by_a_clock_that_is_ahead() -> None:
    ahead = a_request(at=500)
    event = an_event("rejected", ahead, at=told_at_ns(10, ahead))
    assert not is_again(event, ahead)
    assert told_at_ns(900, ahead) == 900


def test_what_is_filled_is_due_until_it_is_counted() -> None:
    assert not due(after("completed", next_attempt_at=500), 499)
    assert due(after("completed", next_attempt_at=500), 500)
    assert not due(after("completed"), DAY_NS)
    assert not due(after("proven", counted=5), DAY_NS)
    assert not due(after("proven", counted=0, proven_empty=True), DAY_NS)


def test_what_is_filled_is_due_until_it_is_recomputed_where_that_is_done() -> None:
    assert due(after("proven", recomputes=True, counted=5, published=5))
    assert due(after("completed", recomputes=True, published=5, next_attempt_at=DAY_NS))
    assert not due(after("proven", recomputes=True, counted=5, skipped=5))
    of_a_gap = a_request().model_copy(update={"gap_id": "g1"})
    assert due(after("proven", recomputes=True, counted=5, skipped=5, request=of_a_gap))
    assert not due(after("recomputed", recomputes=True, counted=5, published=5, revised_rows=0))
    assert not due(after("proven", counted=5, published=5))


def test_a_cancelled_request_is_due_to_be_told_so_once() -> None:
    for found in (after("failed", next_attempt_at=DAY_NS), requests()):
        found.take_command(a_request(at=5, command="cancel"))
        assert found.is_cancelled(a_request().id)
        assert due(found)
        found.take_event(an_event("cancelled"), 2.0)
        assert not due(found, 2 * DAY_NS, 9.0)


def test_events_alone_are_enough_once_the_request_is_gone() -> None:
    found = requests()
    found.take_event(an_event("failed", next_attempt_at=5), 1.0)
    assert due(found) == [a_request()]


def test_what_was_found_to_be_due_may_have_been_done_meanwhile() -> None:
    request, again = a_request(at=10), a_request(at=11)
    for type_ in ("rejected", "dead_lettered", "cancelled"):
        assert is_done(an_event(type_, at=10), request, recomputes=True)
        assert not is_done(an_event(type_, at=10), again, recomputes=True)
    assert is_done(an_event("proven", counted=1, published=1), request, recomputes=False)
    assert not is_done(an_event("proven", counted=1, published=1), request, recomputes=True)
    assert not is_done(an_event("completed"), request, recomputes=False)
    assert not is_done(an_event("failed"), request, recomputes=False)
    assert is_waiting(an_event("failed", next_attempt_at=6), 5)
    assert not is_waiting(an_event("failed", next_attempt_at=6), 6)
    assert not is_waiting(an_event("completed", next_attempt_at=6), 5)


def test_adds_up_what_the_month_s_other_requests_cost() -> None:
    found = requests()
    windows = [of(1, until) for until in range(2, 8)]
    types: list[tuple[EventType, int, int, int]] = [
        ("proven", 40 * DAY_NS, 1, 100),
        ("dead_lettered", 40 * DAY_NS, 2, 30),
        ("rejected", 40 * DAY_NS, 0, 7_000),
        ("estimated", 40 * DAY_NS, 0, 800),
        ("proven", 20 * DAY_NS, 1, 9_000),
        ("progress", 40 * DAY_NS, 1, 5),
    ]
    for window, (type_, at, attempt, cost) in zip(windows, types, strict=True):
        event = an_event(type_, a_request(window), at=at, attempt=attempt, cost_micro_usd=cost)
        found.take_event(event, 1.0)
    last = a_request(windows[-1]).id
    assert found.spent_in_month(41 * DAY_NS, last, {}) == 130
    held = {last: 4, a_request(windows[0]).id: 150, a_request(windows[3]).id: 800}
    assert found.spent_in_month(41 * DAY_NS, last, held) == 980


@pytest.mark.parametrize("type_", ["requested", "estimated", "failed", "rejected"])
def test_what_was_spent_counts_also_while_a_request_that_was_made_again_waits(type_: EventType) -> None:
    found = after(type_, attempt=0, cost_micro_usd=7_000, cursor=Cursor(cost_micro_usd=40).encode())
    assert found.spent_in_month(11, "another", {}) == 40
    damaged = after(type_, attempt=0, cost_micro_usd=7_000, cursor="{")
    assert damaged.spent_in_month(11, "another", {}) == 7_000
