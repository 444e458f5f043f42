"""What is told of a broker that is not there, or whose topics are not as declared."""

from __future__ import annotations

from pathlib import Path

from tapeline.bus.topics import TopicReport
from tapeline.feed.doctor_broker import broker_check, topics_check


def test_topics_as_declared_are_good() -> None:
    check = topics_check("b:1", [TopicReport("t", "ok"), TopicReport("u", "ok")])
    assert (check.status, check.detail, check.remedy) == ("ok", "b:1 answers; 2 topics are as declared", None)


def test_missing_topics_are_named_with_the_command_that_makes_them() -> None:
    check = topics_check("b:1", [TopicReport("t", "missing"), TopicReport("u", "ok"), TopicReport("v", "missing")])
    assert (check.status, check.detail) == ("red", "b:1 answers; missing: t, v")
    assert check.remedy == "run `tapeline topics apply`, which makes the topics that are missing"


def test_topics_that_differ_are_named_with_what_differs_and_no_promise_that_a_command_mends_it() -> None:
    drifted = TopicReport("t", "drift", {"partitions": ("12", "3"), "cleanup.policy": ("delete", "")})
    check = topics_check("b:1", [drifted])
    assert check.detail == (
        "b:1 answers; t differs: partitions is 3 instead of 12, cleanup.policy is not set instead of delete"
    )
    assert check.status == "red"
    assert check.remedy is not None
    assert "reports what differs and changes none of it" in check.remedy
    assert "which makes" not in check.remedy
    both = topics_check("b:1", [drifted, TopicReport("u", "missing")])
    assert both.remedy is not None
    assert "makes the topics that are missing" in both.remedy
    assert "changes none of it" in both.remedy


async def test_an_address_where_nothing_listens_is_red_at_once() -> None:
    check = await broker_check("tapeline-databento", 30.0, {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"})
    assert (check.name, check.status, check.detail) == ("kafka", "red", "nothing listens at 127.0.0.1:1")
    assert check.remedy is not None
    assert "tapeline kafka up" in check.remedy
    assert "KAFKA_BOOTSTRAP_SERVERS" in check.remedy


async def test_a_damaged_state_file_is_red(tmp_path: Path) -> None:
    (tmp_path / "kafka.json").write_text("{")
    check = await broker_check("tapeline-databento", 1.0, {"TAPELINE_STATE_DIR": str(tmp_path)})
    assert check.status == "red"
    assert "kafka.json is not JSON" in check.detail
    assert check.remedy is not None
    assert "tapeline kafka up" in check.remedy


async def test_a_replication_factor_that_is_no_number_is_red() -> None:
    environment = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "TAPELINE_TOPICS_REPLICATION_FACTOR": "three"}
    check = await broker_check("tapeline-databento", 1.0, environment)
    assert check.status == "red"
    assert check.remedy == "set or remove TAPELINE_TOPICS_REPLICATION_FACTOR"
