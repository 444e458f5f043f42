"""The catalogue of topics (schemas/topics.yaml), and holding a cluster to it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType, TopicMetadata  # type: ignore[attr-defined]
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tapeline.bus.bootstrap import namespaced
from tapeline.errors import BrokerUnavailable, Misconfigured, TopicMismatch
from tapeline.ops.resources import resource

_TIMEOUT_S: Final = 30.0
_LEADER_WAIT_S: Final = 0.05
_DAY_MS: Final = 86_400_000
_TICKS: Final = "md.ticks."

_log = logging.getLogger("tapeline.bus.topics")

Setting = str | int | float


class Topic(BaseModel):
    """One topic as declared. `name` has no namespace; `retention_days` is None where there is only compaction."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    summary: str
    key: str
    value_schema: str = Field(alias="schema")
    partitions: int = Field(ge=1)
    cleanup: Literal["delete", "compact", "compact,delete"]
    retention_days: int | None = Field(default=None, ge=1)
    writers: tuple[str, ...] = Field(min_length=1)
    readers: tuple[str, ...] = Field(min_length=1)
    replication_factor: int = Field(ge=1)
    config: Mapping[str, Setting]

    @property
    def is_ticks(self) -> bool:
        """Whether it holds a source's live frames."""
        return self.name.startswith(_TICKS)

    def kafka_config(self) -> dict[str, str]:
        """Return the topic's settings in Kafka's names."""
        retention = {} if self.retention_days is None else {"retention.ms": self.retention_days * _DAY_MS}
        settings = {"cleanup.policy": self.cleanup, **retention, **self.config}
        return {name: str(value) for name, value in settings.items()}


@dataclass(frozen=True, slots=True)
class TopicReport:
    """How one topic on the cluster compares with its declaration.

    `differences` maps a setting to (declared, actual). Nothing that differs is changed: settings may have been tuned on
    purpose, and another partition count would send keys to other partitions.
    """

    topic: str
    status: Literal["ok", "created", "missing", "drift"]
    differences: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Whether the topic can be used as declared."""
        return self.status in ("ok", "created")


def load_topics(path: Path | None = None, *, replication_factor: int | None = None) -> dict[str, Topic]:
    """Return the declared topics by name (without namespace), from `path` or schemas/topics.yaml.

    `replication_factor` overrides the declared one. Raises Misconfigured that names what is wrong in the file.
    """
    path = path or resource("schemas", "topics.yaml")
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        defaults = document["defaults"]
        topics = {}
        for name, declared in document["topics"].items():
            factor = replication_factor or declared.get("replication_factor", defaults["replication_factor"])
            config = {**defaults["config"], **declared.get("config", {})}
            topics[name] = Topic(**{**declared, "name": name, "replication_factor": factor, "config": config})
    except (yaml.YAMLError, ValidationError, KeyError, TypeError, AttributeError) as error:
        raise Misconfigured(f"{path}: {error}") from None
    return topics


def checkpoint_topic(ticks_topic: str) -> str:
    """Return the name, without namespace, of the topic that holds the states over a ticks topic."""
    return f"md.checkpoints.{ticks_topic.removeprefix('md.')}"


def verify_topics(bootstrap: str, topics: Iterable[Topic], timeout_s: float = _TIMEOUT_S) -> list[TopicReport]:
    """Compare the cluster's topics with their declarations, changing nothing.

    Raises BrokerUnavailable, also where one answer takes longer than `timeout_s`.
    """
    return _compare(_admin(bootstrap), list(topics), timeout_s)


def apply_topics(bootstrap: str, topics: Iterable[Topic]) -> list[TopicReport]:
    """Create the topics that are missing and compare the others, changing none that exists.

    Raises BrokerUnavailable, and TopicMismatch where the cluster refuses to create one.
    """
    admin = _admin(bootstrap)
    declared = list(topics)
    reports = _compare(admin, declared)
    missing = [topic for topic, report in zip(declared, reports, strict=True) if report.status == "missing"]
    if missing:
        _create(admin, missing)
    created = {namespaced(topic.name) for topic in missing}
    return [TopicReport(report.topic, "created") if report.topic in created else report for report in reports]


def remove_topics(bootstrap: str, topics: Iterable[Topic]) -> None:
    """Remove the topics, with all that is on them; return once the broker lists none of them. Missing ones are fine.

    Raises BrokerUnavailable, and TopicMismatch where the cluster refuses to remove one.
    """
    admin = _admin(bootstrap)
    names = {namespaced(topic.name) for topic in topics}
    if found := sorted(names & _list(admin).keys()):
        answers = admin.delete_topics(found, operation_timeout=_TIMEOUT_S, request_timeout=_TIMEOUT_S)
        for name, answer in answers.items():
            _result(name, answer, tolerated=KafkaError.UNKNOWN_TOPIC_OR_PART)
    deadline = time.monotonic() + _TIMEOUT_S
    while left := sorted(names & _list(admin).keys()):
        if time.monotonic() > deadline:
            raise BrokerUnavailable(f"{', '.join(left)}: removed, but still listed after {_TIMEOUT_S:g} s")
        time.sleep(_LEADER_WAIT_S)


def _admin(bootstrap: str) -> AdminClient:
    config: dict[str, Any] = {"bootstrap.servers": bootstrap, "client.id": "tapeline-topics", "logger": _log}
    return AdminClient(config)


def _compare(admin: AdminClient, topics: list[Topic], timeout_s: float = _TIMEOUT_S) -> list[TopicReport]:
    found = _list(admin, timeout_s)
    names = [namespaced(topic.name) for topic in topics]
    configs = _configs(admin, [name for name in names if name in found], timeout_s)
    reports = []
    for topic, name in zip(topics, names, strict=True):
        if name not in found:
            reports.append(TopicReport(name, "missing"))
            continue
        partitions = found[name].partitions
        declared = {"partitions": str(topic.partitions), "replication.factor": str(topic.replication_factor)}
        replicas = min(len(partition.replicas) for partition in partitions.values())
        actual = {"partitions": str(len(partitions)), "replication.factor": str(replicas), **configs[name]}
        differences = compare({**declared, **topic.kafka_config()}, actual)
        reports.append(TopicReport(name, "drift" if differences else "ok", differences))
    return reports


def compare(declared: Mapping[str, str], actual: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return (declared, actual) per declared setting that differs; a list's order does not matter. Pure."""
    differences = {}
    for name, wanted in declared.items():
        found = actual.get(name, "")
        if sorted(wanted.split(",")) != sorted(found.split(",")):
            differences[name] = (wanted, found)
    return differences


def _configs(admin: AdminClient, names: list[str], timeout_s: float) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    answers = admin.describe_configs(resources, request_timeout=timeout_s)
    return {
        asked.name: {
            name: entry.value or "" for name, entry in _result(asked.name, answer, timeout_s=timeout_s).items()
        }
        for asked, answer in answers.items()
    }


def _create(admin: AdminClient, topics: list[Topic]) -> None:
    wanted = [
        NewTopic(
            namespaced(topic.name),
            num_partitions=topic.partitions,
            replication_factor=topic.replication_factor,
            config=topic.kafka_config(),
        )
        for topic in topics
    ]
    answers = admin.create_topics(wanted, operation_timeout=_TIMEOUT_S, request_timeout=_TIMEOUT_S)
    for name, answer in answers.items():
        _result(name, answer, tolerated=KafkaError.TOPIC_ALREADY_EXISTS)
    _await_leaders(admin, {topic.name: topic.partitions for topic in topics})


def _await_leaders(admin: AdminClient, partitions: Mapping[str, int]) -> None:
    """Wait until every partition of the topics just made can be used: brokers learn of them a moment later."""
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        found = _list(admin)
        waiting = [
            name
            for name, count in partitions.items()
            if (topic := found.get(namespaced(name))) is None
            or len(topic.partitions) < count
            or any(partition.leader < 0 for partition in topic.partitions.values())
        ]
        if not waiting:
            return
        if time.monotonic() > deadline:
            raise BrokerUnavailable(f"{', '.join(waiting)}: made, but without leaders after {_TIMEOUT_S:g} s")
        time.sleep(_LEADER_WAIT_S)


def _list(admin: AdminClient, timeout_s: float = _TIMEOUT_S) -> dict[str, TopicMetadata]:
    try:
        return admin.list_topics(timeout=timeout_s).topics
    except KafkaException as error:
        raise BrokerUnavailable(f"the broker did not list its topics: {error.args[0].str()}") from None


def _result(topic: str, answer: Future[Any], tolerated: int | None = None, timeout_s: float = _TIMEOUT_S) -> Any:
    try:
        return answer.result(timeout_s)
    except KafkaException as error:
        fault: KafkaError = error.args[0]
        if fault.code() == tolerated:
            return None
        if fault.retriable():
            raise BrokerUnavailable(f"{topic}: {fault.str()}") from None
        raise TopicMismatch(f"{topic}: {fault.str()}") from None
    except TimeoutError:
        raise BrokerUnavailable(f"{topic}: no answer in {timeout_s:g} s") from None
