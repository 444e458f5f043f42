"""`tapeline tail` as a user runs it, over a tape with a few seconds of the synthetic market."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

import tapeline
from tapeline.bus.bootstrap import namespaced
from tapeline.bus.publisher import Publisher
from tapeline.bus.topics import apply_topics, load_topics
from tapeline.model.frames import TickFrame
from tapeline.orderflow.partition import PartitionState
from tapeline.orderflow.sessions import Sessions

STREAM = "TAPELINE.SIM/NQ.FUT"
GOLDEN = Path(__file__).parents[3] / "schemas" / "golden"


def run(*arguments: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tapeline_cli", *arguments]
    return subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=timeout_s)


def documents(what: str, *options: str) -> list[dict[str, Any]]:
    ended = run("tail", what, "--once", "--json", *options)
    assert ended.returncode == 0, ended.stderr
    return [orjson.loads(line) for line in ended.stdout.splitlines()]


@pytest.fixture
def tape(bootstrap_servers: str, namespace: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", bootstrap_servers)
    apply_topics(bootstrap_servers, load_topics().values())
    market = str(tmp_path / "market.dbn")
    options = ["--seconds", "3", "--speed", "max", "--symbols", "NQZ6,NQH7", "--start", "2026-11-23T15:00:00"]
    assert run("simulate", "market", *options, "-o", market).returncode == 0
    replayed = run("replay", market, "--stream", STREAM, "--json")
    assert replayed.returncode == 0, replayed.stderr
    asyncio.run(publish_rows(bootstrap_servers))


async def publish_rows(bootstrap: str) -> None:
    state = PartitionState(Sessions.always())
    publisher = Publisher(bootstrap, "test")
    with tapeline.consume("md.ticks.saved.v1", start="earliest", follow=False, bootstrap=bootstrap) as frames:
        for frame in frames:
            assert isinstance(frame, TickFrame)
            for message in state.apply(frame):
                await publisher.publish(namespaced("md.pressure.v1"), message.key, message.value)
    assert await publisher.close(30) == 0


@pytest.mark.usefixtures("tape")
def test_json_is_one_object_per_tick_row_and_event() -> None:
    ticks = documents("ticks")
    assert len(ticks) > 1_000
    assert {(tick["source"], tick["stream"], tick["kind"], tick["origin"]) for tick in ticks} == {
        ("saved", STREAM, "mbo", "saved")
    }
    assert {tick["symbol"] for tick in ticks} == {"NQZ6", "NQH7"}

    only = [
        orjson.loads(line) for line in run("tail", "ticks", "--once", "--json", "--symbol", "NQH7").stdout.splitlines()
    ]
    assert only == [tick for tick in ticks if tick["symbol"] == "NQH7"]

    rows = documents("pressure")
    assert {row["window_ms"] for row in rows} == {100, 1_000, 10_000, 60_000}
    assert {row["symbol"] for row in rows} == {"NQZ6", "NQH7"}
    only = [
        orjson.loads(line)
        for line in run("tail", "pressure", "--once", "--json", "--symbol", "NQZ6").stdout.splitlines()
    ]
    assert only == [row for row in rows if row["symbol"] == "NQZ6"]

    events = documents("events")
    assert [event["type"] for event in events] == ["connected", "heartbeat", "disconnected"]
    assert documents("events", "--stream", "another") == []


@pytest.mark.usefixtures("tape")
def test_without_a_terminal_the_tables_are_printed() -> None:
    ticks = run("tail", "ticks", "--once").stdout
    assert "NQZ6" in ticks
    assert "mbo" in ticks
    pressure = run("tail", "pressure", "--once", "--symbol", "NQZ6").stdout
    assert "NQZ6" in pressure
    assert "0.1 s" in pressure
    assert "NQH7" not in pressure
    events = run("tail", "events", "--once").stdout.splitlines()
    assert [STREAM in line for line in events] == [True] * 3
    assert events[-1].endswith("disconnected end of data")
    told = run("tail", "events", "--once", "--no-heartbeats").stdout.splitlines()
    assert [line.split()[4] for line in told] == ["connected", "disconnected"]


def test_instruments_and_quality_are_shown(
    bootstrap_servers: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", bootstrap_servers)
    apply_topics(bootstrap_servers, load_topics().values())
    asyncio.run(publish_golden(bootstrap_servers, "md.instruments.v1", "instrument.v1.*.json"))
    asyncio.run(publish_golden(bootstrap_servers, "md.quality.v1", "quality.v1.*.json"))

    assert {each["raw_symbol"] for each in documents("instruments")} == {"NQZ6", "Q4BX6 C25100", "UD:1V: VT 2805719"}
    assert [each["raw_symbol"] for each in documents("instruments", "--parent", "NQ.FUT")] == ["NQZ6"]
    assert [each["strike"] for each in documents("instruments", "--symbol", "Q4BX6 C25100")] == [25_100_000_000_000]
    assert "Q4BX6 C25100: european call at 25,100" in run("tail", "instruments", "--once").stdout
    assert {each["type"] for each in documents("quality")} == {"contract_completeness", "chain_check", "tick_quality"}
    assert documents("quality", "--stream", "GLBX.MDP3/NQ.OPT") == []
    shown = run("tail", "quality", "--once").stdout
    assert "410 of 412 contracts have quoted" in shown
    assert "34_vertical warning" in shown


async def publish_golden(bootstrap: str, topic: str, files: str) -> None:
    publisher = Publisher(bootstrap, "test")
    for path in GOLDEN.glob(files):
        await publisher.publish(namespaced(topic), path.stem, path.read_bytes())
    assert await publisher.close(30) == 0


def test_missing_topics_are_told_with_the_remedy(
    bootstrap_servers: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", bootstrap_servers)
    ended = run("tail", "pressure", "--once")
    assert ended.returncode == 1
    assert "run `tapeline topics apply`" in ended.stderr
    assert "Traceback" not in ended.stderr
