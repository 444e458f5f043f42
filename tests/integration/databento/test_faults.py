"""Every fault of the gateway: once it has healed, vendor and tape agree, or a gap covers exactly what is missing."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from tests.integration.databento.feed_rig import DATASET, FUTURES, FeedRig, feed_rig

from tapeline.errors import Refused
from tapeline_simulator.venue import OptionSettings

STREAM = f"{DATASET}/{FUTURES}"
SNAPSHOT = 4_500
"""The first session begins with about as many records of a snapshot."""
BRIEF = {"heartbeat_interval_s": 5, "silence_margin_s": 0.5}

HEALING: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("fin", {}, {}),
    ("rst", {}, {}),
    ("cut", {}, {}),
    ("cut", {"reset": True}, {}),
    ("error", {"code": 6}, {}),
    ("refuse", {"seconds": 1.0}, {}),
    ("outage", {"seconds": 1.0}, {}),
    ("flap", {"every_ms": 120.0, "seconds": 2.0}, {}),
    ("black-hole", {"seconds": 7.0}, BRIEF),
    ("black-hole", {"seconds": 2.0, "stage": "connection"}, {"authentication_timeout_s": 1.0}),
    ("stall", {"schema": "mbo", "seconds": 4.0}, {"mbo_silence_s": 1.5}),
    ("slow-reader", {"seconds": 0.5}, {}),
    ("connection-limit", {"seconds": 1.0}, {}),
]


async def healed(rig: FeedRig) -> None:
    """Wait until the newest session has delivered, then close the market and let the tape catch up."""
    await rig.until_ticks(1_500)
    await rig.close_market()
    await rig.until_caught_up([("mbo", FUTURES, "mbo")])


@pytest.mark.parametrize(("fault", "parameters", "settings"), HEALING, ids=lambda value: str(value))
async def test_a_fault_that_heals_costs_no_record(
    bootstrap_servers: str,
    namespace: str,
    tmp_path: Path,
    fault: str,
    parameters: dict[str, Any],
    settings: dict[str, Any],
) -> None:
    async with feed_rig(bootstrap_servers, tmp_path, **settings) as rig:
        async with rig.producing() as runner:
            await rig.until_ticks(SNAPSHOT + 2_000)
            rig.gateway.faults.start(fault, **parameters)
            if fault == "refuse" or parameters.get("stage") == "connection":
                rig.gateway.faults.start("fin")
            await rig.until(lambda: not rig.gateway.faults.active())
            await healed(rig)
            assert runner.status()["ready"]
        compared = rig.compare("mbo", FUTURES, "mbo")
        assert compared.captured > 3_000
        assert compared.is_equal, compared
        assert rig.tape.gaps() == []
        sessions = {frame.session for frame in rig.tape.of(STREAM, "mbo")}
        assert len(sessions) == 1 if fault == "slow-reader" else len(sessions) > 1


async def test_an_outage_beyond_what_is_resumed_leaves_a_gap_over_what_is_missing(
    bootstrap_servers: str, namespace: str, tmp_path: Path
) -> None:
    async with feed_rig(bootstrap_servers, tmp_path, resume_max_s=0.5) as rig:
        async with rig.producing():
            await rig.until_ticks(SNAPSHOT + 2_000)
            rig.gateway.faults.start("outage", seconds=1.5)
            await rig.until(lambda: not rig.gateway.faults.active())
            await healed(rig)
        compared = rig.compare("mbo", FUTURES, "mbo")
        [gap] = rig.tape.gaps()
        assert gap.state == "bounded"
        assert len(compared.lost) > 100
        assert (compared.doubled, compared.strangers, compared.in_order) == (0, 0, True)
        assert compared.covered_by([gap])
        assert [event.type for event in rig.tape.events() if event.type.startswith("gap")] == [
            "gap_opened",
            "gap_closed",
        ]
        # Live at once, with the books: the new session begins with a snapshot.
        first = next(frame for frame in rig.tape.of(STREAM, "mbo")[1:] if frame.frame == 0)
        assert first.columns["flags"][0] & 32
        assert first.resumes is None


async def test_a_replay_that_is_too_old_leaves_a_gap(bootstrap_servers: str, namespace: str, tmp_path: Path) -> None:
    async with feed_rig(bootstrap_servers, tmp_path) as rig:
        async with rig.producing():
            await rig.until_ticks(SNAPSHOT + 2_000)
            rig.gateway.faults.start("error", code=8)
            await healed(rig)
        compared = rig.compare("mbo", FUTURES, "mbo")
        [gap] = rig.tape.gaps()
        assert gap.state == "bounded"
        assert (compared.doubled, compared.strangers, compared.in_order) == (0, 0, True)
        assert compared.covered_by([gap])


async def test_a_replay_that_lacks_records_is_found_out(bootstrap_servers: str, namespace: str, tmp_path: Path) -> None:
    async with feed_rig(bootstrap_servers, tmp_path) as rig:
        async with rig.producing():
            await rig.until_ticks(SNAPSHOT + 2_000)
            rig.gateway.faults.start("lost-replay", count=5)
            rig.gateway.faults.start("rst")
            await rig.until_ticks(1_500)
            rig.gateway.faults.clear()
            await healed(rig)
        compared = rig.compare("mbo", FUTURES, "mbo")
        [gap] = rig.tape.gaps()
        assert gap.reason.startswith("count mismatch")
        assert (compared.doubled, compared.strangers, compared.in_order) == (0, 0, True)
        assert compared.covered_by([gap])


async def test_a_doubtful_book_is_told_anew_while_the_others_go_on(
    bootstrap_servers: str, namespace: str, tmp_path: Path
) -> None:
    async with feed_rig(bootstrap_servers, tmp_path) as rig:
        async with rig.producing():
            await rig.until_ticks(SNAPSHOT + 2_000)
            symbols = {listing.instrument_id: listing.raw_symbol for listing in rig.listed(FUTURES)}
            front = next(iter(symbols.values()))
            rig.gateway.faults.start("bad-book", symbol=front)
            await rig.until(lambda: any(event.type == "gap_closed" for event in rig.tape.events("gap_closed")))
            await healed(rig)
        compared = rig.compare("mbo", FUTURES, "mbo")
        [gap] = rig.tape.gaps()
        assert (gap.symbols, gap.reason, gap.state) == ((front,), "F_MAYBE_BAD_BOOK", "bounded")
        assert (compared.doubled, compared.strangers) == (0, 0)
        assert compared.covered_by([gap])
        assert {symbols[int(number)] for number in compared.lost["instrument_id"]} == {front}


@pytest.mark.parametrize("fault", ["auth-failure", "revoked-key", "unentitled"])
async def test_what_no_retry_mends_stops_the_line_and_says_so(
    bootstrap_servers: str, namespace: str, tmp_path: Path, fault: str
) -> None:
    async with feed_rig(bootstrap_servers, tmp_path) as rig:
        runner = rig.runner()
        running = asyncio.create_task(runner.run())
        if fault == "revoked-key":
            await rig.until_ticks(SNAPSHOT + 2_000)
        rig.gateway.faults.start(fault, seconds=60.0)
        if fault != "revoked-key":
            rig.gateway.faults.start("rst")
        await rig.until(running.done)
        with pytest.raises(Refused):
            await running
        assert not runner.status()["ready"]
        [stopped] = rig.tape.events("stopped")
    assert stopped.stream == STREAM
    assert "TAPELINE_DATABENTO_API_KEY" in stopped.reason
    assert "0123456789" not in stopped.reason


async def test_options_by_their_parents_resume_as_well(bootstrap_servers: str, namespace: str, tmp_path: Path) -> None:
    """The overlap of two seconds, on parents with hundreds of instruments, by quotes, trades and statistics."""
    parents = [f"Q{week}{day}.OPT" for week in range(1, 6) for day in "ABCD"] + [
        f"QN{week}.OPT" for week in range(1, 6)
    ]
    names = ",".join(["NQ.OPT", "QNE.OPT", *parents])
    options = OptionSettings(quotes_per_s=2_000.0, trades_per_s=40.0)
    subscriptions = f"mbp-1={names}; trades={names}; statistics={names}; mbo={FUTURES}"
    async with feed_rig(
        bootstrap_servers, tmp_path, records_per_s=500.0, options=options, subscriptions=subscriptions
    ) as rig:
        async with rig.producing():
            await rig.until(lambda: sum(rig.totals.ticks.values()) > 6_000)
            for _ in range(3):
                before = sum(rig.totals.ticks.values())
                rig.gateway.faults.start("outage", seconds=0.7)
                await rig.until(lambda: not rig.gateway.faults.active())
                await rig.until(lambda before=before: sum(rig.totals.ticks.values()) > before + 4_000)
            await rig.close_market()
            active = sorted({listing.parent for listing in _options(rig)})
            await rig.until_caught_up([("mbp-1", parent, "l1") for parent in active])
            await rig.until_caught_up([("mbo", FUTURES, "mbo")])
        assert rig.tape.gaps() == []
        assert rig.compare("mbo", FUTURES, "mbo").is_equal
        assert len(active) > 3
        for parent in active:
            quotes, trades = rig.compare("mbp-1", parent, "l1"), rig.compare("trades", parent, "trade")
            assert quotes.captured > 100
            assert quotes.is_equal, (parent, quotes)
            assert trades.is_equal, (parent, trades)


def _options(rig: FeedRig) -> list[Any]:
    every = rig.vendor.listings.resolve("raw_symbol", "ALL_SYMBOLS", time.time_ns())
    return [listing for listing in every if listing.instrument_class in "CP"]
