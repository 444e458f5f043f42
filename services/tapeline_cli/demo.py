"""`tapeline demo`: a synthetic market through Kafka and Faust to live pressure and option chains, on this machine."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

import aiohttp
import orjson
import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live

from tapeline.bus.bootstrap import bootstrap_servers, namespaced
from tapeline.bus.log import Log
from tapeline.bus.topics import apply_topics, load_topics, remove_topics
from tapeline.errors import Retryable
from tapeline.model.chains import BEST_TOPIC
from tapeline.model.events import FeedEvent, decode_event
from tapeline_cli.board import Board
from tapeline_cli.feed_log import FeedLog
from tapeline_cli.flow_board import FlowBoard
from tapeline_cli.ladder import Ladder, Wanted
from tapeline_cli.local_broker import LocalBroker, any_free_port, state_folder
from tapeline_cli.supervisor import Child, Supervisor, failure

_NAMESPACE: Final = "demo"
_DATASET: Final = "TAPELINE.SIM"
"""No exchange's, so that nobody takes the ticks for real ones, and the market is open whenever the demo runs."""
_KEY: Final = "db-simulated0simulated0simulated"
"""What the simulated gateway takes where it is given no key; it opens nothing else."""
_FAULTS: Final[Mapping[str, dict[str, Any]]] = {
    "disconnect": {"name": "outage", "seconds": 3.0},
    # longer than a live chain may be old
    "failover": {"name": "outage", "seconds": 15.0},
}
_STRIKES: Final = 4
_FLOW_LINES: Final = 6
_FAULT_AFTER_S: Final = {"disconnect": 4.0, "failover": 15.0}
"""From the first row on; chains are chosen by then where they are to fail over."""
_EVENT_LINES: Final = 8
_READY_TIMEOUT_S: Final = 120.0
_POLL_S: Final = 0.1
_TABLE_EVERY_S: Final = 0.25
_LINE_EVERY_S: Final = 2.0
_PRINTED_WIDTH: Final = 160
_MOST_LATENCIES: Final = 200_000


def demo(
    seconds: Annotated[
        float | None, typer.Option(envvar="DEMO_SECONDS", help="End after so many seconds; default: at Ctrl-C.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the synthetic market.")] = 7,
    fault: Annotated[
        str,
        typer.Option(
            envvar="FAULT", help="Let something go wrong after a while: disconnect, failover.", show_default=False
        ),
    ] = "",
) -> None:
    """Show live pressure, option chains and flow of a synthetic market, through simulated vendors on this machine.

    A page in the browser shows the same, and how every feed, consumer and gap is.
    """
    if seconds is not None and seconds <= 0:
        raise typer.BadParameter("must be above 0", param_hint="DEMO_SECONDS")
    if fault and fault not in _FAULTS:
        raise typer.BadParameter(f"must be one of {', '.join(_FAULTS)}, is {fault!r}", param_hint="FAULT")
    is_own = not os.environ.get("TAPELINE_NAMESPACE")
    if is_own:
        os.environ["TAPELINE_NAMESPACE"] = _NAMESPACE
    os.environ.setdefault("TAPELINE_PROFILE", "demo")
    with _broker():
        topics = load_topics().values()
        if is_own:
            # Every demo has a market of its own, which lacks what an earlier one left on the tape: that makes gaps.
            remove_topics(bootstrap_servers(), topics)
        apply_topics(bootstrap_servers(), topics)
        asyncio.run(_run(seconds, seed, fault))


@dataclass(slots=True)
class Seen:
    """What the demo saw of the topics. Latencies are from the frame that closed a window to its row, ms."""

    rows: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    feed: FeedLog = field(default_factory=FeedLog)
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_EVENT_LINES))
    """The newest of what happened to the feed."""
    untold: deque[str] = field(default_factory=deque)
    """What was not shown yet."""
    board: Board = field(default_factory=Board)
    ladder: Ladder = field(default_factory=lambda: Ladder(Wanted(), _STRIKES, time.time_ns))
    flow: FlowBoard = field(default_factory=lambda: FlowBoard(Wanted(), _FLOW_LINES))

    def take(self, event: FeedEvent) -> None:
        """Take a feed event."""
        line = self.feed.take(event)
        if line is not None:
            self.lines.append(line)
            self.untold.append(line)

    def tables(self) -> list[RenderableType]:
        """Return pressure, the ladder of the next expiry, and its flow."""
        return [self.board.table("bid/ask pressure"), self.ladder.table(), self.flow.table()]

    def summary(self) -> str:
        """Return ticks, rows and latency as text."""
        if not self.latencies_ms:
            return f"{self.feed.ticks:,} ticks, {self.rows:,} rows"
        ordered = sorted(self.latencies_ms)
        p50, p99 = (ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.99))
        latency = f"from tick to row p50 {p50:.1f} ms, p99 {p99:.1f} ms"
        return f"{self.feed.ticks:,} ticks, {self.rows:,} rows, {latency}"


@contextmanager
def _broker() -> Iterator[None]:
    if os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        _say(f"uses the broker at {bootstrap_servers()}")
        yield
        return
    broker = LocalBroker(state_folder())
    ran = broker.running() is not None
    _say("uses the running local broker" if ran else "starts a local Kafka broker")
    broker.start()
    try:
        yield
    finally:
        if not ran:
            _say("stops the local Kafka broker")
            broker.stop()


async def _run(seconds: float | None, seed: int, fault: str) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    seen = Seen()
    async with Supervisor(state_folder() / "demo") as supervisor:
        health = f"http://127.0.0.1:{any_free_port()}"
        processor = await supervisor.start(
            "processor",
            [sys.executable, "-m", "tapeline_processor"],
            {"TAPELINE_PROCESSOR_HEALTH_PORT": health.rpartition(":")[2]},
        )
        _say("starts the processor (the first start compiles its kernels)")
        await _ready(processor, health, stop)
        page = await _start_watchdog(supervisor, health, stop)
        watching = asyncio.create_task(asyncio.to_thread(_watch, stop, seen))
        _say("starts the market, a Databento gateway and a Barchart site before it, and their producers")
        control = await _start_market(supervisor, seed, stop)
        ended = asyncio.create_task(supervisor.first_end())
        await _first_row(seen, stop, ended, watching)
        _say("the market is open; Ctrl-C ends it" if seconds is None else f"the market is open for {seconds:g} s")
        _say(f"the page that shows it all: {page}/")
        breaking = asyncio.create_task(_break(control, fault))
        await _show(stop, ended, watching, seen, seconds)
        breaking.cancel()
        stop.set()
        await watching
        if ended.done():
            raise failure(ended.result())
        ended.cancel()
    _say(f"{seen.feed.summary()}")
    _say(seen.summary())


async def _start_watchdog(supervisor: Supervisor, processor_url: str, stop: asyncio.Event) -> str:
    """Start the watchdog; return its address."""
    url = f"http://127.0.0.1:{any_free_port()}"
    watchdog = await supervisor.start(
        "watchdog",
        [sys.executable, "-m", "tapeline_watchdog"],
        {
            "TAPELINE_WATCHDOG_HEALTH_PORT": url.rpartition(":")[2],
            "TAPELINE_WATCHDOG_PROCESSOR_URLS": processor_url,
            "TAPELINE_WATCHDOG_FEED_DATASETS": f"barchart={_DATASET}",
            "TAPELINE_WATCHDOG_INTERVAL_S": "2",
        },
    )
    await _ready(watchdog, url, stop)
    return url


async def _start_market(supervisor: Supervisor, seed: int, stop: asyncio.Event) -> str:
    """Start the simulated vendors and their producers; return the address of the vendors' control API."""
    told = state_folder() / "demo" / "market.json"
    gateway = [sys.executable, "-m", "tapeline_cli", "simulate", "databento"]
    ports = ["--port", "0", "--control-port", "0", "--barchart-port", "0"]
    report = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        market = await supervisor.start(
            "market",
            [*gateway, *ports, "--dataset", _DATASET, "--seed", str(seed), "--json"],
            {},
            stdout=report,
        )
    finally:
        os.close(report)
    deadline_s = time.monotonic() + _READY_TIMEOUT_S
    while not (line := told.read_bytes()).endswith(b"\n"):
        if market.process.returncode is not None:
            raise failure(market)
        if stop.is_set() or time.monotonic() > deadline_s:
            raise Retryable(f"the market did not open within {_READY_TIMEOUT_S:g} s; see {market.log}")
        await asyncio.sleep(_POLL_S)
    addresses = orjson.loads(line)
    await supervisor.start(
        "barchart",
        [sys.executable, "-m", "tapeline_barchart"],
        {
            "TAPELINE_BARCHART_SITE": addresses["barchart_url"],
            "TAPELINE_BARCHART_DATASET": _DATASET,
            "TAPELINE_BARCHART_HEALTH_PORT": "0",
        },
    )
    await supervisor.start(
        "producer",
        [sys.executable, "-m", "tapeline_databento"],
        {
            "TAPELINE_DATABENTO_API_KEY": _KEY,
            "TAPELINE_DATABENTO_DATASET": _DATASET,
            "TAPELINE_DATABENTO_GATEWAY": addresses["gateway"],
            "TAPELINE_DATABENTO_PORT": str(addresses["port"]),
            "TAPELINE_DATABENTO_HEALTH_PORT": "0",
        },
    )
    return f"http://{addresses['gateway']}:{addresses['control_port']}"


async def _break(control: str, fault: str) -> None:
    """Let the fault happen once the market has been open for a while."""
    if not fault:
        return
    await asyncio.sleep(_FAULT_AFTER_S[fault])
    document = _FAULTS[fault]
    _say(f"fault {document['name']} for {document['seconds']:g} s")
    async with aiohttp.ClientSession() as http, http.post(f"{control}/faults", json=document) as answer:
        answer.raise_for_status()


async def _ready(child: Child, health: str, stop: asyncio.Event) -> None:
    deadline_s = time.monotonic() + _READY_TIMEOUT_S
    async with aiohttp.ClientSession() as http:
        while time.monotonic() < deadline_s and not stop.is_set():
            if child.process.returncode is not None:
                raise failure(child)
            with suppress(aiohttp.ClientError):
                async with http.get(f"{health}/readyz") as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(_POLL_S)
    if not stop.is_set():
        raise Retryable(f"{child.name} was not ready within {_READY_TIMEOUT_S:g} s; see {child.log}")


async def _first_row(seen: Seen, stop: asyncio.Event, *ends: asyncio.Future[Any]) -> None:
    deadline_s = time.monotonic() + _READY_TIMEOUT_S
    while not (seen.rows or stop.is_set() or any(end.done() for end in ends)):
        if time.monotonic() > deadline_s:
            raise Retryable(f"no row came within {_READY_TIMEOUT_S:g} s; see {state_folder() / 'demo'}")
        await asyncio.sleep(_POLL_S)


async def _show(
    stop: asyncio.Event,
    ended: asyncio.Task[Child],
    watching: asyncio.Task[None],
    seen: Seen,
    seconds: float | None,
) -> None:
    deadline_s = None if seconds is None else time.monotonic() + seconds
    console = Console()
    every_s = _TABLE_EVERY_S if console.is_terminal else _LINE_EVERY_S
    async with _display(console, seen) as refresh:
        while not stop.is_set() and not ended.done() and not watching.done():
            left_s = every_s if deadline_s is None else min(every_s, deadline_s - time.monotonic())
            if left_s <= 0:
                return
            try:
                await asyncio.wait_for(stop.wait(), left_s)
            except TimeoutError:
                refresh()


@asynccontextmanager
async def _display(console: Console, seen: Seen) -> AsyncIterator[Callable[[], None]]:
    if not console.is_terminal:
        yield lambda: _tell(seen)
        Console(width=_PRINTED_WIDTH).print(*seen.tables(), sep="\n")
        return
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        yield lambda: live.update(Group(*seen.tables(), "\n".join(seen.lines)), refresh=True)


def _tell(seen: Seen) -> None:
    while seen.untold:
        _say(seen.untold.popleft())
    _say(seen.summary())


def _watch(stop: asyncio.Event, seen: Seen) -> None:
    with Log(bootstrap_servers(), "tapeline-demo") as log:
        places = [
            (topic, partition) for topic in map(namespaced, _WATCHED) for partition in range(log.partitions(topic))
        ]
        log.assign({place: log.bounds(*place)[1] for place in places})
        takes = {namespaced(topic): take for topic, take in _WATCHED.items()}
        while not stop.is_set():
            for message in log.fetch(0.1):
                if message.error() is None:
                    take = takes[message.topic() or ""]
                    take(seen, message.value() or b"", dict(message.headers() or ()))


def _take_event(seen: Seen, value: bytes, _headers: Mapping[str, Any]) -> None:
    seen.take(decode_event(value))


def _take_pressure(seen: Seen, value: bytes, headers: Mapping[str, Any]) -> None:
    now_ns = time.time_ns()
    document = orjson.loads(value)
    for row in document["rows"]:
        seen.board.update(document["source"], document["stream"], row)
    seen.rows += len(document["rows"])
    opened = headers.get("opened")
    if opened and len(seen.latencies_ms) < _MOST_LATENCIES:
        seen.latencies_ms.append((now_ns - int(opened)) / 1e6)


def _take_chain(seen: Seen, value: bytes, _headers: Mapping[str, Any]) -> None:
    seen.ladder.update(orjson.loads(value))


def _take_flow(seen: Seen, value: bytes, _headers: Mapping[str, Any]) -> None:
    document = orjson.loads(value)
    for row in document["rows"]:
        seen.flow.update(document | row)


_WATCHED: Final = {
    "md.feed-events.v1": _take_event,
    "md.pressure.v1": _take_pressure,
    BEST_TOPIC: _take_chain,
    "md.option-flow.v1": _take_flow,
}


def _say(text: str) -> None:
    sys.stdout.write(f"demo: {text}\n")
    sys.stdout.flush()
