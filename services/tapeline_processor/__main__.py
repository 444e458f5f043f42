"""Run the processor: ``python -m tapeline_processor``."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterable, Sequence

from tapeline.bus.bootstrap import bootstrap_servers, namespaced
from tapeline.bus.topics import Topic, checkpoint_topic, load_topics, verify_topics
from tapeline.errors import Misconfigured, TapelineError, TopicMismatch
from tapeline.ops.logs import configure_logs, get_logger
from tapeline.ops.memory import keep_freed_memory
from tapeline_processor.settings import ProcessorSettings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a worker until SIGTERM or SIGINT; return the exit code: 0 good, 1 red, 2 settings."""
    argparse.ArgumentParser(
        prog="tapeline-processor",
        description="Turn the ticks topics into bid/ask pressure: reads md.ticks.*, writes md.pressure.v1.",
        epilog=ProcessorSettings.explained(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args(arguments)
    try:
        configure_logs("processor")
        _run(ProcessorSettings.load())
    except TapelineError as error:
        get_logger("processor").error("ended", error=str(error), kind=type(error).__name__)
        return error.exit_code
    return 0


def _run(settings: ProcessorSettings) -> None:
    servers = bootstrap_servers()
    inputs = select_inputs(settings.topics, load_topics().values())
    check_partitions(servers, inputs)
    # Faust and numba take a second to import, which --help and a wrong setting need not cost.
    from tapeline_processor.app import run

    keep_freed_memory()
    topics = {namespaced(name): namespaced(checkpoint_topic(name)) for name in inputs}
    asyncio.run(run(settings, servers=servers, topics=topics))


def select_inputs(wanted: Sequence[str], declared: Iterable[Topic]) -> list[str]:
    """Return the ticks topics to read. Raises Misconfigured where one is not declared in schemas/topics.yaml."""
    known = [topic.name for topic in declared if topic.is_ticks]
    if unknown := [name for name in wanted if name not in known]:
        raise Misconfigured(
            f"TAPELINE_PROCESSOR_TOPICS: {', '.join(unknown)} is no ticks topic; there are: {', '.join(known)}"
        )
    return list(wanted) or known


def check_partitions(servers: str, inputs: Sequence[str]) -> None:
    """Make sure that all topics are there, and that each input has a checkpoint partition for each of its own.

    Raises Misconfigured, TopicMismatch or BrokerUnavailable.
    """
    names = [name for topic in inputs for name in (topic, checkpoint_topic(topic))]
    names += ["md.pressure.v1", "md.dead-letters.v1"]
    topics = [topic for topic in load_topics().values() if topic.name in names]
    reports = {report.topic: report for report in verify_topics(servers, topics)}
    if missing := [name for name, report in reports.items() if report.status == "missing"]:
        raise Misconfigured(f"missing topics: {', '.join(missing)}; run `tapeline topics apply`")
    partitions = {
        topic.name: reports[namespaced(topic.name)].differences.get("partitions", ("", str(topic.partitions)))[1]
        for topic in topics
    }
    for topic in inputs:
        if partitions[topic] != partitions[checkpoint_topic(topic)]:
            raise TopicMismatch(
                f"{namespaced(topic)} has {partitions[topic]} partitions and {namespaced(checkpoint_topic(topic))} "
                f"{partitions[checkpoint_topic(topic)]}; a state needs the partition of its input"
            )


if __name__ == "__main__":
    sys.exit(main())
