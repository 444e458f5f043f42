"""What happens to requests when commands, topics and answers come at the wrong moment."""

from __future__ import annotations

import numpy as np
import pytest
from confluent_kafka.admin import AdminClient
from tests.integration.backfill.rig import SOURCE, TOPICS, Rig, a_request, hashes_of, window_of
from tests.integration.backfill.scripted import Script
from tests.integration.feed.vendor import market

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.tail import backfill_topic
from tapeline.bus.topics import apply_topics, load_topics
from tapeline.errors import Misconfigured
from tapeline.feed.back_ends import Backfiller
from tapeline.model.backfill import REQUESTS_TOPIC, BackfillRequest, request_id
from tapeline.model.ids import Rows
from tapeline_backfill.recompute import Recomputed


async def test_what_is_on_the_tape_stays_filled_when_it_is_cancelled_before_it_is_proven(rig: Rig) -> None:
    ticks = market(400)
    rig.ask(request := a_request(window_of(ticks)))
    async with rig.service(Script(ticks, counts=lambda _: None), proof_interval_s=3_600.0):
        await rig.until(request, lambda event: event.type == "completed" and event.next_attempt_at is not None)
        rig.ask(request.model_copy(update={"command": "cancel"}))
        ended = await rig.until(request, lambda event: event.next_attempt_at is None)
    assert (ended.type, ended.published, ended.reason) == ("completed", 400, "a command has cancelled its proof")


async def test_what_is_on_the_tape_stays_filled_while_a_key_is_missing(rig: Rig) -> None:
    def without_key(_: str) -> type[Backfiller]:
        raise Misconfigured("no key is set")

    async def recompute(_: BackfillRequest) -> Recomputed:
        return Recomputed(7)

    ticks = market(400)
    rig.ask(request := a_request(window_of(ticks)))
    async with rig.service(Script(ticks, counts=lambda _: None)):
        await rig.until(request, lambda event: event.type == "completed" and event.next_attempt_at is not None)
    async with rig.service(load=without_key, recompute=recompute):
        # Rows need no vendor.
        await rig.until(request, lambda event: event.type == "recomputed")
    waiting = [event for event in rig.events(request) if event.reason == "no key is set"]
    assert (waiting[0].type, waiting[0].published) == ("completed", 400)
    async with rig.service(Script(ticks)):
        await rig.until(request, lambda event: event.type == "proven")


async def test_goes_on_after_topics_were_made_anew(rig: Rig) -> None:
    ticks = market(400)
    before = [a_request(window_of(ticks.cut(at, at + 100))) for at in (0, 100, 200)]
    async with rig.service(Script(ticks), attempts=20):
        rig.ask(*before)
        for each in before:
            await rig.until(each, lambda event: event.type == "proven")
        admin = AdminClient({"bootstrap.servers": rig.servers})
        gone = admin.delete_topics([namespaced(REQUESTS_TOPIC), backfill_topic(SOURCE)])
        for future in gone.values():
            future.result()
        declared = load_topics()
        apply_topics(rig.servers, [declared[REQUESTS_TOPIC]])
        rig.ask(request := a_request(window_of(ticks.cut(300, 400))))
        waiting = await rig.until(request, lambda event: event.type in ("failed", "rejected"))
        assert (waiting.type, waiting.failure) == ("failed", "transient")
        apply_topics(rig.servers, [declared[name] for name in TOPICS])
        proven = await rig.until(request, lambda event: event.type == "proven")
    assert proven.published == proven.read == len(rig.backfilled(request)) >= 100


async def test_brings_again_what_the_tape_has_lost_meanwhile(rig: Rig) -> None:
    ticks = market(1_000)
    rig.ask(request := a_request(window_of(ticks)))
    async with rig.service(Script(ticks), chunk_records=100, records_per_s=1_000):
        await rig.until(request, lambda event: event.published >= 300)
        rig.ask(request.model_copy(update={"command": "cancel"}))
        cancelled = await rig.until(request, lambda event: event.type == "cancelled")
    rig.lose_backfilled()
    rig.ask(a_request(window_of(ticks)))
    async with rig.service(Script(ticks)):
        proven = await rig.until(request, lambda event: event.type in ("proven", "dead_lettered"))
    assert (proven.type, proven.read, proven.published) == ("proven", 1_000, cancelled.published)
    frames = rig.frames()
    assert np.array_equal(
        np.sort(np.concatenate([Rows.of_frame(each).hashes() for each in frames])), hashes_of([ticks])
    )
    numbers = [each.frame for each in frames]
    assert numbers == list(range(numbers[0] or 0, (numbers[0] or 0) + len(frames)))


async def test_an_error_that_nobody_foresaw_ends_the_service_and_not_the_requests_of_others(rig: Rig) -> None:
    ticks = market(200)
    bad, good = (a_request(window_of(ticks.cut(at, at + 100))) for at in (0, 100))
    vendor = Script(ticks, faults=[ValueError("nobody foresaw it")] * 2)
    rig.ask(bad)
    with pytest.raises(ValueError, match="foresaw"):
        async with rig.service(vendor, retry_first_s=1_000.0):
            await rig.until(bad, lambda event: event.type == "failed")
    rig.ask(good)
    vendor.faults.clear()
    async with rig.service(vendor):
        await rig.until(good, lambda event: event.type == "proven")
    failed = rig.events(bad)[-1]
    assert (failed.type, failed.failure, failed.attempt) == ("failed", "transient", 1)
    assert failed.next_attempt_at is not None


async def test_requests_at_the_same_time_share_the_month_s_cap(rig: Rig) -> None:
    ticks = market(400)
    one = a_request(window_of(ticks))
    stream = "GLBX.MDP3/ES.FUT"
    name = request_id(one.source, one.dataset, stream, one.kind, one.symbols, one.window)
    other = one.model_copy(update={"stream": stream, "id": name})
    rig.ask(one, other)
    vendor = Script(ticks, micro_usd_per_record=5_000, piece_s=0.3)
    async with rig.service(vendor, cost_cap_usd=9.0, month_cap_usd=3.0, parallel=2):
        ended = [await rig.until(each, lambda event: event.type in ("proven", "rejected")) for each in (one, other)]
    assert {event.type for event in ended} == {"proven", "rejected"}
