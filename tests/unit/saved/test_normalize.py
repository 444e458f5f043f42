"""Names, classes and shifted times of saved records."""

from __future__ import annotations

import io

import numpy as np
import pytest
from tests.unit.saved.files import LATENCY_NS, START_NS, head, mbo, orders

from tapeline.feed.dbn import DbnReader
from tapeline.feed.dbn_decoder import DbnMetadata
from tapeline.feed.framer import Instrument, Ticks
from tapeline_saved.normalize import Normalizer, stream_name


def ticks_of(data: bytes, *, shift_ns: int = 0, classes: dict[int, str] | None = None) -> list[Ticks]:
    reader = DbnReader(io.BytesIO(data), "test")
    normalizer = Normalizer("S/1", "GLBX.MDP3", reader.symbology, classes or {}, shift_ns)
    return [normalizer.ticks(batch) for batch in reader.batches()]


@pytest.mark.parametrize(
    ("symbols", "name"), [(("ESH4",), "GLBX.MDP3/ESH4"), (("ESH4", "NQH4"), "GLBX.MDP3/day"), ((), "GLBX.MDP3/day")]
)
def test_a_stream_is_named_by_its_one_symbol_else_by_its_file(symbols: tuple[str, ...], name: str) -> None:
    assert stream_name(DbnMetadata(3, "GLBX.MDP3", "mbo", symbols, 0, ts_out=False), "day") == name


def test_ids_have_the_names_and_classes_of_the_file_and_else_their_number() -> None:
    data = head(("NQH6", "NQM6")) + b"".join(mbo(i, START_NS, instrument_id=i) for i in (7, 8, 9))
    (ticks,) = ticks_of(data, classes={8: "S"})
    assert ticks.instrument_ids.tolist() == [7, 8, 9]
    assert ticks.directory == {7: Instrument("NQH6", "F"), 8: Instrument("NQM6", "S"), 9: Instrument("9", "?")}


def test_a_directory_that_frames_may_still_hold_is_never_changed() -> None:
    symbols, ids = ("NQH6", "NQM6"), (7, 8)
    reader = DbnReader(io.BytesIO(head(symbols) + b"".join(mbo(i, START_NS, instrument_id=i) for i in ids)), "test")
    normalizer = Normalizer("S/1", "GLBX.MDP3", reader.symbology, {})
    (batch,) = reader.batches()
    first = normalizer.ticks(batch)
    before = dict(first.directory)
    reader.symbology.add(8, "NQU6", START_NS)
    assert normalizer.ticks(batch).directory[8].symbol == "NQU6"
    assert first.directory == before


def test_a_shift_moves_every_time_and_nothing_else() -> None:
    plain, shifted = (ticks_of(head() + orders(3), shift_ns=shift)[0] for shift in (0, 5_000))
    for name, values in plain.columns.items():
        moved = 5_000 if name in ("ts_event", "ts_recv") else 0
        assert np.array_equal(shifted.columns[name], values + np.asarray(moved, dtype=values.dtype)), name
    assert int(shifted.columns["ts_event"][0]) == START_NS - LATENCY_NS + 5_000


def test_a_time_that_is_not_defined_stays_so_when_shifted() -> None:
    raw = bytearray(mbo(1, START_NS))
    raw[8:16] = b"\xff" * 8  # ts_event
    (ticks,) = ticks_of(head() + bytes(raw) + mbo(2, START_NS), shift_ns=5_000)
    assert ticks.columns["ts_event"].tolist() == [0, START_NS - LATENCY_NS + 5_000]
    assert ticks.undefined["ts_event"].tolist() == [0]
