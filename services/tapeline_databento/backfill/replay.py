"""The vendor's intraday replay as a way to what is missing: a live session of its own, left as soon as it has told it.

The gateway replays by venue time, in the order of capture, up to the present and then goes on live. A session is done
once the vendor's own time, told by its records or its messages, is past the end of the window and the pad behind it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Final

from tapeline.errors import BadData
from tapeline.feed.cost import Estimate
from tapeline.feed.dbn_decoder import DbnBatch, Decoded, OtherRecords
from tapeline.feed.dbn_records import RTYPE_ERROR, RTYPE_SYMBOL_MAPPING, RTYPE_SYSTEM
from tapeline.feed.framer import Ticks
from tapeline.feed.selection import within
from tapeline.model.backfill import BackEnd, BackfillRequest
from tapeline.model.control import Interval
from tapeline.model.frames import Origin
from tapeline_databento.backfill.asking import Asked, asked_of
from tapeline_databento.client import connect
from tapeline_databento.errors import GatewayError, NotReplayed, ReplayAgedOut, Silent, Undecodable
from tapeline_databento.messages import Fault, Notice, ending, error_messages, system_messages
from tapeline_databento.normalize import InstrumentClasses, Normalizer
from tapeline_databento.settings import DatabentoSettings

_NAME: Final = "backfill"
_REMEMBERED: Final = 1_000


class ReplayBackEnd:
    """The replay. One session at a time, as the gateway allows a team only so many for each dataset."""

    name: BackEnd = "replay"

    def __init__(self, settings: DatabentoSettings) -> None:
        self._settings = settings
        self._window_ns = round(settings.replay_window_s * 1e9)
        self._pad_ns = round(settings.backfill_pad_s * 1e9)
        self._turn = asyncio.Lock()
        self._unable: deque[str] = deque(maxlen=_REMEMBERED)

    def reach(self, request: BackfillRequest, now_ns: int) -> Interval | None:
        """Return the part of the window that is past and not older than the gateway replays.

        None for requests that it turned out not to be able to serve: those are for history.
        """
        begin_ns = max(request.window.ts_event_from, now_ns - self._window_ns + self._pad_ns)
        end_ns = min(request.window.ts_event_until, now_ns)
        if begin_ns >= end_ns or request.id in self._unable:
            return None
        return Interval(ts_event_from=begin_ns, ts_event_until=end_ns)

    async def estimate(self, request: BackfillRequest, window: Interval) -> Estimate:
        """Return nothing, as the replay is part of the plan, and the vendor counts only what is history."""
        asked_of(request, self._settings.subscriptions)
        return Estimate()

    async def fetch(self, request: BackfillRequest, window: Interval) -> AsyncGenerator[Ticks]:
        """Yield what is replayed, from a session of its own."""
        asked = asked_of(request, self._settings.subscriptions)
        settings = self._settings.model_copy(update={"dataset": request.dataset})
        replay = Replay(asked, window, self._pad_ns, InstrumentClasses(request.dataset))
        async with self._turn:
            protocol = await connect(settings, _NAME)
            try:
                start_ns = window.ts_event_from - self._pad_ns
                protocol.request(asked.schema, asked.symbols, asked.symbol_type, start_ns=start_ns, snapshot=False)
                protocol.start()
                loop = asyncio.get_running_loop()
                heard_s = loop.time()
                async with aclosing(protocol.slices()) as slices:
                    async for decoded in slices:
                        if replay.has_ticks(decoded):
                            heard_s = loop.time()
                        for ticks in replay.ticks(decoded):
                            yield ticks
                            # What the taker needs is no silence of the gateway's.
                            heard_s = loop.time()
                        if replay.is_over:
                            return
                        if not replay.is_complete and loop.time() - heard_s > settings.backfill_stall_s:
                            raise Silent(f"{_NAME}: the replay of {asked.schema} came to a standstill")
            except (ReplayAgedOut, NotReplayed):
                self._unable.append(request.id)
                raise
            finally:
                protocol.transport.abort()

    async def count(self, request: BackfillRequest, window: Interval) -> int | None:
        """Return None: the vendor counts what was replayed once it is history."""
        return None


class Replay:
    """What one session of a replay brings. Pure.

    `is_complete`: the gateway has said so, and is live; `is_over`: nothing of the window can come any more.
    """

    def __init__(self, asked: Asked, window: Interval, pad_ns: int, classes: InstrumentClasses) -> None:
        self._normalizer = Normalizer(asked.dataset, asked.routes, classes)
        self._window = window
        self._end_ns = window.ts_event_until + pad_ns
        self._origin: dict[str, Origin] = {asked.stream: "backfill"}
        self.is_complete = False
        self.is_over = False

    def has_ticks(self, decoded: list[Decoded]) -> bool:
        """Return whether there are ticks among what came, of the window or not."""
        return any(isinstance(each, DbnBatch) for each in decoded)

    def ticks(self, decoded: list[Decoded]) -> Iterator[Ticks]:
        """Yield the window's ticks among what came together.

        Raises Undecodable for ticks that break a rule, NotReplayed where some symbol is not known, GatewayError or
        Refused where the gateway says that it cannot go on, or has left records out.
        """
        for each in decoded:
            if isinstance(each, OtherRecords):
                self._note(each)
                continue
            self.is_over |= int(each.columns["ts_recv"].max()) >= self._end_ns
            try:
                every = self._normalizer.ticks(each, self._origin)
            except BadData as error:
                raise Undecodable(f"{_NAME}: {error}") from None
            for ticks in every:
                kept = within(ticks, self._window)
                if len(kept):
                    yield kept

    def _note(self, other: OtherRecords) -> None:
        if other.rtype == RTYPE_SYMBOL_MAPPING:
            self._normalizer.learn(other.records)
        elif other.rtype == RTYPE_SYSTEM:
            for message in system_messages(other.records):
                self.is_complete |= message.code == Notice.REPLAY_COMPLETED
                # Before that a message tells the present, while records are of the past.
                self.is_over |= self.is_complete and message.at_ns >= self._end_ns
        elif other.rtype == RTYPE_ERROR:
            for message in error_messages(other.records):
                if message.code == Fault.SYMBOL_RESOLUTION_FAILED:
                    raise NotReplayed(f"{_NAME}: the gateway does not replay all that is asked for: {message.text}")
                if message.code == Fault.SKIPPED_RECORDS:
                    raise GatewayError(f"{_NAME}: the gateway left records out: {message.text}")
                end = ending(message, _NAME)
                if end is not None:
                    raise end
