"""Tell the log of a stream as it would have been without the gaps that were filled since. Pure.

The records of a backfill stand where its gap opened, and from there on by when they were received, among those that
went on coming meanwhile. A gap that was filled is not heard of, a session that began anew because of it goes on, and
the snapshots with which books were told again are left out where the book is known. What was not filled stays as it is.
Status frames are taken as the log has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from tapeline.model.columns import F_SNAPSHOT, TickKind
from tapeline.model.frames import Gap, TickFrame
from tapeline.orderflow.continuity import EVERY_SYMBOL, StreamTrack
from tapeline.orderflow.flow import Flow, names
from tapeline.orderflow.partition import PartitionState, StreamState
from tapeline.orderflow.soundness import has_valid_book
from tapeline.orderflow.splicing import Place, Placed, Queue, cut, only, place, splice


@dataclass(frozen=True, slots=True)
class Fill:
    """What a completed backfill has put on the tape, and the gaps that it filled, as the log bounded them.

    `frames` come in the order of their time; they are read once, as they are needed. A fill without a gap stands by its
    receive times alone.
    """

    gaps: Sequence[Gap]
    frames: Iterable[TickFrame]


@dataclass(slots=True)
class _Fill:
    """A fill, and whether its records are due by their times: from its first gap on."""

    gaps: dict[str, Gap]
    queue: Queue
    is_due: bool


@dataclass(slots=True)
class _Mended:
    """A filled gap that has opened. `told`: its symbols that are live again: what is a snapshot's after that counts."""

    gap: Gap
    told: set[str] = field(default_factory=set)


class MendedLog:
    """One kind of one stream, from the place on at which `state` stands.

    Give it the frames of the log in order, and apply to `state` each frame that it yields before the next is asked for:
    it looks at the books. `filled` are the gaps that completed backfills cover, `fills` their records.
    """

    def __init__(
        self,
        state: PartitionState,
        source: str,
        stream: str,
        dataset: str,
        kind: TickKind,
        filled: Mapping[str, Gap],
        fills: Sequence[Fill],
    ) -> None:
        self._state = state
        self._kind = kind
        self._filled = filled
        self._fills = [_Fill({gap.id: gap for gap in fill.gaps}, Queue(fill.frames), not fill.gaps) for fill in fills]
        self._mended: dict[str, _Mended] = {}
        self._goes_on = False
        """Whether a session that begins anew goes on nevertheless, as all that it missed was filled."""
        self._is_bounded = True
        self._place = Place()
        self._track = StreamTrack(source, stream, dataset)
        self._session: str | None = None
        self._number = -1
        known = state.stream_of(source, stream)
        if known is not None:
            self._track.epoch = known.epoch
            flow = known.flows.get(kind)
            if flow is not None and flow.session is not None:
                self._session, self._number = flow.session, flow.frame
                self._track.sessions[kind] = flow.session, flow.frame

    def take(self, frame: TickFrame) -> Iterator[TickFrame]:
        """Yield what stands in the place of the log's next frame."""
        if not self._track.admits(frame):
            return
        if frame.gap is not None:
            yield from self._take_gap(frame, frame.gap)
        elif frame.clock is not None:
            if self._kind in frame.clock:
                yield from self._backfilled(frame.clock[self._kind])
                yield replace(frame, clock={self._kind: frame.clock[self._kind]})
        elif frame.kind == "status":
            yield frame
        elif frame.kind == self._kind:
            yield from self._take_ticks(frame)

    def finish(self) -> Iterator[TickFrame]:
        """Yield what is left of the backfills once the log has ended."""
        yield from self._backfilled(None)

    # -- gaps --------------------------------------------------------------------------------------------------------

    def _take_gap(self, frame: TickFrame, gap: Gap) -> Iterator[TickFrame]:
        if self._kind not in gap.kinds:
            return
        is_whole = gap.symbols == (EVERY_SYMBOL,)
        if gap.id not in self._filled:
            if is_whole and gap.state == "open":
                self._goes_on = False
            yield replace(frame, gap=replace(gap, kinds=(self._kind,)))
            return
        self._open(gap.id)
        if is_whole:
            self._is_bounded = gap.state == "bounded"
            self._goes_on = self._goes_on or gap.state == "open"

    def _open(self, gap_id: str) -> None:
        if gap_id not in self._mended:
            self._mended[gap_id] = _Mended(self._filled[gap_id])
            for fill in self._fills:
                fill.is_due = fill.is_due or gap_id in fill.gaps

    # -- ticks -------------------------------------------------------------------------------------------------------

    def _take_ticks(self, frame: TickFrame) -> Iterator[TickFrame]:
        step = self._track.follow(frame)
        if step == "repeated":
            return
        if step == "anew" and not self._goes_on:
            self._session, self._number = frame.session, -1 if frame.frame == 0 else 0
        elif step == "lost":
            self._number += 1
        if self._is_bounded:
            self._goes_on = False
        start = self._gap_inside(frame)
        if start:
            yield self._numbered(cut(frame, 0, start))
            frame = cut(frame, start, len(frame))
        if self._mended:
            yield from self._before_snapshots(frame)
            frame = self._without_snapshots(frame)
        if not len(frame):
            return
        if not any(fill.is_due for fill in self._fills):
            yield self._numbered(frame)
            return
        placed = place(frame, self._place, ~_live(frame))
        self._place = placed.last
        yield from self._backfilled(int(placed.ts_recv[0]) - 1)
        yield self._numbered(splice([*self._take_due(self._place.ts_recv), placed]))

    def _gap_inside(self, frame: TickFrame) -> int:
        """Return from which tick on a filled gap is open that the log tells of only later, and open it there."""
        for gap_id, gap in self._filled.items():
            if gap_id in self._mended or gap.ts_event_from is None or gap.ts_event_to is None:
                continue
            times = frame.ts_event()
            inside = (times > gap.ts_event_from) & (times <= gap.ts_event_to)
            if inside.any():
                inside &= _live(frame) & _of_symbols(frame, {each for each in frame.symbols if names(gap, each)})
            if inside.any():
                self._open(gap_id)
                return int(inside.argmax())
        return 0

    def _before_snapshots(self, frame: TickFrame) -> Iterator[TickFrame]:
        """Yield what was missing of a whole stream, if its books are told anew now: it came before that.

        Snapshots have no receive times of their own to go by.
        """
        if not _live(frame).all():
            for mended in self._mended.values():
                gap = mended.gap
                if gap.symbols == (EVERY_SYMBOL,) and not mended.told.issuperset(frame.symbols):
                    yield from self._backfilled(gap.ts_recv_to or gap.ts_event_to)

    def _without_snapshots(self, frame: TickFrame) -> TickFrame:
        """Return the ticks without snapshots of books that gaps only seemed to have made unknown."""
        live = _live(frame)
        if not live.all():
            flow = self._flow()
            known = {
                symbol
                for symbol in frame.symbols
                if has_valid_book(flow, symbol)
                and any(names(each.gap, symbol) and symbol not in each.told for each in self._mended.values())
            }
            frame = only(frame, np.flatnonzero(live | ~_of_symbols(frame, known)))
            live = _live(frame)
        told = {frame.symbols[number] for number in np.unique(frame.columns["symbol"][live]).tolist()}
        for each in self._mended.values():
            each.told |= told
        return frame

    def _backfilled(self, until_ts_recv: int | None) -> Iterator[TickFrame]:
        """Yield what is due of the backfills and was received until then, a frame of theirs at a time."""
        while ends := [end for fill in self._fills if fill.is_due and (end := fill.queue.end_of_next) is not None]:
            end = min(ends) if until_ts_recv is None else min(*ends, until_ts_recv)
            if parts := self._take_due(end):
                yield self._numbered(splice(parts))
            if end == until_ts_recv:
                return

    def _take_due(self, until_ts_recv: int) -> list[Placed]:
        return [part for fill in self._fills if fill.is_due for part in fill.queue.take(until_ts_recv)]

    def _numbered(self, frame: TickFrame) -> TickFrame:
        """Return a tick frame as the next one of the session that goes on."""
        if self._session is None:
            self._session = frame.session
        self._number += 1
        return replace(
            frame, session=self._session, epoch=self._track.epoch, frame=self._number, resumes=None, gap_id=None
        )

    def _flow(self) -> Flow | None:
        known: StreamState | None = self._state.stream_of(self._track.source, self._track.stream)
        return None if known is None else known.flows.get(self._kind)


def _live(frame: TickFrame) -> npt.NDArray[np.bool_]:
    """Return which ticks are no snapshot's."""
    if "flags" not in frame.columns:
        return np.ones(len(frame), dtype=bool)
    live: npt.NDArray[np.bool_] = (frame.columns["flags"] & F_SNAPSHOT) == 0
    return live


def _of_symbols(frame: TickFrame, symbols: set[str]) -> npt.NDArray[np.bool_]:
    """Return which ticks are of these symbols."""
    numbers = [number for number, symbol in enumerate(frame.symbols) if symbol in symbols]
    return np.isin(frame.columns["symbol"], np.array(numbers, dtype=np.int64))
