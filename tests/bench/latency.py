"""How long a row takes at a live rate."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass

import aiohttp
import numpy as np
import orjson
from broker import Broker, ends, fresh_namespace
from processes import TAPELINE, Processor, end_of, replay, supervisor

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.log import Log

PRESSURE_TOPIC = "md.pressure.v1"
RATE = 50_000
_WARM_S = 5.0


@dataclass(frozen=True, slots=True)
class Latency:
    """From tick to row over `rows` rows, at `ticks_per_s`."""

    p50_ms: float
    p99_ms: float
    rows: int
    ticks_per_s: float


async def measure(broker: Broker, seconds: float) -> Latency:
    """Run `tapeline simulate market --rate 50000 | tapeline replay -` at real speed into the processor.

    A row's latency is the broker's time of appending it (rounded up to the next ms) less the header `opened`, the
    arrival at the producer of the first tick of the frame that closed its window: an upper bound. Each row counts once;
    the first 5 s are left out.
    """
    with fresh_namespace(broker), Log(broker.servers, "tapeline-bench") as log:
        starts = await asyncio.to_thread(ends, log, namespaced(PRESSURE_TOPIC))
        async with supervisor() as children, aiohttp.ClientSession() as http:
            processor = await Processor.start(children, http)
            reading, writing = os.pipe()
            try:
                producer, output = await replay(children, "-", stdin=reading)
                market = [*TAPELINE, "simulate", "market", "--seed", "7", "--rate", str(RATE)]
                await children.start("market", [*market, "--seconds", str(_WARM_S + seconds)], {}, stdout=writing)
            finally:
                os.close(reading)
                os.close(writing)
            with output:
                await end_of(producer)
                published = output.documents()[-1]["ticks"]
            await processor.has_done(published)
        rows = np.concatenate(
            [
                await asyncio.to_thread(_rows, log, topic, partition, start)
                for (topic, partition), start in starts.items()
            ]
        )
    opened_ms, latencies_ms = rows[:, 0], rows[:, 1]
    since_ms = opened_ms.min() + _WARM_S * 1e3
    chosen = latencies_ms[(opened_ms >= since_ms) & (opened_ms < since_ms + seconds * 1e3)]
    p50, p99 = np.percentile(chosen, (50, 99))
    return Latency(float(p50), float(p99), len(chosen), published / (_WARM_S + seconds))


def _rows(log: Log, topic: str, partition: int, start: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return (opened, latency) in ms per row of a partition."""
    found = []
    for message in log.read(topic, partition, start, log.bounds(topic, partition)[1]):
        opened_ms = int(dict(message.headers() or ())["opened"] or b"") / 1e6
        latency_ms = message.timestamp()[1] + 1 - opened_ms
        found += [(opened_ms, latency_ms)] * len(orjson.loads(message.value() or b"")["rows"])
    return np.array(found, dtype=np.float64).reshape(-1, 2)
