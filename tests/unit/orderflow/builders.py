"""Build tick frames from plain rows and from real DBN files, and cut them anew."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import databento_dbn
import numpy as np
import zstandard

from tapeline.model.columns import COLUMNS, F_LAST, Kind, TickKind
from tapeline.model.frames import Gap, Origin, Resume, TickFrame

LAST = F_LAST
UNDEFINED_PRICE = 2**63 - 1
STREAM = "GLBX.MDP3/ES.FUT"
MS = 1_000_000
S = 1_000_000_000
T0 = 1_703_545_200 * S
"""2023-12-25T23:00:00Z, the open of ESH4's session; a multiple of every window."""

MBO_ROW = ("ts_event", "action", "side", "price", "size", "order_id", "flags", "sequence", "symbol")
L1_ROW = (
    *("ts_event", "action", "side", "price", "size", "bid_price", "bid_size", "ask_price", "ask_size"),
    *("flags", "sequence", "symbol"),
)
TRADE_ROW = ("ts_event", "side", "price", "size", "sequence", "symbol")
STATUS_ROW = ("ts_event", "is_trading", "symbol")

Row = Sequence[Any]


def tick_frame(
    kind: TickKind,
    fields: Sequence[str],
    rows: Sequence[Row],
    *,
    stream: str = STREAM,
    symbols: Sequence[str] = ("ESH4",),
    classes: str | None = None,
    frame: int = 0,
    session: str = "s1",
    epoch: int = 1,
    resumes: tuple[str, int] | None = None,
    continues: bool = False,
    source: str = "saved",
    origin: Origin = "saved",
    ts_base: int | None = None,
    trading_day: str = "2023-12-26",
) -> TickFrame:
    """Return a frame of `rows`, each a tuple of `fields`; a row may be short, and None marks an undefined value."""
    n = len(rows)
    base = ts_base if ts_base is not None else next((row[0] for row in rows if row[0] is not None), 0)
    columns: dict[str, Any] = {}
    undefined: dict[str, Any] = {}
    for column in COLUMNS[kind]:
        if column.name in fields:
            at = fields.index(column.name)
            default: Any = "N" if column.is_text else 0
            values = [row[at] if at < len(row) else default for row in rows]
        elif column.name == "ts_recv":
            values = [row[0] for row in rows]
        else:
            values = ["~" if column.is_text else 0] * n
        if column.is_text:
            columns[column.name] = np.frombuffer("".join(values).encode("ascii"), dtype=np.uint8)
            continue
        missing = [i for i, value in enumerate(values) if value is None]
        if missing:
            undefined[column.name] = np.array(missing, dtype=np.int64)
        shift = base if column.name in ("ts_event", "ts_recv") else 0
        dtype = np.uint64 if column.is_unsigned else np.int64
        columns[column.name] = np.array([0 if value is None else value - shift for value in values], dtype=dtype)
    return TickFrame(
        source=source,
        dataset=stream.split("/", 1)[0],
        publisher_id=1,
        stream=stream,
        kind=kind,
        session=session,
        epoch=epoch,
        frame=frame,
        origin=origin,
        ts_base=base,
        opened=0,
        sent=0,
        trading_day=trading_day,
        symbols=tuple(symbols),
        instrument_ids=tuple(range(1, len(symbols) + 1)),
        classes="F" * len(symbols) if classes is None else classes,
        continues=continues,
        resumes=None if resumes is None else Resume(*resumes),
        columns=columns,
        undefined=undefined,
    )


def mbo_frame(rows: Sequence[Row], **header: Any) -> TickFrame:
    """Return an mbo frame of rows (ts_event, action, side, price_e9, size, order_id, flags[, sequence, symbol])."""
    return tick_frame("mbo", MBO_ROW, rows, **header)


def l1_frame(rows: Sequence[Row], **header: Any) -> TickFrame:
    """Return an l1 frame of rows in the order of `L1_ROW`; a bid or ask price of None is an empty side."""
    return tick_frame("l1", L1_ROW, rows, **header)


def trade_frame(rows: Sequence[Row], **header: Any) -> TickFrame:
    """Return a trade frame of rows (ts_event, side, price_e9, size[, sequence, symbol])."""
    return tick_frame("trade", TRADE_ROW, rows, **header)


def status_frame(rows: Sequence[Row], **header: Any) -> TickFrame:
    """Return a status frame of rows (ts_event, is_trading[, symbol])."""
    return tick_frame("status", STATUS_ROW, rows, **header)


def _mark(kind: Kind, *, gap: Gap | None = None, clock: Mapping[str, int] | None = None, **header: Any) -> TickFrame:
    stream = header.get("stream", STREAM)
    return TickFrame(
        source=header.get("source", "saved"),
        dataset=stream.split("/", 1)[0],
        publisher_id=1,
        stream=stream,
        kind=kind,
        session=header.get("session", "s1"),
        epoch=header.get("epoch", 1),
        frame=None,
        origin="saved",
        ts_base=0,
        opened=0,
        sent=0,
        trading_day="2023-12-26",
        gap=gap,
        clock=clock,
    )


def clock_frame(clock: Mapping[str, int], **header: Any) -> TickFrame:
    """Return a clock mark: kind -> ns since the epoch."""
    return _mark("clock", clock=clock, **header)


def claim_frame(epoch: int, **header: Any) -> TickFrame:
    """Return the claim with which a producer of `epoch` takes the stream over."""
    return _mark("claim", epoch=epoch, **header)


def gap_frame(
    state: str = "open",
    *,
    kinds: Sequence[str] = ("mbo",),
    gap_symbols: Sequence[str] = ("*",),
    gap_id: str = "g1",
    ts_event_from: int | None = None,
    ts_event_to: int | None = None,
    **header: Any,
) -> TickFrame:
    """Return a gap mark."""
    gap = Gap(
        id=gap_id,
        state=cast(Any, state),
        kinds=tuple(kinds),
        symbols=tuple(gap_symbols),
        reason="disconnected",
        ts_event_from=ts_event_from,
        ts_event_to=ts_event_to,
    )
    return _mark("gap", gap=gap, **header)


def slice_frame(frame: TickFrame, start: int, stop: int, /, **header: Any) -> TickFrame:
    """Return ticks [start, stop) of a frame, with other header fields replaced by `header`."""
    undefined = {name: rows[(rows >= start) & (rows < stop)] - start for name, rows in frame.undefined.items()}
    return replace(
        frame,
        columns={name: values[start:stop] for name, values in frame.columns.items()},
        undefined={name: rows for name, rows in undefined.items() if len(rows)},
        **header,
    )


def reframe(frames: Sequence[TickFrame], rng: random.Random, largest: int = 50) -> list[TickFrame]:
    """Cut the tick frames of each kind anew at random places (marks stay where they are) and number them from 0."""
    numbers: dict[str, int] = {}
    out: list[TickFrame] = []
    for frame in frames:
        start = 0
        if not len(frame):
            out.append(frame)
        while start < len(frame):
            stop = min(start + rng.randint(1, largest), len(frame))
            number = numbers.get(frame.kind, -1) + 1
            numbers[frame.kind] = number
            out.append(slice_frame(frame, start, stop, frame=number, continues=stop < len(frame)))
            start = stop
    return out


_KIND_OF_RTYPE: dict[int, tuple[TickKind, Any]] = {
    0xA0: ("mbo", databento_dbn.MBOMsg),
    0x01: ("l1", databento_dbn.MBP1Msg),
    0x00: ("trade", databento_dbn.TradeMsg),
}
_DBN_NAME = {
    "bid_price": "bid_px_00",
    "bid_size": "bid_sz_00",
    "bid_count": "bid_ct_00",
    "ask_price": "ask_px_00",
    "ask_size": "ask_sz_00",
    "ask_count": "ask_ct_00",
}


def read_dbn(path: Path) -> tuple[Any, dict[int, str]]:
    """Return a DBN file's records (one numpy record array, one record type) and its symbols by instrument id."""
    with path.open("rb") as file:
        raw = zstandard.ZstdDecompressor().stream_reader(file).read()
    header = 8 + int.from_bytes(raw[4:8], "little")
    (metadata,) = databento_dbn.DBNDecoder().write_and_decode(raw[:header])
    names = {int(interval["symbol"]): str(symbol) for symbol, found in metadata.mappings.items() for interval in found}
    _, message = _KIND_OF_RTYPE[raw[header + 1]]
    return np.frombuffer(raw[header:], dtype=np.dtype(message._dtypes)), names


def dbn_frames(
    records: Any, names: Mapping[int, str], ticks_per_frame: int, *, first_frame: int = 0, **header: Any
) -> Iterator[TickFrame]:
    """Yield the frames of DBN records, each `ticks_per_frame` long, cut without regard to event ends."""
    kind, _ = _KIND_OF_RTYPE[int(records["rtype"][0])]
    for number, start in enumerate(range(0, len(records), ticks_per_frame)):
        part = records[start : start + ticks_per_frame]
        ids, symbol = np.unique(part["instrument_id"], return_inverse=True)
        base = int(part["ts_recv"].astype(np.int64).min())
        columns: dict[str, Any] = {}
        undefined: dict[str, Any] = {}
        for column in COLUMNS[kind]:
            if column.name == "symbol":
                columns["symbol"] = symbol.astype(np.int64)
                continue
            values = part[_DBN_NAME.get(column.name, column.name)]
            if column.is_text:
                columns[column.name] = (
                    values.view(np.uint8).copy()
                    if values.flags.c_contiguous
                    else np.frombuffer(values.tobytes(), dtype=np.uint8)
                )
                continue
            values = values.astype(np.uint64 if column.is_unsigned else np.int64)
            if "price" in column.name:
                missing = np.flatnonzero(values == UNDEFINED_PRICE)
                values[missing] = 0
                if len(missing):
                    undefined[column.name] = missing.astype(np.int64)
            columns[column.name] = values - base if column.name in ("ts_event", "ts_recv") else values
        frame = tick_frame(kind, (), [], ts_base=base, frame=first_frame + number, **header)
        yield replace(
            frame,
            symbols=tuple(names.get(int(i), str(i)) for i in ids),
            instrument_ids=tuple(int(i) for i in ids),
            classes="F" * len(ids),
            continues=start + ticks_per_frame < len(records) and not int(part["flags"][-1]) & LAST,
            columns=columns,
            undefined=undefined,
        )


def replay_dbn(path: Path, ticks_per_frame: int = 4_000, **header: Any) -> Iterator[TickFrame]:
    """Yield mbo, l1 or trade frames of one DBN file of one schema, in file order."""
    records, names = read_dbn(path)
    yield from dbn_frames(records, names, ticks_per_frame, **header)
