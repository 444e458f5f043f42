"""The vendor's tape: what was captured comes back as it was, filtered exactly, and readers are woken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.unit.simulator.databento.records import SECOND, START, records_of

from tapeline.errors import BadData, Bug
from tapeline_simulator.databento import tape as module
from tapeline_simulator.databento.tape import Clock, VendorTape


@pytest.fixture
def tape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VendorTape:
    monkeypatch.setattr(module, "CHUNK_RECORDS", 7)
    return VendorTape("GLBX.MDP3", tmp_path)


def test_what_was_appended_is_read_whatever_the_cuts(tape: VendorTape) -> None:
    whole = records_of("mbo", range(START, START + 50), instrument_ids=(1, 2, 3))
    for begin, end in ((0, 1), (1, 9), (9, 9), (9, 40), (40, 50)):
        tape.append("mbo", whole[begin:end])
    assert tape.end("mbo") == 50
    assert tape.schemas == ("mbo",)
    assert tape.read("mbo", 3, 48).tobytes() == whole[3:48].tobytes()
    assert len(tape.read("mbo", 50, 50)) == 0


def test_schemas_do_not_mix(tape: VendorTape) -> None:
    tape.append("mbo", records_of("mbo", [START]))
    tape.append("definition", records_of("definition", [START + 1, START + 2]))
    assert (tape.end("mbo"), tape.end("definition"), tape.end("trades")) == (1, 2, 0)
    assert tape.read("definition", 0, 2)["ts_event"].tolist() == [START + 1, START + 2]
    assert len(tape.read("trades", 0, 0)) == 0


def test_a_tape_that_grows_does_not_change_what_was_read(tape: VendorTape) -> None:
    tape.append("mbo", records_of("mbo", [START]))
    read = tape.read("mbo", 0, 1)
    read["price"] = 5
    tape.append("mbo", records_of("mbo", [START + 1]))
    assert tape.read("mbo", 0, 1)["price"].tolist() == [0]


@pytest.mark.parametrize("by", ["ts_event", "ts_recv"])
def test_a_selection_is_exact(tape: VendorTape, by: Clock) -> None:
    rng = np.random.default_rng(5)
    times = START + rng.integers(0, 100, 200)
    records = records_of("mbo", times.tolist(), instrument_ids=(1, 2, 3))
    records["ts_recv"] = START + np.sort(rng.integers(0, 100, 200))
    for begin in range(0, 200, 11):
        tape.append("mbo", records[begin : begin + 11])
    parts = list(tape.select("mbo", np.array([1, 3], np.uint32), START + 20, START + 60, by))
    wanted = records[(records[by] >= START + 20) & (records[by] < START + 60) & (records["instrument_id"] != 2)]
    assert 0 < len(wanted) < 100
    assert np.concatenate(parts).tobytes() == wanted.tobytes()
    assert all(0 < len(part) <= 7 for part in parts)


def test_bytes_that_no_field_covers_are_kept(tape: VendorTape) -> None:
    """The layout of ten levels of depth has no fields but the first: a copy by fields would lose the book."""
    records = records_of("mbp-10", range(START, START + 12), instrument_ids=(1, 2))
    records.view(np.uint8).reshape(12, -1)[:, 48:] = np.arange(320) % 251
    tape.append("mbp-10", records[::2])
    tape.append("mbp-10", records[1::2])
    odd = b"".join(
        part.tobytes() for part in tape.select("mbp-10", np.array([2], np.uint32), START, START + 7, "ts_event")
    )
    assert odd == b"".join(records[i].tobytes() for i in (1, 3, 5))
    assert tape.read("mbp-10", 0, 6).tobytes() == b"".join(records[i].tobytes() for i in range(0, 12, 2))


def test_a_selection_without_an_end_or_instruments_is_everything_from_there(tape: VendorTape) -> None:
    tape.append("trades", records_of("trades", range(START, START + 30), instrument_ids=(1, 2)))
    parts = list(tape.select("trades", None, START + 10, None, "ts_event"))
    assert np.concatenate(parts)["ts_event"].tolist() == list(range(START + 10, START + 30))
    assert list(tape.select("mbo", None, 0, None, "ts_event")) == []


def test_what_has_no_time_of_capture_is_found_by_its_own(tape: VendorTape) -> None:
    tape.append("ohlcv-1s", records_of("ohlcv-1s", [START, START + SECOND]))
    (found,) = tape.select("ohlcv-1s", None, START + 1, None, "ts_recv")
    assert found["ts_event"].tolist() == [START + SECOND]


def test_an_undefined_time_is_in_no_bounded_range(tape: VendorTape) -> None:
    tape.append("mbo", records_of("mbo", [-1, START]))
    (found,) = tape.select("mbo", None, START, START + SECOND, "ts_event")
    assert found["ts_event"].tolist() == [START]


def test_chunks_that_cannot_match_are_not_read(tape: VendorTape) -> None:
    tape.append("mbo", records_of("mbo", range(START, START + 70)))
    assert list(tape.spans("mbo", START + 16, START + 22, "ts_event")) == [(14, 21), (21, 28)]


def test_who_listens_is_told_of_every_append(tape: VendorTape) -> None:
    told: list[int] = []
    stop = tape.listen(lambda: told.append(tape.end("mbo")))
    tape.append("mbo", records_of("mbo", [START]))
    tape.append("mbo", records_of("mbo", []))
    tape.append("mbo", records_of("mbo", [START, START]))
    stop()
    tape.append("mbo", records_of("mbo", [START]))
    assert told == [1, 3]


def test_another_layout_or_schema_is_refused(tape: VendorTape) -> None:
    tape.append("mbo", records_of("mbo", [START]))
    with pytest.raises(Bug, match="56 bytes, not 48"):
        tape.append("mbo", records_of("trades", [START]))
    with pytest.raises(Bug, match="1 records of mbo, not 0 to 2"):
        tape.read("mbo", 0, 2)
    with pytest.raises(BadData, match=r"must be one of mbo, .*is 'mbo-2'"):
        tape.append("mbo-2", records_of("mbo", [START]))
