"""What a user would pick instead: a stream framework with one JSON message per tick."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import orjson
import sameness
from broker import Broker, fresh_namespace
from confluent_kafka import Producer
from processes import FOLDER, supervisor, wait_until
from ticks_file import STREAM, TicksFile, batches

HERE: Final = Path(__file__).parent
QUIXSTREAMS: Final = HERE / "quixstreams"
_FLUSH_TIMEOUT_S: Final = 60.0
_TIMEOUT_S: Final = 300.0
_PACKAGES_TIMEOUT_S: Final = 600.0


async def measure_faust(broker: Broker, file: TicksFile, messages: int) -> float:
    """Return the ticks per second of `faust_app.py`, run as Faust's documentation says; else as `_measure`."""
    command = [sys.executable, str(HERE / "faust_app.py"), "--quiet", "worker", "--without-web", "--loglevel=warn"]
    return await _measure(broker, file, messages, "faust", command)


async def measure_quixstreams(broker: Broker, file: TicksFile, messages: int, *, same: bool) -> float:
    """Return the ticks per second of `quixstreams/app.py`, in an environment of its own; else as `_measure`.

    `same`: with every metric of Tapeline's, held to its rows before, instead of simpler ones.
    """
    python = await asyncio.to_thread(quixstreams_python, FOLDER / "quixstreams")
    command = [str(python), str(QUIXSTREAMS / "app.py")]
    if not same:
        return await _measure(broker, file, messages, "quixstreams", command)
    await asyncio.to_thread(sameness.check, file, _messages(file, min(messages, file.ticks)))
    knows = {"BENCH_SESSIONS": orjson.dumps(sameness.sessions_of(file)).decode()}
    return await _measure(broker, file, messages, "quixstreams-same", command, knows)


async def _measure(
    broker: Broker,
    file: TicksFile,
    messages: int,
    name: str,
    command: list[str],
    knows: Mapping[str, str] = MappingProxyType({}),
) -> float:
    """Run a framework's app over a topic that was filled before, one JSON message per tick.

    Measured inside the app, from its 10 % mark to the last message: neither its start nor the producer is counted, it
    has both cores to share with the broker only, and it keeps its state in plain Python without any checkpoint, all of
    which is in its favour.
    """
    folder = FOLDER / f"{name}-run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    written = folder / "report.json"
    with fresh_namespace(broker, others=("ticks", "rows")) as namespace:
        await asyncio.to_thread(_fill, broker.servers, f"{namespace}.ticks", file, messages)
        environment = {
            "PYTHONPATH": str(HERE),
            "BENCH_ID": f"{namespace}.{name}",
            "BENCH_TICKS": f"{namespace}.ticks",
            "BENCH_ROWS": f"{namespace}.rows",
            "BENCH_MESSAGES": str(messages),
            "BENCH_DATA": str(folder),
            "BENCH_REPORT": str(written),
            **knows,
        }
        async with supervisor() as children:
            child = await children.start(name, command, environment)

            async def has_ended() -> bool:
                return written.is_file()

            await wait_until(has_ended, child, f"{messages:,} messages", _TIMEOUT_S)
    report = orjson.loads(written.read_bytes())
    shutil.rmtree(folder)
    if not report["rows"]:
        raise RuntimeError(f"{name} made no rows")
    rate: float = report["messages"] / report["seconds"]
    return rate


def quixstreams_python(folder: Path) -> Path:
    """Return the interpreter of a virtual environment with the locked packages, made where it is missing."""
    lock = QUIXSTREAMS / "requirements.lock"
    installed = folder / "installed.lock"
    python = folder / "bin" / "python"
    if not installed.is_file() or installed.read_bytes() != lock.read_bytes():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True, timeout=_PACKAGES_TIMEOUT_S)
        install = [str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(lock)]
        subprocess.run(install, check=True, timeout=_PACKAGES_TIMEOUT_S)
        shutil.copyfile(lock, installed)
    return python


def _fill(servers: str, topic: str, file: TicksFile, messages: int) -> None:
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 50, "compression.type": "lz4"})
    for message in _messages(file, messages):
        while True:
            try:
                producer.produce(topic, message, STREAM)
                break
            except BufferError:
                producer.poll(0.1)
    if producer.flush(_FLUSH_TIMEOUT_S):
        raise RuntimeError(f"{topic} could not be filled")


def _messages(file: TicksFile, messages: int) -> Iterator[bytes]:
    """Yield ticks as JSON objects, pass after pass, until there are enough."""
    left = messages
    while left:
        for ticks in batches(file.path):
            count = min(left, len(ticks))
            symbol = ticks.directory[int(ticks.instrument_ids[0])].symbol
            columns: dict[str, list[Any]] = {
                name: list(values.tobytes().decode("ascii")) if values.dtype.char == "B" else values.tolist()
                for name, values in ticks.columns.items()
            }
            for row in zip(*(values[:count] for values in columns.values()), strict=True):
                yield orjson.dumps({"symbol": symbol, **dict(zip(columns, row, strict=True))})
            left -= count
            if not left:
                return
