"""Run the processor: ``python -m tapeline_processor``."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from tapeline.bus.bootstrap import bootstrap_servers, namespaced
from tapeline.bus.probe import absence
from tapeline.bus.topics import checkpoint_topic, load_topics
from tapeline.errors import TapelineError
from tapeline.ops.logs import configure_logs, get_logger
from tapeline.ops.memory import keep_freed_memory
from tapeline_processor.settings import ProcessorSettings
from tapeline_processor.topics import check_partitions, select_inputs


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a worker until SIGTERM or SIGINT; return the exit code: 0 good, 1 red, 2 settings."""
    argparse.ArgumentParser(
        prog="tapeline-processor",
        description="Turn the ticks topics into bid/ask pressure, option flow and live option chains, and the chains of"
        " all sources into the best ones: reads md.ticks.*, md.instruments.v1 and md.chains.*, writes md.pressure.v1,"
        " md.option-flow.v1 and md.chains.*.",
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
    # It may be starting, and is waited for; whoever looks on should know.
    if reason := asyncio.run(absence(servers)):
        get_logger("processor").warning("Kafka is away", reason=reason)
    check_partitions(servers, inputs)
    # Faust and numba take a second to import, which --help and a wrong setting need not cost.
    from tapeline_processor.app import run

    keep_freed_memory()
    topics = {namespaced(name): namespaced(checkpoint_topic(name)) for name in inputs}
    asyncio.run(run(settings, servers=servers, topics=topics))


if __name__ == "__main__":
    sys.exit(main())
