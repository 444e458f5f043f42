"""Backfills are held to the month's budgets by the bill on the tape; what costs nothing is not."""

from __future__ import annotations

import time

import pytest
from tests.integration.backfill.rig import SOURCE, Rig, a_request, window_of
from tests.integration.backfill.scripted import Script, between
from tests.integration.feed.vendor import MS, market

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.topics import apply_topics, load_topics
from tapeline.model.usage import TOPIC, Usage, day_of, encode_usage


def put_fee(rig: Rig, fee_micro_usd: int) -> None:
    """Put what the source's plan costs on the bill, in place of what was there."""
    row = Usage(SOURCE, "flat", day_of(time.time_ns()), "meter", True, fee_micro_usd_per_month=fee_micro_usd)
    rig.producer.produce(namespaced(TOPIC), encode_usage(row), row.key)
    assert not rig.producer.flush(60)


async def test_the_budget_of_the_month_refuses_what_it_has_not_left(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAPELINE_COSTS_MONTHLY_BUDGET_USD", "10")
    apply_topics(rig.servers, [load_topics()[TOPIC]])
    ticks = market(500)
    window = window_of(ticks)
    middle = window.ts_event_from + 100 * MS
    vendor = Script(ticks, micro_usd_per_record=4_000)
    # Two dollars, and one is left.
    put_fee(rig, 9_000_000)
    rig.ask(request := a_request(window))
    async with rig.service(vendor, cost_cap_usd=9.0):
        rejected = await rig.until(request, lambda event: event.type == "rejected")
        assert "budget of the month is $10.00 of which $9.00 are spent" in rejected.reason
        assert "TAPELINE_COSTS_MONTHLY_BUDGET_USD" in rejected.reason
        assert vendor.fetched == []
        put_fee(rig, 8_000_000)
        rig.ask(a_request(window))
        await rig.until(request, lambda event: event.type == "proven")
    # All is spent, and more; but this costs nothing.
    put_fee(rig, 11_000_000)
    rig.ask(free := a_request(between(middle, window.ts_event_until)))
    async with rig.service(Script(ticks)):
        await rig.until(free, lambda event: event.type == "proven")
