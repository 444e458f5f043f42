"""Looks for new dead letters, and reads what their headers say."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Final

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.log import Log
from tapeline.ops.logs import get_logger
from tapeline.ops.stopping import wait_unless
from tapeline_watchdog.dead_letter_findings import DeadLetters, letter_of
from tapeline_watchdog.findings import Judged
from tapeline_watchdog.presence import IDLE_WAIT_MS, Presence
from tapeline_watchdog.settings import WatchdogSettings

log = get_logger("dead_letters")

TOPIC: Final = "md.dead-letters.v1"
_CLIENT_ID: Final = "tapeline-watchdog-dead-letters"
_HISTORY_NS: Final = 3_600_000_000_000
_STALE_AFTER_LOOKS: Final = 3
_PARTITION: Final = 0
"""Of the topic's only one."""


class DeadLetterWatch:
    """Asks for the topic's end at every sample's time, and reads only what is new: as a rule there is nothing."""

    def __init__(self, settings: WatchdogSettings, servers: str, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._servers = servers
        self._timeout_s = settings.timeout_s
        self._interval_s = settings.interval_s
        self._lasts_ns = settings.dead_letters_last_ns()
        self._now_ns = now_ns
        self._stopped = asyncio.Event()
        self._topic = namespaced(TOPIC)
        self._letters = DeadLetters(self._topic, self._lasts_ns)
        self._next: int | None = None
        """Offset of the next letter; None until the first place to read from is known."""
        self._read_ns: int | None = None
        self._kafka = Presence(log, "dead_letters")

    async def run(self) -> None:
        """Look until `stop`; where the broker does not answer, try again."""
        await self._kafka.watch(self._stopped, self._watch)

    def stop(self) -> None:
        """End `run` soon."""
        self._stopped.set()

    def judge(self, now_ns: int) -> Judged | None:
        """Return of what bad data comes; None while that is not known."""
        oldest_s = _STALE_AFTER_LOOKS * self._interval_s + 2 * self._timeout_s
        if self._read_ns is None or now_ns - self._read_ns >= oldest_s * 1e9:
            return None
        return self._letters.judge(now_ns)

    async def _watch(self) -> None:
        """Look until `stop`. Raises Retryable or TopicMismatch where the broker does not answer."""
        with closing(Log(self._servers, _CLIENT_ID, timeout_s=self._timeout_s, idle_wait_ms=IDLE_WAIT_MS)) as letters:
            await asyncio.to_thread(letters.partitions, self._topic)
            while not self._stopped.is_set():
                await asyncio.to_thread(self._read, letters)
                self._kafka.found()
                self._read_ns = self._now_ns()
                await wait_unless(self._stopped, self._interval_s)

    def _read(self, letters: Log) -> None:
        """Take in what is new, up to the end that the topic has now."""
        begin, end = letters.bounds(self._topic, _PARTITION)
        if self._next is None:
            self._next = self._start(letters, end)
        elif self._next > end:
            # The topic was made anew.
            self._next = begin
        if self._next >= end:
            return
        for message in letters.read(self._topic, _PARTITION, max(begin, self._next), end):
            self._take(message.offset() or 0, dict(message.headers() or ()), message.timestamp()[1])
        self._next = end
        letters.assign({})

    def _start(self, letters: Log, end: int) -> int:
        """Return where what still counts begins: a watchdog that starts does not tell of yesterday's."""
        since_ns = self._now_ns() - max(_HISTORY_NS, self._lasts_ns)
        found = letters.offset_since(self._topic, _PARTITION, since_ns // 1_000_000)
        return end if found is None else found

    def _take(self, offset: int, headers: Mapping[str, str | bytes | None], appended_ms: int) -> None:
        now_ns = self._now_ns()
        # What was there before the watchdog is as old as Kafka says; what comes is new, whatever its writer's clock.
        heard_ns = now_ns if self._read_ns is not None else min(now_ns, appended_ms * 1_000_000)
        self._letters.take(letter_of(headers, offset, heard_ns))
        self._next = offset + 1
