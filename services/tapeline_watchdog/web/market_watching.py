"""Reads pressure, chains and option flow from Kafka for the page, while somebody looks at it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

import orjson

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.log import Log, Place
from tapeline.errors import Retryable, TopicMismatch
from tapeline.model.chains import BEST_TOPIC
from tapeline.ops.logs import get_logger
from tapeline.ops.metrics import BAD_PAGE_MESSAGES
from tapeline_watchdog.web.audience import Audience
from tapeline_watchdog.web.hub import Hub
from tapeline_watchdog.web.market import CHART_WINDOW_MS, CHART_WINDOWS, Document, flow_rows, ladder, pressure_rows
from tapeline_watchdog.web.parts import tell
from tapeline_watchdog.web.room import Room

log = get_logger("page")

MOST_SYMBOLS: Final = 256
"""Streams of symbols of which pressure is shown. Their charts take 14 MB here, and 11 MB to each client that comes."""
_CLIENT_ID: Final = "tapeline-watchdog-page"
_FETCH_WAIT_S: Final = 0.25
_CHECK_EVERY_S: Final = 5.0
_RETRY_S: Final = 2.0
_MOST_KEYS: Final = 1_000
_CHART_NS: Final = CHART_WINDOW_MS * CHART_WINDOWS * 1_000_000

Row = tuple[str, Document]
News = list[tuple[str, str, Document]]
"""Types of event, keys, and rows."""


@dataclass(frozen=True, slots=True)
class _Topic:
    """What is read for a part of the page, and how far back: `since_s`, and `messages` of a partition at most."""

    part: str
    name: str
    rows: Callable[[Any], Iterable[Row]]
    since_s: float
    messages: int


_TOPICS: Final = (
    _Topic("pressure", "md.pressure.v1", pressure_rows, 130.0, 3_000),
    # A chain has up to 4 MiB, and comes again each second while it is live.
    _Topic("chain", BEST_TOPIC, lambda chain: (ladder(chain),), 3_600.0, 20),
    _Topic("flow", "md.option-flow.v1", flow_rows, 900.0, 300),
)


class MarketWatch:
    """Puts the newest rows into the hub while there is an audience; drops them when it has gone."""

    def __init__(
        self,
        hub: Hub,
        audience: Audience,
        servers: str,
        *,
        timeout_s: float,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._hub = hub
        self._audience = audience
        self._servers = servers
        self._timeout_s = timeout_s
        self._now_ms = now_ms
        self._newest_ns: dict[str, int] = {}
        self._room = Room(MOST_SYMBOLS, _CHART_NS)

    async def run(self) -> None:
        """Read whenever there is an audience, until that is told to end; where the broker is away, try again."""
        while await self._audience.arrives():
            try:
                await asyncio.to_thread(self._read, asyncio.get_running_loop())
            except (Retryable, TopicMismatch) as error:
                for topic in _TOPICS:
                    tell(self._hub, topic.part, str(error))
                await self._audience.ends_within(_RETRY_S)
                continue
            self._forget()

    def _forget(self) -> None:
        self._newest_ns.clear()
        self._room.clear()
        for topic in _TOPICS:
            self._hub.forget(topic.part)

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        """Read while there is an audience. Raises Retryable or TopicMismatch where the broker does not answer."""
        by_name = {namespaced(topic.name): topic for topic in _TOPICS}
        with closing(Log(self._servers, _CLIENT_ID, timeout_s=self._timeout_s)) as topics:
            starts = {place: at for topic in _TOPICS for place, at in self._starts(topics, topic)}
            topics.assign(starts)
            loop.call_soon_threadsafe(self._tell_available)
            checked_s = time.monotonic()
            while self._audience.is_there:
                news: News = []
                for message in topics.fetch(_FETCH_WAIT_S):
                    if message.error() is None:
                        topic = by_name[message.topic() or ""]
                        news += [(topic.part, key, row) for key, row in _rows(topic, message.value() or b"")]
                if news:
                    loop.call_soon_threadsafe(self._take, news)
                if time.monotonic() - checked_s >= _CHECK_EVERY_S:
                    # A broker that is away is silent: only a question that it answers tells silence from absence.
                    topics.bounds(*next(iter(starts)))
                    checked_s = time.monotonic()

    def _starts(self, topics: Log, topic: _Topic) -> Iterator[tuple[Place, int]]:
        name, since_ms = namespaced(topic.name), self._now_ms() - round(topic.since_s * 1e3)
        for partition in range(topics.partitions(name)):
            begin, end = topics.bounds(name, partition)
            found = topics.offset_since(name, partition, since_ms) if begin < end else None
            yield (name, partition), end if found is None else max(begin, found, end - topic.messages)

    def _tell_available(self) -> None:
        for topic in _TOPICS:
            tell(self._hub, topic.part, None)

    def _take(self, news: News) -> None:
        for part, key, row in news:
            if "window_start" in row and self._is_old(part + key, int(row["window_start"])):
                continue
            if part != "pressure" or self._room.admits(key, int(row["window_start"])):
                self._hub.put(part, key, row)
        tell(self._hub, "pressure", None, left_out=self._room.left_out())

    def _is_old(self, key: str, start_ns: int) -> bool:
        """Return whether a row is of a time that is not shown any more: revisions may be of any."""
        if len(self._newest_ns) >= _MOST_KEYS and key not in self._newest_ns:
            self._newest_ns.clear()
        newest_ns = self._newest_ns[key] = max(start_ns, self._newest_ns.get(key, start_ns))
        return start_ns < newest_ns - (_CHART_NS if key.startswith("pressure") else 0)


def _rows(topic: _Topic, value: bytes) -> list[Row]:
    try:
        return list(topic.rows(orjson.loads(value)))
    except (ValueError, KeyError, TypeError) as error:
        BAD_PAGE_MESSAGES.labels(topic.name).inc()
        log.warning("bad_message", topic=topic.name, reason=f"{type(error).__name__}: {error}")
        return []
