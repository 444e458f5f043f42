"""Keeps the incidents of md.incidents.v1: reads them, writes what has changed, and has people told of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Final

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.log import Log
from tapeline.bus.publisher import Publisher
from tapeline.errors import BadData, Retryable, TopicMismatch
from tapeline.model.incidents import TOPIC, Incident
from tapeline.ops.logs import get_logger
from tapeline.ops.stopping import wait_unless
from tapeline_watchdog.broker_findings import BrokerLooks
from tapeline_watchdog.findings import Judged
from tapeline_watchdog.incident_records import is_worsened
from tapeline_watchdog.incident_settings import IncidentSettings
from tapeline_watchdog.incidents import Incidents
from tapeline_watchdog.presence import IDLE_WAIT_MS, Presence
from tapeline_watchdog.webhooks import Webhooks

log = get_logger("incidents")

Judge = Callable[[int], Judged | None]
"""Judges as of now (ns since the epoch); None while it knows too little of now to say anything."""

_CLIENT_ID: Final = "tapeline-watchdog-incidents"
_EVERY_S: Final = 1.0
_WRITE_TIMEOUT_S: Final = 30.0
_STALE_NS: Final = 15_000_000_000
_TELL_WITHIN_NS: Final = 3_600_000_000_000
_PARTITION: Final = 0
"""Of the topic's only one: which of two that say the same was first is what its order is for."""


class IncidentWatch:
    """Asks `judges` once a second, and keeps the topic of incidents by what they say.

    That Kafka does not answer is seen here: people are told at once, and the topic once it is back.

    `incidents` are all that are kept: the open ones first, then the one that changed last. `read_ns` is when the topic
    was last read to its end, None before the first time.
    """

    def __init__(
        self,
        settings: IncidentSettings,
        servers: str,
        judges: Sequence[Judge],
        *,
        timeout_s: float,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._servers = servers
        self._judges = judges
        self._timeout_s = timeout_s
        self._now_ns = now_ns
        self._stopped = asyncio.Event()
        self._rules = settings.incident_rules()
        self._incidents = Incidents(self._rules)
        self._broker = BrokerLooks(settings.broker_limit_ns())
        self._webhooks = Webhooks(settings.webhooks(), self._on_told, settings.patience())
        self._next = 0
        self._turned: dict[str, Incident] = {}
        """By id, the record that opened, worsened or closed an incident: the first one to do so on the topic."""
        self._worse: set[str] = set()
        """Ids of those that were open, and worsened."""
        self._handed: dict[str, tuple[str, int, str]] = {}
        """By id, state, flaps and severity of what was last handed to the webhooks."""
        self._told: list[Incident] = []
        self._kafka = Presence(log, "incidents")
        self.incidents: tuple[Incident, ...] = ()
        self.read_ns: int | None = None

    def is_fresh(self) -> bool:
        """Return whether the incidents are those of now."""
        return self.read_ns is not None and self._now_ns() - self.read_ns < _STALE_NS

    async def run(self) -> None:
        """Watch until `stop`; where the broker does not answer, try again."""
        async with asyncio.TaskGroup() as group:
            telling = group.create_task(self._webhooks.run())
            while not self._stopped.is_set():
                began_ns = self._now_ns()
                try:
                    await self._watch()
                except (Retryable, TopicMismatch) as error:
                    self._kafka.lost(error)
                    self._note_away(error, began_ns)
                await wait_unless(self._stopped, _EVERY_S)
            telling.cancel()

    def stop(self) -> None:
        """End `run` soon."""
        self._stopped.set()

    async def _watch(self) -> None:
        """Watch until `stop`. Raises Retryable or TopicMismatch where the broker does not answer."""
        with closing(Log(self._servers, _CLIENT_ID, timeout_s=self._timeout_s, idle_wait_ms=IDLE_WAIT_MS)) as records:
            await asyncio.to_thread(self._begin, records)
            await self._read(records)
            self._tell_what_is_left()
            publisher = Publisher(self._servers, _CLIENT_ID, stall_limit_s=_WRITE_TIMEOUT_S)
            try:
                while not self._stopped.is_set():
                    await self._read(records)
                    await self._observe(publisher, records)
                    # Not before: what was told while Kafka was away is written only now.
                    await self._note_told(publisher, records)
                    await wait_unless(self._stopped, _EVERY_S)
            finally:
                await publisher.close(0.0)

    def _begin(self, records: Log) -> None:
        topic = namespaced(TOPIC)
        records.partitions(topic)
        begin, end = records.bounds(topic, _PARTITION)
        if not begin <= self._next <= end:
            # The topic was made anew, and holds other incidents at these offsets.
            self._next, self._incidents = begin, Incidents(self._rules)
        records.assign({(topic, _PARTITION): self._next})

    async def _read(self, records: Log) -> None:
        """Take in what is new on the topic, up to the end that it has now."""
        before = self._next
        await asyncio.to_thread(self._read_to_end, records)
        self._kafka.found()
        if self._next != before:
            self.incidents = self._incidents.all
        self.read_ns = self._now_ns()
        self._broker.answered(self.read_ns)

    def _read_to_end(self, records: Log) -> None:
        _, end = records.bounds(namespaced(TOPIC), _PARTITION)
        deadline_s = time.monotonic() + self._timeout_s
        while self._next < end:
            for message in records.fetch(_EVERY_S):
                self._next = (message.offset() or 0) + (message.error() is None)
                if message.error() is None:
                    self._take(message.offset() or 0, message.key() or b"", message.value())
            if self._next < end and time.monotonic() > deadline_s:
                raise Retryable(f"{TOPIC}: nothing was given up to its end at {end}")

    def _take(self, offset: int, key: bytes, value: bytes | None) -> None:
        number = key.decode(errors="replace")
        try:
            record = None if value is None else Incident.decode(value)
        except BadData as error:
            log.warning("bad_incident", offset=offset, reason=str(error))
            return
        before = self._incidents.get(number)
        self._incidents.take(number, record)
        now = self._incidents.get(number)
        is_worse = before is not None and now is not None and is_worsened(before, now)
        if now is not None and (before is None or before.state != now.state or is_worse):
            self._turned[number] = now
            if is_worse:
                self._worse.add(number)
            if self.read_ns is not None:
                _log_change(now)

    def _tell_what_is_left(self) -> None:
        """Have told what was written, by this watchdog or the one before, and not told before it lost the topic."""
        for incident in self.incidents:
            if incident.told != incident.state and self._now_ns() - incident.changed_at < _TELL_WITHIN_NS:
                self._tell(incident)

    async def _note_told(self, publisher: Publisher, records: Log) -> None:
        """Write what was told since the last time, so that a watchdog that starts does not tell it again."""
        told, self._told = self._told, []
        for each in told:
            record = self._incidents.get(each.id)
            if record is not None:
                await self._write(publisher, each.id, record.model_copy(update={"told": each.state}))
        if told:
            await self._read(records)

    async def _observe(self, publisher: Publisher, records: Log) -> None:
        """Write what has changed, and have told what the topic has of it afterwards."""
        now_ns = self._now_ns()
        judges = (self._broker.judge, *self._judges)
        judged = [found for judge in judges if (found := judge(now_ns)) is not None]
        changes = self._incidents.observe(judged, now_ns)
        self._turned.clear()
        self._worse.clear()
        for record in changes.records:
            await self._write(publisher, record.id, record)
        for number in changes.removed:
            await self._write(publisher, number, None)
            self._handed.pop(number, None)
        if changes.records or changes.removed:
            await self._read(records)
        self._broker.was_written()
        for record in changes.records:
            # Where another watchdog was first, it tells.
            if self._turned.get(record.id) == record:
                self._tell(record, is_worse=record.id in self._worse)

    def _note_away(self, error: Retryable | TopicMismatch, began_ns: int) -> None:
        """Have people told that Kafka does not answer, before it can be written."""
        now_ns = self._now_ns()
        if isinstance(error, TopicMismatch):
            self._broker.answered(now_ns)
            return
        self._broker.failed(began_ns, str(error))
        finding = self._broker.finding(now_ns)
        incident = None if finding is None else self._incidents.opening(finding, now_ns)
        if incident is not None:
            self._tell(incident)

    async def _write(self, publisher: Publisher, number: str, record: Incident | None) -> None:
        value = None if record is None else record.encode()
        await publisher.deliver(namespaced(TOPIC), number, value, _WRITE_TIMEOUT_S)

    def _tell(self, incident: Incident, *, is_worse: bool = False) -> None:
        turn = (incident.state, incident.flaps, incident.severity)
        if self._webhooks and self._handed.get(incident.id) != turn:
            self._handed[incident.id] = turn
            self._webhooks.tell(incident, is_worse=is_worse)

    def _on_told(self, incident: Incident) -> None:
        self._told.append(incident)


def _log_change(incident: Incident) -> None:
    tell = log.warning if incident.state == "open" else log.info
    tell(
        "incident",
        state=incident.state,
        type=incident.type,
        severity=incident.severity,
        subject=incident.subject,
        summary=incident.summary,
        flaps=incident.flaps,
        id=incident.id,
    )
