"""What becomes of a request, from what is asked for to what is proven."""

from __future__ import annotations

import time

import numpy as np
import pytest
from tests.integration.backfill.rig import Rig, a_request, hashes_of, window_of
from tests.integration.backfill.scripted import Script, between
from tests.integration.feed.vendor import MS, market

from tapeline.errors import Refused, Retryable
from tapeline.model.backfill import BackfillRequest
from tapeline_backfill.cursor import Cursor
from tapeline_backfill.recompute import Recomputed


async def test_brings_what_is_missing_and_proves_it(rig: Rig) -> None:
    ticks = market(6_000)
    request = a_request(window_of(ticks), gap_id="gap-1")
    vendor = Script(ticks)
    rig.ask(request)
    async with rig.service(vendor, chunk_records=1_000, slice_s=1.0):
        proven = await rig.until(request, lambda event: event.type == "proven")
    assert rig.types(request) == [
        "requested", "accepted", "estimated", "started", "progress", "completed", "proven"
    ]  # fmt: skip
    assert (proven.read, proven.published, proven.skipped, proven.counted) == (6_000, 6_000, 0, 6_000)
    assert proven.estimated_records == 6_000
    assert np.array_equal(rig.backfilled(request), hashes_of([ticks]))
    assert int(proven.ids, 16) == int(np.bitwise_xor.reduce(hashes_of([ticks])))
    assert len(vendor.fetched) == 3  # slices of a second
    sequence = [row["sequence"] for frame in rig.frames() for row in frame.rows()]
    assert sequence == ticks.columns["sequence"].tolist()


async def test_leaves_out_what_is_on_the_live_tape_by_multiplicity(rig: Rig) -> None:
    ticks = market(3_000)
    window = between(window_of(ticks).ts_event_from + 200 * MS, window_of(ticks).ts_event_until - 200 * MS)
    held = np.flatnonzero(np.random.default_rng(5).random(3_000) < 0.4).tolist()
    rig.put_live(*(ticks.cut(at, at + 1) for at in held[:300]))
    rig.put_live(*(ticks.cut(at, at + 1) for at in held[300:]), epoch=2, session="next")
    # A producer that was fenced wrote this afterwards: nobody reads it, so it is still missing.
    rig.put_live(ticks, epoch=1, session="zombie")
    rig.ask(request := a_request(window))
    vendor = Script(ticks)
    async with rig.service(vendor, chunk_records=700):
        proven = await rig.until(request, lambda event: event.type == "proven")
    within = set(vendor.within(window).tolist())
    wanted = [at for at in range(3_000) if at in within and at not in set(held)]
    assert np.array_equal(rig.backfilled(request), hashes_of([ticks.cut(at, at + 1) for at in wanted]))
    assert (proven.published, proven.skipped) == (len(wanted), len(within) - len(wanted))
    assert proven.read == len(within)


async def test_does_equal_requests_once_and_later_ones_not_at_all(rig: Rig) -> None:
    ticks = market(500)
    vendor = Script(ticks)
    rig.ask(request := a_request(window_of(ticks)), a_request(window_of(ticks)))
    async with rig.service(vendor):
        await rig.until(request, lambda event: event.type == "proven")
        later = window_of(ticks)
        inner = a_request(between(later.ts_event_from + 50 * MS, later.ts_event_until))
        rig.ask(a_request(window_of(ticks)), inner)
        overlapping = await rig.until(inner, lambda event: event.type == "proven")
    assert len(vendor.fetched) == 2
    assert (overlapping.published, overlapping.skipped) == (0, overlapping.read)
    assert rig.types(request).count("started") == 1
    assert sum(len(frame) for frame in rig.frames()) == 500


async def test_refuses_what_would_cost_too_much_and_says_by_how_much(rig: Rig) -> None:
    ticks = market(500)
    vendor = Script(ticks, micro_usd_per_record=4_000)
    ahead_ns = time.time_ns() + 300_000 * MS
    rig.ask(request := a_request(window_of(ticks), cost_cap_micro_usd=1_500_000, requested_at=ahead_ns))
    async with rig.service(vendor, cost_cap_usd=9.0, month_cap_usd=3.0):
        rejected = await rig.until(request, lambda event: event.type == "rejected")
        assert "the estimate is $2.00 for 500 records" in rejected.reason
        assert "request's cost cap is $1.50" in rejected.reason
        assert rejected.at == ahead_ns
        # Asked again with more: what was rejected may be asked for again.
        rig.ask(a_request(window_of(ticks), cost_cap_micro_usd=2_500_000, requested_at=rejected.at + 1))
        await rig.until(request, lambda event: event.type == "proven")
        half = between(window_of(ticks).ts_event_from, window_of(ticks).ts_event_until + MS)
        rig.ask(more := a_request(half))
        rejected = await rig.until(more, lambda event: event.type == "rejected")
    assert "cap of the month is $3.00 of which $2.00 are spent" in rejected.reason
    assert "raise TAPELINE_BACKFILL_MONTH_CAP_USD" in rejected.reason
    assert len(vendor.fetched) == 1


async def test_stops_in_the_middle_when_cancelled(rig: Rig) -> None:
    ticks = market(20_000)
    rig.ask(request := a_request(window_of(ticks)))
    async with rig.service(Script(ticks), chunk_records=500, records_per_s=5_000):
        await rig.until(request, lambda event: event.published > 0)
        rig.ask(request.model_copy(update={"command": "cancel"}))
        cancelled = await rig.until(request, lambda event: event.type == "cancelled")
    assert 0 < cancelled.published < 20_000
    assert len(rig.backfilled(request)) == cancelled.published


async def test_cancels_what_waits_for_another_of_its_stream_without_waiting(rig: Rig) -> None:
    ticks = market(20_000)
    rig.ask(first := a_request(window_of(ticks)))
    async with rig.service(Script(ticks), chunk_records=500, records_per_s=2_000):
        await rig.until(first, lambda event: event.published > 0)
        window = window_of(ticks)
        rig.ask(second := a_request(window.model_copy(update={"ts_event_until": window.ts_event_from + 1_000_000})))
        rig.ask(second.model_copy(update={"command": "cancel"}))
        cancelled = await rig.until(second, lambda event: event.type == "cancelled")
        assert rig.types(first)[-1] in ("started", "progress")
    assert cancelled.read == 0


async def test_tries_again_after_transient_failures_and_goes_on_where_it_was(rig: Rig) -> None:
    ticks = market(2_000)
    vendor = Script(ticks, faults=[Retryable("the vendor is away"), Retryable("again")])
    rig.ask(request := a_request(window_of(ticks)))
    async with rig.service(vendor, chunk_records=300):
        proven = await rig.until(request, lambda event: event.type == "proven")
    failed = [event for event in rig.events(request) if event.type == "failed"]
    assert [(event.reason, event.failure) for event in failed] == [
        ("the vendor is away", "transient"),
        ("again", "transient"),
    ]
    assert all(event.next_attempt_at is not None and event.next_attempt_at > event.at for event in failed)
    assert (proven.read, proven.published) == (2_000, 2_000)
    assert np.array_equal(rig.backfilled(request), hashes_of([ticks]))


async def test_what_a_fetch_may_have_cost_counts_from_its_beginning_and_once(rig: Rig) -> None:
    ticks = market(400)
    vendor = Script(ticks, micro_usd_per_record=5, faults=[Retryable("broken off"), Retryable("again")])
    rig.ask(request := a_request(window_of(ticks)))
    async with rig.service(vendor):
        proven = await rig.until(request, lambda event: event.type == "proven")
    failed = [event for event in rig.events(request) if event.type == "failed"]
    assert [(event.read, Cursor.of(event).cost_micro_usd) for event in failed] == [(0, 2_000), (0, 2_000)]
    assert proven.cost_micro_usd == Cursor.of(proven).cost_micro_usd == 2_000


@pytest.mark.parametrize("fault", [Retryable("away"), Refused("not entitled")], ids=["transient", "permanent"])
async def test_gives_up_what_cannot_be_had(rig: Rig, fault: Exception) -> None:
    ticks = market(100)
    vendor = Script(ticks, faults=[fault] * 9)
    rig.ask(request := a_request(window_of(ticks)))
    async with rig.service(vendor, attempts=3):
        dead = await rig.until(request, lambda event: event.type == "dead_lettered")
    assert (dead.failure, dead.reason, dead.published) == ("permanent", str(fault), 0)
    assert len(vendor.fetched) == (3 if isinstance(fault, Retryable) else 1)


async def test_takes_the_replay_s_part_first_then_history_s(rig: Rig) -> None:
    ticks = market(4_000)
    limit = window_of(ticks).ts_event_from + 1_200 * MS
    replay = Script(ticks, "replay", has=lambda _: between(limit, 2**62), counts=lambda _: None)
    history = Script(ticks, has=lambda _: between(0, limit))
    rig.ask(request := a_request(window_of(ticks)))
    async with rig.service(replay, history, chunk_records=600):
        completed = await rig.until(request, lambda event: event.type == "completed" and event.reason != "")
        assert completed.reason == "no back end of saved counts the window's records yet"
        history.has = lambda _: between(0, 2**62)
        proven = await rig.until(request, lambda event: event.type == "proven")
    brought = [event.back_end for event in rig.events(request) if event.type == "progress"]
    assert brought == sorted(brought, reverse=True)
    assert {*brought} == {"replay", "historical"}
    assert (proven.published, proven.counted) == (4_000, 4_000)
    assert np.array_equal(rig.backfilled(request), hashes_of([ticks]))


async def test_waits_for_what_history_will_have(rig: Rig) -> None:
    ticks = market(4_000)
    limit, ready_ns = window_of(ticks).ts_event_from + 1_200 * MS, time.time_ns() + 600_000 * MS
    history = Script(ticks, has=lambda now_ns: between(0, limit if now_ns < ready_ns else 2**62))
    rig.ask(request := a_request(window_of(ticks)))
    async with rig.service(history, slice_s=1.0):
        waiting = await rig.until(request, lambda event: event.type == "failed")
    assert waiting.failure == "transient"
    assert waiting.next_attempt_at is not None
    assert waiting.next_attempt_at >= ready_ns
    assert waiting.reason == "no back end has 2023-12-25T23:00:01.200Z to 2023-12-25T23:00:01.999Z yet"
    # Fetched is what is as long as a slice; what is left of its part would be fetched with an end that moves.
    begin = request.window.ts_event_from
    assert history.fetched == [between(begin, begin + 1_000 * MS)]
    assert waiting.read == len(history.within(history.fetched[0])) > 0


async def test_proves_by_the_vendor_s_count_when_it_comes(rig: Rig) -> None:
    ticks = market(400)
    asked = 0

    def counts(n: int) -> int | None:
        nonlocal asked
        asked += 1
        return n if asked > 2 else None

    rig.ask(request := a_request(window_of(ticks)))
    async with rig.service(Script(ticks, counts=counts)):
        proven = await rig.until(request, lambda event: event.type in ("proven", "dead_lettered"))
    assert (proven.type, proven.counted) == ("proven", 400)


async def test_tells_a_count_that_is_another_than_what_was_read(rig: Rig) -> None:
    ticks = market(400)
    vendor = Script(ticks, counts=lambda n: n + 3)
    rig.ask(request := a_request(window_of(ticks)))
    async with rig.service(vendor):
        dead = await rig.until(request, lambda event: event.type == "dead_lettered")
        assert dead.reason == "the vendor counts 403 records in the window, and 400 were read"
        # Read once more, and nothing twice on the tape.
        assert len(vendor.fetched) == 2
        assert (dead.published, dead.skipped, dead.counted) == (400, 400, 403)
        # Asked for again, it is all read again.
        vendor.counts = lambda n: n
        rig.ask(a_request(window_of(ticks)))
        proven = await rig.until(request, lambda event: event.type == "proven")
    assert (proven.read, proven.published, proven.counted) == (400, 400, 400)
    assert np.array_equal(rig.backfilled(request), hashes_of([ticks]))


async def test_reads_all_once_more_where_a_count_disagrees_whatever_failed_before(rig: Rig) -> None:
    ticks = market(400)
    rig.put_live(ticks)
    away = [Retryable("away")] * 2
    vendor = Script(ticks, counts=lambda n: n + 3, faults=[*away])
    rig.ask(request := a_request(window_of(ticks)))
    async with rig.service(vendor):
        dead = await rig.until(request, lambda event: event.type == "dead_lettered")
    assert dead.reason == "the vendor counts 403 records in the window, and 400 were read"
    assert len(vendor.fetched) == len(away) + 2


async def test_proves_that_there_is_nothing(rig: Rig) -> None:
    ticks = market(10)
    end = window_of(ticks).ts_event_until
    rig.ask(request := a_request(between(end + MS, end + 50 * MS)))
    async with rig.service(Script(ticks)):
        proven = await rig.until(request, lambda event: event.type == "proven")
    assert (proven.proven_empty, proven.read, proven.counted) == (True, 0, 0)
    assert not rig.frames()


async def test_rejects_what_nobody_will_ever_have(rig: Rig) -> None:
    ticks = market(10)
    window = window_of(ticks)
    rig.ask(request := a_request(window))
    begin = window.ts_event_from + 2 * MS
    async with rig.service(Script(ticks, has=lambda _: between(begin, 2**62))):
        rejected = await rig.until(request, lambda event: event.type == "rejected")
    assert "no back end of saved (historical) has 2023-12-25T23:00:00" in rejected.reason
    assert "ask for another window" in rejected.reason


async def test_has_rows_computed_anew_after_completion(rig: Rig) -> None:
    ticks = market(300)
    on_tape: list[int] = []

    async def recompute(_: BackfillRequest) -> Recomputed:
        on_tape.append(sum(len(frame) for frame in rig.frames()))
        return Recomputed(7)

    rig.ask(request := a_request(window_of(ticks)))
    async with rig.service(Script(ticks), recompute=recompute):
        recomputed = await rig.until(request, lambda event: event.type == "recomputed")
    assert (recomputed.revised_rows, recomputed.counted, on_tape) == (7, 300, [300])


async def test_has_rows_computed_anew_with_what_came_only_when_all_was_read_again(rig: Rig) -> None:
    ticks = market(300)
    window = window_of(ticks)
    on_tape: list[int] = []
    vendor = Script(ticks.cut(0, 200), counts=lambda _: None)

    async def recompute(_: BackfillRequest) -> Recomputed:
        on_tape.append(sum(len(frame) for frame in rig.frames()))
        # From now on the vendor has more, and counts it.
        vendor.ticks, vendor.counts = ticks, lambda n: n
        return Recomputed(7)

    rig.ask(request := a_request(window))
    async with rig.service(vendor, recompute=recompute):
        await rig.until(request, lambda event: event.type == "recomputed" and event.counted == 300)
    assert on_tape == [200, 300]
