"""What a request may cost, how long it waits for another attempt, and whom it yields to."""

from __future__ import annotations

import pytest
from tests.unit.backfill.scenes import a_request, of

from tapeline.bus.groups import ClusterState, GroupState, Member, PartitionState
from tapeline.bus.record_times import Stretch
from tapeline.errors import Retryable
from tapeline.feed.cost import Estimate, OverCap, check_caps
from tapeline_backfill.budget import Quote, caps, is_quoted, price
from tapeline_backfill.errors import NotYet, Unequal
from tapeline_backfill.retries import next_attempt_ns
from tapeline_backfill.settings import BackfillSettings
from tapeline_backfill.yielding import unread

SETTINGS = BackfillSettings(cost_cap_usd=2.0, month_cap_usd=3.0)


class Busy(Retryable):
    retry_after_s = 70.0


def waits_s(error: Retryable, attempt: int, random: float = 0.0) -> float | None:
    at_ns = next_attempt_ns(error, attempt, SETTINGS, 1_000, lambda: random)
    return None if at_ns is None else (at_ns - 1_000) / 1e9


def test_waits_double_up_to_a_limit_and_end() -> None:
    *waits, last = [waits_s(Retryable("away"), attempt) for attempt in range(1, SETTINGS.attempts + 1)]
    assert waits == [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 900.0]
    assert last is None
    patient = SETTINGS.model_copy(update={"attempts": 99})
    assert next_attempt_ns(Retryable(""), 20, patient, 0, lambda: 0.0) == 900 * 10**9
    assert waits_s(Retryable("away"), 1, random=1.0) == 3.75


def test_leaves_a_vendor_alone_for_as_long_as_it_asks() -> None:
    assert waits_s(Busy("too many requests"), 1) == 70.0


def test_waits_for_what_nobody_has_yet_however_often() -> None:
    assert next_attempt_ns(NotYet("history is late", 77), 99, SETTINGS, 1_000, lambda: 0.0) == 77


def test_reads_once_more_where_counts_disagree_and_no_oftener() -> None:
    assert waits_s(Unequal("400 of 403"), 1) == 5.0
    assert waits_s(Unequal("400 of 403"), 2) is None


@pytest.mark.parametrize(
    ("own_micro_usd", "spent_micro_usd", "cost_micro_usd", "refusal"),
    [
        (1_000_000, 0, 1_000_001, "request's cost cap is $1.00"),
        (9_000_000, 0, 2_000_001, "cost cap of a request is $2.00.*raise TAPELINE_BACKFILL_COST_CAP_USD"),
        (None, 0, 2_000_001, "cost cap of a request is $2.00"),
        (None, 1_500_000, 1_500_001, "cap of the month is $3.00 of which $1.50 are spent"),
        (0, 0, 0, None),
        (None, 1_500_000, 1_500_000, None),
    ],
)
def test_the_least_of_the_caps_holds(
    own_micro_usd: int | None, spent_micro_usd: int, cost_micro_usd: int, refusal: str | None
) -> None:
    limits = caps(a_request(cost_cap_micro_usd=own_micro_usd), SETTINGS, spent_micro_usd)
    if refusal is None:
        check_caps(Estimate(cost_micro_usd), limits)
        return
    with pytest.raises(OverCap, match=refusal.replace("$", r"\$")):
        check_caps(Estimate(cost_micro_usd), limits)


def test_a_slice_has_its_share_of_what_was_quoted_for_the_whole() -> None:
    quotes = [Quote("historical", of(0, 30), 100), Quote("historical", of(30, 40), 7)]
    assert price(quotes, "historical", of(0, 10)) == 34
    assert price(quotes, "historical", of(20, 40)) == 41
    assert price(quotes, "replay", of(0, 10)) == 0
    assert is_quoted(quotes, "historical", of(20, 40))
    assert not is_quoted(quotes, "historical", of(20, 41))
    assert not is_quoted(quotes, "replay", of(0, 10))


def cluster(*, members: int) -> ClusterState:
    member = Member("m", "c", "h", frozenset())
    committed = {("t", 0): 10, ("t", 1): 2, ("t", 2): 60}
    ends = {("t", 0): (0, 50), ("t", 1): (5, 9), ("t", 2): (0, 59), ("t", 3): (0, 99)}
    state = {place: PartitionState(oldest, end, 0, (0,), (0,)) for place, (oldest, end) in ends.items()}
    return ClusterState(1, state, {"g": GroupState("g", "stable", (member,) * members, committed)})


def test_yields_to_what_a_group_with_members_has_not_read() -> None:
    assert unread(cluster(members=1), "g") == [Stretch("t", 0, 10, 50), Stretch("t", 1, 5, 9)]
    assert not unread(cluster(members=1), "another")
    # Nobody is held up by a backfill where nobody reads.
    assert not unread(cluster(members=0), "g")
