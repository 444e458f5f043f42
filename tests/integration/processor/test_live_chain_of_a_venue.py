"""From a venue's quotes through gateway, producer, Kafka and processor: chains and flow are what the venue did."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.integration.databento.feed_rig import FUTURES, feed_rig
from tests.integration.processor.tape import BEST, FLOW
from tests.integration.processor.venue_ledger import Traded, VenueLedger, Window
from tests.integration.processor.worker import Worker

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.log import Log
from tapeline.bus.topics import apply_topics, load_topics
from tapeline.model.chain_codec import decode_chain
from tapeline.model.chains import Chain, chain_key
from tapeline.model.windows import CLOSE_AFTER_NS
from tapeline_simulator.surface import at_the_money_volatility, option_values, volatility
from tapeline_simulator.venue import OptionSettings

TICKS, CHAINS = "md.ticks.databento.v1", "md.chains.databento.v1"
E9 = 10**9
YEAR_NS = 365 * 86_400 * E9
DEADLINE_S = 60.0
CHAINS_OF_EACH, WINDOWS = 2, 4
WINDOWS_MS = (1_000, 10_000, 60_000)
LASTING_NS = 6 * 3_600 * E9
"""Nearer to its expiry, a tick is much volatility."""
MOST_OFF = 0.003
"""How far a computed volatility may be off the surface within a deviation of the money (a fraction per root year).

The middle of a quote is at most half a spread beside the value; half a spread is 0.001 of volatility and two ticks.
"""
MOST_MEDIAN_OFF = 0.001
"""The same of their median, as quotes lie to both sides of their values."""
MOST_DELTA_OFF = 0.02
"""Of a lot: a window's trades may be valued by two chains, a second apart, of which its row names the newer."""

Rows = dict[Window, dict[str, Any]]


async def test_live_chains_and_flow_are_what_the_venue_lists_quotes_and_trades_on_its_true_surface(
    start: Callable[..., Worker], bootstrap_servers: str, namespace: str, tmp_path: Path
) -> None:
    apply_topics(bootstrap_servers, load_topics().values())
    # A calm future and eager market makers, so that no quote is far behind.
    options = OptionSettings(expiries=2, quotes_per_s=3_000.0, trades_per_s=30.0)
    async with feed_rig(bootstrap_servers, tmp_path, records_per_s=40.0, options=options) as rig:
        # Nobody quotes before the producer listens, so that no quote is from before.
        await rig.close_market()
        lasting = [each for each in rig.venue.view().series if each.expires_ns > time.time_ns() + LASTING_NS]
        keys = {chain_key(each.underlying, each.expires_ns): each for each in lasting}
        assert len(keys) >= 2
        parents = ",".join(dict.fromkeys(each.parent for each in rig.venue.view().series))
        rig.settings["subscriptions"] = f"statistics={parents}; mbp-1={FUTURES},{parents}; definition={parents}"
        worker = start(topics=TICKS, chain_hold_s=1)
        async with rig.producing() as runner:
            await rig.until(lambda: runner.status()["ready"])
            await asyncio.to_thread(worker.await_ready)
            rig.open_market()
            await until(lambda: is_enough(bootstrap_servers, keys), "chains and flow of every series")
            await rig.close_market()
            ledger = VenueLedger(rig)
            last = {key: ledger.last_quoted(series) for key, series in keys.items()}
            await until(
                lambda: {key: chain.as_of for key, chain in newest(bootstrap_servers).items() if key in keys} == last,
                "that the best chains have the last quotes",
            )
            traded = {
                window: sums
                for key, series in keys.items()
                for window, sums in ledger.traded(key, series, WINDOWS_MS).items()
            }
            closed = {window for window in traded if end_ns(window) + CLOSE_AFTER_NS <= last[window[0]]}
            await until(lambda: closed <= flow(bootstrap_servers).keys(), f"all of {len(closed)} windows")
        told = [chain for chain in chains(CHAINS, bootstrap_servers) if chain.key in keys]
        best = [chain for chain in chains(BEST, bootstrap_servers) if chain.key in keys]
        for chain in told + best:
            assert_is_the_venue(chain, ledger)
            assert_is_on_the_surface(chain, ledger)
        for chain in best:
            assert chain.selection is not None
            assert chain.verdict is not None
            assert (chain.selection.candidates[0].remark, chain.verdict.errors, chain.flags) == ("chosen", 0, ())
        assert any(chain.underlying_price for chain in best)
        rows = {window: row for window, row in flow(bootstrap_servers).items() if window[0] in keys}
    assert len(closed) > 2 * WINDOWS
    for window, row in rows.items():
        assert_is_what_was_traded(row, traded[window])
        assert row["chain_as_of"] is None or int(row["chain_as_of"]) < end_ns(window)
    assert sum(are_valued_by(row, told) for row in rows.values()) >= WINDOWS


def assert_is_the_venue(chain: Chain, ledger: VenueLedger) -> None:
    """Hold a chain's contracts against the listing, and what it shows of them against what the vendor captured."""
    contracts, series = chain.contracts, ledger.series[chain.expiry]
    listed = ledger.contracts(series)
    assert (chain.source, chain.underlying, chain.series, chain.mode) == (
        "databento",
        series.underlying,
        series.root,
        "live",
    )
    assert (chain.complete, chain.expected, chain.expected_from) == (True, len(listed), "definitions")
    keys = list(zip(contracts.strike.tolist(), contracts.is_call.tolist(), strict=True))
    assert sorted(keys) == sorted(listed)
    for key, symbol in zip(keys, contracts.vendor_symbols, strict=True):
        assert ledger.numbers[symbol] == listed[key].instrument_id
    yesterday = [listed[key].yesterday for key in keys]
    assert contracts.integers("settlement").tolist() == [each.settlement_e9 for each in yesterday]
    assert contracts.integers("open_interest").tolist() == [each.open_interest for each in yesterday]
    columns = [contracts.integers(name).tolist() for name in ("bid", "ask", "bid_size", "ask_size", "quote_at")]
    for symbol, *shown in zip(contracts.vendor_symbols, *columns, strict=True):
        assert tuple(shown) == ledger.quote(symbol, chain.as_of), (chain.key, symbol)
    if chain.underlying_price is not None:
        price = chain.underlying_price
        bid, ask, *_ = ledger.quote(chain.underlying, (price.at or 0) - 1)
        assert bid <= price.value <= ask


def assert_is_on_the_surface(chain: Chain, ledger: VenueLedger) -> None:
    """Hold a chain's prices against the values, and its volatilities against those, that the quotes were made from."""
    contracts, count = chain.contracts, len(chain.contracts)
    bid, ask, *_ = ledger.quote(chain.underlying, chain.as_of)
    future, strikes = (bid + ask) / 2e9, contracts.strike / 1e9
    years = np.full(count, (chain.expiry - chain.as_of) / YEAR_NS)
    values, _ = option_values(np.full(count, future), strikes, years, contracts.is_call)
    bids, asks = contracts.points("bid"), contracts.points("ask")
    is_quoted = ~np.isnan(bids) & ~np.isnan(asks)
    beside = (np.abs((bids + asks) / 2 - values) / ((asks - bids) / 2))[is_quoted]
    assert len(beside) > count / 2
    # A quote may be a moment older than the future's.
    assert np.quantile(beside, 0.9) <= 1.0, (chain.key, beside)
    assert beside.max() <= 2.0, (chain.key, beside.max())
    assert chain.forward is not None
    assert (chain.forward.source, chain.rate) == ("parity", 0.04)
    assert abs(chain.forward.value - future) < 2.0, (chain.key, chain.forward, future)
    distance = np.log(strikes / future) / (at_the_money_volatility(years) * np.sqrt(years))
    # Of strikes in the money the volatility is that of the other right, which is out of it.
    near = is_quoted & (np.abs(distance) <= 1.0) & ((strikes >= future) == contracts.is_call)
    assert near.sum() >= 10
    off = (contracts.columns["iv_mid"] - volatility(np.log(strikes / future), years))[near]
    assert np.abs(off).max() <= MOST_OFF, (chain.key, off)
    assert abs(np.median(off)) <= MOST_MEDIAN_OFF, (chain.key, off)


def assert_is_what_was_traded(row: dict[str, Any], traded: Traded) -> None:
    """Hold a row of option flow against a recount of the vendor's trades."""
    assert (row["kind"], row["trade_valid"], row["late_count"], row["reasons"]) == ("l1", True, 0, [])
    for right, is_call in (("call", True), ("put", False)):
        assert row[f"{right}_unsigned_volume"] == 0
        for side, is_sold in (("buy", False), ("sell", True)):
            assert row[f"{right}_{side}_volume"] == traded.volume(is_call=is_call, is_sold=is_sold)
        premium = row[f"premium_{right}"]
        assert premium == (pytest.approx(traded.premiums[is_call]) if is_call in traded.premiums else None)
    assert row["user_defined_volume"] == traded.of_spreads
    strikes = {
        (round(each["strike"] * E9), each["right"] == "call"): [each["buy_volume"], each["sell_volume"]]
        for each in row["strikes"]
    }
    assert strikes == traded.lots


def are_valued_by(row: dict[str, Any], told: list[Chain]) -> bool:
    """Return whether a row's trades are valued, all of them; hold them against the chain that the row names."""
    if row["chain_as_of"] is None or row["delta_missing_volume"]:
        return False
    (chain,) = (each for each in told if (each.key, str(each.as_of)) == (row["key"], row["chain_as_of"]))
    contracts = chain.contracts
    deltas = {
        (strike, is_call): delta
        for strike, is_call, delta in zip(
            (contracts.strike / 1e9).tolist(),
            contracts.is_call.tolist(),
            contracts.columns["delta"].tolist(),
            strict=True,
        )
    }
    flow = lots = 0.0
    for each in row["strikes"]:
        flow += (each["buy_volume"] - each["sell_volume"]) * deltas[each["strike"], each["right"] == "call"]
        lots += each["buy_volume"] + each["sell_volume"]
    assert abs(row["delta_flow"] - flow) <= MOST_DELTA_OFF * lots
    return True


def end_ns(window: Window) -> int:
    _, length_ms, start = window
    return start + length_ms * 1_000_000


def is_enough(servers: str, keys: dict[str, Any]) -> bool:
    told = Counter(chain.key for chain in chains(BEST, servers) if chain.underlying_price)
    valued = [window for window, row in flow(servers).items() if window[0] in keys and row["delta_flow"] is not None]
    return all(told[key] >= CHAINS_OF_EACH for key in keys) and len(valued) >= 2 * WINDOWS


def chains(topic: str, servers: str) -> list[Chain]:
    """Return the chains on a topic, per key in their order."""
    return [decode_chain(value) for value in values(topic, servers)]


def newest(servers: str) -> dict[str, Chain]:
    """Return the newest best chain of each key."""
    return {chain.key: chain for chain in chains(BEST, servers)}


def flow(servers: str) -> Rows:
    """Return the rows of option flow, each with what its message says of all; each window has one."""
    found: Rows = {}
    for value in values(FLOW, servers):
        message = json.loads(value)
        for row in message["rows"]:
            window = (message["key"], row["window_ms"], int(row["window_start"]))
            assert window not in found
            found[window] = message | row
    return found


def values(topic: str, servers: str) -> Iterator[bytes]:
    with Log(servers, "tapeline-test") as log:
        name = namespaced(topic)
        for partition in range(log.partitions(name)):
            for message in log.read(name, partition, *log.bounds(name, partition)):
                yield message.value() or b""


async def until(holds: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not await asyncio.to_thread(holds):
        if time.monotonic() > deadline_s:
            pytest.fail(f"waited in vain for {what}")
        await asyncio.sleep(0.5)
