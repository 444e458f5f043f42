"""The process around a runner: logs, health endpoint, signals, and a new start where Kafka was away."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
from collections.abc import Mapping, Sequence

from tapeline.bus.bootstrap import bootstrap_servers
from tapeline.bus.probe import absence
from tapeline.errors import Retryable, TapelineError
from tapeline.feed.backoff import Backoff
from tapeline.feed.runner import Runner
from tapeline.feed.source import FeedSettings, Source
from tapeline.feed.writer import Totals
from tapeline.ops.health import HealthEndpoint
from tapeline.ops.logs import configure_logs, get_logger
from tapeline.ops.memory import keep_freed_memory
from tapeline.ops.stopping import stopped_by_signals

log = get_logger("service")


def main(source_class: type[Source], description: str, arguments: Sequence[str] | None = None) -> int:
    """Run a source as a process of its own, set up by the environment; return the exit code.

    `--help` tells `description` and every setting, and takes none of them to be there.
    """
    argparse.ArgumentParser(
        prog=f"tapeline-{source_class.name}",
        description=description,
        epilog=source_class.settings_class.explained(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args(arguments)
    try:
        configure_logs(source_class.name)
        settings = source_class.settings_class.load()
        asyncio.run(serve(source_class(settings), settings, Totals()))
    except TapelineError as error:
        sys.stderr.write(f"tapeline-{source_class.name}: {error}\n")
        return error.exit_code
    return 0


async def serve(source: Source, settings: FeedSettings, totals: Totals) -> None:
    """Run a source with its health endpoint until it ends, or until SIGTERM or SIGINT; count in `totals`.

    A signal stops reading; everything read before is delivered. A source that can resume begins again where Kafka did
    not take messages or was away: from what is on the tape, as after a kill. Raises what `Runner.run` raises.
    """
    keep_freed_memory()
    service = _Service(source, settings, totals)
    with stopped_by_signals(service.stop):
        async with HealthEndpoint(service.status, port=settings.health_port) as health:
            log.info("started", source=source.name, health=health.url)
            await service.run()


class _Service:
    def __init__(self, source: Source, settings: FeedSettings, totals: Totals) -> None:
        self._source = source
        self._settings = settings
        self._totals = totals
        self._stopped = asyncio.Event()
        self._runner = self._new_runner()

    def stop(self) -> None:
        self._stopped.set()
        self._runner.stop()

    def status(self) -> Mapping[str, object]:
        return self._runner.status()

    async def run(self) -> None:
        backoff = Backoff(random.random)
        loop = asyncio.get_running_loop()
        # It is waited for a while before anything else is told.
        if reason := await absence(bootstrap_servers()):
            log.warning("Kafka is away", reason=reason)
        while not self._stopped.is_set():
            began_s = loop.time()
            try:
                await self._runner.run()
                return
            except Retryable as error:
                if self._settings.resume_limits() is None or self._stopped.is_set():
                    raise
                wait_s = backoff.failed(loop.time(), loop.time() - began_s)
                log.warning("Kafka is away", reason=str(error), next_attempt_s=round(wait_s, 3))
            try:
                async with asyncio.timeout(wait_s):
                    await self._stopped.wait()
                return
            except TimeoutError:
                self._runner = self._new_runner()

    def _new_runner(self) -> Runner:
        return Runner(self._source, self._settings, bootstrap_servers(), self._totals)
