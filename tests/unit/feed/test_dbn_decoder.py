"""Bytes are handed in as they arrive: what is no tick comes in its place, and the position tells what is left."""

from __future__ import annotations

import databento_dbn as dbn
import numpy as np
import pytest
from tests.unit.feed.test_dbn import DAY, mbo, metadata, trade

from tapeline.errors import BadData
from tapeline.feed.dbn import HEAD_PREFIX_BYTES, decode_head, head_bytes
from tapeline.feed.dbn_decoder import DbnBatch, DbnDecoder, Decoded, OtherRecords
from tapeline.feed.dbn_records import RTYPE_ERROR, RTYPE_SYMBOL_MAPPING, RTYPE_SYSTEM


def decoder(*, version: int = 3) -> DbnDecoder:
    return DbnDecoder(decode_head(metadata(version), "test"), "test", 100)


def decode(data: bytes, of: DbnDecoder) -> list[Decoded]:
    return list(of.decode(np.frombuffer(data, dtype=np.uint8)))


def mapping(symbol: str) -> bytes:
    return bytes(
        dbn.SymbolMappingMsg(1, 7, DAY, dbn.SType.PARENT, "NQ.FUT", dbn.SType.RAW_SYMBOL, symbol, DAY, DAY + 9)
    )


def system(text: str, code: dbn.SystemCode) -> bytes:
    return bytes(dbn.SystemMsg(DAY, text, code=code))


def error(text: str, code: dbn.ErrorCode, *, is_last: bool) -> bytes:
    return bytes(dbn.ErrorMsg(DAY, text, code=code, is_last=is_last))


def test_what_is_no_tick_comes_in_its_place_with_all_its_fields() -> None:
    data = (
        mapping("NQH6")
        + mapping("NQM6")
        + mbo(1)
        + system("Heartbeat", dbn.SystemCode.HEARTBEAT)
        + trade(2)
        + error("Internal error", dbn.ErrorCode.INTERNAL_ERROR, is_last=True)
    )
    mappings, first, beat, second, fault = decode(data, decoder())
    assert isinstance(first, DbnBatch)
    assert isinstance(second, DbnBatch)
    assert (first.kind, second.kind) == ("mbo", "trade")
    assert isinstance(mappings, OtherRecords)
    assert (mappings.rtype, mappings.name) == (RTYPE_SYMBOL_MAPPING, "symbol-mapping")
    assert mappings.records["stype_in_symbol"].tolist() == [b"NQ.FUT", b"NQ.FUT"]
    assert mappings.records["stype_out_symbol"].tolist() == [b"NQH6", b"NQM6"]
    assert mappings.records["end_ts"].tolist() == [DAY + 9, DAY + 9]
    assert isinstance(beat, OtherRecords)
    assert (beat.rtype, beat.records["msg"][0], int(beat.records["code"][0])) == (RTYPE_SYSTEM, b"Heartbeat", 0)
    assert isinstance(fault, OtherRecords)
    assert (fault.rtype, fault.records["err"][0]) == (RTYPE_ERROR, b"Internal error")
    assert (int(fault.records["code"][0]), int(fault.records["is_last"][0])) == (6, 1)


def test_the_position_tells_which_bytes_to_hand_in_again() -> None:
    data, of = mbo(1) + mapping("NQH6") + mbo(2), decoder()
    assert len(decode(data[:-1], of)) == 2
    assert of.position == 100 + 56 + 176
    (rest,) = decode(data[of.position - 100 :], of)
    assert isinstance(rest, DbnBatch)
    assert rest.columns["sequence"].tolist() == [2]
    assert of.position == 100 + len(data)


def test_what_was_decoded_outlives_the_buffer() -> None:
    buffer, of = bytearray(mapping("NQH6") + mbo(1)), decoder()
    other, ticks = of.decode(np.frombuffer(buffer, dtype=np.uint8))
    buffer[:] = bytes(len(buffer))
    assert isinstance(other, OtherRecords)
    assert isinstance(ticks, DbnBatch)
    assert other.records["stype_out_symbol"][0] == b"NQH6"
    assert ticks.instrument_id.tolist() == [7]


def test_a_fault_is_told_at_its_byte_after_all_before_it() -> None:
    of = decoder()
    got: list[Decoded] = []
    decoding = of.decode(np.frombuffer(mbo(1) + mbo(2) + b"\x0e\xee" + bytes(54), dtype=np.uint8))
    with pytest.raises(BadData, match=r"test, byte 212: .*no record type 0xee"):
        got.extend(decoding)
    assert [len(batch.records if isinstance(batch, OtherRecords) else batch) for batch in got] == [2]


def together(data: bytes, of: DbnDecoder) -> list[tuple[str, int, list[int]]]:
    """Return what is decoded together: type, publisher (0 for what is no tick) and sequences or numbers of records."""
    return [
        (each.kind, each.publisher_id, each.columns["sequence"].tolist())
        if isinstance(each, DbnBatch)
        else (each.name, 0, [len(each.records)])
        for each in of.decode_together(np.frombuffer(data, dtype=np.uint8))
    ]


def test_types_that_alternate_make_one_batch_each_between_two_other_records() -> None:
    of = decoder()
    data = mbo(1) + trade(2) + mbo(3) + trade(4) + mapping("NQH6") + mapping("NQM6") + trade(5) + mbo(6) + trade(7)
    assert together(data + mbo(8)[:-1], of) == [
        ("mbo", 1, [1, 3]),
        ("trade", 1, [2, 4]),
        ("symbol-mapping", 0, [2]),
        ("trade", 1, [5, 7]),
        ("mbo", 1, [6]),
    ]
    assert of.position == 100 + len(data)


def test_publishers_stay_apart_and_what_is_alike_is_not_touched() -> None:
    data = mbo(1, publisher_id=2) + mbo(2) + mbo(3, publisher_id=2) + trade(4)
    assert together(data, decoder()) == [("mbo", 1, [2]), ("mbo", 2, [1, 3]), ("trade", 1, [4])]
    assert together(mbo(1) + mbo(2), decoder()) == [("mbo", 1, [1, 2])]
    assert together(mbo(1)[:20], decoder()) == []
    assert together(b"", decoder()) == []


@pytest.mark.parametrize("version", [1, 3])
def test_what_is_decoded_together_is_the_same_ticks(version: int) -> None:
    rng = np.random.default_rng(5)
    data = b"".join(mbo(i, price=2**63 - 1) if rng.random() < 0.5 else trade(i) for i in range(500))
    in_order, at_once = (
        decode(data, decoder(version=version)),
        list(decoder(version=version).decode_together(np.frombuffer(data, dtype=np.uint8))),
    )
    assert len(at_once) == 2
    for batch in at_once:
        assert isinstance(batch, DbnBatch)
        same = [each for each in in_order if isinstance(each, DbnBatch) and each.kind == batch.kind]
        for name, values in batch.columns.items():
            assert np.array_equal(values, np.concatenate([each.columns[name] for each in same])), name
            assert values.flags.c_contiguous
        marked = sum(len(each.undefined.get("price", ())) for each in same)
        assert len(batch.undefined.get("price", ())) == marked


def with_action(record: bytes, action: bytes) -> bytes:
    return record[:38] + action + record[39:]


@pytest.mark.parametrize(
    "bad", [b"\x0e\xee" + bytes(54), b"\x0d" + mbo(9)[1:], b"\x00\xee" + bytes(54), with_action(mbo(9), b"?")]
)
def test_what_comes_before_a_fault_is_decoded_and_the_fault_told_by_the_next_call(bad: bytes) -> None:
    of, good = decoder(), mbo(1) + trade(2) + mbo(3)
    data = good + bad + trade(4)
    assert sorted(number for *_, numbers in together(data, of) for number in numbers) == [1, 2, 3]
    assert of.position == 100 + len(good)
    with pytest.raises(BadData, match=f"test, byte {100 + len(good)}: "):
        together(data[len(good) :], of)


def test_the_messages_of_the_first_version_are_shorter() -> None:
    old = bytes(dbn.SystemMsgV1(DAY, "Heartbeat")) + bytes(dbn.ErrorMsgV1(DAY, "Internal error"))
    beat, fault = decode(old, decoder(version=1))
    assert isinstance(beat, OtherRecords)
    assert isinstance(fault, OtherRecords)
    assert (beat.records["msg"][0], fault.records["err"][0]) == (b"Heartbeat", b"Internal error")


def test_the_prefix_of_a_head_tells_its_length() -> None:
    head = metadata()
    assert head_bytes(head[:HEAD_PREFIX_BYTES], "test") == len(head)
    with pytest.raises(BadData, match="test, byte 0: must begin as DBN"):
        head_bytes(b"success=", "test")
