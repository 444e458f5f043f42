"""Databento's wire → frames, from a gateway on loopback: what the live producer can take before Kafka."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from processes import Output, end_of, supervisor, wait_until

HERE: Final = Path(__file__).parent
_READY_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class LiveFeed:
    """One session. `growth_mb` is the median resident memory of its last third less that of its first third."""

    records: int
    seconds: float
    cpu_ns: float
    rss_mb: float
    growth_mb: float

    @property
    def records_per_s(self) -> float:
        """Records per second, from the first to the last."""
        return self.records / self.seconds


async def measure(records: int) -> LiveFeed:
    """Take `records` MBO records of three instruments from `blast_gateway.py` into encoded frames, in one process.

    That is the producer's own line, framer and codec, on one thread; nothing is given to Kafka. Every record must be in
    a frame, or the run fails.
    """
    with Output("blast-gateway") as gateway_output, Output("live-reader") as output:
        async with supervisor() as children:
            command = [sys.executable, str(HERE / "blast_gateway.py"), str(records)]
            gateway = await children.start("blast-gateway", command, {}, stdout=gateway_output.descriptor)

            async def is_ready() -> bool:
                return bool(gateway_output.documents())

            await wait_until(is_ready, gateway, "getting ready", _READY_TIMEOUT_S)
            port = gateway_output.documents()[0]["port"]
            command = [sys.executable, str(HERE / "live_reader.py"), str(port)]
            await end_of(await children.start("live-reader", command, {}, stdout=output.descriptor))
        (read,) = output.documents()
    if read["framed"] != records:
        raise RuntimeError(f"{records:,} records were sent, {read['framed']:,} are in frames")
    sizes = read["rss_mb"]
    third = max(1, len(sizes) // 3)
    return LiveFeed(
        records=records,
        seconds=read["seconds"],
        cpu_ns=read["cpu_s"] / records * 1e9,
        rss_mb=max(sizes),
        growth_mb=median(sizes[-third:]) - median(sizes[:third]),
    )
