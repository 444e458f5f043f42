"""A random market on all kinds and marks, for tests that only compare one way of applying it with another."""

from __future__ import annotations

import random
from typing import Any

from tests.unit.orderflow.builders import (
    LAST,
    MS,
    T0,
    S,
    clock_frame,
    gap_frame,
    l1_frame,
    mbo_frame,
    status_frame,
    trade_frame,
)

from tapeline.model.frames import TickFrame

SYMBOLS = ("ESH4", "NQH4", "ESH4-ESM4")
CLASSES = "F?S"


def _mbo_records(rng: random.Random, now: int, count: int) -> list[tuple[Any, ...]]:
    """Return records of interleaved, often unfinished events; ids collide, times run back, snapshots break in."""
    records: list[tuple[Any, ...]] = []
    for _ in range(count):
        now += rng.choice((0, 0, 0, 1, 7 * MS, 60 * MS, 400 * MS))
        ts = now - rng.choice((0, 0, 0, 0, 30 * MS, 2 * S))
        action = rng.choice("AAAAAACCCMMMTTFFN" + "R" * (rng.random() < 0.02))
        flags = rng.choice((LAST, LAST, 0)) | rng.choice((0,) * 60 + (4,))
        price = None if action == "R" else 100 + rng.randint(-12, 12)
        record = (action, rng.choice("AB"), price, rng.randint(1, 9), rng.randint(1, 40))
        symbol = rng.randrange(3)
        if rng.random() < 0.01:
            records.append((ts - 9 * S, "R", "N", None, 0, 0, 32, 0, symbol))
            records += [(ts - 9 * S + i, "A", rng.choice("AB"), 95 + i, 3, i, 32, 0, symbol) for i in range(8)]
        records.append((ts, *record, flags, 0, symbol))
    return records


def _l1_records(rng: random.Random, now: int, count: int) -> list[tuple[Any, ...]]:
    records: list[tuple[Any, ...]] = []
    for _ in range(count):
        now += rng.choice((0, 0, 1, 60 * MS))
        bid = rng.choice((None, 100, 101, 102))
        top = (bid, 0 if bid is None else rng.randint(1, 9), rng.choice((101, 103)), rng.randint(1, 9))
        action = rng.choice("ACMTTN")
        records.append(
            (now, action, rng.choice("ABN"), rng.randint(99, 103), 2, *top, rng.choice((0, LAST)), 0, rng.randrange(3))
        )
    return records


def _trade_records(rng: random.Random, now: int, count: int) -> list[tuple[Any, ...]]:
    return [
        (now + i * 3 * MS - rng.choice((0, 0, S)), rng.choice("ABN"), rng.randint(99, 101), 1, 0, rng.randrange(3))
        for i in range(count)
    ]


def market(seed: int, frames: int = 30) -> list[TickFrame]:
    """Return frames of one session on all kinds, with marks between them."""
    rng = random.Random(seed)
    header: dict[str, Any] = {"symbols": SYMBOLS, "classes": CLASSES}
    numbers = dict.fromkeys(("mbo", "l1", "trade", "status"), -1)
    out: list[TickFrame] = []
    now = T0
    for i in range(frames):
        now += rng.choice((0, 50 * MS, 3 * S))
        kind = rng.choice(("mbo", "mbo", "mbo", "l1", "trade", "clock", "gap", "status"))
        count = rng.randint(1, 60)
        if kind in numbers:
            numbers[kind] += 1
            header["frame"] = numbers[kind]
        if kind == "mbo":
            out.append(mbo_frame(_mbo_records(rng, now, count), **header))
        elif kind == "l1":
            out.append(l1_frame(_l1_records(rng, now, count), **header))
        elif kind == "trade":
            out.append(trade_frame(_trade_records(rng, now, count), **header))
        elif kind == "status":
            out.append(status_frame([(now, rng.choice("YN~"), rng.randrange(3))], **header))
        elif kind == "clock":
            out.append(clock_frame(dict.fromkeys(rng.sample(("mbo", "l1", "trade"), 2), now - S)))
        else:
            kinds = rng.sample(("mbo", "l1", "trade"), rng.randint(1, 3))
            to = rng.choice((None, now + S))
            state = rng.choice(("open", "bounded"))
            symbols = rng.choice((("*",), ("ESH4",), ("NQH4", "CLX5")))
            out.append(
                gap_frame(
                    state, kinds=kinds, gap_symbols=symbols, gap_id=f"g{i % 5}", ts_event_from=now, ts_event_to=to
                )
            )
    out.append(clock_frame(dict.fromkeys(("mbo", "l1", "trade"), now + 100 * S)))
    return out
