"""`tapeline topics` against a real broker: creates what is missing, changes nothing, tells what differs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.log import Log
from tapeline.bus.topics import apply_topics, load_topics, remove_topics, verify_topics
from tapeline.errors import BrokerUnavailable, TopicMismatch
from tapeline_cli.topics import topics as command


def test_applying_twice_creates_once(bootstrap_servers: str, namespace: str) -> None:
    declared = load_topics().values()
    assert {report.status for report in verify_topics(bootstrap_servers, declared)} == {"missing"}
    assert {report.status for report in apply_topics(bootstrap_servers, declared)} == {"created"}
    again = apply_topics(bootstrap_servers, declared)
    assert {report.status for report in again} == {"ok"}
    assert [report.topic for report in again] == [f"{namespace}.{topic.name}" for topic in declared]
    assert all(report.good for report in verify_topics(bootstrap_servers, declared))


def test_what_was_removed_can_be_made_again_at_once(bootstrap_servers: str, namespace: str) -> None:
    declared = load_topics()
    kept = declared.pop("md.usage.v1")
    apply_topics(bootstrap_servers, [*declared.values(), kept])
    remove_topics(bootstrap_servers, declared.values())
    assert {report.status for report in verify_topics(bootstrap_servers, declared.values())} == {"missing"}
    assert [report.status for report in verify_topics(bootstrap_servers, [kept])] == ["ok"]
    remove_topics(bootstrap_servers, declared.values())
    assert {report.status for report in apply_topics(bootstrap_servers, declared.values())} == {"created"}


def test_what_differs_is_told_and_left_as_it_is(bootstrap_servers: str, namespace: str) -> None:
    declared = load_topics()
    name = namespaced("md.ticks.saved.v1")
    apply_topics(
        bootstrap_servers, [declared["md.ticks.saved.v1"].model_copy(update={"partitions": 5, "retention_days": 1})]
    )
    expected = {"partitions": ("12", "5"), "retention.ms": ("604800000", "86400000")}
    for report in (verify_topics, apply_topics):
        [ticks] = [found for found in report(bootstrap_servers, declared.values()) if found.topic == name]
        assert (ticks.status, ticks.good, ticks.differences) == ("drift", False, expected)
    with Log(bootstrap_servers, "test") as log:
        assert log.partitions(name) == 5
        assert log.partitions(namespaced("md.pressure.v1")) == 12


def test_a_replication_factor_that_the_cluster_cannot_give_is_told(bootstrap_servers: str, namespace: str) -> None:
    with pytest.raises(TopicMismatch, match="replication factor"):
        apply_topics(bootstrap_servers, load_topics(replication_factor=7).values())


def test_a_missing_broker_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tapeline.bus.topics._TIMEOUT_S", 0.5)
    with pytest.raises(BrokerUnavailable):
        verify_topics("127.0.0.1:1", load_topics().values())


def test_the_command_prints_and_ends_as_it_found(
    bootstrap_servers: str, namespace: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", bootstrap_servers)
    run = CliRunner()
    missing = run.invoke(command, ["verify", "--json"])
    assert missing.exit_code == 1
    assert {json.loads(line)["status"] for line in missing.stdout.splitlines()} == {"missing"}
    assert run.invoke(command, ["apply"]).exit_code == 0
    verified = run.invoke(command, ["verify"])
    assert verified.exit_code == 0
    assert f"ok       {namespace}.md.ticks.saved.v1" in verified.stdout
    other = run.invoke(command, ["verify", "--replication-factor", "3", "--json"])
    assert other.exit_code == 1
    differences = [json.loads(line)["differences"] for line in other.stdout.splitlines()]
    assert differences == [{"replication.factor": {"declared": "3", "actual": "1"}}] * len(load_topics())
    listed = [json.loads(line) for line in run.invoke(command, ["list", "--json"]).stdout.splitlines()]
    assert [topic["name"] for topic in listed] == list(load_topics())
