"""Reads a gateway into frames: client, normalisation, framing and encoding as the producer does them, without Kafka.

``live_reader.py PORT`` takes one session to its end and prints what it took.
"""

from __future__ import annotations

import asyncio
import sys
import time

import orjson
import psutil
from blast_gateway import KEY, START_NS

from tapeline.feed.calendar import calendar_of
from tapeline.feed.framer import Framer, SessionIdentity, Ticks
from tapeline.model.codec import encode
from tapeline.ops.memory import keep_freed_memory
from tapeline_databento.errors import Disconnected
from tapeline_databento.settings import DatabentoSettings
from tapeline_databento.source import DatabentoSource

_LOOK_EVERY_FRAMES = 50


async def read(port: int) -> dict[str, object]:
    """Return counts, times (s) and resident memory (MB) of one session."""
    settings = DatabentoSettings.model_validate(
        {"api_key": KEY, "gateway": "127.0.0.1", "port": port, "subscriptions": "mbo=NQ.FUT"}
    )
    (line,) = DatabentoSource(settings, lambda: START_NS).lines()
    session = await line.connect({})
    framer = Framer(
        SessionIdentity("databento", "bench", 1, "live"), settings.frame_limits(), calendar_of(settings.dataset)
    )
    process = psutil.Process()
    framed = frames = 0
    rss_mb: list[float] = []
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    try:
        async for item in session.items():
            if not isinstance(item, Ticks):
                continue
            for frame in framer.add(item, START_NS):
                encode(frame)
                framed += len(frame)
                frames += 1
                if not frames % _LOOK_EVERY_FRAMES:
                    rss_mb.append(process.memory_info().rss / 1e6)
    except Disconnected:
        for frame in framer.finish(START_NS):
            encode(frame)
            framed += len(frame)
    return {
        "framed": framed,
        "seconds": time.monotonic() - began_s,
        "cpu_s": time.process_time() - began_cpu_s,
        "rss_mb": rss_mb,
    }


def main() -> None:
    """Read one session and print what it took."""
    keep_freed_memory()
    sys.stdout.write(orjson.dumps(asyncio.run(read(int(sys.argv[1])))).decode() + "\n")


if __name__ == "__main__":
    main()
