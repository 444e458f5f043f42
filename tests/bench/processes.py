"""The product's processes as a user starts them, and what is read off them while they work."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final, Self

import aiohttp
import orjson
import psutil
from prometheus_client.parser import text_string_to_metric_families
from ticks_file import STREAM

from tapeline_cli.local_broker import state_folder
from tapeline_cli.supervisor import Child, Supervisor, failure

FOLDER: Final = state_folder() / "bench"
TAPELINE: Final = (sys.executable, "-m", "tapeline_cli")
_POLL_S: Final = 0.1
_SAMPLE_S: Final = 0.05
_READY_TIMEOUT_S: Final = 120.0
_WORK_TIMEOUT_S: Final = 300.0


def supervisor() -> Supervisor:
    """Return a supervisor that leaves no process behind; its processes log to the bench's folder."""
    return Supervisor(FOLDER / "logs")


async def wait_until(condition: Callable[[], Awaitable[bool]], child: Child, what: str, timeout_s: float) -> None:
    """Wait for a condition. Raises ProcessFailed where the process ends before, TimeoutError."""
    deadline_s = time.monotonic() + timeout_s
    while not await condition():
        if child.process.returncode is not None:
            raise failure(child)
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{child.name}: {what} took more than {timeout_s:g} s; see {child.log}")
        await asyncio.sleep(_POLL_S)


async def end_of(child: Child) -> None:
    """Wait until a process has ended well. Raises ProcessFailed, TimeoutError."""
    async with asyncio.timeout(_WORK_TIMEOUT_S):
        if await child.process.wait() != 0:
            raise failure(child)


class Output:
    """The standard output of a process as JSON lines, in a file beside its log."""

    def __init__(self, name: str) -> None:
        path = FOLDER / "logs" / f"{name}.out"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self.descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)

    def documents(self) -> list[dict[str, Any]]:
        """Return the whole lines that were written until now."""
        whole = self._path.read_bytes().rpartition(b"\n")[0]
        return [orjson.loads(line) for line in whole.splitlines()]


async def replay(
    supervisor: Supervisor, file: Path | str, *options: str, stdin: int | None = None
) -> tuple[Child, Output]:
    """Start `tapeline replay FILE --json` into the bench's stream; its output has one document at the end."""
    output = Output("replay")
    command = [*TAPELINE, "replay", str(file), "--json", "--stream", STREAM, *options]
    return await supervisor.start("replay", command, {}, stdin=stdin, stdout=output.descriptor), output


class Processor:
    """A running processor, with its default settings."""

    def __init__(self, child: Child, url: str, http: aiohttp.ClientSession) -> None:
        self.child = child
        self._url = url
        self._http = http

    @classmethod
    async def start(cls, supervisor: Supervisor, http: aiohttp.ClientSession) -> Processor:
        """Start one and return when it has its partitions."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        command = [sys.executable, "-m", "tapeline_processor"]
        child = await supervisor.start("processor", command, {"TAPELINE_PROCESSOR_HEALTH_PORT": port})
        processor = cls(child, f"http://127.0.0.1:{port}", http)
        await wait_until(processor._is_ready, child, "getting ready", _READY_TIMEOUT_S)
        return processor

    async def has_done(self, ticks: int) -> int:
        """Wait until exactly `ticks` ticks are applied and all their rows delivered; return the number of rows."""

        async def done() -> bool:
            counts = await self._counts()
            if counts.get("tapeline_dead_letters_total"):
                raise RuntimeError("the processor set frames aside as bad")
            applied = counts.get("tapeline_processor_ticks_total", 0)
            return applied >= ticks and (await self._facts())["undelivered"] == 0

        await wait_until(done, self.child, f"applying {ticks:,} ticks", _WORK_TIMEOUT_S)
        counts = await self._counts()
        applied = counts["tapeline_processor_ticks_total"]
        if applied != ticks:
            raise RuntimeError(f"{ticks:,} ticks were published, {applied:,} applied")
        return counts["tapeline_processor_pressure_rows_total"]

    async def _is_ready(self) -> bool:
        try:
            return bool((await self._facts())["ready"])
        except aiohttp.ClientError:
            return False

    async def _facts(self) -> dict[str, Any]:
        async with self._http.get(f"{self._url}/readyz") as answer:
            facts: dict[str, Any] = orjson.loads(await answer.read())
            return facts

    async def _counts(self) -> dict[str, int]:
        async with self._http.get(f"{self._url}/metrics") as answer:
            text = await answer.text()
        counts: dict[str, int] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name.endswith("_total"):
                    counts[sample.name] = counts.get(sample.name, 0) + int(sample.value)
        return counts


@dataclass(slots=True)
class Watched:
    """What was seen of one process: (s since the epoch, resident MB, CPU s used) at each look."""

    pid: int
    looks: list[tuple[float, float, float]] = field(default_factory=list)

    def look(self) -> None:
        """Take one look, unless the process has ended."""
        try:
            process = psutil.Process(self.pid)
            with process.oneshot():
                if process.status() == psutil.STATUS_ZOMBIE:
                    return
                cpu = process.cpu_times()
                self.looks.append((time.time(), process.memory_info().rss / 1e6, cpu.user + cpu.system))
        except psutil.NoSuchProcess:
            return

    def largest_mb(self) -> float:
        """Return the largest resident memory."""
        return max(mb for _, mb, _ in self.looks)

    def growth_mb(self, since_s: float) -> float:
        """Return the median resident memory of the last third of the looks since then, less the first third's.

        The first fifth is left out: queues fill meanwhile.
        """
        sizes = [mb for at, mb, _ in self.looks if at >= since_s]
        sizes = sizes[len(sizes) // 5 :]
        third = max(1, len(sizes) // 3)
        return median(sizes[-third:]) - median(sizes[:third])

    def cpu_s(self, since_s: float) -> float:
        """Return the CPU time used from `since_s` on."""
        used = [cpu for at, _, cpu in self.looks if at >= since_s]
        return used[-1] - used[0]


async def watch(processes: Iterable[Watched]) -> None:
    """Look at processes again and again, until cancelled."""
    watched = list(processes)
    while True:
        for process in watched:
            process.look()
        await asyncio.sleep(_SAMPLE_S)
