"""What is answered about lag, and that an old sample is not passed off as what is now."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession
from tests.unit.watchdog.clusters import TICKS, Watched, cluster, group

from tapeline.ops.health import HealthEndpoint
from tapeline_watchdog.lag_pages import LagPages
from tapeline_watchdog.settings import WatchdogSettings
from tapeline_watchdog.watching import LagWatch

SERVERS = "127.0.0.1:1"


class Pages:
    """A watchdog's pages after its first sample, at a time of one's choosing."""

    def __init__(self) -> None:
        self.now_s = 0.0
        settings = WatchdogSettings(interval_s=10.0, timeout_s=5.0)
        watch = LagWatch(settings, SERVERS, clock=lambda: self.now_s)
        watch.report = Watched().sample(cluster({(TICKS, 0): 9}, group("g", {(TICKS, 0): 9})))
        self.routes = LagPages(watch, settings, SERVERS).routes()
        self.url = ""

    async def get(self, path: str) -> tuple[int, dict[str, Any]]:
        async with ClientSession() as http, http.get(f"{self.url}{path}") as answer:
            return answer.status, await answer.json()


@pytest.fixture
async def pages() -> AsyncIterator[Pages]:
    found = Pages()
    async with HealthEndpoint(dict, port=0, routes=found.routes) as endpoint:
        found.url = endpoint.url
        yield found


async def test_a_sample_that_is_too_old_is_told_as_that_and_has_no_groups_for_burrow(pages: Pages) -> None:
    status = "/v3/kafka/local/consumer/g/status"
    assert (await pages.get("/v1/lag"))[1]["fresh"] is True
    assert (await pages.get(status))[1]["status"]["status"] == "OK"
    pages.now_s = 1_000.0
    code, document = await pages.get("/v1/lag")
    assert (code, document["fresh"], [each["group"] for each in document["groups"]]) == (200, False, ["g"])
    code, document = await pages.get(status)
    assert (code, document["status"]["status"]) == (404, "NOTFOUND")
    gone = ("consumer", "consumer/g", "topic", f"topic/{TICKS}", f"topic/{TICKS}/consumers")
    assert [(await pages.get(f"/v3/kafka/local/{path}"))[0] for path in gone] == [404] * 5
    assert (await pages.get("/v3/kafka"))[1]["clusters"] == ["local"]


async def test_the_cluster_has_burrows_shape(pages: Pages) -> None:
    code, document = await pages.get("/v3/kafka/local")
    module = document.pop("module")
    assert (code, document["error"], document["message"]) == (200, False, "cluster module detail returned")
    assert module == {
        "class-name": "kafka",
        "servers": [SERVERS],
        "client-profile": {
            "name": "",
            "client-id": "tapeline-watchdog",
            "kafka-version": "",
            "tls": None,
            "sasl": None,
        },
        "topic-refresh": 10,
        "offset-refresh": 10,
    }
    # Burrow's are integers, and its clients' decoders take no others.
    assert [type(module[name]) for name in ("topic-refresh", "offset-refresh")] == [int, int]
    assert (await pages.get("/v3/kafka/elsewhere"))[0] == 404
