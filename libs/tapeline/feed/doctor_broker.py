"""Whether Kafka answers, and has the topics that a producer writes as they are declared."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Final

from tapeline.bus.bootstrap import bootstrap_servers
from tapeline.bus.probe import is_listening
from tapeline.bus.topics import TopicReport, load_topics, verify_topics
from tapeline.errors import BrokerUnavailable, Misconfigured
from tapeline.feed.doctor import Check

NAME: Final = "kafka"

_REPLICAS: Final = "TAPELINE_TOPICS_REPLICATION_FACTOR"
_START: Final = "start the local one with `tapeline kafka up`, or name yours in KAFKA_BOOTSTRAP_SERVERS"
_APPLY: Final = "run `tapeline topics apply`, which makes the topics that are missing"


async def broker_check(service: str, timeout_s: float, environment: Mapping[str, str] = os.environ) -> Check:
    """Return whether the topics that `service` writes can be written to.

    Each answer of the broker may take `timeout_s`. TAPELINE_TOPICS_REPLICATION_FACTOR counts as for `tapeline topics`.
    """
    try:
        bootstrap = bootstrap_servers(environment)
        factor = int(environment.get(_REPLICAS) or 0) or None
        topics = [topic for topic in load_topics(replication_factor=factor).values() if service in topic.writers]
        if not await is_listening(bootstrap):
            return Check(NAME, "red", f"nothing listens at {bootstrap}", _START)
        reports = await asyncio.to_thread(verify_topics, bootstrap, topics, timeout_s)
    except BrokerUnavailable as error:
        return Check(
            NAME,
            "red",
            f"no Kafka broker answers at {bootstrap}: {error}",
            _START,
        )
    except Misconfigured as error:
        return Check(NAME, "red", str(error), "run `tapeline kafka up` again, or see what the broker lets you do")
    except ValueError:
        return Check(NAME, "red", f"{_REPLICAS} must be a whole number", f"set or remove {_REPLICAS}")
    return topics_check(bootstrap, reports)


def topics_check(bootstrap: str, reports: Sequence[TopicReport]) -> Check:
    """Return whether all topics are as declared. Pure."""
    missing = [report.topic for report in reports if report.status == "missing"]
    drifted = [report for report in reports if report.status == "drift"]
    if not missing and not drifted:
        return Check(NAME, "ok", f"{bootstrap} answers; {len(reports)} topics are as declared")
    said = [f"missing: {', '.join(missing)}"] if missing else []
    said += [f"{report.topic} differs: {_differences(report)}" for report in drifted]
    remedies = [_APPLY] if missing else []
    if drifted:
        remedies.append(
            "`tapeline topics apply` reports what differs and changes none of it: change it with Kafka's tools"
        )
    return Check(NAME, "red", f"{bootstrap} answers; {'; '.join(said)}", "; ".join(remedies))


def _differences(report: TopicReport) -> str:
    return ", ".join(
        f"{name} is {actual or 'not set'} instead of {declared}"
        for name, (declared, actual) in report.differences.items()
    )
