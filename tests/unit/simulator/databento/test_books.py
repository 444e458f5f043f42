"""Books kept by the tape's own records, against a book as simply as it can be kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tapeline.feed.dbn_records import MBO_RECORD
from tapeline_simulator.databento import books as module
from tapeline_simulator.databento.books import TapeBooks, rest_after, snapshot_of
from tapeline_simulator.databento.files import load_files
from tapeline_simulator.databento.tape import VendorTape

Events = list[tuple[str, int, int, int, int]]
"""Action, instrument, order, price, size."""

EVENTS: st.SearchStrategy[Events] = st.lists(
    st.tuples(
        st.sampled_from("AAAACCMMRTFN"), st.integers(1, 2), st.integers(1, 4), st.integers(1, 2), st.integers(1, 3)
    ),
    max_size=40,
)


def records(events: Events) -> np.ndarray[Any, Any]:
    out = np.zeros(len(events), dtype=MBO_RECORD)
    for row, (action, instrument, order, price, size) in zip(out, events, strict=True):
        row["action"], row["instrument_id"], row["order_id"], row["price"], row["size"] = (
            ord(action),
            instrument,
            order,
            price,
            size,
        )
    return out


def plain(events: Events) -> list[tuple[int, int, int, int]]:
    """(instrument, order, price, size left) by priority."""
    resting: dict[tuple[int, int], tuple[int, int]] = {}
    for action, instrument, order, price, size in events:
        key = (instrument, order)
        if action == "R":
            resting = {each: rest for each, rest in resting.items() if each[0] != instrument}
        elif action == "A":
            resting.pop(key, None)
            resting[key] = (price, size)
        elif action == "M":
            before = resting.get(key)
            if before is None or before[1] <= 0 or before[0] != price or size > before[1]:
                resting.pop(key, None)
            resting[key] = (price, size)
        elif action == "C" and key in resting:
            resting[key] = (resting[key][0], resting[key][1] - size)
    return [(*key, *rest) for key, rest in resting.items() if rest[1] > 0]


@given(EVENTS, st.integers(1, 40))
@example([("A", 1, 1, 1, 3), ("A", 1, 2, 1, 1), ("C", 1, 1, 1, 1), ("M", 1, 1, 1, 3)], 40)
def test_what_rests_does_not_depend_on_the_cuts(events: Events, cut: int) -> None:
    # An order that was cancelled whole is gone, in whichever run its record lies.
    resting = np.empty(0, dtype=MBO_RECORD)
    for begin in range(0, len(events), cut):
        resting = rest_after(resting, records(events[begin : begin + cut]))
    found = [(int(r["instrument_id"]), int(r["order_id"]), int(r["price"]), int(r["size"])) for r in resting]
    assert found == plain(events)


def test_a_snapshot_has_the_form_that_the_vendor_documents() -> None:
    orders = rest_after(np.empty(0, dtype=MBO_RECORD), records([("A", 7, 1, 5, 2), ("A", 7, 2, 6, 3)]))
    clear, first, last = snapshot_of(7, orders, 99)
    assert (chr(clear["action"]), int(clear["order_id"]), int(clear["price"])) == ("R", 0, 2**63 - 1)
    assert [int(each["flags"]) for each in (clear, first, last)] == [40, 40, 168]
    assert [(int(each["order_id"]), int(each["size"]), int(each["ts_recv"])) for each in (first, last)] == [
        (1, 2, 99),
        (2, 3, 99),
    ]
    assert {int(each["instrument_id"]) for each in (clear, first, last)} == {7}


def test_a_real_book_is_the_same_however_the_tape_is_read(
    tmp_path: Path, real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK_RECORDS", 10_007)
    tape = VendorTape("GLBX.MDP3", tmp_path)
    load_files(tape, [real_data / "databento" / "esh4-glbx-mdp3-20231225.mbo.dbn.zst"], shift_to_ns=None)
    whole = tape.read("mbo", 0, tape.end("mbo"))
    events = [
        (chr(r["action"]), int(r["instrument_id"]), int(r["order_id"]), int(r["price"]), int(r["size"])) for r in whole
    ]
    expected = plain(events)
    snapshot = TapeBooks(tape).snapshot(17077)
    assert [(int(r["order_id"]), int(r["price"]), int(r["size"])) for r in snapshot[1:]] == [
        each[1:] for each in expected
    ]
    assert len(expected) > 5_000
