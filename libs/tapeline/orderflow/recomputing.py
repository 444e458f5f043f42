"""Compute the rows of a stream's kind anew, as if what a backfill brought had been there in time. Pure.

Option flow and chains are not computed anew: they are joined with what was known at the moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tapeline.model.backfill import BackfillRequest
from tapeline.model.columns import INT64_MAX, INT64_MIN
from tapeline.model.frames import Gap, TickFrame
from tapeline.model.windows import CLOSE_AFTER_NS, WINDOWS_MS, all_closed_ns
from tapeline.orderflow.filling import Filling
from tapeline.orderflow.layout import Int64s
from tapeline.orderflow.mending import MendedLog
from tapeline.orderflow.partition import PartitionState, RowMessage
from tapeline.orderflow.revising import NewestRows, Revising
from tapeline.orderflow.sessions import Sessions
from tapeline.orderflow.soundness import slots_of, watermark_of

_DAY_OPEN = 3
_DAY_CLOSE = 4


class Days(NamedTuple):
    """The trading days that a request touches. Intervals are [from, until), ns since the epoch.

    Of `over` the session's delta is known for good; `closes_at` is when the last of the others closes, None: of none.
    """

    over: Sequence[tuple[int, int]]
    closes_at: int | None


class Recompute:
    """One pass over the log after a request was completed, from where `state` stands.

    Give it the frames of the log in order until it `is_done`, then `finish`. `newest_ts` is the newest venue time that
    the log tells of (ns since the epoch): by it, sessions are over or not.
    """

    def __init__(
        self,
        request: BackfillRequest,
        state: PartitionState,
        filling: Filling,
        newest: NewestRows,
        sessions: Sessions,
        newest_ts: int,
    ) -> None:
        self._request = request
        self._state = state
        self._log = MendedLog(
            state, request.source, request.stream, request.dataset, request.kind, filling.filled, filling.fills
        )
        self.days = days_of(request, sessions.of(request.dataset).table(), filling.unfilled, newest_ts)
        window = request.window
        filled = [(gap.ts_event_from, gap.ts_event_to) for gap in filling.filled.values()]
        bounds = [(begin, end) for begin, end in filled if begin is not None and end is not None]
        self._revising = Revising(
            newest,
            request.symbols,
            # The windows that were still open when a gap began were told to be in doubt.
            since=min([window.ts_event_from, *(begin for begin, _ in bounds)]) - CLOSE_AFTER_NS,
            filled=[(window.ts_event_from, window.ts_event_until - 1), *bounds],
            corrected=self.days.over,
            settled_from=window.ts_event_until,
        )
        self._newest_ts = newest_ts
        self._until = max((all_closed_ns(until) for _, until in self.days.over), default=INT64_MIN)

    @property
    def is_done(self) -> bool:
        """Whether nothing differs any more: windows of each length are equal, and no delta is left to correct."""
        stream = self._state.stream_of(self._request.source, self._request.stream)
        flow = None if stream is None else stream.flows.get(self._request.kind)
        watermark = watermark_of(flow)
        if flow is None or watermark is None or watermark < max(self._until, self._request.window.ts_event_until):
            return False
        settled = self._revising.settled
        return all(len(settled.get(symbol, ())) == len(WINDOWS_MS) for symbol in slots_of(flow, self._request.symbols))

    @property
    def has_open(self) -> bool:
        """Whether some windows that the request touches are open as far as the log goes: of them it has no rows yet."""
        return self._newest_ts < all_closed_ns(self._request.window.ts_event_until)

    def take(self, frame: TickFrame) -> Iterator[RowMessage]:
        """Yield the rows to publish that the log's next frame closes."""
        yield from self._revised(self._log.take(frame))

    def finish(self) -> Iterator[RowMessage]:
        """Yield the rows to publish that are closed by what is left once the log has ended."""
        yield from self._revised(self._log.finish())

    def _revised(self, mended: Iterator[TickFrame]) -> Iterator[RowMessage]:
        for frame in mended:
            for message in self._state.apply(frame):
                revised = self._revising.revise(message)
                if revised is not None:
                    yield revised


def days_of(request: BackfillRequest, table: Int64s, unfilled: Mapping[str, Gap], newest_ts: int) -> Days:
    """Return the trading days of a request's window; one with a gap that is not filled is in neither list.

    A day reaches to the next one's first open, as trades that no session holds belong to the one before.
    """
    over: list[tuple[int, int]] = []
    closes_at: int | None = None
    days = sorted({(int(row[_DAY_OPEN]), int(row[_DAY_CLOSE])) for row in table})
    for number, (begin, close) in enumerate(days):
        until = days[number + 1][0] if number + 1 < len(days) else INT64_MAX
        if until <= request.window.ts_event_from or request.window.ts_event_until <= begin:
            continue
        if any(_reaches_into(gap, begin, until) for gap in unfilled.values()):
            continue
        if close <= newest_ts:
            over.append((begin, until))
        else:
            closes_at = max(close, closes_at or close)
    return Days(over, closes_at)


def _reaches_into(gap: Gap, begin: int, until: int) -> bool:
    starts = INT64_MIN if gap.ts_event_from is None else gap.ts_event_from
    ends = INT64_MAX if gap.ts_event_to is None else gap.ts_event_to
    return starts < until and begin <= ends
