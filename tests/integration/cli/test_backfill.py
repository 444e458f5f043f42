"""`tapeline backfill` and `tapeline gaps` as a user runs them, against a real Kafka; the test plays the service."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from typing import Any, Final

import orjson
import pytest
from typer.testing import CliRunner

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.publisher import Publisher
from tapeline.bus.topics import apply_topics, load_topics
from tapeline.errors import BrokerUnavailable
from tapeline.model.backfill import EVENTS_TOPIC, REQUESTS_TOPIC, BackfillEvent, BackfillRequest
from tapeline.model.control import ControlDocument
from tapeline.model.coverage import TOPIC, Coverage, MissingInterval
from tapeline_cli.main import app

TAPELINE: Final = [sys.executable, "-m", "tapeline_cli"]
WINDOW: Final = ("--from", "2026-11-20T15:00", "--to", "2026-11-20T15:05")


@pytest.fixture
def broker(bootstrap_servers: str, namespace: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", bootstrap_servers)
    declared = load_topics()
    apply_topics(bootstrap_servers, [declared[name] for name in (REQUESTS_TOPIC, EVENTS_TOPIC, TOPIC)])
    return bootstrap_servers


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*TAPELINE, *arguments], env=os.environ, capture_output=True, text=True, timeout=60)


def said(*arguments: str) -> list[str]:
    """Return the lines of a command that ends well; within this process, which is quicker."""
    ended = CliRunner().invoke(app, arguments)
    assert ended.exit_code == 0, ended
    return ended.stdout.splitlines()


def documents(*arguments: str) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in said(*arguments, "--json")]


def put(servers: str, topic: str, key: str, document: ControlDocument) -> None:
    async def publish() -> None:
        publisher = Publisher(servers, "test")
        await publisher.deliver(namespaced(topic), key, document.encode(), 30)
        assert await publisher.close(30) == 0

    asyncio.run(publish())


@pytest.mark.parametrize("arguments", [("gaps",), ("backfill", "list"), ("backfill", "show", "3f2a")])
def test_that_no_broker_is_there_is_told_soon(arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9")
    # Kafka's own client would take ten seconds, and name no remedy.
    ended = CliRunner().invoke(app, arguments)
    assert isinstance(ended.exception, BrokerUnavailable)
    assert str(ended.exception).startswith("no Kafka broker answers at 127.0.0.1:9; start it with `tapeline kafka up`")


def test_a_backfill_is_requested_followed_and_cancelled(broker: str) -> None:
    of = ("backfill", "request", "databento", "GLBX.MDP3/NQ.FUT", "mbo", *WINDOW)
    [made] = documents(*of, "--cap-usd", "2")
    assert made["state"] == "requested"
    asked = BackfillRequest.decode(orjson.dumps(made["request"]))
    assert said(*of)[-1] == "it was asked for before"
    assert [each["id"] for each in documents("backfill", "list")] == [asked.id]

    follow = [*TAPELINE, "backfill", "show", asked.id[:8], "--follow"]
    with subprocess.Popen(follow, env=os.environ, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        try:
            first = [following.stdout.readline() for _ in range(3)]
            assert first[2] == "  cap: $2.00\n"
            step = BackfillEvent(type="progress", request=asked, at=time.time_ns(), read=7, published=7)
            put(broker, EVENTS_TOPIC, asked.id, step)
            assert "7 read, 7 put on the tape" in following.stdout.readline()
            put(broker, EVENTS_TOPIC, asked.id, step.model_copy(update={"type": "rejected", "reason": "above the cap"}))
            assert "rejected" in following.stdout.readline()
            assert following.wait(30) == 1
        finally:
            following.kill()
    assert documents("backfill", "list") == []
    [over] = documents("backfill", "list", "--all")
    assert (over["state"], over["event"]["reason"]) == ("rejected", "above the cap")
    # What was given up is taken up again by asking again, and ended by cancelling.
    [made] = documents(*of)
    assert made["state"] == "requested"
    [cancelled] = documents("backfill", "cancel", asked.id)
    assert cancelled["id"] == asked.id
    wrong = run("backfill", "show", "ffff")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "no request has an id that begins with 'ffff'" in wrong.stderr


def test_gaps_are_shown_without_a_watchdog(broker: str) -> None:
    assert said("gaps") == ["0 gaps as no watchdog has told of any"]
    where = {"source": "databento", "stream": "GLBX.MDP3/NQ.FUT", "kind": "mbo", "trading_day": "2026-11-20"}
    at = 1_795_510_800_000_000_000
    parts = (
        MissingInterval(gap_id="g1", stage="open", symbols=("*",), reason="reset by peer", ts_event_from=at),
        MissingInterval(gap_id="g2", stage="given_up", symbols=("*",), reason="reset by peer", ts_event_until=at),
    )
    day = Coverage(**where, missing=parts, at=at)  # type: ignore[arg-type]
    put(broker, TOPIC, day.key, day)
    [shown] = documents("gaps")
    assert (shown["gap_id"], shown["stage"], shown["ts_event_from"], shown["backfill"]) == ("g1", "open", str(at), None)
    assert {each["gap_id"] for each in documents("gaps", "--all")} == {"g1", "g2"}
    assert said("gaps")[-1].endswith("; 1 are proven or given up: --all shows them")
