"""The bill on a real Kafka: the watchdog and `tapeline costs` tell the same of it, rows that were replaced once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.integration.bus.cluster import Cluster
from tests.integration.watchdog.hooks import Hooks
from tests.integration.watchdog.process import Watchdog, until
from tests.unit.feed.bills import MBO, USD, metered, the_month

from tapeline.feed.cost_documents import costs_document
from tapeline.feed.cost_settings import CostSettings
from tapeline.feed.costs import cost_report, moment_of
from tapeline.feed.prices import dollars
from tapeline.feed.savings import find_savings
from tapeline.model.backfill import EVENTS_TOPIC
from tapeline.model.incidents import TOPIC as INCIDENTS_TOPIC
from tapeline.model.usage import TOPIC, Usage, day_of, encode_usage

MONTH = "2025-11"  # over, whenever the test runs
SETTINGS = {
    "MONTHLY_BUDGET_USD": "200",
    "SOURCE_BUDGETS_USD": "databento=260",
    "STREAMED": "barchart/barchart/quotes=GLBX.MDP3",
    "CHEAPER_SCHEMAS": f"databento/{MBO}=trades",
    "CHEAPER_SOURCES": "databento/GLBX.MDP3/statistics=barchart",
    "PLANS": "barchart/Basic=8: option-chain, statistics",
}


@pytest.fixture
def cluster(bootstrap_servers: str, namespace: str) -> Iterator[Cluster]:
    with closing(Cluster(bootstrap_servers, namespace)) as cluster:
        yield cluster


def costs(cluster: Cluster, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tapeline_cli", "costs", *arguments]
    environment = os.environ | {"KAFKA_BOOTSTRAP_SERVERS": cluster.address}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_the_bill_is_told_by_the_command_and_by_the_watchdog(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(f"TAPELINE_COSTS_{name}", value)
    monkeypatch.setenv("TAPELINE_COSTS_INTERVAL_S", "0.1")
    monkeypatch.chdir(tmp_path)
    missing = costs(cluster)
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "there is no topic" in missing.stderr

    topic, events, producer = cluster.topic(TOPIC), cluster.topic(EVENTS_TOPIC), cluster.producer()
    cluster.topic(INCIDENTS_TOPIC)

    def put(usage: Usage) -> None:
        producer.produce(topic, encode_usage(usage), usage.key)

    usages, bought = the_month(MONTH)
    settings = CostSettings.load()
    at_ns = moment_of(MONTH, time.time_ns())
    savings = find_savings(usages, bought, settings.choices(), at_ns)
    put(replace(usages[0], fee_micro_usd_per_month=999 * USD))  # replaced by the row of the same key that follows
    producer.produce(topic, b"no row", "x")
    for usage in usages:
        put(usage)
    for event in bought:
        producer.produce(events, event.encode(), event.key)
    assert producer.flush(30) == 0

    told = costs(cluster, "--month", MONTH, "--json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout) == costs_document(cost_report(usages, settings.budgets(), at_ns), savings)
    assert savings.total_micro_usd > 80 * USD
    shown = costs(cluster, "--month", MONTH, "--advice").stdout
    assert f"$280.00 would have been {dollars(280 * USD - savings.total_micro_usd)}" in shown
    assert f"costs of {MONTH}" in shown

    def of_watchdog() -> dict[str, Any]:
        return watchdog.json("/v1/costs")

    with Hooks() as hooks, Watchdog(tmp_path, cluster.address, webhook_urls=hooks.url) as watchdog:
        now = until(of_watchdog, lambda found: "lines" in found)
        assert now["fresh"] is True
        at_ns = int(now["at"])
        assert (now["month"], now["total_usd"]) == (day_of(at_ns)[:7], 0.0)
        # Use of this month: the watchdog hears of it, and of the row that replaces it.
        day = f"{now['month']}-01"
        put(metered(day, MBO, 3 * USD, USD, source="other"))
        producer.flush(30)
        until(of_watchdog, lambda found: round(found["total_usd"] * USD) == 3 * USD)
        put(metered(day, MBO, 170 * USD, USD, source="other"))
        producer.flush(30)
        until(hooks.events, lambda told: told == ["incident_opened"])
        put(metered(day, MBO, 300 * USD, USD, source="other"))
        producer.flush(30)
        found = until(of_watchdog, lambda found: round(found["total_usd"] * USD) == 300 * USD)
        assert {"all"} <= {warning["scope"] for warning in found["warnings"]}
        gauge = 'tapeline_cost_month_usd{line="metered",notional="false",source="other"} 300.0'
        until(lambda: watchdog.get("/metrics")[1].decode(), lambda text: gauge in text)
        incidents = until(
            lambda: watchdog.json("/v1/incidents").get("incidents"),
            lambda found: bool(found) and found[0]["severity"] == "critical",
        )
        assert [(each["type"], each["subject"], each["state"]) for each in incidents] == [
            ("budget", f"budget/all/{now['month']}", "open")
        ]
        assert "100 % of the budget of the month ($200.00) are spent: $300.00" in incidents[0]["summary"]
        # Who was told of 80 % is told of 100 % as well.
        until(hooks.events, lambda told: told == ["incident_opened", "incident_worsened"])
        assert [body["incident"]["severity"] for _, body in hooks.calls] == ["warning", "critical"]
        assert hooks.calls[-1][1]["text"].startswith("Worse now, CRITICAL: ")
        assert len({headers["Idempotency-Key"] for headers in hooks.headers}) == 2
        watchdog.terminate()
