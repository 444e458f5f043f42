"""Runs the producer against the simulated site and a real broker, and reads back what it left on the tape."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.integration.barchart.steady_market import OPEN_NS, SteadyMarket

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.log import Log
from tapeline.bus.topics import apply_topics, load_topics
from tapeline.feed.runner import Runner
from tapeline.feed.writer import Totals
from tapeline.model.chain_codec import decode_chain
from tapeline.model.chains import Chain
from tapeline.model.events import FeedEvent, decode_event
from tapeline.model.usage import Usage, decode_usage
from tapeline_barchart.settings import BarchartSettings
from tapeline_barchart.source import BarchartSource
from tapeline_simulator.barchart.settings import SiteSettings
from tapeline_simulator.barchart.site import BarchartSite

DEADLINE_S = 30.0
CHAINS, EVENTS, LETTERS, USAGE = (
    "md.chains.barchart.v1",
    "md.feed-events.v1",
    "md.dead-letters.v1",
    "md.usage.v1",
)
QUICK: dict[str, Any] = {
    "enabled": True,
    "authentication": "session",
    "series": "MC2M25",
    "policy": "*=live, cache",
    "poll_s": 0.05,
    "retry_s": 0.05,
    "cache_s": 0.0,
    "calls_per_minute": 10_000,
    "call_spacing_s": 0.0,
    "ask_underlying": False,
    "timeout_s": 0.5,
    "attempts": 1,
    "throttled_s": 0.1,
    "breaker_failures": 1_000,
    "breaker_open_s": 0.1,
    "health_port": 0,
}
"""Settings under which a test sees in a second what else takes hours."""


class ShiftedClock:
    """Runs as the wall's does, from `start_ns` on."""

    def __init__(self, start_ns: int = OPEN_NS) -> None:
        self._behind_ns = time.time_ns() - start_ns

    def __call__(self) -> int:
        return time.time_ns() - self._behind_ns


@dataclass
class Letter:
    """A dead letter and its headers."""

    value: bytes
    headers: dict[str, str]


@dataclass
class Tape:
    """Topics of the producer in the test's namespace; a read goes on where the last one ended."""

    servers: str
    chains: list[Chain] = field(default_factory=list)
    events: list[FeedEvent] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    usage: list[Usage] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    """Every message, keys and headers too."""

    def __post_init__(self) -> None:
        declared = load_topics()
        apply_topics(self.servers, [declared[name] for name in (CHAINS, EVENTS, LETTERS, USAGE)])
        self._topics = {namespaced(name): name for name in (CHAINS, EVENTS, LETTERS, USAGE)}
        self._log = Log(self.servers, "tapeline-test")
        places = [(topic, partition) for topic in self._topics for partition in range(self._log.partitions(topic))]
        self._log.assign(dict.fromkeys(places, 0))

    def close(self) -> None:
        """Leave the broker."""
        self._log.close()

    def read(self) -> None:
        """Take in what has come since the last read; wait a little where nothing has."""
        while messages := [each for each in self._log.fetch(0.05) if each.error() is None]:
            for message in messages:
                self._take(self._topics[message.topic() or ""], message.value() or b"", dict(message.headers() or ()))
                self.raw += [message.key() or b"", message.value() or b"", repr(message.headers()).encode()]

    def _take(self, topic: str, value: bytes, headers: dict[str, bytes]) -> None:
        if topic == CHAINS:
            self.chains.append(decode_chain(value))
        elif topic == EVENTS:
            self.events.append(decode_event(value))
        elif topic == USAGE:
            self.usage.append(decode_usage(value))
        else:
            self.letters.append(Letter(value, {name: text.decode() for name, text in headers.items()}))

    def failures(self) -> list[FeedEvent]:
        """Return the failed fetches."""
        return [event for event in self.events if event.type == "fetch_failed"]

    def changes(self) -> list[tuple[str, str]]:
        """Return from where to where the series changed."""
        return [(event.was, event.now) for event in self.events if event.type == "source_changed"]

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        """Read until `holds`; fail the test where it never does."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                while True:
                    await asyncio.to_thread(self.read)
                    if holds():
                        return
        except TimeoutError:
            pytest.fail(f"{what}: never; the last events: {self.events[-5:]}")


def the_site(clock_ns: Callable[[], int]) -> BarchartSite:
    """Return the site over the steady market, which takes any number of calls."""
    return BarchartSite(SteadyMarket(clock_ns), settings=SiteSettings(calls_per_minute=100_000), clock_ns=clock_ns)


@asynccontextmanager
async def producing(tape: Tape, clock_ns: Callable[[], int], folder: Path, **settings: object) -> AsyncIterator[Runner]:
    """Run the producer for as long as the block lasts; what it raises is raised."""
    loaded = BarchartSettings.load({}, dotenv=folder / "no.env", overrides={**QUICK, **settings})
    runner = Runner(BarchartSource(loaded, clock_ns), loaded, tape.servers, Totals(), clock_ns=clock_ns)
    running = asyncio.create_task(runner.run())
    try:
        yield runner
    finally:
        runner.stop()
        await asyncio.wait_for(running, DEADLINE_S)
