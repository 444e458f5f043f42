"""The cost of live chains: frames of option quotes in, changed chains out."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Final

import numpy as np

from tapeline.model.codec import decode, encode
from tapeline.model.columns import COLUMNS, F_LAST
from tapeline.model.frames import TickFrame
from tapeline.model.instruments import Instrument
from tapeline.orderflow.assembly import ChainAssembler
from tapeline.orderflow.contracts import ContractBook

CONTRACTS: Final = 2_000
EXPIRIES: Final = 10
QUOTES_PER_S: Final = 20_000

_FRAME_NS: Final = 20_000_000
_SECOND: Final = 10**9
_BEGIN_NS: Final = 1_795_446_000 * _SECOND
_DAY: Final = "2026-11-23"


def measure(seconds: int) -> float:
    """Return the quotes per second of CPU time, chains that are told of each second of the tape included.

    QUOTES_PER_S come in decoded frames of 20 ms, as the producer cuts them, over CONTRACTS of EXPIRIES in any order.
    The first second, in which every contract gets its place, is not counted.
    """
    contracts = ContractBook()
    listed = [_option(number) for number in range(CONTRACTS)]
    for instrument in listed:
        contracts.define(instrument)
    frames = [decode(encode(frame)) for frame in _frames([each.raw_symbol for each in listed], seconds + 1)]
    assembler = ChainAssembler(contracts)
    a_second = _SECOND // _FRAME_NS
    quotes = told = 0
    began_ns = time.process_time_ns()
    for number, frame in enumerate(frames, 1):
        assembler.apply(frame)
        quotes += len(frame)
        if number % a_second == 0:
            told += len(assembler.due(_BEGIN_NS + number * _FRAME_NS, {}))
        if number == a_second:
            quotes, began_ns = 0, time.process_time_ns()
    spent_ns = time.process_time_ns() - began_ns
    if told != EXPIRIES * (seconds + 1):
        raise RuntimeError(f"{told} chains were told of, not {EXPIRIES} a second")
    return quotes * 1e9 / spent_ns


def _option(number: int) -> Instrument:
    expiry, contract = divmod(number, CONTRACTS // EXPIRIES)
    strike, is_call = 20_000 + contract // 2 * 50, contract % 2 == 0
    return Instrument(
        source="databento",
        dataset="GLBX.MDP3",
        trading_day=_DAY,
        instrument_id=number + 1,
        raw_symbol=f"Q{expiry}DX6 {'C' if is_call else 'P'}{strike}",
        instrument_class="C" if is_call else "P",
        asset=f"Q{expiry}D",
        group=f"Q{expiry}D",
        parent=f"Q{expiry}D.OPT",
        underlying="NQZ6",
        underlying_id=1,
        expiry=_BEGIN_NS + (expiry + 1) * 86_400 * _SECOND,
        activation=None,
        strike=strike * _SECOND,
        style="european",
        tick=None,
        multiplier=20 * _SECOND,
        currency="USD",
        user_defined=False,
        legs=None,
        update_action="A",
        ts_recv=_BEGIN_NS - 3_600 * _SECOND,
    )


def _frames(symbols: list[str], seconds: int) -> list[TickFrame]:
    random = np.random.Generator(np.random.PCG64(7))
    rows = QUOTES_PER_S * _FRAME_NS // _SECOND
    frames = []
    for number in range(seconds * _SECOND // _FRAME_NS):
        quoted, symbol = np.unique(random.integers(0, len(symbols), rows), return_inverse=True)
        times = np.sort(random.integers(0, _FRAME_NS, rows))
        bids = random.integers(1, 2_000, rows) * 250_000_000
        columns = {
            column.name: np.zeros(rows, dtype=column.dtype)
            if not column.is_text
            else np.full(rows, ord("N"), dtype=np.uint8)
            for column in COLUMNS["l1"]
        }
        columns |= {
            "ts_event": times,
            "ts_recv": times + 100_000,
            "symbol": symbol.astype(np.int64),
            "action": np.full(rows, ord("M"), dtype=np.uint8),
            "bid_price": bids,
            "ask_price": bids + 500_000_000,
            "bid_size": random.integers(1, 99, rows),
            "ask_size": random.integers(1, 99, rows),
            "flags": np.full(rows, F_LAST),
        }
        empty = np.flatnonzero(random.random(rows) < 0.1)
        columns["bid_price"][empty] = columns["bid_size"][empty] = 0
        frame = replace(_HEAD, frame=number, ts_base=_BEGIN_NS + number * _FRAME_NS, columns=columns)
        chosen = quoted.tolist()
        frames.append(
            replace(
                frame,
                symbols=tuple(symbols[i] for i in chosen),
                instrument_ids=tuple(i + 1 for i in chosen),
                classes="".join(symbols[i].partition(" ")[2][0] for i in chosen),
                undefined={"bid_price": empty},
            )
        )
    return frames


_HEAD: Final = TickFrame(
    source="databento",
    dataset="GLBX.MDP3",
    publisher_id=1,
    stream="GLBX.MDP3/Q.OPT",
    kind="l1",
    session="s1",
    epoch=1,
    frame=None,
    origin="live",
    ts_base=0,
    opened=0,
    sent=0,
    trading_day=_DAY,
)
