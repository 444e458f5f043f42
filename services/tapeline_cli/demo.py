"""`tapeline demo`: a synthetic market through Kafka and Faust to live pressure, on this machine."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import aiohttp
import orjson
import typer
from rich.console import Console
from rich.live import Live

from tapeline.bus.bootstrap import bootstrap_servers, namespaced
from tapeline.bus.log import Log
from tapeline.bus.topics import apply_topics, load_topics
from tapeline.errors import Retryable
from tapeline_cli.board import Board
from tapeline_cli.local_broker import LocalBroker, any_free_port, state_folder
from tapeline_cli.supervisor import Child, Supervisor, failure

_NAMESPACE: Final = "demo"
_STREAM: Final = "TAPELINE.SIM/NQ.FUT"
_READY_TIMEOUT_S: Final = 120.0
_POLL_S: Final = 0.1
_TABLE_EVERY_S: Final = 0.25
_LINE_EVERY_S: Final = 2.0
_MOST_LATENCIES: Final = 200_000


def demo(
    seconds: Annotated[
        float | None, typer.Option(envvar="DEMO_SECONDS", help="End after so many seconds; default: at Ctrl-C.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the synthetic market.")] = 7,
) -> None:
    """Show live pressure of a synthetic market on this machine."""
    if seconds is not None and seconds <= 0:
        raise typer.BadParameter("must be above 0", param_hint="DEMO_SECONDS")
    os.environ.setdefault("TAPELINE_NAMESPACE", _NAMESPACE)
    os.environ.setdefault("TAPELINE_PROFILE", "demo")
    with _broker():
        apply_topics(bootstrap_servers(), load_topics().values())
        asyncio.run(_run(seconds, seed))


@dataclass(slots=True)
class Seen:
    """What the demo saw of the pressure topic. Latencies are from the frame that closed a window to its row, ms."""

    rows: int = 0
    latencies_ms: list[float] = field(default_factory=list)

    def summary(self) -> str:
        """Return rows and latency as text."""
        if not self.latencies_ms:
            return f"{self.rows:,} rows"
        ordered = sorted(self.latencies_ms)
        p50, p99 = (ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.99))
        return f"{self.rows:,} rows, from tick to row p50 {p50:.1f} ms, p99 {p99:.1f} ms"


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


async def _run(seconds: float | None, seed: int) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    seen, board = Seen(), Board()
    async with Supervisor(state_folder() / "demo") as supervisor:
        health = f"http://127.0.0.1:{any_free_port()}"
        processor = await supervisor.start(
            "processor",
            [sys.executable, "-m", "tapeline_processor"],
            {"TAPELINE_PROCESSOR_HEALTH_PORT": health.rpartition(":")[2]},
        )
        _say("starts the processor (the first start compiles its kernels)")
        await _ready(processor, health, stop)
        _say("starts the market")
        replay = await _start_market(supervisor, seed)
        watching = asyncio.create_task(asyncio.to_thread(_watch, stop, seen, board))
        ended = asyncio.create_task(supervisor.first_end())
        await _first_row(seen, stop, ended, watching)
        _say("the market is open; Ctrl-C ends it" if seconds is None else f"the market is open for {seconds:g} s")
        await _show(stop, ended, watching, board, seen, seconds)
        stop.set()
        await watching
        if ended.done():
            raise failure(ended.result())
        ended.cancel()
    _say(_published(replay) + seen.summary())


async def _start_market(supervisor: Supervisor, seed: int) -> Child:
    reading, writing = os.pipe()
    try:
        tapeline = [sys.executable, "-m", "tapeline_cli"]
        report = os.open(state_folder() / "demo" / "replay.json", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        replay = await supervisor.start(
            "replay", [*tapeline, "replay", "-", "--stream", _STREAM, "--json"], {}, stdin=reading, stdout=report
        )
        os.close(report)
        await supervisor.start("market", [*tapeline, "simulate", "market", "--seed", str(seed)], {}, stdout=writing)
    finally:
        os.close(reading)
        os.close(writing)
    return replay


async def _ready(processor: Child, health: str, stop: asyncio.Event) -> None:
    deadline_s = time.monotonic() + _READY_TIMEOUT_S
    async with aiohttp.ClientSession() as http:
        while time.monotonic() < deadline_s and not stop.is_set():
            if processor.process.returncode is not None:
                raise failure(processor)
            with suppress(aiohttp.ClientError):
                async with http.get(f"{health}/readyz") as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(_POLL_S)
    if not stop.is_set():
        raise Retryable(f"the processor was not ready within {_READY_TIMEOUT_S:g} s; see {processor.log}")


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
    board: Board,
    seen: Seen,
    seconds: float | None,
) -> None:
    deadline_s = None if seconds is None else time.monotonic() + seconds
    console = Console()
    every_s = _TABLE_EVERY_S if console.is_terminal else _LINE_EVERY_S
    async with _display(console, board, seen) as refresh:
        while not stop.is_set() and not ended.done() and not watching.done():
            left_s = every_s if deadline_s is None else min(every_s, deadline_s - time.monotonic())
            if left_s <= 0:
                return
            try:
                await asyncio.wait_for(stop.wait(), left_s)
            except TimeoutError:
                refresh()


@asynccontextmanager
async def _display(console: Console, board: Board, seen: Seen) -> AsyncIterator[Callable[[], None]]:
    if not console.is_terminal:
        yield lambda: _say(seen.summary())
        return
    with Live(console=console, auto_refresh=False) as live:
        yield lambda: live.update(board.table("bid/ask pressure"), refresh=True)


def _watch(stop: asyncio.Event, seen: Seen, board: Board) -> None:
    topic = namespaced("md.pressure.v1")
    with Log(bootstrap_servers(), "tapeline-demo") as log:
        log.assign({(topic, partition): log.bounds(topic, partition)[1] for partition in range(log.partitions(topic))})
        while not stop.is_set():
            for message in log.fetch(0.1):
                if message.error() is not None:
                    continue
                now_ns = time.time_ns()
                document = orjson.loads(message.value() or b"")
                for row in document["rows"]:
                    board.update(document["source"], document["stream"], row)
                seen.rows += len(document["rows"])
                opened = dict(message.headers() or ()).get("opened")
                if opened and len(seen.latencies_ms) < _MOST_LATENCIES:
                    seen.latencies_ms.append((now_ns - int(opened)) / 1e6)


def _published(replay: Child) -> str:
    path = Path(replay.log).with_name("replay.json")
    lines = path.read_bytes().splitlines()
    if not lines:
        return ""
    report = orjson.loads(lines[-1])
    return f"{report['ticks']:,} ticks in {report['frames']:,} frames, "


def _say(text: str) -> None:
    sys.stdout.write(f"demo: {text}\n")
    sys.stdout.flush()
