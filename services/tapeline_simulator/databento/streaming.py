"""What is sent to a client from the start of its session on: notices and data in order, heartbeats, and an end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import numpy as np

from tapeline.feed.dbn_records import layouts
from tapeline_simulator.databento import wire
from tapeline_simulator.databento.connection import Connection
from tapeline_simulator.databento.ledger import Ledger
from tapeline_simulator.databento.reading import TapeReader, note
from tapeline_simulator.databento.service import Service
from tapeline_simulator.databento.subscriptions import SKIPPED_SCHEMAS
from tapeline_simulator.databento.wire import Authentication, Fault, Notice

CUT_WITHIN_S: Final = 1.0
"""Where no record comes within it, a heartbeat is cut instead."""
HALF_A_HEARTBEAT: Final = 160

_LAYOUTS: Final = layouts(3, ts_out=False)


@dataclass(frozen=True, slots=True)
class Farewell:
    """How a session is to end: after `record`, or inside of the next record."""

    record: bytes = b""
    cuts: bool = False


class Stream:
    """Sends to one client. `wake` lets it look again at the tape, at its notices and at what goes wrong."""

    def __init__(
        self, connection: Connection, service: Service, asked: Authentication, reader: TapeReader, ledger: Ledger
    ) -> None:
        self.reader = reader
        self._connection = connection
        self._service = service
        self._asked = asked
        self._ledger = ledger
        self._loop = asyncio.get_running_loop()
        self._notices: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._farewell: Farewell | None = None
        self._cut_at_s = float("inf")
        self._has_cut = False
        self._heartbeat_s = asked.heartbeat_interval_s or service.settings.heartbeat_interval_s
        self._warned_s = float("-inf")
        self._warned_of: set[int] = set()
        self._is_skipping = False

    def tell(self, record: bytes) -> None:
        """Send a record of the gateway's own, once what was told before is sent."""
        self._notices.append(record)

    def leave(self, farewell: Farewell) -> None:
        """End as `farewell` says, once a record has ended."""
        self._farewell = self._farewell or farewell
        if self._farewell.cuts:
            self._cut_at_s = min(self._cut_at_s, self._loop.time() + CUT_WITHIN_S)
        self.wake()

    def wake(self) -> None:
        """Look again."""
        self._wake.set()

    async def run(self, follow_listings: Callable[[], None]) -> None:
        """Send until the session is to end; `follow_listings` is called before the tape is read. Raises Gone."""
        await self._until_heard()
        if self._asked.is_compressed:
            self._connection.compress()
        now_ns = self._service.clock_ns()
        await self._connection.send(wire.head(self._service.tape.dataset, now_ns, ts_out=self._asked.ts_out))
        while self._farewell is None or self._farewell.cuts:
            self._wake.clear()
            follow_listings()
            self._watch_slow_reading()
            moved = await self._send_notices()
            moved |= await self._send_data()
            if self._loop.time() >= self._heartbeat_due_s:
                await self._connection.send(self._stamped(self._heartbeat()))
            if not self._has_cut and self._loop.time() >= self._cut_at_s:
                await self._connection.send(self._heartbeat()[:HALF_A_HEARTBEAT])
                self._has_cut = True
            if self._has_cut:
                return
            await (asyncio.sleep(0) if moved else self._idle())
            await self._until_heard()
        self.tell(self._farewell.record)
        await self._send_notices()

    # -- data --------------------------------------------------------------------------------------------------------

    async def _send_data(self) -> bool:
        """Send what the tape has now; return whether it had something."""
        moved = False
        for batch in self.reader.next_batches(self._stalled(), self._service.clock_ns()):
            moved = True
            if len(batch.data) and self._farewell is not None and self._farewell.cuts:
                await self._connection.send(_half(batch.data, batch.last_record_bytes))
                self._has_cut = True
                return True
            if len(batch.data):
                await self._connection.send(batch.data)
            note(self._ledger, batch)
        for schema in self.reader.completed():
            self._notify(Notice.REPLAY_COMPLETED, f"Finished {schema} replay")
            moved = True
        return moved

    def _stalled(self) -> set[str]:
        stalled = {str(fault["schema"]) for fault in self._service.faults.active("stall")}
        return stalled.union(SKIPPED_SCHEMAS) if self._is_skipping else stalled

    # -- slow readers ------------------------------------------------------------------------------------------------

    def _watch_slow_reading(self) -> None:
        """Warn a client that does not keep pace, and let records go where it may be spared them."""
        faults = self._service.faults.active("slow-reader")
        is_slow = self._connection.blocked_s >= self._service.settings.slow_after_s
        behind = self.reader.behind()
        if self._asked.skips:
            was_skipping, self._is_skipping = self._is_skipping, bool(faults)
            skipped = [schema for schema in behind if schema in SKIPPED_SCHEMAS]
            if not faults and (was_skipping or is_slow):
                self.reader.skip(skipped)
                for schema in skipped:
                    self.tell(wire.error_record(Fault.SKIPPED_RECORDS, schema, self._service.clock_ns()))
            behind = [schema for schema in behind if schema not in SKIPPED_SCHEMAS]
        asked_for = [fault.number for fault in faults if fault.number not in self._warned_of]
        now_s = self._loop.time()
        if asked_for:
            behind = [schema for schema in self.reader.schemas if not (self._asked.skips and schema in SKIPPED_SCHEMAS)]
        elif not is_slow or now_s < self._warned_s + self._service.settings.slow_after_s:
            return
        self._warned_of.update(asked_for)
        self._warned_s = now_s
        for schema in behind:
            self._notify(Notice.SLOW_READER_WARNING, f"Warning: slow reading, not keeping pace with {schema} data")

    # -- the gateway's own records -----------------------------------------------------------------------------------

    def _notify(self, notice: Notice, text: str) -> None:
        self.tell(wire.system_record(notice, text, self._service.clock_ns()))

    async def _send_notices(self) -> bool:
        if not self._notices:
            return False
        records = [self._stamped(record) for record in self._notices]
        self._notices.clear()
        await self._connection.send(b"".join(records))
        return True

    def _heartbeat(self) -> bytes:
        return wire.system_record(Notice.HEARTBEAT, "Heartbeat", self._service.clock_ns())

    def _stamped(self, record: bytes) -> bytes:
        if not self._asked.ts_out or not record:
            return record
        rows = np.frombuffer(record, _LAYOUTS[record[1]].record)
        return wire.with_ts_out(rows, self._service.clock_ns()).tobytes()

    # -- time --------------------------------------------------------------------------------------------------------

    @property
    def _heartbeat_due_s(self) -> float:
        return self._connection.last_sent_s + self._heartbeat_s

    async def _idle(self) -> None:
        """Return when something may have happened, or is due."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(min(self._heartbeat_due_s, self._cut_at_s)):
                await self._wake.wait()

    async def _until_heard(self) -> None:
        """Return once what is sent does not vanish."""
        while self._service.faults.active("black-hole"):
            self._wake.clear()
            await self._wake.wait()


def _half(data: bytes | memoryview, last_record_bytes: int) -> bytes | memoryview:
    """Return `data` without half of its last record."""
    return data[: len(data) - last_record_bytes // 2]
