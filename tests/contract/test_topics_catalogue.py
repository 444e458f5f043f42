"""schemas/topics.yaml agrees with the rules of the tape, with the schemas and with the code that writes the topics."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from tapeline.bus.topics import Topic, checkpoint_topic, compare, load_topics
from tapeline.errors import Misconfigured

ROOT: Final = Path(__file__).parents[2]
TOPICS: Final = load_topics()


@pytest.mark.parametrize("topic", TOPICS.values(), ids=list(TOPICS))
def test_a_topic_keeps_the_rules_of_the_tape(topic: Topic) -> None:
    config = topic.kafka_config()
    # By exchange time, retention would delete late data at once.
    assert config["message.timestamp.type"] == "LogAppendTime"
    assert re.fullmatch(r"md(\.[a-z-]+)+\.v[0-9]+", topic.name)
    assert (topic.retention_days is None) == (topic.cleanup == "compact")
    assert config["cleanup.policy"] == topic.cleanup


@pytest.mark.parametrize("topic", TOPICS.values(), ids=list(TOPICS))
def test_a_topic_has_a_writer_and_readers_that_exist(topic: Topic) -> None:
    services = {path.name.replace("_", "-") for path in (ROOT / "services").iterdir() if path.is_dir()}
    assert {*topic.writers, *topic.readers} <= services


@pytest.mark.parametrize("topic", TOPICS.values(), ids=list(TOPICS))
def test_a_topic_is_named_in_the_code_that_writes_it(topic: Topic) -> None:
    # Per-source names are put together from the source's name, checkpoints' from their input's.
    spelled = f'"{topic.name}"'
    if topic.name.startswith("md.ticks."):
        spelled = 'f"md.ticks.{source}.v1"'
    elif topic.name.startswith("md.ticks-backfill."):
        spelled = 'f"md.ticks-backfill.{source}.v1"'
    elif re.fullmatch(r"md\.chains\.[a-z]+\.v1", topic.name):
        spelled = 'f"md.chains.{source}.v1"'
    elif topic.name.startswith("md.checkpoints."):
        spelled = 'f"md.checkpoints.'
    code = [path for folder in ("libs", "services") for path in (ROOT / folder).rglob("*.py")]
    assert any(spelled in path.read_text() for path in code)


def test_checkpoints_have_the_partitions_of_their_input() -> None:
    for topic in TOPICS.values():
        if topic.is_ticks:
            assert TOPICS[checkpoint_topic(topic.name)].partitions == topic.partitions


def test_a_schema_of_json_topics_is_there() -> None:
    for topic in TOPICS.values():
        assert topic.value_schema == "bytes" or (ROOT / "schemas" / f"{topic.value_schema}.json").exists(), topic.name


def test_the_replication_factor_can_be_overridden() -> None:
    assert {topic.replication_factor for topic in TOPICS.values()} == {1}
    assert {topic.replication_factor for topic in load_topics(replication_factor=3).values()} == {3}


@pytest.mark.parametrize(
    "content", ["topics: {", "topics: []", "defaults: {}\ntopics: {a: {}}", "{}", "defaults: {replication_factor: 1}"]
)
def test_a_damaged_catalogue_is_told(tmp_path: Path, content: str) -> None:
    path = tmp_path / "topics.yaml"
    path.write_text(content)
    with pytest.raises(Misconfigured, match=r"topics\.yaml"):
        load_topics(path)


def test_lists_are_compared_without_their_order() -> None:
    assert compare({"cleanup.policy": "compact,delete"}, {"cleanup.policy": "delete,compact"}) == {}
    assert compare({"a": "1", "b": "2"}, {"a": "1", "c": "3"}) == {"b": ("2", "")}
