"""Live chains from definitions and quotes, and the best chain of each key over sources, faults and workers."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise

import numpy as np
from tests.integration.processor.option_market import FUTURE, STRIKES, OptionMarket
from tests.integration.processor.tape import DEAD_LETTERS, EVENTS, QUALITY, Tape
from tests.integration.processor.worker import SESSION_TIMEOUT_S, Worker, await_partitions, await_split

from tapeline.model.chain_quality import decode_chain_quality
from tapeline.model.chains import Chain
from tapeline.model.events import decode_event

MakeTape = Callable[[int], Tape]
Start = Callable[..., Worker]


def test_the_best_chain_follows_the_sources(make_tape: MakeTape, start: Start) -> None:
    market = OptionMarket(make_tape(3))
    market.define()
    worker = start(chain_max_age_s="live=60,databento/live=4,cache=600,saved=600", chain_hold_s=2)
    worker.await_ready()
    (key,) = market.keys()
    with market.quoting():
        best = market.await_best("databento/live", [key])[key]
        assert_whole(best)
        market.put_chain(market.vendor_chain())
        market.tape.put_raw(b"no chain", partition=0, topic="md.chains.barchart.v1")
        deadline_s = time.monotonic() + 30
        while candidates(market) != [("databento", "chosen"), ("barchart", "")]:
            assert time.monotonic() < deadline_s, candidates(market)
            time.sleep(0.2)
        price = market.chains()[-1].underlying_price
    assert price is not None
    assert (price.value, price.source) == (FUTURE * 1e9, "quote")
    polled = market.await_best("barchart/live", [key])[key]
    assert (polled.computed, polled.forward is not None, polled.verdict is not None) == (best.computed, True, True)
    assert polled.selection is not None
    assert "at most 4 s" in polled.selection.candidates[0].remark
    with market.quoting():
        market.await_best("databento/live", [key])
    assert changes(market.tape) == [
        ("none", "databento/live"),
        ("databento/live", "barchart/live"),
        ("barchart/live", "databento/live"),
    ]
    facts = worker.await_ready()
    assert (facts["definitions"], facts["chains_judged"]) == (2 * len(STRIKES), 1)
    told = [message.value() or b"" for message in market.tape.read(QUALITY)]
    # What the rules find in the ticks is told there as well.
    checks = [decode_chain_quality(value) for value in told if b'"chain_check"' in value]
    assert {check.source for check in checks} == {"databento", "barchart"}
    (letter,) = market.tape.read(DEAD_LETTERS)
    assert (letter.value(), dict(letter.headers() or ())["service"]) == (b"no chain", b"tapeline-processor")
    assert_told_well(market.chains())


def test_workers_share_the_keys_and_one_takes_over_from_another(make_tape: MakeTape, start: Start) -> None:
    market = OptionMarket(make_tape(4), expiries=4)
    market.define()
    settings = {"chain_max_age_s": "live=60,databento/live=30,cache=600,saved=600", "checkpoint_interval_s": 0.4}
    with market.quoting():
        first, second = start(**settings), start(**settings)
        await_split(first, second)
        before = market.await_best("databento/live", market.keys())
        shares = [worker.await_ready()["chains_judged"] for worker in (first, second)]
        assert sum(shares) == 4
        first.kill()
        await_partitions(second, 4, timeout_s=SESSION_TIMEOUT_S + 30)
        restored_ns = time.time_ns()
        deadline_s = time.monotonic() + 30
        while (oldest := min(each.published_at for each in market.newest().values())) < restored_ns:
            assert time.monotonic() < deadline_s, f"no chain since {restored_ns - oldest} ns before"
            time.sleep(0.2)
    after = market.newest()
    for key, chain in before.items():
        assert_whole(after[key])
        assert chain.selection is not None
        assert after[key].selection.since == chain.selection.since  # type: ignore[union-attr]
    assert changes(market.tape) == [("none", "databento/live")] * 4
    assert_told_well(market.chains())


def assert_whole(best: Chain) -> None:
    contracts = best.contracts
    assert (best.expected, best.expected_from, best.complete) == (len(contracts), "definitions", True)
    assert len(contracts) == 2 * len(STRIKES)
    assert best.forward is not None
    assert abs(best.forward.value - FUTURE) < 1.0
    assert best.rate == 0.04
    near = np.abs(contracts.strike / 1e9 - FUTURE) <= 200
    assert contracts.known("iv_mid")[near].all()
    assert best.verdict is not None
    assert best.verdict.errors == 0
    assert best.selection is not None
    assert best.selection.reason == "databento/live is the only eligible source"


def candidates(market: OptionMarket) -> list[tuple[str, str]]:
    """Return the candidates of the newest best chain, with their remark where it is that they were chosen."""
    selection = market.chains()[-1].selection
    assert selection is not None
    return [(each.source, each.remark if each.remark == "chosen" else "") for each in selection.candidates]


def changes(tape: Tape) -> list[tuple[str, str]]:
    events = [decode_event(message.value() or b"") for message in tape.read(EVENTS)]
    return [(event.was, event.now) for event in events if event.type == "source_changed"]


def assert_told_well(chains: list[Chain]) -> None:
    """Hold best chains to at most one a second and key, none told twice, none going back within a source."""
    by_key: dict[str, list[Chain]] = defaultdict(list)
    for chain in chains:
        by_key[chain.key].append(chain)
    for of_key in by_key.values():
        for one, next_one in pairwise(of_key):
            assert next_one.published_at - one.published_at > 0.9e9
            if one.source == next_one.source:
                assert next_one.as_of > one.as_of or next_one.flags != one.flags
