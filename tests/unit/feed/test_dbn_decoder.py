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
