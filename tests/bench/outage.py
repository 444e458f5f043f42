"""How soon the tape is live again after the vendor's network was away."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp
from broker import Broker, fresh_namespace
from processes import TAPELINE, Output, supervisor, wait_until

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.log import Log
from tapeline.model.codec import decode
from tapeline_cli.supervisor import Supervisor

DATASET = "TAPELINE.SIM"
KEY = "db-simulated0simulated0simulated"
_TOPIC = "md.ticks.databento.v1"
_TIMEOUT_S = 120.0
_LIVE_S = 1.5


@dataclass(frozen=True, slots=True)
class Outage:
    """An outage of `seconds`, and how long after its end the first live tick was on the tape."""

    seconds: float
    first_tick_ms: float


async def measure(broker: Broker, outages: Sequence[float]) -> list[Outage]:
    """Break the connection of `tapeline-databento` to `tapeline simulate databento` for each of `outages` (s).

    Every outage meets a producer that has just been started. The end of an outage is when the gateway was asked for it,
    plus its length; the first live tick is the broker's time of appending (rounded up to the next ms) the first frame
    after that which is neither a snapshot's nor of the replay: an upper bound.
    """
    with fresh_namespace(broker):
        async with supervisor() as children, aiohttp.ClientSession() as http:
            with Output("gateway") as output:
                command = [*TAPELINE, "simulate", "databento", "--port", "0", "--control-port", "0"]
                gateway = await children.start(
                    "gateway",
                    [*command, "--dataset", DATASET, "--no-options", "--json"],
                    {},
                    stdout=output.descriptor,
                )

                async def is_up() -> bool:
                    return bool(output.documents())

                await wait_until(is_up, gateway, "opening the gateway", _TIMEOUT_S)
                addresses = output.documents()[0]
            control = f"http://127.0.0.1:{addresses['control_port']}"
            return [await _measure_one(broker, http, control, addresses["port"], seconds) for seconds in outages]


async def _measure_one(broker: Broker, http: aiohttp.ClientSession, control: str, port: int, seconds: float) -> Outage:
    async with supervisor() as children:
        with Log(broker.servers, "tapeline-bench") as log:
            begin_ms = time.time() * 1e3
            await _start(children, port)
            await _first_live_ms(log, begin_ms)
            await asyncio.sleep(_LIVE_S)
            back_ms = time.time() * 1e3 + seconds * 1e3
            async with http.post(f"{control}/faults", json={"name": "outage", "seconds": seconds}) as answer:
                answer.raise_for_status()
            await asyncio.sleep(seconds)
            return Outage(seconds, await _first_live_ms(log, back_ms) + 1 - back_ms)


async def _start(children: Supervisor, port: int) -> None:
    settings = {
        "API_KEY": KEY,
        "DATASET": DATASET,
        "GATEWAY": "127.0.0.1",
        "PORT": str(port),
        "SUBSCRIPTIONS": "mbo=NQ.FUT",
        "HEALTH_PORT": "0",
    }
    environment = {f"TAPELINE_DATABENTO_{name}": value for name, value in settings.items()}
    await children.start("producer", [sys.executable, "-m", "tapeline_databento"], environment)


async def _first_live_ms(log: Log, since_ms: float) -> float:
    """Return the broker's time (ms) of appending the first live frame at `since_ms` or later; wait for it."""
    topic = namespaced(_TOPIC)
    deadline_s = time.monotonic() + _TIMEOUT_S
    starts = {(topic, partition): 0 for partition in range(log.partitions(topic))}
    log.assign(starts)
    while time.monotonic() < deadline_s:
        for message in await asyncio.to_thread(log.fetch, 0.1):
            if message.error() is None and message.timestamp()[1] >= since_ms:
                frame = decode(message.value() or b"")
                if frame.origin == "live" and frame.frame is not None and not (frame.columns["flags"] & 32).any():
                    return float(message.timestamp()[1])
    raise TimeoutError(f"no live tick came within {_TIMEOUT_S:g} s")
