"""What is missing on a tape, from the vendor's replay and from its history: the same ticks, each once, or an error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.integration.databento.past import (
    DATASET,
    HOLE,
    KEY,
    LAST,
    MIDNIGHT,
    NOW,
    PAD_S,
    SECOND,
    TO_THE_END,
    Past,
    fetched,
    ids_of,
    past,
    request,
)

from tapeline.errors import Refused, Retryable
from tapeline.feed.cost import Estimate, OverCap
from tapeline.feed.ledger import UsageLedger
from tapeline.model.control import Interval
from tapeline_databento.backfill import DatabentoBackfiller
from tapeline_databento.errors import CutAnswer, GatewayError, HistoryAway, NotReplayed, Silent, Unresolved
from tapeline_simulator.databento.history.faults import HistoryFault
from tapeline_simulator.venue import OptionSettings

PAD_NS = round(PAD_S * SECOND)
GET_RANGE, COUNT = "timeseries.get_range", "metadata.get_record_count"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "vendor" / "tls" / "ca.pem"))
    monkeypatch.setenv("TAPELINE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")


@pytest.fixture
async def vendor(tmp_path: Path) -> AsyncIterator[Past]:
    async with past(tmp_path / "vendor") as vendor:
        yield vendor


def spent(tmp_path: Path) -> int:
    return sum(usage.cost_micro_usd for usage in UsageLedger(tmp_path / "state" / "usage.sqlite3").usages())


def asked(vendor: Past, method: str) -> int:
    return sum(each.method == method for each in vendor.history.requests)


async def test_a_hole_over_midnight_is_the_same_by_replay_and_by_history(vendor: Past) -> None:
    captured = vendor.captured("mbo", "mbo", "NQ.FUT")
    assert len(captured) > 1_000
    assert vendor.snapshots.end("mbo")  # history has the books of that midnight
    replay, historical = DatabentoBackfiller(vendor.loaded(), lambda: NOW).back_ends()
    for way in (replay, historical):
        assert way.reach(request(), NOW) == HOLE
        ticks = await fetched(way, request())  # type: ignore[arg-type]
        assert np.array_equal(ids_of(ticks), captured), way.name
        assert {(each.origin, each.stream, each.kind) for each in ticks} == {("backfill", f"{DATASET}/NQ.FUT", "mbo")}
        assert {tuple(name) for each in ticks for name in each.directory.values()} == {("NQZ5", "F"), ("NQH6", "F")}
    # The vendor's numbers are of the padded window, without its books of midnight.
    padded = Interval(ts_event_from=HOLE.ts_event_from - PAD_NS, ts_event_until=HOLE.ts_event_until + PAD_NS)
    before, after = ((padded.ts_event_from, MIDNIGHT), (MIDNIGHT + 1, padded.ts_event_until))
    records = sum(
        map(
            len,
            (*vendor.tape.select("mbo", None, *before, "ts_recv"), *vendor.tape.select("mbo", None, *after, "ts_recv")),
        )
    )
    estimate = await historical.estimate(request(), HOLE)
    assert (estimate.records, estimate.cost_micro_usd) == (records, 0)  # it is in the cache by now
    assert await replay.count(request(), HOLE) is None
    assert await historical.count(request(), HOLE) == len(captured)
    assert [session.ended for session in vendor.gateway.sessions] == ["client"]


async def test_what_was_replayed_is_counted_by_the_vendor_for_the_price_of_the_windows_ends(
    vendor: Past, tmp_path: Path
) -> None:
    historical, window = vendor.historical(), HOLE
    whole = await historical.estimate(request(), window)
    assert whole.records * 56 == whole.bytes
    assert whole.cost_micro_usd > 0
    assert await historical.count(request(), window) == len(vendor.captured("mbo", "mbo", "NQ.FUT"))
    assert 0 < spent(tmp_path) < whole.cost_micro_usd
    short = Interval(ts_event_from=MIDNIGHT - 7, ts_event_until=MIDNIGHT + SECOND // 2)
    expected = len(vendor.captured("mbo", "mbo", "NQ.FUT", short))
    assert await historical.count(request(window=short), short) == expected > 0
    # One more that the vendor counts is one more that is missing.
    vendor.history.faults.add(HistoryFault("count", COUNT, times=1))
    assert await historical.count(request(), window) == len(vendor.captured("mbo", "mbo", "NQ.FUT")) + 1


async def test_a_part_is_the_same_in_the_whole_as_alone(vendor: Past) -> None:
    late = Interval(ts_event_from=MIDNIGHT + SECOND, ts_event_until=HOLE.ts_event_until)
    for way in (vendor.replay(), vendor.historical()):
        whole = await fetched(way, request())
        alone = await fetched(way, request(), late)
        of_late = np.concatenate([each.columns["ts_event"] for each in whole]) >= late.ts_event_from
        assert 0 < of_late.sum() < len(of_late)
        assert np.array_equal(ids_of(alone), ids_of(whole)[of_late])


async def test_options_by_parent(tmp_path: Path) -> None:
    options = OptionSettings(expiries=2, quotes_per_s=1_500.0, new_strike_after_s=3_600.0)
    async with past(tmp_path / "vendor", options=options) as vendor:
        parents = {listing.parent for listing in vendor.tape.listings.resolve("raw_symbol", "ALL_SYMBOLS", NOW)}
        parent = max(
            (each for each in parents if each.endswith(".OPT")),
            key=lambda each: len(vendor.tape.listings.resolve("parent", each, NOW)),
        )
        captured = vendor.captured("mbp-1", "l1", parent)
        fetches = [await fetched(way, request(parent, "l1")) for way in (vendor.replay(), vendor.historical())]
        listed = {each.instrument_id: each for each in vendor.tape.listings.resolve("parent", parent, NOW)}
        for ticks in fetches:
            assert np.array_equal(ids_of(ticks), captured)
            ids = np.unique(np.concatenate([each.instrument_ids for each in ticks]))
            assert len(ids) > 200
            for each in ticks:
                for number in np.unique(each.instrument_ids).tolist():
                    known = listed[number]
                    assert each.directory[number] == (known.raw_symbol, known.instrument_class)
        # Some symbols are asked for alone.
        (one,) = (listed[number].raw_symbol for number in ids[:1].tolist())
        single = request(parent, "l1", symbols=(one,))
        for way in (vendor.replay(), vendor.historical()):
            ticks = await fetched(way, single)
            assert {name.symbol for each in ticks for name in each.directory.values()} == {one}
            assert {each.stream for each in ticks} == {f"{DATASET}/{parent}"}
        assert vendor.gateway.sessions[-1].subscriptions[0].symbols == (one,)


async def test_a_replay_ends_where_the_gateway_has_no_more(vendor: Past) -> None:
    ticks = await fetched(vendor.replay(), request(window=TO_THE_END))
    assert np.array_equal(ids_of(ticks), vendor.captured("mbo", "mbo", "NQ.FUT", TO_THE_END))


async def test_a_continuous_contract_goes_by_its_raw_symbol(vendor: Past) -> None:
    for way in (vendor.replay(), vendor.historical()):
        ticks = await fetched(way, request("NQ.c.0", "trade"))
        assert {name.symbol for each in ticks for name in each.directory.values()} == {"NQZ5"}


# -- reach -------------------------------------------------------------------------------------------------------------


async def test_reach(vendor: Past) -> None:
    replay = vendor.replay(replay_window_s=100)
    assert replay.reach(request(), HOLE.ts_event_until - SECOND) == Interval(
        ts_event_from=HOLE.ts_event_from, ts_event_until=HOLE.ts_event_until - SECOND
    )
    assert replay.reach(request(), HOLE.ts_event_from + 100 * SECOND) == Interval(
        ts_event_from=HOLE.ts_event_from + PAD_NS, ts_event_until=HOLE.ts_event_until
    )
    assert replay.reach(request(), HOLE.ts_event_until + 100 * SECOND) is None
    historical = vendor.historical(history_embargo_s=86_400)
    assert historical.reach(request(), NOW) is None
    day_after = HOLE.ts_event_until + 86_400 * SECOND
    assert historical.reach(request(), day_after + PAD_NS) == HOLE
    assert historical.reach(request(), day_after + PAD_NS - 7) == Interval(
        ts_event_from=HOLE.ts_event_from, ts_event_until=HOLE.ts_event_until - 7
    )


async def test_what_is_not_history_yet_is_waited_for(vendor: Past) -> None:
    historical = vendor.historical()
    young = Interval(ts_event_from=NOW - SECOND, ts_event_until=NOW)
    assert historical.reach(request(window=young), NOW + PAD_NS) == young
    with pytest.raises(HistoryAway, match="not history yet") as away:
        await historical.estimate(request(window=young), young)
    assert away.value.retry_after_s == PAD_S
    # What is counted, too; the vendor says by itself that it is too young.
    younger = Interval(ts_event_from=NOW - 5 * SECOND, ts_event_until=NOW + 3 * SECOND)
    with pytest.raises(HistoryAway, match="not history yet"):
        await historical.count(request(window=younger), younger)


async def test_how_far_history_lies_behind_is_learned_of_the_vendor(tmp_path: Path) -> None:
    async with past(tmp_path / "vendor", embargo_s=(NOW - LAST) // SECOND) as vendor:
        historical, asked_for = vendor.historical(), request(window=TO_THE_END)
        assert historical.reach(asked_for, NOW) == TO_THE_END
        with pytest.raises(HistoryAway) as away:
            await historical.estimate(asked_for, TO_THE_END)
        assert away.value.retry_after_s == PAD_S
        there = historical.reach(asked_for, NOW)
        assert there == Interval(ts_event_from=HOLE.ts_event_from, ts_event_until=LAST - PAD_NS)
        assert await historical.count(asked_for, there) == len(vendor.captured("mbo", "mbo", "NQ.FUT", there))
        assert historical.reach(asked_for, NOW + PAD_NS) == TO_THE_END


async def test_a_replay_that_is_refused_leaves_the_request_to_history(vendor: Past) -> None:
    replay = vendor.replay()
    unknown = request(symbols=("NQZ5", "NQZ8"))
    assert replay.reach(unknown, NOW) == HOLE
    with pytest.raises(NotReplayed, match="NQZ8"):
        await fetched(replay, unknown)
    assert replay.reach(unknown, NOW) is None
    assert replay.reach(request(), NOW) == HOLE
    old = Interval(ts_event_from=MIDNIGHT - 200 * 3_600 * SECOND, ts_event_until=MIDNIGHT)
    with pytest.raises(GatewayError):
        await fetched(replay, request(window=old))
    assert replay.reach(request(window=old), NOW) is None
    assert np.array_equal(
        ids_of(await fetched(vendor.historical(), unknown)), ids_of(await fetched(replay, request(symbols=("NQZ5",))))
    )


async def test_what_cannot_be_asked_for_is_refused(vendor: Past) -> None:
    for way in (vendor.replay(), vendor.historical()):
        with pytest.raises(Refused, match="is no symbol"):
            await way.estimate(request("NQ.every.thing"), HOLE)
    with pytest.raises(Refused, match=r"bbo-1s of .* cannot be backfilled"):
        await vendor.replay(subscriptions="bbo-1s=NQ.FUT").estimate(request("NQ.FUT", "l1"), HOLE)


# -- trouble -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "parameters"),
    [("cut", {}), ("rst", {}), ("fin", {}), ("error", {"code": 6}), ("connection-limit", {"seconds": 60.0})],
)
async def test_a_replay_that_breaks_off_is_the_same_the_next_time(
    vendor: Past, fault: str, parameters: dict[str, Any]
) -> None:
    replay, whole = vendor.replay(), request(window=TO_THE_END)
    # What is replayed is held back until the fault has come; it cuts the records' last one.
    hold = vendor.gateway.faults.start("stall", schema="mbo", seconds=60.0)
    fetching = asyncio.ensure_future(fetched(replay, whole))
    await until(lambda: any(session.state == "streaming" for session in vendor.gateway.sessions))
    vendor.gateway.faults.start(fault, **parameters)
    if fault == "cut":
        vendor.gateway.faults.end(hold.number)
    with pytest.raises(Retryable):
        await fetching
    vendor.gateway.faults.clear()
    expected = vendor.captured("mbo", "mbo", "NQ.FUT", TO_THE_END)
    assert np.array_equal(ids_of(await fetched(replay, whole)), expected)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  what is waited for is another's state
            await asyncio.sleep(0.001)


async def test_a_replay_that_stands_still_is_given_up(vendor: Past) -> None:
    vendor.gateway.faults.start("stall", schema="mbo", seconds=60.0)
    with pytest.raises(Silent, match="standstill"):
        await fetched(vendor.replay(backfill_stall_s=0.1), request())
    assert [session.is_open for session in vendor.gateway.sessions] in ([False], [True])


async def test_replays_take_turns(vendor: Past) -> None:
    def streaming() -> int:
        return sum(session.state == "streaming" for session in vendor.gateway.sessions)

    replay = vendor.replay()
    hold = vendor.gateway.faults.start("stall", schema="mbo", seconds=60.0)
    fetching = [asyncio.ensure_future(fetched(replay, request())) for _ in range(2)]
    await until(lambda: streaming() == 1)
    # Another's, which takes no turns with these, connects after them.
    fetching.append(asyncio.ensure_future(fetched(vendor.replay(), request())))
    await until(lambda: streaming() >= 2)
    assert len(vendor.gateway.sessions) == 2
    vendor.gateway.faults.end(hold.number)
    first, *others = [ids_of(ticks) for ticks in await asyncio.gather(*fetching)]
    assert all(np.array_equal(first, other) for other in others)


@pytest.mark.parametrize(
    "fault",
    [
        HistoryFault("cut", GET_RANGE, times=9, framing="close"),
        HistoryFault("refuse", GET_RANGE, times=9, status=503),
        HistoryFault("refuse", GET_RANGE, times=9, status=429),
        HistoryFault("count", COUNT, times=99),
    ],
    ids=["cut", "503", "429", "count"],
)
async def test_history_that_is_not_whole_is_the_same_the_next_time(
    vendor: Past, fault: HistoryFault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.random", lambda: 0.0)  # waits no longer than the vendor asks for
    historical = vendor.historical()
    vendor.history.faults.add(fault)
    with pytest.raises((CutAnswer, HistoryAway)):
        await fetched(historical, request())
    vendor.history.faults.clear()
    assert np.array_equal(ids_of(await fetched(historical, request())), vendor.captured("mbo", "mbo", "NQ.FUT"))


async def test_a_cap_that_is_too_low_is_told_with_its_numbers(vendor: Past, tmp_path: Path) -> None:
    historical = vendor.historical()
    estimate = await historical.estimate(request(), HOLE)
    with pytest.raises(OverCap, match=rf"for {estimate.records:,} records .* the cap per fetch is \$0\.00"):
        await fetched(historical, request(cap=0))
    with pytest.raises(OverCap, match="budget of the month"):
        await fetched(vendor.historical(monthly_budget_usd=0), request())
    assert asked(vendor, GET_RANGE) == 0
    # The request's own cap holds, not the setting.
    assert len(await fetched(vendor.historical(cap_usd=0), request(cap=estimate.cost_micro_usd)))
    assert spent(tmp_path) == estimate.cost_micro_usd
    assert KEY not in str(estimate)


async def test_of_symbols_that_mean_nothing_then_there_is_nothing_while_the_market_is_closed(vendor: Past) -> None:
    closed = Interval(ts_event_from=MIDNIGHT - 7_000 * SECOND, ts_event_until=MIDNIGHT - 4_000 * SECOND)
    historical, unknown = vendor.historical(), request(window=closed, symbols=("NQQ9",))
    assert await historical.estimate(unknown, closed) == Estimate()
    assert await fetched(historical, unknown) == []
    assert await historical.count(unknown, closed) == 0
    # Of a longer window, an hour without them is empty; all of it without them is a mistake.
    mistaken = request(symbols=("NQQ9",))
    hour = Interval(ts_event_from=HOLE.ts_event_from, ts_event_until=MIDNIGHT)
    assert await historical.estimate(mistaken, hour) == Estimate()
    assert await fetched(historical, mistaken, hour) == []
    with pytest.raises(Unresolved):
        await historical.estimate(mistaken, HOLE)
    with pytest.raises(Unresolved):
        await historical.count(mistaken, HOLE)
    # After a gap it is none: what is not listed has nothing to be missed.
    missed = mistaken.model_copy(update={"gap_id": "g1"})
    assert await historical.estimate(missed, HOLE) == Estimate()
    assert await historical.count(missed, HOLE) == 0
