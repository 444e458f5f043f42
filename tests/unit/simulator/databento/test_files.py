"""DBN files on the vendor's tape: the official decoder finds there what it finds in the files."""

from __future__ import annotations

from pathlib import Path

import databento as db
import databento_dbn as dbn
import numpy as np
import pytest
from tests.unit.simulator.databento.records import SECOND, START, records_of

from tapeline.errors import BadData, Misconfigured
from tapeline_simulator.databento.files import FOR_EVER_NS, load_files
from tapeline_simulator.databento.symbols import class_of, parent_of
from tapeline_simulator.databento.tape import VendorTape

ESH4 = "esh4-glbx-mdp3-20231225.mbo.dbn.zst"


def loaded(folder: Path, *paths: Path, dataset: str = "GLBX.MDP3", shift_to_ns: int | None = None) -> VendorTape:
    tape = VendorTape(dataset, folder)
    load_files(tape, paths, shift_to_ns=shift_to_ns)
    return tape


def official(path: Path) -> bytes:
    """The file's records, each as the official decoder has it once upgraded to version 3."""
    return b"".join(bytes(record) for record in db.DBNStore.from_file(path))


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        (ESH4, "mbo"),
        ("es-fut.definition.dbn.zst", "definition"),
        ("esm4-puts-glbx-mdp3-20240509.mbp-1.dbn.zst", "mbp-1"),
        ("stubs/GLBX.MDP3__test_data.tbbo.dbn.zst", "tbbo"),
        ("stubs/GLBX.MDP3__test_data.mbp-10.dbn.zst", "mbp-10"),
        ("stubs/GLBX.MDP3__test_data.statistics.dbn.zst", "statistics"),
        ("stubs/GLBX.MDP3__test_data.ohlcv-1s.dbn.zst", "ohlcv-1s"),
    ],
)
def test_records_are_those_of_the_file(tmp_path: Path, real_data: Path, name: str, schema: str) -> None:
    path = real_data / "databento" / name
    tape = loaded(tmp_path, path)
    assert tape.schemas == (schema,)
    assert tape.read(schema, 0, tape.end(schema)).tobytes() == official(path)


def test_times_move_together_to_the_moment_asked_for(tmp_path: Path, real_data: Path) -> None:
    paths = [real_data / "databento" / name for name in (ESH4, "esh4-glbx-mdp3-20231224.mbo.dbn.zst")]
    whole = VendorTape("GLBX.MDP3", tmp_path)
    load_files(whole, paths, shift_to_ns=None)
    before = whole.read("mbo", 0, whole.end("mbo"))
    whole.close()
    moved = loaded(tmp_path, *paths, shift_to_ns=START)
    after = moved.read("mbo", 0, moved.end("mbo"))
    assert after["ts_recv"].min() == START
    shift = after["ts_recv"] - before["ts_recv"]
    assert len(np.unique(shift)) == 1
    assert np.array_equal(after["ts_event"] - before["ts_event"], shift)
    (listing,) = moved.listings.resolve("parent", "ES.FUT", START)
    assert (listing.raw_symbol, listing.instrument_id, listing.instrument_class) == ("ESH4", 17077, "F")


def test_definitions_say_when_an_instrument_ends_and_move_with_the_rest(tmp_path: Path, real_data: Path) -> None:
    path = real_data / "databento" / "es-fut.definition.dbn.zst"
    real = list(db.DBNStore.from_file(path))
    tape = loaded(tmp_path, path, shift_to_ns=START)
    (listing,) = tape.listings.resolve("continuous", "ES.c.0", START)
    shift = START - real[0].ts_recv
    assert listing.expires_ns == real[-1].expiration + shift
    moved = dbn.DBNDecoder(has_metadata=False)
    moved.write(listing.definition)
    (definition,) = moved.decode()
    assert (definition.expiration, definition.ts_recv) == (
        listing.expires_ns,
        real[-1].ts_recv + START - real[0].ts_recv,
    )
    assert definition.raw_symbol == "ESM3"


def test_thousands_of_instruments_are_listed_below_the_parent_asked_for(tmp_path: Path, real_data: Path) -> None:
    path = real_data / "databento" / "es-opt-glbx-mdp3.definition.dbn.zst"
    tape = loaded(tmp_path, path)
    symbols = db.DBNStore.from_file(path).metadata.mappings
    at_ns = 1_691_600_000_000_000_000  # 2023-08-09
    alive = {listing.raw_symbol for listing in tape.listings.resolve("parent", "ES.OPT", at_ns)}
    assert len(alive) > 1_000
    assert alive <= set(symbols)
    spread = tape.listings.resolve("raw_symbol", "UD:1V: VT 2845572", at_ns)
    assert [(each.instrument_id, each.expires_ns) for each in spread] == [(2845572, FOR_EVER_NS)]


def test_a_recorded_session_lists_what_its_mappings_say(tmp_path: Path, real_data: Path) -> None:
    path = real_data / "databento" / "stubs" / "LIVE__test_data.live.dbn.zst"
    store = [record for record in db.DBNStore.from_file(path) if isinstance(record, dbn.SymbolMappingMsg)]
    tape = loaded(tmp_path, path)
    assert tape.end("mbo") == 5
    assert len(tape.listings) == len({record.stype_out_symbol for record in store})
    assert sum(tape.end(schema) for schema in tape.schemas) == sum(
        not isinstance(record, dbn.SymbolMappingMsg | dbn.SystemMsg | dbn.ErrorMsg)
        for record in db.DBNStore.from_file(path)
    )


def test_ts_out_is_left_out(tmp_path: Path) -> None:
    record = dbn.MBOMsg(
        publisher_id=1,
        instrument_id=7,
        ts_event=START,
        order_id=1,
        price=2,
        size=3,
        action=dbn.Action.ADD,
        side=dbn.Side.BID,
        ts_recv=START,
    )
    plain = bytes(record)
    head = bytes(
        dbn.Metadata(
            "GLBX.MDP3",
            START,
            dbn.SType("raw_symbol"),
            dbn.SType("instrument_id"),
            dbn.Schema("mbo"),
            ts_out=True,
            version=3,
        )
    )
    path = tmp_path / "ts_out.dbn"
    path.write_bytes(head + (bytes([16]) + plain[1:] + (START + SECOND).to_bytes(8, "little")) * 3)
    tape = loaded(tmp_path, path)
    assert tape.read("mbo", 0, 3).tobytes() == plain * 3


def test_a_time_that_is_not_defined_stays_so(tmp_path: Path) -> None:
    records = records_of("statistics", [START, -1])
    records["ts_ref"] = (-1, START)
    head = bytes(dbn.Metadata("GLBX.MDP3", START, None, dbn.SType("instrument_id"), None, version=3))
    path = tmp_path / "statistics.dbn"
    path.write_bytes(head + records.tobytes())
    tape = loaded(tmp_path, path, shift_to_ns=START + 100 + SECOND)
    moved = tape.read("statistics", 0, 2)
    assert moved["ts_event"].tolist() == [START + SECOND, -1]
    assert moved["ts_ref"].tolist() == [-1, START + SECOND]


def test_bad_files_are_named_with_the_rule(tmp_path: Path, real_data: Path) -> None:
    stub = real_data / "databento" / "stubs" / "XNAS.ITCH__test_data.mbo.dbn.zst"
    with pytest.raises(Misconfigured, match=r"is of XNAS\.ITCH, and GLBX\.MDP3 is served"):
        loaded(tmp_path, stub)
    text = tmp_path / "notes.txt"
    text.write_text("no market data at all")
    with pytest.raises(BadData, match=r"notes\.txt: must begin as DBN"):
        loaded(tmp_path, text)
    with pytest.raises(Misconfigured, match="cannot be read: No such file"):
        loaded(tmp_path, tmp_path / "none.dbn")
    cut = tmp_path / "cut.dbn.zst"
    whole = (real_data / "databento" / ESH4).read_bytes()
    cut.write_bytes(whole[:-1000])
    with pytest.raises(BadData, match="cut"):
        loaded(tmp_path, cut)


@pytest.mark.parametrize(
    ("raw_symbol", "parent", "letter"),
    [
        ("NQZ6", "NQ.FUT", "F"),
        ("ESM24", "ES.FUT", "F"),
        ("NQZ6-NQH7", "NQ.FUT", "S"),
        ("NQZ6 C25000", "NQ.OPT", "C"),
        ("Q2DZ6 P24950", "Q2D.OPT", "P"),
        ("UD:1V: VT 2845572", "", "?"),
        ("NVDA", "", "?"),
    ],
)
def test_a_raw_symbol_says_parent_and_class(raw_symbol: str, parent: str, letter: str) -> None:
    assert (parent_of(raw_symbol), class_of(raw_symbol)) == (parent, letter)
