"""File → Kafka → Faust → pressure, and its limit: the same without Faust and without anything sent."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from broker import Broker, ends, first_tick_ms, fresh_namespace, last_message_ms
from processes import Output, Processor, Watched, end_of, replay, supervisor, wait_until, watch
from ticks_file import TicksFile

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.log import Log
from tapeline_cli.supervisor import Supervisor

TICKS_TOPIC = "md.ticks.saved.v1"
PRESSURE_TOPIC = "md.pressure.v1"
_TIMEOUT_S = 300.0
_WARM_PASSES = 2


@dataclass(frozen=True, slots=True)
class EndToEnd:
    """One run of the whole path. CPU in ns per tick; `rss_mb` the larger of producer and processor."""

    ticks: int
    rows: int
    seconds: float
    rss_mb: dict[str, float]
    growth_mb: dict[str, float]
    cpu_ns: dict[str, float]

    @property
    def ticks_per_s(self) -> float:
        """Ticks per second of the whole path."""
        return self.ticks / self.seconds


async def measure(broker: Broker, file: TicksFile, ticks: int) -> EndToEnd:
    """Run `tapeline replay FILE --passes N` and the processor together, in a namespace of their own.

    The time is that from the broker's appending of the first tick frame to that of the last pressure row; checkpoints
    and windows are on and all settings are the defaults. Two passes before it load the processor's kernels, those for
    the begin of another session as well. Every tick must have been applied, and rows must have come, or the run fails.
    Memory is VmRSS, looked at 20 times a second from the first frame on; `Watched.growth_mb`
    says what it grows by.
    """
    passes = file.passes(ticks)
    with fresh_namespace(broker), Log(broker.servers, "tapeline-bench") as log:
        async with supervisor() as children, aiohttp.ClientSession() as http:
            processor = await Processor.start(children, http)
            warm = await _replay(children, file, _WARM_PASSES)
            warm_rows = await processor.has_done(warm)
            ticks_from = await asyncio.to_thread(ends, log, namespaced(TICKS_TOPIC))
            rows_from = await asyncio.to_thread(ends, log, namespaced(PRESSURE_TOPIC))
            producer, output = await replay(children, file.path, "--passes", str(passes))
            watched = {"producer": Watched(producer.process.pid), "processor": Watched(processor.child.process.pid)}
            if broker.pid is not None:
                watched["broker"] = Watched(broker.pid)
            with output:
                async with _watching(watched):
                    await end_of(producer)
                    published = output.documents()[-1]["ticks"]
                    rows = await processor.has_done(warm + published) - warm_rows
            began_ms = await asyncio.to_thread(first_tick_ms, log, ticks_from)
            ended_ms = await asyncio.to_thread(last_message_ms, log, rows_from)
    if published != passes * file.ticks or not rows:
        raise RuntimeError(
            f"{passes * file.ticks:,} ticks were to be published; {published:,} were, with {rows:,} rows"
        )
    services = {name: process for name, process in watched.items() if name != "broker"}
    return EndToEnd(
        ticks=published,
        rows=rows,
        seconds=(ended_ms - began_ms) / 1e3,
        rss_mb={name: process.largest_mb() for name, process in services.items()},
        growth_mb={name: process.growth_mb(began_ms / 1e3) for name, process in services.items()},
        cpu_ns={name: process.cpu_s(began_ms / 1e3) / published * 1e9 for name, process in watched.items()},
    )


async def measure_raw_limit(broker: Broker, file: TicksFile, ticks: int) -> float:
    """Return the ticks per second of librdkafka's consumer with the product's decoder and kernels, nothing sent.

    As `measure` in all else: the same producer at the same time, the same passes before. The time ends when the last
    frame is applied.
    """
    warm, total = _WARM_PASSES * file.ticks, file.passes(ticks) * file.ticks
    with fresh_namespace(broker), Log(broker.servers, "tapeline-bench") as log:
        topic = namespaced(TICKS_TOPIC)
        async with supervisor() as children:
            with Output("raw_consumer") as output:
                command = [sys.executable, str(Path(__file__).with_name("raw_consumer.py")), broker.servers, topic]
                consumer = await children.start(
                    "raw_consumer", [*command, str(warm), str(warm + total)], {}, stdout=output.descriptor
                )

                async def has_written(lines: int) -> bool:
                    return len(output.documents()) >= lines

                await _replay(children, file, _WARM_PASSES)
                await wait_until(lambda: has_written(1), consumer, "warming up", _TIMEOUT_S)
                ticks_from = await asyncio.to_thread(ends, log, topic)
                await _replay(children, file, file.passes(ticks))
                await wait_until(lambda: has_written(2), consumer, f"applying {total:,} ticks", _TIMEOUT_S)
                ended_ms: float = output.documents()[1]["at_ns"] / 1e6
        began_ms = await asyncio.to_thread(first_tick_ms, log, ticks_from)
    return total / (ended_ms - began_ms) * 1e3


async def _replay(children: Supervisor, file: TicksFile, passes: int) -> int:
    child, output = await replay(children, file.path, "--passes", str(passes))
    with output:
        await end_of(child)
        published: int = output.documents()[-1]["ticks"]
        return published


@asynccontextmanager
async def _watching(watched: dict[str, Watched]) -> AsyncIterator[None]:
    task = asyncio.create_task(watch(watched.values()))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
