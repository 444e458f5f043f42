"""Live chains and option flow of random markets: as the plain reference has them, however cut, wherever packed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

import pytest
from tests.unit.orderflow.builders import S, reframe
from tests.unit.orderflow.option_market import INSTRUMENTS, chains, option_market
from tests.unit.orderflow.option_reference import ReferenceChains, ReferenceFlow
from tests.unit.orderflow.options import FRIDAY, T0

from tapeline.model.chains import ABSENT, NULL, Chain
from tapeline.model.frames import TickFrame
from tapeline.orderflow.assembly import ChainAssembler
from tapeline.orderflow.contracts import ContractBook
from tapeline.orderflow.option_flow import OptionFlow
from tapeline.orderflow.packing import Unpacker, pack

NOW = T0 + 3_600 * S
FIELDS = ("bid", "bid_size", "ask", "ask_size", "quote_at", "last", "trade_at", "settlement", "settlement_at", "volume")
SEEDS = range(15)


def book() -> ContractBook:
    contracts = ContractBook()
    for instrument in INSTRUMENTS.values():
        contracts.define(instrument)
    return contracts


def assembled(frames: Iterable[TickFrame], *, packs: bool = False) -> list[Chain]:
    contracts = book()
    made = ChainAssembler(contracts)
    for i, frame in enumerate(frames):
        made.apply(frame)
        if packs:
            if i % 3 == 0:
                made.due(T0, {})
            made = ChainAssembler.from_unpacker(Unpacker(pack(made.copy())), contracts)
    return sorted(made.due(NOW, {}), key=lambda chain: chain.key)


def shown(chains_: Iterable[Chain]) -> dict[str, dict[str, int]]:
    """Return what chains show of each contract; what is absent is left out."""
    out = {}
    for chain in chains_:
        columns = {name: column.tolist() for name, column in chain.contracts.columns.items()}
        for row, symbol in enumerate(chain.contracts.vendor_symbols):
            out[symbol] = {name: column[row] for name, column in columns.items() if column[row] != ABSENT}
            out[symbol] |= {"flags": int(chain.contracts.flags[row])}
    return out


def flow_rows(frames: Sequence[TickFrame], seed: int, *, packs: bool = False) -> list[dict[str, Any]]:
    contracts = book()
    flow = OptionFlow(contracts)
    for chain in chains(seed):
        flow.take_chain(chain)
    rows = []
    for frame in frames:
        for message in flow.apply(frame):
            document = json.loads(message.value)
            rows += [{"kind": document["kind"], "expiry": document["expiry"], **row} for row in document["rows"]]
        if packs:
            flow = OptionFlow.from_unpacker(Unpacker(pack(flow.copy())), contracts)
            for chain in chains(seed):
                flow.take_chain(chain)
    # A message is of one kind and expiry: the order of rows is promised within these alone.
    return sorted(rows, key=lambda row: (row["kind"], row["expiry"]))


@pytest.mark.parametrize("seed", SEEDS)
def test_chains_show_what_the_reference_has(seed: int) -> None:
    frames = option_market(seed)
    reference = ReferenceChains()
    for frame in frames:
        reference.apply(frame)
    told = shown(assembled(frames))
    assert told.keys() == {symbol for symbol, each in INSTRUMENTS.items() if not each.user_defined}
    for symbol, cell in told.items():
        expected = {name: NULL if value is None else value for name, value in reference.contracts[symbol].items()}
        assert {name: cell[name] for name in FIELDS if name in cell} == {
            name: expected[name] for name in FIELDS if name in expected
        }, symbol


@pytest.mark.parametrize("seed", SEEDS)
def test_rows_are_what_the_reference_has(seed: int) -> None:
    frames = option_market(seed)
    reference = ReferenceFlow(INSTRUMENTS, chains(seed))
    for frame in frames:
        reference.apply(frame)
    rows = flow_rows(frames, seed)
    order = ("kind", "expiry", "window_ms", "window_start")
    expected = sorted(reference.rows, key=lambda row: [str(row[name]) for name in order])
    assert len(expected) > 60
    assert any(row["late_count"] for row in expected)
    assert any(row["delta_flow"] is not None for row in expected)
    assert any(row["delta_missing_volume"] for row in expected)
    told = sorted(rows, key=lambda row: [str(row[name]) for name in order])
    assert [[row[name] for name in order] for row in told] == [[row[name] for name in order] for row in expected]
    for ours, theirs in zip(expected, told, strict=True):
        for name, value in ours.items():
            if isinstance(value, Fraction):
                assert theirs[name] == pytest.approx(float(value), abs=2e-9), (name, ours)
            else:
                assert theirs[name] == value, (name, ours)


@pytest.mark.parametrize("seed", SEEDS)
def test_it_does_not_matter_how_ticks_are_framed(seed: int) -> None:
    frames = option_market(seed)
    chains_, rows = shown(assembled(frames)), flow_rows(frames, seed)
    for largest in (1, 5, 100):
        cut = reframe(frames, random.Random(seed), largest)
        assert shown(assembled(cut)) == chains_
        assert flow_rows(cut, seed) == rows


@pytest.mark.parametrize("seed", SEEDS)
def test_it_does_not_matter_where_a_state_is_packed(seed: int) -> None:
    frames = option_market(seed, rows=120)
    assert flow_rows(frames, seed, packs=True) == flow_rows(frames, seed)
    packed, straight = assembled(frames, packs=True), assembled(frames)
    assert shown(packed) == shown(straight)
    for ours, theirs in zip(packed, straight, strict=True):
        for name in ("key", "as_of", "fetched_at", "flags", "complete", "mode"):
            assert getattr(ours, name) == getattr(theirs, name)


def test_a_packed_state_keeps_what_a_frame_alone_does_not_show() -> None:
    """Epochs, sessions, gaps, chains and trades that wait for a definition."""
    contracts = ContractBook()
    flow = OptionFlow(contracts)
    frames = option_market(1)
    for chain in chains(1):
        flow.take_chain(chain)
    before = [message for frame in frames[:-1] for message in flow.apply(frame)]
    assert before == [], "nothing is defined"
    flow = OptionFlow.from_unpacker(Unpacker(pack(flow.copy())), contracts)
    for instrument in INSTRUMENTS.values():
        contracts.define(instrument)
    rows = [json.loads(message.value)["rows"] for message in flow.apply(frames[-1])]
    assert sum(map(len, rows)) > 3
    repeated = flow.copy()
    assert [flow.apply(frame) for frame in frames[:-1]] == [[]] * (len(frames) - 1), "every frame is known"
    assert flow.copy() == repeated


def test_a_copy_stays_as_it_was() -> None:
    frames, contracts = option_market(2), book()
    made = ChainAssembler(contracts)
    for frame in frames[:20]:
        made.apply(frame)
    copy = made.copy()
    before = pack(copy)
    for frame in frames[20:]:
        made.apply(frame)
    made.due(FRIDAY, {})
    assert pack(copy) == before
