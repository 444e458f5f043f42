"""A small market for tests of tick quality: frames of orders and of quotes, and what is reported of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from tests.unit.orderflow.builders import LAST, MS, T0, S, l1_frame, mbo_frame

from tapeline.model.columns import INT64_MAX, INT64_MIN
from tapeline.model.frames import TickFrame
from tapeline.model.instruments import Instrument, TickRule, TickStep
from tapeline.model.tick_quality import TickFinding, TickReport
from tapeline.quality.tick_definitions import Definitions
from tapeline.quality.ticks import TickQuality

DAY = "2023-12-26"
DATASET = "GLBX.MDP3"
MINUTE = 60 * S
POINT = 10**9
PRICE = 4_800 * POINT
QUARTER = TickRule("definition", (TickStep(None, POINT // 4),))

__all__ = ["DATASET", "DAY", "LAST", "MINUTE", "MS", "POINT", "PRICE", "QUARTER", "T0", "S"]


def always(_: str = "") -> np.ndarray:
    """An endless session."""
    return np.array([[INT64_MIN, INT64_MAX]], dtype=np.int64)


def judge(*definitions: Instrument, hours: Sequence[tuple[int, int]] = ()) -> TickQuality:
    """Return a judge that knows these definitions, and these trading hours (none: always)."""
    return TickQuality(
        lambda dataset: np.array(hours, dtype=np.int64) if hours else always(dataset), defined(*definitions)
    )


def defined(*instruments: Instrument) -> Definitions:
    """Return what these definitions say."""
    definitions = Definitions()
    for instrument in instruments:
        definitions.define(instrument)
    return definitions


def definition(instrument_id: int = 1, tick: TickRule | None = QUARTER, **changes: Any) -> Instrument:
    """Return the definition of a future."""
    fields: dict[str, Any] = {
        "source": "databento",
        "dataset": DATASET,
        "trading_day": DAY,
        "instrument_id": instrument_id,
        "raw_symbol": "ESH4",
        "instrument_class": "F",
        "asset": "ES",
        "group": "ES",
        "parent": "ES.FUT",
        "underlying": None,
        "underlying_id": None,
        "expiry": None,
        "activation": None,
        "strike": None,
        "style": None,
        "tick": tick,
        "multiplier": None,
        "currency": None,
        "user_defined": False,
        "legs": None,
        "update_action": "A",
        "ts_recv": T0,
    }
    return Instrument(**{**fields, **changes})


class Orders:
    """Frames of one session of orders, each of rows (ts_event, action, price[, size, order_id, sequence, symbol])."""

    def __init__(self, session: str = "s1", **header: Any) -> None:
        self.header = {"session": session, **header}
        self.frame = 0
        self.order = 0

    def __call__(self, *rows: Sequence[Any], **changes: Any) -> TickFrame:
        full = []
        for ts, action, price, *rest in rows:
            self.order += 1
            size, order_id, sequence, symbol, flags = [*rest, *(1, self.order, self.order, 0, LAST)[len(rest) :]]
            full.append((ts, action, "B", price, size, order_id, flags, sequence, symbol))
        frame = mbo_frame(full, **{"frame": self.frame, **self.header, **changes})
        self.frame = (frame.frame or 0) + 1
        return frame


class Quotes:
    """Frames of one session of quotes, each of rows (ts_event, bid, ask[, sequence, symbol])."""

    def __init__(self, **header: Any) -> None:
        self.header = header
        self.frame = 0
        self.sequence = 0

    def __call__(self, *rows: Sequence[Any], **changes: Any) -> TickFrame:
        full = []
        for ts, bid, ask, *rest in rows:
            self.sequence += 1
            sequence, symbol = [*rest, *(self.sequence, 0)[len(rest) :]]
            full.append((ts, "M", "B", bid, 1, bid, 1, ask, 1, LAST, sequence, symbol))
        frame = l1_frame(full, **{"frame": self.frame, **self.header, **changes})
        self.frame = (frame.frame or 0) + 1
        return frame


def reports(quality: TickQuality, frames: Iterable[TickFrame]) -> list[TickReport]:
    """Return what is reported of the frames."""
    return [report for frame in frames for report in quality.apply(frame)]


def findings(quality: TickQuality, *frames: TickFrame) -> dict[tuple[str, str], TickFinding]:
    """Return what is found in the frames once the next window opens, by rule and symbol."""
    told = reports(quality, frames)
    last = frames[-1]
    after = (int(last.ts_event().max()) // MINUTE + 1) * MINUTE
    orders = Orders if last.kind == "mbo" else Quotes
    end: Any = orders(session=last.session, stream=last.stream, symbols=last.symbols, classes=last.classes)
    price = (PRICE,) if last.kind == "mbo" else (PRICE, PRICE + POINT)
    sequence = (1, 99, 0) if last.kind == "mbo" else (0,)
    row = (after, *(("A",) if last.kind == "mbo" else ()), *price, *sequence)
    told += quality.apply(end(row, frame=last.frame + 1, trading_day=last.trading_day))
    return {(each.rule, each.symbol): each for report in told for each in report.findings}
