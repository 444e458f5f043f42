"""The topics of this service: which ticks to read, which chains, and that all of them fit together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.topics import Topic, checkpoint_topic, load_topics, verify_topics
from tapeline.errors import Misconfigured, TopicMismatch
from tapeline.model.chains import BEST_TOPIC
from tapeline.model.instruments import TOPIC as INSTRUMENTS_TOPIC
from tapeline.model.quality import TOPIC as QUALITY_TOPIC
from tapeline_processor import dead_letters
from tapeline_processor.operators import best_chain, option_flow, pressure

_CHAINS: Final = "md.chains."

_ALWAYS: Final = (
    pressure.TOPIC,
    option_flow.TOPIC,
    INSTRUMENTS_TOPIC,
    BEST_TOPIC,
    QUALITY_TOPIC,
    best_chain.EVENTS_TOPIC,
    dead_letters.TOPIC,
)


def select_inputs(wanted: Sequence[str], declared: Iterable[Topic]) -> list[str]:
    """Return the ticks topics to read. Raises Misconfigured where one is not declared in schemas/topics.yaml."""
    known = [topic.name for topic in declared if topic.is_ticks]
    if unknown := [name for name in wanted if name not in known]:
        raise Misconfigured(
            f"TAPELINE_PROCESSOR_TOPICS: {', '.join(unknown)} is no ticks topic; there are: {', '.join(known)}"
        )
    return list(wanted) or known


def chain_topics() -> list[str]:
    """Return the topics of all sources' chains, without namespace."""
    return [name for name in load_topics() if name.startswith(_CHAINS) and name != BEST_TOPIC]


def check_partitions(servers: str, inputs: Sequence[str]) -> None:
    """Make sure that all topics are there, with partitions that belong together.

    A state needs the partition of its input, so each input has a checkpoint partition for each of its own; and whoever
    holds a partition of the first input judges the chains of that partition, so all chains have as many.
    Raises Misconfigured, TopicMismatch or BrokerUnavailable.
    """
    of_chains = [*chain_topics(), BEST_TOPIC]
    names = {name for topic in inputs for name in (topic, checkpoint_topic(topic))} | {*_ALWAYS, *of_chains}
    topics = [topic for topic in load_topics().values() if topic.name in names]
    reports = {report.topic: report for report in verify_topics(servers, topics)}
    if missing := [name for name, report in reports.items() if report.status == "missing"]:
        raise Misconfigured(f"missing topics: {', '.join(missing)}; run `tapeline topics apply`")
    partitions = {
        topic.name: reports[namespaced(topic.name)].differences.get("partitions", ("", str(topic.partitions)))[1]
        for topic in topics
    }
    for topic in inputs:
        _hold_equal(partitions, topic, checkpoint_topic(topic), "a state needs the partition of its input")
    for topic in of_chains:
        _hold_equal(partitions, inputs[0], topic, "who holds a partition of the first judges the chains of the second")


def _hold_equal(partitions: dict[str, str], first: str, second: str, why: str) -> None:
    one, other = partitions[first], partitions[second]
    if one != other:
        raise TopicMismatch(f"{namespaced(first)} has {one} partitions and {namespaced(second)} {other}; {why}")
