"""What the watchdog costs while it watches a large installation."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Final

import aiohttp
from broker import Broker, fresh_namespace
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from processes import Watched, supervisor, wait_until, watch

from tapeline.bus.bootstrap import namespaced
from tapeline.feed.claims import EVENTS_TOPIC
from tapeline.model.events import FeedEvent, encode_event
from tapeline.ops.resources import resource

GROUPS: Final = 20
PARTITIONS: Final = 24
STREAMS: Final = 200
_READ_TOPIC: Final = "bench-frames"
_SCRAPE_EVERY_S: Final = 15.0
_WARM_S: Final = 15.0
_READY_TIMEOUT_S: Final = 120.0
_SOURCE: Final = "databento"


@dataclass(frozen=True, slots=True)
class WatchdogCost:
    """CPU time of one core (percent of the time that went by), and the largest resident memory."""

    cpu_percent: float
    rss_mb: float


async def measure(broker: Broker, seconds: float) -> WatchdogCost:
    """Run the watchdog with its default settings, and measure it for `seconds` once it has all partitions and streams.

    Each of the groups has one consumer that takes all partitions of a topic into which a frame per partition comes each
    second, and commits every five; each of the streams sends a heartbeat of one kind each second. Metrics are scraped
    every 15 s, as by Prometheus.
    """
    with fresh_namespace(broker), socket.socket() as probe:
        topic = _make_topic(broker)
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        with _Load(broker, topic).running():
            async with supervisor() as children, aiohttp.ClientSession() as http:
                setting = {"TAPELINE_WATCHDOG_HEALTH_PORT": str(port)}
                child = await children.start("watchdog", [sys.executable, "-m", "tapeline_watchdog"], setting)
                url = f"http://127.0.0.1:{port}"

                async def sees_all() -> bool:
                    return await _sees_all(http, url)

                await wait_until(sees_all, child, "seeing all groups and streams", _READY_TIMEOUT_S)
                watched = Watched(child.process.pid)
                looking = asyncio.create_task(watch([watched]))
                try:
                    await _scrape(http, url, _WARM_S)
                    began_s = time.time()
                    await _scrape(http, url, seconds)
                    took_s = time.time() - began_s
                finally:
                    looking.cancel()
    return WatchdogCost(100.0 * watched.cpu_s(began_s) / took_s, watched.largest_mb())


class _Load:
    """Consumers, frames and heartbeats, from a thread of its own."""

    def __init__(self, broker: Broker, topic: str) -> None:
        self._servers = broker.servers
        self._topic = topic
        self._is_over = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            thread.join()

    def _run(self) -> None:
        frame = resource("schemas", "golden", "tick-frame.v1.mbo.json").read_bytes()
        producer = Producer({"bootstrap.servers": self._servers, "linger.ms": 50})
        with ExitStack() as open_consumers:
            consumers = [open_consumers.enter_context(closing(self._consumer(number))) for number in range(GROUPS)]
            while not self._is_over.is_set():
                began_s, at_ns = time.monotonic(), time.time_ns()
                for partition in range(PARTITIONS):
                    producer.produce(self._topic, frame, partition=partition)
                for number in range(STREAMS):
                    event = _heartbeat(number, at_ns)
                    producer.produce(namespaced(EVENTS_TOPIC), encode_event(event), event.key)
                producer.flush(10.0)
                for consumer in consumers:
                    consumer.consume(10 * PARTITIONS, 0.0)
                self._is_over.wait(max(0.0, 1.0 - (time.monotonic() - began_s)))

    def _consumer(self, number: int) -> Consumer:
        consumer = Consumer(
            {
                "bootstrap.servers": self._servers,
                "group.id": namespaced(f"bench-{number}"),
                "auto.offset.reset": "earliest",
                "auto.commit.interval.ms": 5_000,
            }
        )
        consumer.subscribe([self._topic])
        return consumer


def _heartbeat(number: int, at_ns: int) -> FeedEvent:
    return FeedEvent(
        "heartbeat",
        _SOURCE,
        f"SIMX.SYNTH/S{number}.FUT",
        session="s",
        epoch=1,
        at=at_ns,
        kind="mbo",
        frame=0,
        ticks=100,
        ts_event=at_ns - 20_000_000,
        ts_recv=at_ns - 10_000_000,
        latency_p50_ns=20_000_000,
        latency_p99_ns=50_000_000,
        queue_fill=0.0,
    )


def _make_topic(broker: Broker) -> str:
    topic = namespaced(_READ_TOPIC)
    admin = AdminClient({"bootstrap.servers": broker.servers, "log_level": 5})
    made = admin.create_topics([NewTopic(topic, num_partitions=PARTITIONS, replication_factor=1)])
    made[topic].result(30.0)
    return topic


async def _sees_all(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(f"{url}/v1/lag") as lag, http.get(f"{url}/v1/feeds") as feeds:
            if lag.status != 200 or feeds.status != 200:
                return False
            groups = (await lag.json())["groups"]
            partitions = sum(len(topic["partitions"]) for group in groups for topic in group["topics"])
            return partitions >= GROUPS * PARTITIONS and len((await feeds.json())["feeds"]) >= STREAMS
    except aiohttp.ClientError:
        return False


async def _scrape(http: aiohttp.ClientSession, url: str, seconds: float) -> None:
    until_s = time.monotonic() + seconds
    while (left_s := until_s - time.monotonic()) > 0:
        async with http.get(f"{url}/metrics") as answer:
            await answer.read()
        await asyncio.sleep(min(_SCRAPE_EVERY_S, left_s))
