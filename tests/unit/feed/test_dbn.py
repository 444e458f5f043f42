"""DBN becomes columns: the same values as Databento's own decoder, in order, at once, and faults where they are."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import databento_dbn as dbn
import numpy as np
import pytest
import zstandard

from tapeline.errors import BadData, Misconfigured
from tapeline.feed.dbn import BUFFER_BYTES, DbnReader, Symbology, open_dbn
from tapeline.feed.dbn_decoder import DbnBatch
from tapeline.feed.dbn_records import layouts
from tapeline.model.columns import COLUMNS

DAY = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z
UNDEFINED_PRICE, UNDEFINED_TIME, UNDEFINED_SIZE = 2**63 - 1, 2**64 - 1, 2**32 - 1


def metadata(version: int = 3, *, ts_out: bool = False) -> bytes:
    interval = SimpleNamespace(start_date=date(2026, 1, 1), end_date=date(2026, 1, 2), symbol="7")
    return bytes(
        dbn.Metadata(
            dataset="GLBX.MDP3",
            start=DAY,
            stype_in=dbn.SType.RAW_SYMBOL,
            stype_out=dbn.SType.INSTRUMENT_ID,
            schema=dbn.Schema.MBO,
            symbols=["NQH6"],
            mappings=[SimpleNamespace(raw_symbol="NQH6", intervals=[interval])],
            ts_out=ts_out,
            version=version,
        )
    )


def mbo(sequence: int, *, publisher_id: int = 1, price: int = 25_000_000_000_000, size: int = 3) -> bytes:
    return bytes(
        dbn.MBOMsg(
            publisher_id=publisher_id,
            instrument_id=7,
            ts_event=DAY + sequence,
            order_id=2**64 - 1 - sequence,
            price=price,
            size=size,
            action=dbn.Action.ADD,
            side=dbn.Side.BID,
            ts_recv=DAY + sequence + 100,
            flags=130,
            ts_in_delta=-sequence,
            sequence=sequence,
        )
    )


def trade(sequence: int) -> bytes:
    return bytes(
        dbn.TradeMsg(1, 7, DAY, 5, 2, dbn.Action.TRADE, dbn.Side.ASK, 0, ts_recv=DAY, flags=0, sequence=sequence)
    )


def read(data: bytes) -> list[DbnBatch]:
    return list(DbnReader(io.BytesIO(data), "test").batches())


def read_to_fault(data: bytes) -> tuple[int, BadData]:
    """Return the number of records before the fault, and the fault."""
    records = 0
    try:
        for batch in DbnReader(io.BytesIO(data), "test.dbn").batches():
            records += len(batch)
    except BadData as fault:
        return records, fault
    pytest.fail("no fault was raised")


# -- against the official decoder ------------------------------------------------------------------------------------

FIELDS = {
    "bid_price": "bid_px_00",
    "bid_size": "bid_sz_00",
    "bid_count": "bid_ct_00",
    "ask_price": "ask_px_00",
    "ask_size": "ask_sz_00",
    "ask_count": "ask_ct_00",
}
KINDS = {
    dbn.MBOMsg: "mbo",
    dbn.MBP1Msg: "l1",
    dbn.BBOMsg: "l1",
    dbn.TradeMsg: "trade",
    dbn.StatusMsg: "status",
    dbn.StatMsg: "statistics",
}


def official(data: bytes) -> list[Any]:
    """Return the records as Databento's decoder gives them, older versions upgraded."""
    decoder = dbn.DBNDecoder(compression=dbn.Compression.ZSTD)
    decoder.write(data)
    return [record for record in decoder.decode() if not isinstance(record, dbn.Metadata)]


UNDEFINED = {
    "size": UNDEFINED_SIZE,
    "quantity": UNDEFINED_PRICE,
    "price": UNDEFINED_PRICE,
    "bid_price": UNDEFINED_PRICE,
    "ask_price": UNDEFINED_PRICE,
    "ts_event": UNDEFINED_TIME,
    "ts_recv": UNDEFINED_TIME,
    "ts_ref": UNDEFINED_TIME,
}


def official_value(record: Any, name: str) -> int | None:
    """Return a column's value as the decoder's record has it: letters as codes, None where it is undefined."""
    if name in ("is_trading", "is_quoting"):
        return ord({True: "Y", False: "N", None: "~"}[getattr(record, name)])
    if name in FIELDS:
        levels = record.levels
        value = getattr(levels[0] if isinstance(levels, list) else levels, FIELDS[name].removesuffix("_00"))
    else:
        value = getattr(record, name, "N" if name == "action" else 0)
    value = getattr(value, "value", value)
    number = ord(value) if isinstance(value, str) else int(value)
    return None if number == UNDEFINED.get(name) else number


def real_files(folder: Path) -> Iterator[Path]:
    yield from sorted((folder / "databento").rglob("*.dbn.zst"))


def test_every_field_of_every_real_file_is_what_the_official_decoder_reads(real_data: Path) -> None:
    compared = set()
    for path in real_files(real_data):
        expected = [record for record in official(path.read_bytes()) if type(record) in KINDS]
        row_of = 0
        with open_dbn(path) as reader:
            for batch in reader.batches():
                records = expected[row_of : row_of + len(batch)]
                row_of += len(batch)
                assert {KINDS[type(record)] for record in records} == {batch.kind}, path.name
                assert {record.publisher_id for record in records} == {batch.publisher_id}, path.name
                assert batch.instrument_id.tolist() == [record.instrument_id for record in records], path.name
                assert {*batch.columns, "symbol"} == {column.name for column in COLUMNS[batch.kind]}
                for name, values in batch.columns.items():
                    got: list[int | None] = values.tolist()
                    for row in batch.undefined.get(name, ()):
                        assert got[row] == 0
                        got[row] = None
                    assert got == [official_value(record, name) for record in records], f"{path.name} {name}"
                compared.add((type(records[0]).__name__, batch.kind))
        assert row_of == len(expected), path.name
    assert len(compared) == len(KINDS), compared


def test_real_files_name_their_instruments_and_count_what_is_no_tick(real_data: Path) -> None:
    with open_dbn(real_data / "databento/stubs/LIVE__test_data.live.dbn.zst") as reader:
        symbols = {
            reader.symbology.symbol(int(batch.instrument_id[0]), int(batch.columns["ts_recv"][0]))
            for batch in reader.batches()
        }
        assert symbols == {"ESZ4"}
        assert reader.passed_over["symbol-mapping"] == 20
        assert reader.instrument_classes == {183748: "F"}
    with open_dbn(real_data / "databento/es-opt-glbx-mdp3.definition.dbn.zst") as reader:
        assert list(reader.batches()) == []
        assert reader.passed_over == {"definition": 2}
        assert set(reader.instrument_classes.values()) == {"C"}


# -- layouts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [1, 2, 3])
def test_layouts_have_the_sizes_and_offsets_of_the_official_types(version: int) -> None:
    old = {"StatMsg": "StatMsgV1"} if version < 3 else {}
    old |= {n: f"{n}V1" for n in ("SymbolMappingMsg", "SystemMsg", "ErrorMsg")} if version == 1 else {}
    old |= {"InstrumentDefMsg": f"InstrumentDefMsgV{version}"} if version < 3 else {}
    types = {
        0x00: "TradeMsg", 0x01: "MBP1Msg", 0x0A: "MBP10Msg", 0x12: "StatusMsg", 0x13: "InstrumentDefMsg",
        0x14: "ImbalanceMsg", 0x15: "ErrorMsg", 0x16: "SymbolMappingMsg", 0x17: "SystemMsg", 0x18: "StatMsg",
        0x20: "OHLCVMsg", 0x21: "OHLCVMsg", 0x22: "OHLCVMsg", 0x23: "OHLCVMsg", 0x24: "OHLCVMsg", 0x11: "OHLCVMsg",
        0xA0: "MBOMsg", 0xB1: "CMBP1Msg", 0xC0: "CBBOMsg", 0xC1: "CBBOMsg", 0xC2: "CMBP1Msg", 0xC3: "BBOMsg",
        0xC4: "BBOMsg",
    }  # fmt: skip
    ours = layouts(version, ts_out=False)
    assert set(ours) == set(types) == {rtype.value for rtype in dbn.RType.variants()}
    for rtype, name in types.items():
        theirs = np.dtype(getattr(dbn, old.get(name, name))._dtypes)
        assert ours[rtype].record.itemsize == theirs.itemsize, name
        for field, (dtype, offset, *_) in (ours[rtype].record.fields or {}).items():
            their_dtype, their_offset, *_ = (theirs.fields or {})[FIELDS.get(field, field)]
            assert (dtype.itemsize, offset) == (their_dtype.itemsize, their_offset), f"{name}.{field}"


# -- order, runs, versions -------------------------------------------------------------------------------------------


def test_mixed_records_keep_their_order_in_runs_of_one_type_and_publisher() -> None:
    data = metadata() + mbo(1) + mbo(2) + mbo(3, publisher_id=2) + trade(4) + trade(5) + mbo(6)
    runs = [(b.kind, b.publisher_id, b.columns["sequence"].tolist()) for b in read(data)]
    assert runs == [("mbo", 1, [1, 2]), ("mbo", 2, [3]), ("trade", 1, [4, 5]), ("mbo", 1, [6])]


@pytest.mark.parametrize("before", [1, 15, 16, 17, 79, 80, 81, 400])
def test_a_run_ends_exactly_where_the_type_changes(before: int) -> None:
    batches = read(metadata() + b"".join(mbo(i) for i in range(before)) + trade(9) + mbo(10))
    assert [len(batch) for batch in batches] == [before, 1, 1]


def test_columns_are_contiguous_copies_with_the_declared_dtypes() -> None:
    reader = DbnReader(io.BytesIO(metadata() + mbo(1) + trade(2) + mbo(3)), "test")
    held = list(reader.batches())
    for batch in held:
        for column in COLUMNS[batch.kind]:
            if column.name != "symbol":
                values = batch.columns[column.name]
                assert values.dtype == np.dtype(column.dtype)
                assert values.flags.c_contiguous
                assert values.flags.owndata
        assert batch.instrument_id.flags.owndata
    assert int(held[0].columns["order_id"][0]) == 2**64 - 2


def test_undefined_values_are_zero_and_listed() -> None:
    data = mbo(1) + mbo(2, price=UNDEFINED_PRICE) + mbo(3, size=UNDEFINED_SIZE) + mbo(4)
    raw = bytearray(data)
    raw[8:16] = b"\xff" * 8  # ts_event of the first record
    (batch,) = read(metadata() + bytes(raw))
    assert {name: rows.tolist() for name, rows in batch.undefined.items()} == {
        "ts_event": [0],
        "price": [1],
        "size": [2],
    }
    assert batch.columns["price"].tolist() == [25_000_000_000_000, 0, 25_000_000_000_000, 25_000_000_000_000]
    assert batch.columns["size"].tolist() == [3, 3, 0, 3]
    assert batch.columns["ts_event"].tolist() == [0, DAY + 2, DAY + 3, DAY + 4]


@pytest.mark.parametrize("version", [1, 2])
def test_the_shorter_statistics_of_older_versions(version: int) -> None:
    def statistics(quantity: int) -> bytes:
        return bytes(dbn.StatMsgV1(1, 7, DAY, DAY + 5, DAY + 1, 11, quantity, dbn.StatType.OPEN_INTEREST, sequence=4))

    (batch,) = read(metadata(version) + statistics(42) + statistics(2**31 - 1))
    assert batch.columns["quantity"].tolist() == [42, 0]
    assert batch.undefined["quantity"].tolist() == [1]
    assert batch.columns["ts_ref"].tolist() == [DAY + 1, DAY + 1]
    assert batch.columns["stat_type"].tolist() == [9, 9]


def test_ts_out_lengthens_every_record_and_is_left_out() -> None:
    def sent(record: bytes) -> bytes:
        return bytes([record[0] + 2]) + record[1:] + (DAY + 999).to_bytes(8, "little")

    batches = read(metadata(ts_out=True) + sent(mbo(1)) + sent(mbo(2)) + sent(trade(3)))
    assert [batch.columns["sequence"].tolist() for batch in batches] == [[1, 2], [3]]


def test_a_mapping_record_names_what_follows_it() -> None:
    def mapping(symbol: str) -> bytes:
        return bytes(
            dbn.SymbolMappingMsg(
                1, 7, DAY, dbn.SType.PARENT, "NQ.FUT", dbn.SType.RAW_SYMBOL, symbol, UNDEFINED_TIME, UNDEFINED_TIME
            )
        )

    reader = DbnReader(io.BytesIO(metadata() + mbo(1) + mapping("NQM6") + mbo(2)), "test")
    names = [reader.symbology.symbol(7, int(batch.columns["ts_recv"][0])) for batch in reader.batches()]
    assert names == ["NQH6", "NQM6"]
    assert reader.passed_over == {"symbol-mapping": 1}


def test_an_instrument_id_used_again_has_the_symbol_of_its_time() -> None:
    symbology = Symbology()
    symbology.add(7, "OLD", 0, 100)
    symbology.add(7, "NEW", 100, 200)
    assert [symbology.symbol(7, at) for at in (-1, 0, 99, 100, 199, 200)] == [None, "OLD", "OLD", "NEW", "NEW", None]
    assert symbology.symbol(8, 50) is None
    symbology.add(7, "LATER", 150, 250)
    assert [symbology.symbol(7, at) for at in (149, 150, 249)] == ["NEW", "LATER", "LATER"]


# -- streams ---------------------------------------------------------------------------------------------------------


class Dribble(io.RawIOBase):
    """A stream that gives at most `step` bytes per read, as a pipe may."""

    def __init__(self, data: bytes, step: int) -> None:
        self._data, self._step, self._at = data, step, 0

    def readinto(self, buffer: Any, /) -> int:
        piece = self._data[self._at : self._at + min(self._step, len(buffer))]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("step", [1, 7, 56, 4096])
def test_reads_of_any_size_give_the_same_records(step: int, compressed: bool) -> None:
    data = metadata() + b"".join(mbo(i) if i % 5 else trade(i) for i in range(1, 200))
    stream = Dribble(zstandard.compress(data) if compressed else data, step)
    sequences = [int(s) for batch in DbnReader(stream, "test").batches() for s in batch.columns["sequence"]]
    assert sequences == list(range(1, 200))


def test_more_records_than_the_buffer_holds() -> None:
    count = 2 * BUFFER_BYTES // 56 + 1
    body = np.frombuffer(mbo(0) * count, dtype=layouts(3, ts_out=False)[0xA0].record).copy()
    body["sequence"] = np.arange(count)
    batches = read(metadata() + body.tobytes())
    assert max(len(batch) for batch in batches) <= BUFFER_BYTES // 56
    assert np.array_equal(np.concatenate([batch.columns["sequence"] for batch in batches]), np.arange(count))


@pytest.mark.parametrize("compressed", [False, True])
def test_what_came_through_a_pipe_is_yielded_without_waiting_for_more(compressed: bool) -> None:
    reading, writing = os.pipe()
    compressor = zstandard.ZstdCompressor().compressobj()

    def send(data: bytes) -> None:
        if compressed:
            data = compressor.compress(data) + compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        os.write(writing, data)

    with os.fdopen(reading, "rb") as stream:
        send(metadata() + mbo(1) + mbo(2)[:20])
        batches = DbnReader(stream, "pipe").batches()
        assert next(batches).columns["sequence"].tolist() == [1]
        send(mbo(2)[20:] + mbo(3))
        assert next(batches).columns["sequence"].tolist() == [2, 3]
        if compressed:
            os.write(writing, compressor.flush(zstandard.COMPRESSOBJ_FLUSH_FINISH))
        os.close(writing)
        assert list(batches) == []


def test_several_zstd_frames_are_one_stream() -> None:
    data = metadata() + mbo(1) + mbo(2)
    frames = zstandard.compress(data[:-70]) + zstandard.compress(data[-70:])
    assert sum(len(batch) for batch in read(frames)) == 2


def test_bytes_read_tells_the_progress_in_the_file_itself(tmp_path: Path) -> None:
    path = tmp_path / "x.dbn.zst"
    path.write_bytes(zstandard.compress(metadata() + mbo(1) * 1000))
    with open_dbn(path) as reader:
        assert sum(len(batch) for batch in reader.batches()) == 1000
        assert reader.bytes_read == path.stat().st_size


def test_a_stream_that_does_not_block_is_refused() -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with os.fdopen(reading, "rb", buffering=0) as stream, pytest.raises(Misconfigured, match="blocking"):
        DbnReader(stream, "pipe")
    os.close(writing)


# -- faults ----------------------------------------------------------------------------------------------------------


def test_a_cut_file_gives_all_whole_records_and_then_the_byte_of_the_cut() -> None:
    head = metadata()
    data = head + mbo(1) + trade(2) + mbo(3)
    boundaries = [len(head), len(head) + 56, len(head) + 104, len(data)]
    for end in range(len(head), len(data)):
        whole = sum(boundary <= end for boundary in boundaries[1:])
        if end in boundaries:
            assert sum(len(batch) for batch in read(data[:end])) == whole
            continue
        records, fault = read_to_fault(data[:end])
        assert records == whole
        assert fault.field == f"test.dbn, byte {boundaries[whole]}"
        assert "whole record" in fault.rule


def test_a_cut_zstd_file_is_told_even_between_two_records() -> None:
    compressor = zstandard.ZstdCompressor().compressobj()
    data = compressor.compress(metadata() + mbo(1) + mbo(2)) + compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    records, fault = read_to_fault(data)
    assert records == 2
    assert "zstd frame" in fault.rule


def test_bytes_after_the_zstd_frame_do_not_hide_the_records_before_them() -> None:
    head = metadata()
    records, fault = read_to_fault(zstandard.compress(head + mbo(1) + mbo(2)) + b"not zstd at all")
    assert records == 2
    assert fault.field == f"test.dbn, byte {len(head) + 112}"
    assert "zstd throughout" in fault.rule


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "head of a DBN stream"),
        (b"DB", "head of a DBN stream"),
        (b"ts_event,price\n1,2\n", "must begin as DBN"),
        (b"DBN\x09" + metadata()[4:], "must begin as DBN of version 1, 2 or 3"),
        (metadata()[:60], "head of a DBN stream"),
        (zstandard.compress(metadata())[:20], "head of a DBN stream"),
        (b"DBN\x03\xff\xff\xff\xff", "at most"),
        (b"DBN\x03\x04\x00\x00\x00abcd", "metadata"),
        (zstandard.compress(b"hello, world"), "must begin as DBN"),
        (b"\x28\xb5\x2f\xfd" + b"\xff" * 40, "zstd throughout"),
    ],
)
def test_a_foreign_file_is_named_at_once(data: bytes, rule: str) -> None:
    with pytest.raises(BadData, match=r"elsewhere\.csv, byte ") as raised:
        DbnReader(io.BytesIO(data), "elsewhere.csv")
    assert rule in raised.value.rule


@pytest.mark.parametrize(
    ("position", "value", "rule"),
    [
        (0, 12, "a record of mbo must have 56 bytes, has 48"),
        (0, 0, "a record of mbo must have 56 bytes, has 0"),
        (1, 0x42, "there is no record type 0x42"),
        (38, ord("x"), "action must be one of"),
        (39, 0, "side must be one of"),
        (15, 0x80, "ts_event must be a time before"),
    ],
)
def test_a_bad_record_is_named_by_its_byte_after_those_before_it(position: int, value: int, rule: str) -> None:
    head, bad = metadata(), bytearray(mbo(3))
    bad[position] = value
    records, fault = read_to_fault(head + mbo(1) + mbo(2) + bytes(bad) + mbo(4))
    assert records == 2
    assert fault.field == f"test.dbn, byte {len(head) + 112}"
    assert rule in fault.rule


def test_two_files_glued_together_are_not_taken_for_one() -> None:
    records, fault = read_to_fault(metadata() + mbo(1) + metadata() + mbo(2))
    assert records == 1
    assert "no record type" in fault.rule


def test_recorded_times_never_go_back_in_real_files(real_data: Path) -> None:
    with open_dbn(real_data / "databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst") as reader:
        recv = np.concatenate([batch.columns["ts_recv"] for batch in reader.batches()])
    assert all(a <= b for a, b in pairwise(recv.tolist()))
