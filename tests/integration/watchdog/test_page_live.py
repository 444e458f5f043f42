"""The page of a watchdog as users run it, on a real Kafka, in a real Chromium."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from playwright.sync_api import Page, expect, sync_playwright
from tests.integration.bus.cluster import Cluster
from tests.integration.watchdog.process import Watchdog, until
from tests.integration.watchdog.scripted_page import S, chain_document, flow_message, pressure_message
from tests.unit.watchdog.feeding import beat, told

from tapeline.feed.claims import EVENTS_TOPIC
from tapeline.model.events import encode_event
from tapeline_watchdog.feeds import FeedKey
from tapeline_watchdog.web.market_watching import MOST_SYMBOLS

LIVE: Final = FeedKey("databento", "SIMX.SYNTH/NQ.FUT", "mbo")
DEADLINE_MS: Final = 60_000


@pytest.fixture
def cluster(bootstrap_servers: str, namespace: str) -> Iterator[Cluster]:
    with closing(Cluster(bootstrap_servers, namespace)) as cluster:
        yield cluster


@pytest.fixture
def page(chromium: Path) -> Iterator[Page]:
    expect.set_options(timeout=DEADLINE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser.new_page()
        browser.close()


def test_live_data_reach_the_page_and_a_killed_watchdog_comes_back(
    cluster: Cluster, page: Page, tmp_path: Path
) -> None:
    producer = cluster.producer()
    names = ("md.pressure.v1", "md.chains.v1", "md.option-flow.v1", EVENTS_TOPIC)
    pressure, chains, flows, feed_events = (cluster.topic(name) for name in names)

    def put(topic: str, document: dict[str, Any] | bytes) -> None:
        producer.produce(topic, document if isinstance(document, bytes) else orjson.dumps(document))
        assert producer.flush(30) == 0

    at_ns = time.time_ns()
    chain = chain_document("NQZ6", at_ns, (at_ns // (3_600 * S) + 7) * 3_600 * S, 25_012.5)
    put(pressure, pressure_message("NQZ6", at_ns - 5 * S, 25_012.25))
    put(pressure, b"no row")
    put(chains, chain)
    put(flows, flow_message(chain, at_ns))
    put(feed_events, encode_event(told("connected", LIVE, at_ns)))
    cluster.commit("behind", pressure, 0, 1)

    def beating() -> list[dict[str, Any]]:
        put(feed_events, encode_event(beat(LIVE, time.time_ns(), 10)))
        found: list[dict[str, Any]] = watchdog.json("/v1/feeds").get("feeds", [])
        return found

    with Watchdog(tmp_path, cluster.address) as watchdog:
        port = int(watchdog.url.rpartition(":")[2])
        until(beating, lambda feeds: [feed["state"] for feed in feeds] == ["LIVE"])
        assert "tapeline_watchdog_page_clients 0.0" in watchdog.get("/metrics")[1].decode()
        page.goto(watchdog.url)
        expect(page.locator("#feeds-table tbody tr")).to_contain_text("SIMX.SYNTH/NQ.FUT")
        expect(page.locator("article[data-symbol=NQZ6]")).to_be_visible()
        expect(page.locator("#chain-facts")).to_contain_text("forward 25,012.50 by parity")
        expect(page.locator("#chain-table tbody tr")).to_have_count(25)
        expect(page.locator("#flow-table tbody tr")).to_have_count(3)
        lag = until(lambda: watchdog.json("/v1/lag")["groups"], bool)
        assert (lag[0]["group"], lag[0]["messages"]) == (cluster.name("behind"), 1)
        line = page.locator("#lag-table tbody tr").first
        expect(line).to_contain_text(cluster.name("behind"))
        expect(line.locator("td").nth(1)).to_have_text("1")

        newest = pressure_message("NQZ6", time.time_ns(), 0.0, windows=1)
        newest["rows"][0]["weighted_mid"] = 25_123_456_789_012
        put(pressure, newest)
        expect(page.locator("article[data-symbol=NQZ6] dd").first).to_have_text("25,123.456789012")
        metrics = watchdog.get("/metrics")[1].decode()
        assert "tapeline_watchdog_page_clients 1.0" in metrics
        assert 'tapeline_watchdog_bad_page_messages_total{topic="md.pressure.v1"} 1.0' in metrics
        watchdog.process.kill()
        expect(page.locator("body")).to_have_attribute("data-link", "lost")
        expect(page.locator("#pressure")).to_have_class("stale")
        watchdog.process.wait(10)
    with Watchdog(tmp_path, cluster.address, health_port=port) as watchdog:
        put(pressure, pressure_message("NQH7", time.time_ns(), 25_241.0, windows=3))
        expect(page.locator("body")).to_have_attribute("data-link", "live")
        expect(page.locator("article[data-symbol=NQH7]")).to_be_visible()
        until(beating, lambda feeds: [feed["state"] for feed in feeds] == ["LIVE"])
        crowd = pressure_message("S", time.time_ns(), 100.0, windows=1)
        crowd["rows"] = [crowd["rows"][0] | {"symbol": f"S{number}"} for number in range(MOST_SYMBOLS)]
        put(pressure, crowd)
        # One less where this took so long that the first one gave way.
        expect(page.locator("#pressure-more")).to_have_text(re.compile("^[12] more are not shown$"))
        expect(page.locator("article")).to_have_count(MOST_SYMBOLS)
        # A browser that looks on does not keep it from ending.
        began_s = time.monotonic()
        watchdog.terminate()
        assert time.monotonic() - began_s < 20.0
