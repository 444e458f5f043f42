"""A random market of options: frames of one stream of every kind, with late trades, snapshots and clocks."""

from __future__ import annotations

import random
from typing import Any

from tests.unit.orderflow.builders import S, clock_frame
from tests.unit.orderflow.options import (
    E9,
    FRIDAY,
    SPREAD,
    STREAM,
    T0,
    THURSDAY,
    THURSDAYS,
    option,
    prints,
    quotes,
    spread,
    statistics,
    statuses,
    valued_chain,
)

from tapeline.model.chains import Chain
from tapeline.model.frames import TickFrame
from tapeline.model.instruments import Instrument

FRIDAYS = ("Q4EX6 C25000", "Q4EX6 P25000", "Q4EX6 C24500")
SYMBOLS = (*THURSDAYS, *FRIDAYS, SPREAD)
INSTRUMENTS: dict[str, Instrument] = {
    **{symbol: option(symbol) for symbol in THURSDAYS},
    **{symbol: option(symbol, expiry=FRIDAY, multiplier=50 * E9) for symbol in FRIDAYS},
    SPREAD: spread(underlying="NQZ6", expiry=FRIDAY),
}
_HEAD: dict[str, Any] = {"source": "databento", "stream": STREAM}


def option_market(seed: int, rows: int = 300) -> list[TickFrame]:
    """Return frames over some two minutes; the last is a clock that closes every window."""
    rng = random.Random(seed)
    frames: list[TickFrame] = []
    numbers = {"l1": 0, "trade": 0, "statistics": 0, "status": 0}
    ts = T0
    while rows > 0:
        kind = rng.choices(("l1", "trade", "statistics", "status", "clock"), (8, 4, 1, 1, 1))[0]
        if kind == "clock":
            frames.append(clock_frame({rng.choice(("l1", "trade")): ts - rng.randrange(2 * S)}, **_HEAD))
            continue
        made = []
        for _ in range(min(rng.randint(1, 12), rows)):
            ts += rng.choice((0, rng.randrange(S // 2), rng.randrange(S // 2), rng.randrange(4 * S)))
            made.append(_row(rng, kind, ts))
        rows -= len(made)
        header = {"frame": numbers[kind]}
        numbers[kind] += 1
        make = {"l1": quotes, "trade": prints, "statistics": statistics, "status": statuses}[kind]
        frames.append(make(made, SYMBOLS, **header))
    return [*frames, clock_frame({"l1": ts + 100 * S, "trade": ts + 100 * S}, **_HEAD)]


def _row(rng: random.Random, kind: str, ts: int) -> tuple[Any, ...]:
    symbol, side, size = rng.randrange(len(SYMBOLS)), rng.choice("BBAAN"), rng.choice((None, 1, 2, 7))
    price = rng.randrange(1, 2_000) * 50_000_000
    if rng.random() < 0.1:
        ts -= rng.randrange(15 * S)
    if kind == "trade":
        return ts, symbol, side, price, size
    if kind == "statistics":
        day = T0 - rng.randrange(3) * 86_400 * S
        return ts, symbol, rng.choice((3, 6, 9)), price, rng.randrange(100), day, rng.choice((1, 1, 1, 2))
    if kind == "status":
        return ts, symbol, rng.choice("YN~")
    bid, ask = rng.choice((None, price)), rng.choice((None, price + E9))
    action = rng.choice("AAAMMCRTTTFN")
    flags = rng.choice((0, 128, 128, 32, 4))
    return ts, action, symbol, bid, rng.randrange(9), ask, rng.randrange(9), side, price, size, flags


def chains(seed: int) -> list[Chain]:
    """Return chains with delta and vega, a few at a time with holes between them that leave trades without any."""
    rng = random.Random(seed)
    made = []
    for symbols, expiry in ((THURSDAYS, THURSDAY), (FRIDAYS, FRIDAY)):
        for as_of in sorted(T0 + rng.randrange(-30 * S, 400 * S) for _ in range(8)):
            some = rng.sample(symbols, rng.randint(1, len(symbols)))
            greeks = {symbol: (rng.uniform(-1, 1), rng.uniform(0, 5)) for symbol in some}
            made.append(valued_chain(as_of, greeks, expiry=expiry))
    return made
