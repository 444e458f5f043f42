"""The process around a runner: logs, health endpoint, signals."""

from __future__ import annotations

import asyncio
import signal

from tapeline.bus.bootstrap import bootstrap_servers
from tapeline.feed.runner import Runner
from tapeline.feed.source import FeedSettings, Source
from tapeline.feed.writer import Totals
from tapeline.ops.health import HealthEndpoint
from tapeline.ops.logs import get_logger
from tapeline.ops.memory import keep_freed_memory

log = get_logger("service")


async def serve(source: Source, settings: FeedSettings, totals: Totals) -> None:
    """Run a source with its health endpoint until it ends, or until SIGTERM or SIGINT; count in `totals`.

    A signal stops reading; everything read before is delivered. Raises what `Runner.run` raises.
    """
    keep_freed_memory()
    runner = Runner(source, settings, bootstrap_servers(), totals)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, runner.stop)
    try:
        async with HealthEndpoint(runner.status, port=settings.health_port) as health:
            log.info("started", source=source.name, health=health.url)
            await runner.run()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
