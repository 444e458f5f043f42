"""Bad data that the processor sets aside is one incident, whoever watches; that of yesterday is none."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest
from tests.integration.bus.cluster import Cluster
from tests.integration.watchdog.process import Watchdog, until

from tapeline.bus.publisher import Publisher
from tapeline.errors import BadData
from tapeline.model.incidents import TOPIC
from tapeline_processor import dead_letters

PAYLOAD: Final = b"payload-of-nobody's-business"
TICKS: Final = "md.ticks.saved.v1"


@pytest.fixture
def cluster(bootstrap_servers: str, namespace: str) -> Iterator[Cluster]:
    with closing(Cluster(bootstrap_servers, namespace)) as cluster:
        yield cluster


def test_letters_are_one_incident_over_restarts_and_yesterdays_are_none(cluster: Cluster, tmp_path: Path) -> None:
    cluster.topic(TOPIC)
    letters, producer = cluster.topic(dead_letters.TOPIC), cluster.producer()

    def watch(name: str) -> Watchdog:
        (tmp_path / name).mkdir()
        return Watchdog(tmp_path / name, cluster.address)

    async def set_aside(offset: int, error: BadData) -> None:
        publisher = Publisher(cluster.address, "test")
        await dead_letters.DeadLetters(publisher).set_aside(
            cluster.name(TICKS), 0, offset, key=b"k", value=PAYLOAD, error=error
        )
        assert await publisher.close(30) == 0

    def incidents(watchdog: Watchdog) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = watchdog.json("/v1/incidents").get("incidents", [])
        return found

    yesterday_ms = round((time.time() - 86_400) * 1_000)
    producer.produce(letters, PAYLOAD, headers=[("service", b"tapeline-saved")], timestamp=yesterday_ms)
    assert producer.flush(30) == 0
    with watch("one") as one:
        until(lambda: one.json("/v1/incidents"), lambda found: found.get("incidents") == [])
        for offset in (41, 42):
            asyncio.run(set_aside(offset, BadData("columns.price", "must be finite")))
        [opened] = until(lambda: incidents(one), lambda found: len(found) == 1)
        assert (opened["type"], opened["state"], opened["severity"]) == ("dead_letters", "open", "warning")
        assert opened["subject"] == f"topic/{cluster.name(TICKS)}"
        one.terminate()
    with watch("next") as watchdog:
        asyncio.run(set_aside(43, BadData("schema", "must be ticks.v1")))
        news = "schema: must be ticks.v1 (1 in all)"
        [still] = until(lambda: incidents(watchdog), lambda found: any(news in each["evidence"] for each in found))
        assert (still["id"], still["state"], still["flaps"]) == (opened["id"], "open", 0)
        assert f"last: {cluster.name(TICKS)}[0] at offset 43" in still["evidence"]
        assert still["evidence"][0] == f"letters: 3, offsets 1 to 3 of {letters}, by tapeline-processor"
        watchdog.terminate()
    written = "".join(path.read_text() for path in tmp_path.rglob("watchdog.log")) + str(still)
    assert PAYLOAD.decode() not in written
