"""All consumer groups and partitions of a cluster at one moment: who has committed what, and where the ends are."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec, TopicMetadata  # type: ignore[attr-defined]

from tapeline.bus.log import Place
from tapeline.errors import BrokerUnavailable

_SHORTEST_WAIT_S: Final = 0.1

_log = logging.getLogger("tapeline.bus.groups")
# librdkafka says it at every attempt; what matters of it is in the error that is raised.
_log.addFilter(lambda record: "FAIL" not in record.getMessage())

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Member:
    """A consumer that is in a group now, with the partitions that the group has given to it."""

    member_id: str
    client_id: str
    host: str
    partitions: frozenset[Place]


@dataclass(frozen=True, slots=True)
class GroupState:
    """A consumer group: `state` is the broker's word for it, in lower case (``stable``, ``empty``, …).

    `committed` has the partitions that were ever committed, and whose topic still exists and is wanted.
    """

    group: str
    state: str
    members: tuple[Member, ...]
    committed: Mapping[Place, int]


@dataclass(frozen=True, slots=True)
class PartitionState:
    """A partition: the first offset that is still kept, the offset after the last committed record, and its replicas.

    Offsets are None while the partition has no leader. Where a transaction is open, `end` is where it began: nobody may
    have read further. `leader` is -1 where there is none.
    """

    oldest: int | None
    end: int | None
    leader: int
    replicas: tuple[int, ...]
    in_sync: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ClusterState:
    """What was asked for of a cluster. What the groups have committed is older than the ends of the partitions."""

    brokers: int
    partitions: Mapping[Place, PartitionState]
    groups: Mapping[str, GroupState]


class Groups:
    """Reads the state of a cluster, as often as it is asked to. Blocking calls: use it from one thread that may wait.

    `wants_group` and `wants_topic` say by its name on the broker whether something is of interest.
    """

    def __init__(
        self,
        bootstrap: str,
        client_id: str,
        *,
        wants_group: Callable[[str], bool] = lambda _: True,
        wants_topic: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._bootstrap = bootstrap
        self._wants_group = wants_group
        self._wants_topic = wants_topic
        self._last_error = "no answer"
        self._config: dict[str, Any] = {
            "bootstrap.servers": bootstrap,
            "client.id": client_id,
            "reconnect.backoff.max.ms": 1_000,
            "error_cb": self._on_error,
            "logger": _log,
        }
        self._admin = AdminClient(self._config)

    def read(self, timeout_s: float = 10.0) -> ClusterState:
        """Return the state of the cluster now.

        Raises BrokerUnavailable if the whole of it is not there within `timeout_s`.
        """
        deadline_s = time.monotonic() + timeout_s
        try:
            metadata = self._admin.list_topics(timeout=_left(deadline_s))
            topics = {name: topic for name, topic in metadata.topics.items() if self._wants_topic(name)}
            groups = self._groups(topics, deadline_s)
            # Only now: were the ends older than what is committed, a consumer would seem to be ahead of them, or
            # one that is behind would seem to be up to date.
            partitions = self._partitions(topics, deadline_s)
        except KafkaException as error:
            fault: KafkaError = error.args[0]
            raise self._given_up(fault.str()) from None
        except TimeoutError:
            raise self._given_up(f"no answer in {timeout_s:g} s") from None
        return ClusterState(len(metadata.brokers), partitions, groups)

    def _given_up(self, reason: str) -> BrokerUnavailable:
        """Begin anew with the next reading: a client whose broker was away asks no coordinator of groups any more."""
        self._admin = AdminClient(self._config)
        return self._unavailable(reason)

    def _groups(self, topics: Mapping[str, TopicMetadata], deadline_s: float) -> dict[str, GroupState]:
        listed = self._admin.list_consumer_groups(request_timeout=_left(deadline_s)).result(_left(deadline_s))
        if listed.errors:
            # Some broker has not told its groups: they must not look as if they were gone. Its error is none to Python.
            raise KafkaException(listed.errors[0])
        names = sorted(found.group_id for found in listed.valid if self._wants_group(found.group_id))
        if not names:
            return {}
        # One request per group, all of them on their way at once.
        offsets = {
            name: self._admin.list_consumer_group_offsets(
                [ConsumerGroupTopicPartitions(name)], request_timeout=_left(deadline_s)
            )[name]
            for name in names
        }
        described = self._admin.describe_consumer_groups(names, request_timeout=_left(deadline_s))
        groups = {}
        for name in names:
            description = _unless_gone(described[name], deadline_s)
            committed = _unless_gone(offsets[name], deadline_s)
            if description is None or committed is None:
                continue
            groups[name] = GroupState(
                group=name,
                state=description.state.name.lower(),
                members=tuple(_member(found) for found in description.members),
                committed={
                    (found.topic, found.partition): found.offset
                    for found in committed.topic_partitions
                    if found.error is None and found.offset >= 0 and _has(topics, found.topic, found.partition)
                },
            )
        return groups

    def _partitions(self, topics: Mapping[str, TopicMetadata], deadline_s: float) -> dict[Place, PartitionState]:
        places = [(name, number) for name, topic in topics.items() for number in topic.partitions]
        oldest = self._offsets(places, OffsetSpec.earliest(), deadline_s)  # type: ignore[no-untyped-call]
        end = self._offsets(places, OffsetSpec.latest(), deadline_s)  # type: ignore[no-untyped-call]
        states = {}
        for name, topic in topics.items():
            for number, found in topic.partitions.items():
                place = (name, number)
                states[place] = PartitionState(
                    oldest=_known(oldest[place], deadline_s),
                    end=_known(end[place], deadline_s),
                    leader=found.leader,
                    replicas=tuple(found.replicas),
                    in_sync=tuple(found.isrs),
                )
        return states

    def _offsets(self, places: Iterable[Place], spec: OffsetSpec, deadline_s: float) -> dict[Place, Future[Any]]:
        asked = {TopicPartition(*place): spec for place in places}
        if not asked:
            return {}
        answers = self._admin.list_offsets(
            asked, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=_left(deadline_s)
        )
        return {(place.topic, place.partition): answer for place, answer in answers.items()}

    def _on_error(self, error: KafkaError) -> None:
        self._last_error = error.str()

    def _unavailable(self, reason: str) -> BrokerUnavailable:
        return BrokerUnavailable(
            f"{self._bootstrap} did not tell its groups and offsets: {reason} ({self._last_error}); start it with"
            " `tapeline kafka up`, or name another in KAFKA_BOOTSTRAP_SERVERS"
        )


def _left(deadline_s: float) -> float:
    return max(deadline_s - time.monotonic(), _SHORTEST_WAIT_S)


def _unless_gone(answer: Future[Answer], deadline_s: float) -> Answer | None:
    """Return what was answered of a group, None where it has been deleted since it was listed."""
    try:
        return answer.result(_left(deadline_s))
    except KafkaException as error:
        if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
            return None
        raise


def _known(answer: Future[Any], deadline_s: float) -> int | None:
    """Return the offset, None where nobody leads the partition at the moment, or its topic has just been deleted."""
    try:
        offset: int = answer.result(_left(deadline_s)).offset
    except KafkaException:
        return None
    return offset if offset >= 0 else None


def _has(topics: Mapping[str, TopicMetadata], topic: str, partition: int) -> bool:
    return topic in topics and partition in topics[topic].partitions


def _member(found: Any) -> Member:
    held = found.assignment.topic_partitions if found.assignment is not None else []
    return Member(
        member_id=found.member_id,
        client_id=found.client_id,
        host=found.host.removeprefix("/"),
        partitions=frozenset((place.topic, place.partition) for place in held),
    )
