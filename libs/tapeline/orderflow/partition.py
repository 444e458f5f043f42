"""Hold the pressure state of one Kafka partition of a ticks topic, and turn its frames into row messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, Final

import numpy as np
import orjson

from tapeline.errors import Bug
from tapeline.model.frames import Gap, TickFrame
from tapeline.model.windows import WINDOWS_MS
from tapeline.orderflow.doubts import BookDoubt
from tapeline.orderflow.flow import CLASSES_IN_SCOPE, KINDS, Flow, Marks
from tapeline.orderflow.layout import Int64s
from tapeline.orderflow.packing import PartitionCopy, Unpacker, pack
from tapeline.orderflow.rows import RowBuffer, message_head
from tapeline.orderflow.sessions import Sessions
from tapeline.orderflow.state import packed, unpacked

__all__ = ["MESSAGE_BYTES", "PartitionCopy", "PartitionState", "RowMessage", "pack", "unpack"]

MESSAGE_BYTES: Final = 512 * 1024
"""A row message is split before it grows past this."""

BOUNDED_GAPS: Final = 64
"""How many gaps that are over a stream keeps in mind, for symbols that appear later."""


@dataclass(frozen=True, slots=True)
class RowMessage:
    """One message of rows: `value` is JSON (schemas/pressure.v1.json, schemas/option-flow.v1.json).

    `key` is ``<source>/<stream>`` for pressure, that of the expiry's chains for option flow.
    """

    key: str
    value: bytes
    rows: int


@dataclass(slots=True)
class StreamState:
    """What one stream has said so far."""

    source: str
    stream: str
    dataset: str
    epoch: int = 0
    marks: Marks = field(default_factory=Marks)
    flows: dict[str, Flow] = field(default_factory=dict)


class PartitionState:
    """All streams and kinds of one partition: books, windows, sums, epochs, sessions and gaps.

    The rows depend on nothing but the frames of each stream in their order, and not on how ticks are spread over
    frames. `windows_ms`: lengths of the windows, each a divisor of the next.

    `ticks` counts the ticks applied; `frames_of_lower_epoch` and `frames_repeated` count what was passed over,
    `losses` the places where frames are missing.
    """

    def __init__(self, sessions: Sessions, windows_ms: Sequence[int] = WINDOWS_MS) -> None:
        if any(longer % shorter for shorter, longer in pairwise(windows_ms)):
            raise Bug(f"windows must divide each other, are {windows_ms}")
        self._windows_ms = tuple(windows_ms)
        self._sessions = sessions
        self._tables: dict[str, Int64s] = {}
        self._streams: dict[tuple[str, str], StreamState] = {}
        self._buffer = RowBuffer()
        self.ticks = 0
        self.frames_of_lower_epoch = 0
        self.frames_repeated = 0
        self.losses = 0

    def apply(self, frame: TickFrame) -> list[RowMessage]:
        """Apply a frame and return the rows of the windows that it closes: one message per kind and MESSAGE_BYTES."""
        key = (frame.source, frame.stream)
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = StreamState(*key, frame.dataset)
        if frame.epoch < stream.epoch:
            self.frames_of_lower_epoch += 1
            return []
        stream.epoch = frame.epoch
        if frame.kind in KINDS:
            self._ticks(stream, frame)
            return self._messages(stream, frame.kind)
        if frame.clock is not None:
            messages: list[RowMessage] = []
            for kind, ts in frame.clock.items():
                if kind in KINDS:
                    self._flow(stream, kind).clock(ts)
                    messages += self._messages(stream, kind)
            return messages
        if frame.gap is not None:
            self._gap(stream, frame.gap)
        elif frame.kind == "status":
            self._status(stream, frame)
        return []

    def stream_of(self, source: str, stream: str) -> StreamState | None:
        """Return what one stream has said so far, to be looked at; None where it has said nothing."""
        return self._streams.get((source, stream))

    def take_doubts(self, source: str, stream: str) -> list[BookDoubt]:
        """Return what the rows of a stream have said of its books since the last call."""
        state = self.stream_of(source, stream)
        flows = {} if state is None else state.flows
        if "mbo" not in flows or not flows["mbo"].doubts:
            return []
        doubts, flows["mbo"].doubts = flows["mbo"].doubts, []
        return doubts

    def _flow(self, stream: StreamState, kind: str) -> Flow:
        if kind not in stream.flows:
            table = self._tables.get(stream.dataset)
            if table is None:
                table = self._tables[stream.dataset] = self._sessions.of(stream.dataset).table()
            stream.flows[kind] = Flow(kind, self._windows_ms, table, stream.marks, self._buffer)
        return stream.flows[kind]

    def _messages(self, stream: StreamState, kind: str) -> list[RowMessage]:
        stream.flows[kind].drain()
        if not self._buffer.count:
            return []
        head = message_head(stream.source, stream.stream, kind)
        key = f"{stream.source}/{stream.stream}"
        return [RowMessage(key, value, rows) for value, rows in self._buffer.take(head, MESSAGE_BYTES)]

    def _ticks(self, stream: StreamState, frame: TickFrame) -> None:
        flow = self._flow(stream, frame.kind)
        number = frame.frame
        if number is None:
            raise Bug(f"a frame of {frame.kind} without a number")
        if frame.session == flow.session:
            if number <= flow.frame:
                self.frames_repeated += 1
                return
            is_loss = number != flow.frame + 1
        elif flow.session is None:
            is_loss = False
        elif frame.resumes is None:
            flow.begin_anew()
            is_loss = number != 0
        else:
            is_loss = (frame.resumes.session, frame.resumes.frame) != (flow.session, flow.frame)
        flow.session, flow.frame = frame.session, number
        if is_loss:
            self.losses += 1
            flow.lose_all()
        flow.take(frame)
        self.ticks += len(frame)

    def _gap(self, stream: StreamState, gap: Gap) -> None:
        gaps = stream.marks.gaps
        is_known = gap.id in gaps
        if is_known and gap.state == "open":
            return
        gaps.pop(gap.id, None)
        gaps[gap.id] = gap
        bounded = [known.id for known in gaps.values() if known.state == "bounded"]
        for gap_id in bounded[:-BOUNDED_GAPS]:
            del gaps[gap_id]
        for kind in gap.kinds:
            if kind in KINDS:
                self._flow(stream, kind).gap(gap, is_known=is_known)

    def _status(self, stream: StreamState, frame: TickFrame) -> None:
        letters = frame.columns["is_trading"].tobytes().decode("ascii")
        symbols = frame.columns["symbol"].tolist()
        undefined = {int(row) for row in frame.undefined.get("ts_event", ())}
        times = np.where(np.isin(np.arange(len(letters)), list(undefined)), frame.ts_recv(), frame.ts_event()).tolist()
        for letter, number, ts in zip(letters, symbols, times, strict=True):
            if letter != "~" and frame.classes[number] in CLASSES_IN_SCOPE:
                symbol = frame.symbols[number]
                stream.marks.statuses[symbol] = ts, letter == "Y"
                for flow in stream.flows.values():
                    flow.set_status(symbol, ts, letter == "Y")

    def copy(self) -> PartitionCopy:
        """Copy the state as it is between two frames: quick, for the thread that applies frames."""
        arrays = []
        streams: list[dict[str, Any]] = []
        for stream in self._streams.values():
            flows: dict[str, Any] = {}
            for kind, flow in stream.flows.items():
                copies = packed(flow.arrays)
                arrays += copies
                flows[kind] = {
                    "session": flow.session,
                    "frame": flow.frame,
                    "has_loss": flow.has_loss,
                    "symbols": list(flow.slots),
                    "lengths": [len(array) for array in copies],
                }
            streams.append(
                {
                    "source": stream.source,
                    "stream": stream.stream,
                    "dataset": stream.dataset,
                    "epoch": stream.epoch,
                    "gaps": [asdict(gap) for gap in stream.marks.gaps.values()],
                    "statuses": stream.marks.statuses,
                    "flows": flows,
                }
            )
        counts = [self.ticks, self.frames_of_lower_epoch, self.frames_repeated, self.losses]
        header = {"windows_ms": self._windows_ms, "counts": counts, "streams": streams}
        return PartitionCopy(orjson.dumps(header), arrays)

    @classmethod
    def from_unpacker(cls, unpacker: Unpacker, sessions: Sessions) -> PartitionState:
        """Return the state that was packed, to go on with these sessions."""
        header = unpacker.header
        state = cls(sessions, tuple(header["windows_ms"]))
        state.ticks, state.frames_of_lower_epoch, state.frames_repeated, state.losses = header["counts"]
        for saved in header["streams"]:
            stream = StreamState(saved["source"], saved["stream"], saved["dataset"], saved["epoch"])
            state._streams[stream.source, stream.stream] = stream
            for gap in saved["gaps"]:
                stream.marks.gaps[gap["id"]] = Gap(
                    **{**gap, "kinds": tuple(gap["kinds"]), "symbols": tuple(gap["symbols"])}
                )
            stream.marks.statuses.update({symbol: (ts, on) for symbol, (ts, on) in saved["statuses"].items()})
            for kind, part in saved["flows"].items():
                flow = state._flow(stream, kind)
                flow.session, flow.frame, flow.has_loss = part["session"], part["frame"], part["has_loss"]
                flow.restore(part["symbols"], unpacked(unpacker, flow.arrays, part["lengths"]))
        return state


def unpack(data: bytes, sessions: Sessions) -> PartitionState:
    """Return the state that `pack` wrote. Raises BadData on a foreign version and on damaged bytes."""
    return PartitionState.from_unpacker(Unpacker(data), sessions)
