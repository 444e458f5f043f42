"""Run the watchdog: ``python -m tapeline_watchdog``."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from tapeline.bus.bootstrap import bootstrap_servers
from tapeline.errors import TapelineError
from tapeline.feed.cost_settings import CostSettings
from tapeline.ops.logs import configure_logs, get_logger
from tapeline_watchdog.app import run
from tapeline_watchdog.settings import WatchdogSettings


def main(arguments: Sequence[str] | None = None) -> int:
    """Watch until SIGTERM or SIGINT; return the exit code: 0 good, 1 red, 2 settings."""
    argparse.ArgumentParser(
        prog="tapeline-watchdog",
        description="Tell how far every consumer group is behind, in messages and in seconds, and whether it moves: at"
        " /v1/lag, under Burrow's paths (/v3/kafka/…), and at /metrics under the names of kafka_exporter. And tell how"
        " every feed is: at /v1/feeds. And have gaps filled: at /v1/gaps. And tell of incidents, also by webhooks: at"
        " /v1/incidents. And what it costs: at /v1/costs. A page at / shows it all.",
        epilog=f"{WatchdogSettings.explained()}\n\n{CostSettings.explained()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args(arguments)
    try:
        configure_logs("watchdog")
        asyncio.run(run(WatchdogSettings.load(), bootstrap_servers()))
    except TapelineError as error:
        get_logger("watchdog").error("ended", error=str(error), kind=type(error).__name__)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
