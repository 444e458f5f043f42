"""Tick frames and marks in memory: the unit that travels over Kafka (schemas/tick-frame.v1.json)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from tapeline.model.columns import Kind

SCHEMA: Final = "tick-frame.v1"

Array = npt.NDArray[Any]
Origin = Literal["live", "replay", "saved", "backfill"]
ORIGINS: Final[tuple[Origin, ...]] = ("live", "replay", "saved", "backfill")
GapState = Literal["open", "bounded"]
GAP_STATES: Final[tuple[GapState, ...]] = ("open", "bounded")
GAP_TIMES: Final = ("ts_event_from", "ts_event_to", "ts_recv_from", "ts_recv_to")


@dataclass(frozen=True, slots=True)
class Resume:
    """The last frame of the session that a new session continues without loss."""

    session: str
    frame: int


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of the tape that is missing. Times are ns since the epoch, None while not known.

    `symbols` names raw symbols, or is ``("*",)`` for the whole stream. A gap is first `open`, then `bounded` once the
    stream is live again.
    """

    id: str
    state: GapState
    kinds: tuple[str, ...]
    symbols: tuple[str, ...]
    reason: str
    ts_event_from: int | None = None
    ts_event_to: int | None = None
    ts_recv_from: int | None = None
    ts_recv_to: int | None = None


@dataclass(frozen=True, slots=True)
class TickFrame:
    """Ticks of one stream and kind, as columns; or, for the kinds gap, clock and claim, a mark without ticks.

    `columns` maps the names of `COLUMNS[kind]` to arrays of one length: uint8 letter codes for text, uint64 for
    `order_id`, int64 otherwise. `ts_event` and `ts_recv` are ns relative to `ts_base`. `undefined` maps a column's name
    to the sorted rows (int64) whose value is not defined and is stored as 0. `frame` counts from 0 per (session,
    stream, kind) and is None for marks. `opened` and `sent` are ns since the epoch by the producer's clock.
    """

    source: str
    dataset: str
    publisher_id: int
    stream: str
    kind: Kind
    session: str
    epoch: int
    frame: int | None
    origin: Origin
    ts_base: int
    opened: int
    sent: int
    trading_day: str
    symbols: tuple[str, ...] = ()
    instrument_ids: tuple[int, ...] = ()
    classes: str = ""
    continues: bool = False
    resumes: Resume | None = None
    columns: Mapping[str, Array] = field(default_factory=dict)
    undefined: Mapping[str, Array] = field(default_factory=dict)
    gap: Gap | None = None
    gap_id: str | None = None
    clock: Mapping[str, int] | None = None

    def __len__(self) -> int:
        """Number of ticks; 0 for a mark."""
        return len(self.columns["ts_event"]) if self.columns else 0

    def ts_event(self) -> npt.NDArray[np.int64]:
        """Venue times, ns since the epoch (int64)."""
        return self.columns["ts_event"] + np.int64(self.ts_base)

    def ts_recv(self) -> npt.NDArray[np.int64]:
        """Vendor capture times, ns since the epoch (int64)."""
        return self.columns["ts_recv"] + np.int64(self.ts_base)

    def rows(self) -> list[dict[str, object]]:
        """Return one dict per tick, with absolute times, letters and symbols; undefined values are None."""
        out: dict[str, list[object]] = {}
        for name, values in self.columns.items():
            if name in ("ts_event", "ts_recv", "ts_ref"):
                column: list[object] = (values + np.int64(self.ts_base)).tolist()
            elif values.dtype == np.uint8:
                column = list(values.tobytes().decode("ascii"))
            elif name == "symbol":
                column = [self.symbols[i] for i in values.tolist()]
            else:
                column = values.tolist()
            for row in self.undefined.get(name, ()):
                column[int(row)] = None
            out[name] = column
        return [dict(zip(out, row, strict=True)) for row in zip(*out.values(), strict=True)]
