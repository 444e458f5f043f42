"""Event ids on real order flow: they tell every record apart, and a resume loses and doubles none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.model.esh4 import frame_of, frames_of, records
from tests.unit.model.strategies import tick_frames

from tapeline.model.columns import F_SNAPSHOT, TICK_KINDS, TickKind
from tapeline.model.ids import Rows, TapeIds, occurrences

VENUE_FIELDS = ["publisher_id", "instrument_id", "ts_event", "order_id", "price", "size", "action", "side", "sequence"]


@pytest.fixture(scope="module")
def esh4(real_data: Path) -> Any:
    return records(real_data)


def live(chosen: Any) -> Any:
    return chosen[(chosen["flags"] & F_SNAPSHOT) == 0]


def identity(chosen: Any) -> Any:
    """What makes a record itself, as opaque bytes: the independent oracle of the hash."""
    packed = np.empty(len(chosen), dtype=[(name, chosen.dtype[name]) for name in VENUE_FIELDS])
    for name in VENUE_FIELDS:
        packed[name] = chosen[name]
    return packed.view(f"V{packed.dtype.itemsize}").ravel()


def test_hashes_tell_all_real_records_apart(esh4: Any) -> None:
    chosen = live(esh4)
    hashes = np.concatenate([Rows.of_frame(frame).hashes() for frame in frames_of(chosen, 4_000)])
    assert len(chosen) == 60_067
    assert len(np.unique(hashes)) == len(np.unique(identity(chosen)))
    ids = np.stack([hashes, occurrences(hashes).astype(np.uint64)], axis=1)
    assert len(np.unique(ids, axis=0)) == len(chosen)


def test_k_counts_the_identical_records_of_the_real_file(esh4: Any) -> None:
    chosen = live(esh4)
    hashes = Rows.of_frame(frame_of(chosen, 0)).hashes()
    _, counts = np.unique(identity(chosen), return_counts=True)
    assert occurrences(hashes).max() == counts.max() - 1 > 0


@pytest.mark.parametrize("seed", range(8))
def test_a_resume_after_a_cut_loses_none_and_doubles_none(esh4: Any, seed: int) -> None:
    chosen = live(esh4)
    random = np.random.default_rng(seed)
    cut = int(random.integers(1_000, len(chosen) - 1_000))
    last = int(chosen["ts_event"][:cut].max())
    on_tape = TapeIds()
    for frame in frames_of(chosen[:cut], int(random.integers(100, 4_000))):
        on_tape.add(Rows.of_frame(frame))
    resent = chosen[chosen["ts_event"] >= last - 2_000_000_000]
    again = [Rows.of_frame(frame) for frame in frames_of(resent, int(random.integers(100, 4_000)))]
    new = [rows.only(on_tape.take(rows)) for rows in again]
    tape = np.concatenate([chosen["order_id"][:cut], *(rows.columns["order_id"] for rows in new)])
    assert len(tape) == len(chosen)
    everything = np.concatenate([identity(chosen[:cut]), *(_identity_of(rows, chosen) for rows in new)])
    assert np.array_equal(np.sort(everything), np.sort(identity(chosen)))


def test_records_that_were_never_delivered_are_new_even_inside_an_event(esh4: Any) -> None:
    chosen = live(esh4)[20_000:30_000]
    delivered = np.random.default_rng(1).random(len(chosen)) > 0.1
    on_tape = TapeIds()
    on_tape.add(Rows.of_frame(frame_of(chosen[delivered], 0)))
    again = Rows.of_frame(frame_of(chosen, 0))
    new = again.only(on_tape.take(again))
    assert np.array_equal(np.sort(_identity_of(new, chosen)), np.sort(identity(chosen[~delivered])))
    assert len(on_tape) == 0


def test_of_identical_records_as_many_are_dropped_as_are_on_the_tape(esh4: Any) -> None:
    one = live(esh4)[:1]
    on_tape = TapeIds()
    on_tape.add(Rows.of_frame(frame_of(np.repeat(one, 3), 0)))
    again = Rows.of_frame(frame_of(np.repeat(one, 2), 0))
    assert on_tape.take(again).sum() == 0
    assert len(on_tape) == 1
    assert on_tape.take(again).sum() == 1
    assert on_tape.take(again).sum() == 2


def test_an_undefined_value_is_not_zero(esh4: Any) -> None:
    zero, undefined = live(esh4)[:1].copy(), live(esh4)[:1].copy()
    zero["price"], undefined["price"] = 0, 2**63 - 1
    assert Rows.of_frame(frame_of(zero, 0)).hashes() != Rows.of_frame(frame_of(undefined, 0)).hashes()


def test_delivery_changes_neither_hash_nor_identity(esh4: Any) -> None:
    once = frame_of(live(esh4)[:500], 0)
    again = replace(
        once,
        session="second",
        ts_base=once.ts_base - 77,
        columns={
            **once.columns,
            "ts_event": once.columns["ts_event"] + 77,
            "ts_recv": once.columns["ts_recv"] + 9_999,
            "ts_in_delta": once.columns["ts_in_delta"] + 1,
            "flags": once.columns["flags"] ^ 8,
        },
    )
    assert np.array_equal(Rows.of_frame(once).hashes(), Rows.of_frame(again).hashes())


def test_snapshot_records_have_no_id_and_are_never_dropped(esh4: Any) -> None:
    snapshot = frame_of(esh4[(esh4["flags"] & F_SNAPSHOT) != 0][:100], 0)
    on_tape = TapeIds()
    on_tape.add(Rows.of_frame(snapshot))
    assert len(on_tape) == 0
    on_tape.add(Rows.of_frame(frame_of(live(esh4)[:10], 0)))
    assert on_tape.take(Rows.of_frame(snapshot)).sum() == 100


@settings(deadline=None, max_examples=60)
@given(data=st.data(), kind=st.sampled_from(TICK_KINDS))
def test_every_venue_column_is_hashed(data: st.DataObject, kind: TickKind) -> None:
    frame = data.draw(tick_frames(kind))
    rows = Rows.of_frame(frame)
    before = rows.hashes()
    for name in set(frame.columns) - {"symbol", "ts_recv", "ts_in_delta", "flags"}:
        changed = frame.columns[name].copy()
        changed[0] ^= 1
        defined = {held: marked for held, marked in frame.undefined.items() if held != name}
        after = replace(rows, columns={**frame.columns, name: changed}, undefined=defined).hashes()
        assert after[0] != before[0], name
    assert replace(rows, publisher_id=rows.publisher_id ^ 1).hashes()[0] != before[0]
    assert replace(rows, instrument_ids=rows.instrument_ids ^ 1).hashes()[0] != before[0]


@settings(deadline=None, max_examples=60)
@given(data=st.data(), kind=st.sampled_from(TICK_KINDS))
def test_taking_by_rows_keeps_what_is_undefined(data: st.DataObject, kind: TickKind) -> None:
    frame = data.draw(tick_frames(kind))
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(frame), max_size=len(frame))), dtype=bool)
    kept = Rows.of_frame(frame).only(mask)
    assert np.array_equal(kept.hashes(), Rows.of_frame(frame).hashes()[mask])
    assert len(kept) == mask.sum()


def _identity_of(rows: Rows, like: Any) -> Any:
    out = np.zeros(len(rows), dtype=like.dtype)
    for name in ("order_id", "price", "size", "action", "side", "sequence"):
        out[name] = rows.columns[name]
    out["price"][rows.undefined.get("price", [])] = 2**63 - 1
    out["ts_event"] = rows.columns["ts_event"] + rows.ts_base
    out["instrument_id"] = rows.instrument_ids
    out["publisher_id"] = rows.publisher_id
    return identity(out)
