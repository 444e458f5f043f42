"""What the codec refuses, by name, and that a refusal leaves nothing behind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import pytest

from tapeline.errors import BadData
from tapeline.model.codec import Decoder, decode, encode
from tapeline.model.columns import INT64_MAX
from tapeline.model.frames import Gap, Resume, TickFrame

GOLDEN: Final = Path(__file__).parents[3] / "schemas" / "golden"


def golden(kind: str) -> TickFrame:
    return decode((GOLDEN / f"tick-frame.v1.{kind}.json").read_bytes())


def with_column(frame: TickFrame, name: str, values: Any) -> TickFrame:
    return replace(frame, columns={**frame.columns, name: values})


MBO: Final = golden("mbo")
GAP: Final = golden("gap")


def int64(*values: int) -> Any:
    return np.array(values, dtype=np.int64)


@pytest.mark.parametrize(
    ("field", "frame"),
    [
        ("source", replace(MBO, source="")),
        ("session", replace(MBO, session="")),
        ("publisher_id", replace(MBO, publisher_id=65_536)),
        ("epoch", replace(MBO, epoch=-1)),
        ("frame", replace(MBO, frame=None)),
        ("frame", replace(MBO, frame=INT64_MAX + 1)),
        ("frame", replace(GAP, frame=0)),
        ("origin", replace(MBO, origin="dream")),  # type: ignore[arg-type]
        ("sent", replace(MBO, sent=2**63)),
        ("trading_day", replace(MBO, trading_day="20231226")),
        ("trading_day", replace(MBO, trading_day="2023-02-30")),
        ("symbols", replace(MBO, symbols=("NQH4",))),
        ("symbols", replace(MBO, symbols=("NQH4", ""))),
        ("instrument_ids", replace(MBO, instrument_ids=(1, 2**32))),
        ("classes", replace(MBO, classes="F\n")),
        ("resumes", replace(MBO, resumes=Resume("", 1))),
        ("resumes", replace(GAP, resumes=Resume("a", 1))),
        ("continues", replace(GAP, continues=True)),
        ("columns", replace(GAP, columns=MBO.columns)),
        ("gap", replace(GAP, gap=None)),
        ("gap", replace(MBO, gap=GAP.gap)),
        ("gap_id", replace(MBO, gap_id="")),
        ("gap.kinds", replace(GAP, gap=Gap("a", "open", (), ("*",), "why"))),
        ("gap.symbols", replace(GAP, gap=Gap("a", "open", ("mbo",), ("",), "why"))),
        ("gap.ts_recv_to", replace(GAP, gap=Gap("a", "open", ("mbo",), ("*",), "why", ts_recv_to=2**63))),
        ("clock", replace(GAP, clock={"mbo": 1})),
        ("clock", replace(golden("clock"), clock={})),
        ("clock.dream", replace(golden("clock"), clock={"dream": 1})),
        ("n", replace(MBO, columns={name: values[:0] for name, values in MBO.columns.items()}, undefined={})),
        ("columns.price", replace(MBO, columns={k: v for k, v in MBO.columns.items() if k != "price"})),
        ("columns", with_column(MBO, "depth", int64(0, 0, 0))),
        ("columns.size", with_column(MBO, "size", int64(1, 2))),
        ("columns.size", with_column(MBO, "size", int64(1, 2, 2**32))),
        ("columns.size", with_column(MBO, "size", int64(-1, 2, 3))),
        ("columns.size", with_column(MBO, "size", np.array([1.0, 2.0, 3.0]))),
        ("columns.order_id", with_column(MBO, "order_id", int64(1, 2, 3))),
        ("columns.ts_in_delta", with_column(MBO, "ts_in_delta", int64(0, 0, 2**31))),
        ("columns.ts_event", with_column(MBO, "ts_event", int64(0, 0, INT64_MAX))),
        ("columns.symbol", with_column(MBO, "symbol", int64(0, 1, 2))),
        ("columns.side", with_column(MBO, "side", np.frombuffer(b"ABX", dtype=np.uint8))),
        ("undefined.side", replace(MBO, undefined={"side": int64(0)})),
        ("undefined.price", replace(MBO, undefined={"price": int64(2, 2)})),
        ("undefined.price", replace(MBO, undefined={"price": int64(3)})),
        ("undefined.price", replace(MBO, undefined={"price": int64(1)})),
        ("undefined.price", replace(MBO, undefined={"price": np.array([2.0])})),
        ("value", replace(MBO, session="\ud800")),
    ],
)
def test_encode_names_the_field_that_breaks_a_rule(field: str, frame: TickFrame) -> None:
    with pytest.raises(BadData) as caught:
        encode(frame)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "value",
    [b"", b"not json", b"[1]", b'"text"', b"{" * 10, b"[" * 3_000 + b"]" * 3_000, b'{"n": 99999999999999999999999}'],
)
def test_what_is_no_json_object_is_bad_data(value: bytes) -> None:
    with pytest.raises(BadData) as caught:
        decode(value)
    assert caught.value.field == "value"


def test_lists_within_a_column_are_not_flattened() -> None:
    document = orjson.loads(encode(MBO))
    for nested in ([[1], [2], [3]], [[1, 2, 3]], [1, [2, 3]]):
        document["columns"]["size"] = nested
        with pytest.raises(BadData) as caught:
            decode(orjson.dumps(document))
        assert caught.value.field == "columns.size"


def test_a_decoder_goes_on_while_an_earlier_error_is_kept() -> None:
    document = orjson.loads(encode(MBO))
    document["columns"]["price"][0] = "x"
    decoder = Decoder()
    kept = []
    for _ in range(2):
        with pytest.raises(BadData) as caught:
            decoder.decode(orjson.dumps(document))
        kept.append(caught.value)
    assert decoder.decode(encode(MBO)).frame == MBO.frame
    assert [error.field for error in kept] == ["columns.price", "columns.price"]


def test_decoded_columns_outlive_the_next_decoding() -> None:
    decoder = Decoder()
    first = decoder.decode(encode(MBO))
    before = {name: values.copy() for name, values in first.columns.items()}
    decoder.decode(encode(golden("l1")))
    for name, values in before.items():
        assert np.array_equal(first.columns[name], values)


def test_numpy_numbers_in_the_header_are_written_as_numbers() -> None:
    frame = replace(MBO, epoch=np.int64(7), ts_base=np.int64(MBO.ts_base), publisher_id=np.uint16(1))  # type: ignore[arg-type]
    assert encode(frame) == encode(replace(MBO, epoch=7))
