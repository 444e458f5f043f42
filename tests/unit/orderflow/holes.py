"""A tape with holes, as a producer writes it, and what a backfill brings: frames in memory, rows out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import orjson
from tests.unit.orderflow.builders import LAST, claim_frame, gap_frame, mbo_frame, slice_frame

from tapeline.model.backfill import WHOLE_STREAM, BackfillRequest, request_id
from tapeline.model.columns import F_SNAPSHOT, TickKind
from tapeline.model.control import Interval
from tapeline.model.frames import Gap, TickFrame
from tapeline.orderflow.filling import filling_of
from tapeline.orderflow.partition import PartitionState, RowMessage, pack, unpack
from tapeline.orderflow.recomputing import Recompute
from tapeline.orderflow.revising import NewestRows
from tapeline.orderflow.sessions import Sessions
from tapeline.orderflow.soundness import is_sound, watermark_of
from tapeline.orderflow.splicing import Placed, only, splice

SNAPSHOT = F_SNAPSHOT | 8
Row = dict[str, Any]
Key = tuple[str, int, int]


def joined(frames: Iterable[TickFrame]) -> TickFrame:
    """Return the ticks of frames as one, in their order."""
    in_turn = [(np.full(len(frame), number, dtype=np.int64), frame) for number, frame in enumerate(frames)]
    return splice([Placed(frame, turn, np.zeros_like(turn)) for turn, frame in in_turn])


def book_at(ticks: TickFrame, end: int, symbol: str) -> list[tuple[int, str, int, int]]:
    """Return the orders (id, side, price, size) that rest after `end` ticks, oldest first."""
    orders: dict[int, tuple[str, int, int]] = {}
    columns = {name: values[:end].tolist() for name, values in ticks.columns.items()}
    names = zip(*(columns[name] for name in ("symbol", "action", "side", "price", "size", "order_id")), strict=True)
    for number, action, side, price, size, order in names:
        if ticks.symbols[number] != symbol:
            continue
        letter = chr(action)
        if letter == "R":
            orders.clear()
        elif letter in "AM":
            orders[order] = (chr(side), price, size)
        elif letter == "C" and order in orders:
            left = orders[order][2] - size
            if left > 0:
                orders[order] = (*orders[order][:2], left)
            else:
                del orders[order]
    return [(order, *what) for order, what in orders.items()]


def snapshot(ticks: TickFrame, end: int, symbol: str, **header: Any) -> TickFrame:
    """Return the frame with which a venue tells the book of a symbol anew, as it is after `end` ticks."""
    now = int(ticks.ts_event()[end - 1])
    orders = book_at(ticks, end, symbol)
    rows: list[Any] = [(now, "R", "N", None, 0, 0, SNAPSHOT)]
    rows += [
        (now - 10**12 + n, "A", side, price, size, order, SNAPSHOT)
        for n, (order, side, price, size) in enumerate(orders)
    ]
    rows[-1] = (*rows[-1][:-1], SNAPSHOT | LAST)
    return mbo_frame(rows, symbols=(symbol,), **header)


class Hole(NamedTuple):
    """Ticks [begin, end) that a producer missed; `symbols` where only their books broke."""

    begin: int
    end: int
    symbols: tuple[str, ...] = WHOLE_STREAM
    gap_id: str = "g1"


def after_events(ticks: TickFrame, at: int) -> int:
    """Return the first place at or after `at` where an event has just ended."""
    return at + int(((ticks.columns["flags"][at - 1 :] & LAST) != 0).argmax())


@dataclass
class Tape:
    """The live log of one stream's kind, its backfills, its rows, and the processor's checkpoints."""

    sessions: Sessions
    live: list[TickFrame] = field(default_factory=list)
    backfills: dict[str, list[TickFrame]] = field(default_factory=dict)
    completed: list[BackfillRequest] = field(default_factory=list)
    partial: list[BackfillRequest] = field(default_factory=list)
    rows: list[bytes] = field(default_factory=list)
    checkpoints: list[tuple[int, bytes]] = field(default_factory=list)

    def process(self, every: int = 5) -> None:
        """Let a processor read all of the log, with a checkpoint after so many frames."""
        state = PartitionState(self.sessions)
        for offset, frame in enumerate(self.live, start=1):
            self.rows += [message.value for message in state.apply(frame)]
            if offset % every == 0:
                self.checkpoints.append((offset, pack(state.copy())))

    def complete(
        self, hole: Hole, ticks: TickFrame, kind: TickKind = "mbo", frame_ticks: int = 1_500
    ) -> BackfillRequest:
        """Put what was missed of a hole on the tape."""
        gap = self.gaps(0)[hole.gap_id]
        assert gap.ts_event_from is not None
        assert gap.ts_event_to is not None
        window = Interval(ts_event_from=gap.ts_event_from, ts_event_until=gap.ts_event_to + 1)
        source, stream, dataset = ticks.source, ticks.stream, ticks.dataset
        request = BackfillRequest(
            id=request_id(source, dataset, stream, kind, gap.symbols, window),
            source=source,
            dataset=dataset,
            stream=stream,
            kind=kind,
            symbols=gap.symbols,
            window=window,
            gap_id=gap.id,
            requested_by="test",
            requested_at=0,
        )
        missed = missed_of(ticks, hole)
        self.backfills[request.id] = [
            slice_frame(
                missed,
                start,
                min(start + frame_ticks, len(missed)),
                frame=number,
                session=request.id,
                epoch=0,
                origin="backfill",
                gap_id=gap.id,
            )
            for number, start in enumerate(range(0, len(missed), frame_ticks))
        ]
        self.completed.append(request)
        return request

    def give_up(self, request: BackfillRequest, window: Interval, frames: int) -> None:
        """Let another request, given up since, have put the first frames of a completed one on the tape.

        `window` is what it asked for.
        """
        source, dataset, stream, kind = request.source, request.dataset, request.stream, request.kind
        other = request.model_copy(
            update={
                "id": request_id(source, dataset, stream, kind, request.symbols, window),
                "window": window,
                "gap_id": None,
            }
        )
        brought = self.backfills[request.id]
        self.backfills[other.id] = [replace(frame, session=other.id, gap_id=None) for frame in brought[:frames]]
        self.backfills[request.id] = [replace(frame, frame=frame.frame - frames) for frame in brought[frames:]]
        self.partial.append(other)

    def gaps(self, offset: int) -> dict[str, Gap]:
        return {frame.gap.id: frame.gap for frame in self.live[offset:] if frame.gap is not None}

    def recompute(self, request: BackfillRequest) -> list[RowMessage]:
        """Compute anew what a request touched, publish it, and return it."""
        where = request.source, request.stream, request.kind
        begin, state = 0, PartitionState(self.sessions)
        for offset, packed in reversed(self.checkpoints):
            restored = unpack(packed, self.sessions)
            if is_sound(restored, *where, request.symbols, request.window.ts_event_from):
                begin, state = offset, restored
                break
        self.began = begin
        known = state.stream_of(request.source, request.stream)
        watermark = None if known is None else watermark_of(known.flows.get(request.kind))
        filling = filling_of(
            request.kind,
            self.gaps(begin),
            self.completed,
            self.partial,
            lambda each: [self.backfills[each.id]],
            watermark,
        )
        newest = NewestRows(*where)
        for value in self.rows:
            newest.take(value)
        newest_ts = max(
            max(frame.clock.values()) if frame.clock else int(frame.ts_event().max())
            for frame in self.live
            if frame.clock or len(frame)
        )
        recompute = Recompute(request, state, filling, newest, self.sessions, newest_ts)
        published: list[RowMessage] = []
        self.applied = 0
        for frame in self.live[begin:]:
            published += recompute.take(frame)
            self.applied += 1
            if recompute.is_done:
                break
        else:
            published += recompute.finish()
        self.rows += [message.value for message in published]
        self.days = recompute.days
        return published


def missed_of(ticks: TickFrame, hole: Hole) -> TickFrame:
    """Return the ticks of a hole."""
    part = slice_frame(ticks, hole.begin, hole.end)
    if hole.symbols == WHOLE_STREAM:
        return part
    return _chosen(part, hole.symbols, inside=True)


def _chosen(part: TickFrame, symbols: Sequence[str], *, inside: bool) -> TickFrame:
    numbers = [number for number, symbol in enumerate(part.symbols) if symbol in symbols]
    return only(part, np.flatnonzero(np.isin(part.columns["symbol"], numbers) == inside))


def tape_with(
    ticks: TickFrame,
    holes: Sequence[Hole],
    sessions: Sessions,
    *,
    frame_ticks: int = 1_000,
    has_books: bool = True,
    end: TickFrame | None = None,
) -> Tape:
    """Return the log of a producer that missed the holes, which are in order and apart."""
    tape = Tape(sessions)
    number, session, epoch, at = 0, "live-0", 1, 0

    def put(part: TickFrame) -> None:
        nonlocal number
        for start in range(0, len(part), frame_ticks):
            stop = min(start + frame_ticks, len(part))
            tape.live.append(slice_frame(part, start, stop, frame=number, session=session, epoch=epoch))
            number += 1

    tape.live.append(claim_frame(epoch, session=session))
    times = ticks.ts_event()
    for count, hole in enumerate(holes, start=1):
        put(slice_frame(ticks, at, hole.begin))
        is_whole = hole.symbols == WHOLE_STREAM
        names = ticks.symbols if is_whole else hole.symbols
        kind = ticks.kind
        bounds = {"ts_event_from": int(times[: hole.begin].max())}
        if is_whole:
            session, epoch, number = f"live-{count}", epoch + 1, 0
            tape.live.append(claim_frame(epoch, session=session))
        header = {
            "kinds": (kind,),
            "gap_symbols": hole.symbols,
            "gap_id": hole.gap_id,
            "session": session,
            "epoch": epoch,
        }
        tape.live.append(gap_frame("open", **bounds, **header))
        if not is_whole:
            put(_chosen(slice_frame(ticks, hole.begin, hole.end), hole.symbols, inside=False))
        if has_books:
            for symbol in names:
                told = snapshot(ticks, hole.end, symbol)
                put(
                    replace(
                        told, columns=told.columns, instrument_ids=(ticks.instrument_ids[ticks.symbols.index(symbol)],)
                    )
                )
        rest = slice_frame(ticks, hole.end, len(ticks))
        first = rest if is_whole else _chosen(rest, hole.symbols, inside=True)
        bounds["ts_event_to"] = int(first.ts_event()[0])
        if not is_whole:
            upto = int(np.flatnonzero(times[hole.end :] == first.ts_event()[0])[0]) + hole.end
            put(slice_frame(ticks, hole.end, upto))
            at = upto
        else:
            at = hole.end
        tape.live.append(gap_frame("bounded", **bounds, **header))
    put(slice_frame(ticks, at, len(ticks)))
    if end is not None:
        tape.live.append(replace(end, session=session, epoch=epoch))
    return tape


def newest_rows(values: Iterable[bytes]) -> dict[Key, Row]:
    """Return each row's newest revision, without what is the revision's own."""
    rows: dict[Key, Row] = {}
    for value in values:
        for row in orjson.loads(value)["rows"]:
            key = (row["symbol"], int(row["window_start"]), row["window_ms"])
            if key not in rows or rows[key]["revision"] <= row["revision"]:
                rows[key] = row
    return {
        key: {name: value for name, value in row.items() if name not in ("revision", "basis")}
        for key, row in rows.items()
    }


def undisturbed(
    ticks: TickFrame, sessions: Sessions, end: TickFrame | None, frame_ticks: int = 1_000
) -> dict[Key, Row]:
    """Return the rows of a run that missed nothing."""
    tape = tape_with(ticks, [], sessions, frame_ticks=frame_ticks, end=end)
    tape.process(10**9)
    return newest_rows(tape.rows)


def differing(found: dict[Key, Row], expected: dict[Key, Row]) -> list[str]:
    """Return what differs, a line per field."""
    lines = [f"{key}: not expected" for key in found.keys() - expected.keys()]
    lines += [f"{key}: missing" for key in expected.keys() - found.keys()]
    for key in expected.keys() & found.keys():
        lines += [
            f"{key} {name}: {found[key][name]} for {value}"
            for name, value in expected[key].items()
            if found[key][name] != value
        ]
    return sorted(lines)
