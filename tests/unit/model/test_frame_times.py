"""The time of a frame, without decoding the frame."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from tapeline.model.codec import decode, encode
from tapeline.model.frame_times import FrameTimes

GOLDEN: Final = Path(__file__).parents[3] / "schemas" / "golden"


def encoded(kind: str) -> bytes:
    return encode(decode((GOLDEN / f"tick-frame.v1.{kind}.json").read_bytes()))


@pytest.mark.parametrize("kind", ["mbo", "l1", "trade", "status", "statistics"])
def test_it_is_the_receive_time_of_the_first_tick(kind: str) -> None:
    value = encoded(kind)
    assert FrameTimes().first_ts_recv(value) == decode(value).ts_recv()[0]


def test_where_that_is_not_defined_it_is_the_frames_own() -> None:
    frame = decode(encoded("mbo"))
    columns = {**frame.columns, "ts_recv": np.zeros(len(frame), dtype=np.int64)}
    undefined = {**frame.undefined, "ts_recv": np.arange(len(frame))}
    assert FrameTimes().first_ts_recv(encode(replace(frame, columns=columns, undefined=undefined))) == frame.ts_base


@pytest.mark.parametrize("kind", ["gap", "clock", "claim"])
def test_marks_have_none(kind: str) -> None:
    assert FrameTimes().first_ts_recv(encoded(kind)) is None


@pytest.mark.parametrize(
    "value",
    [
        *(b"", b"\x00", b"{}", b"[]", b'{"schema":"tick-frame.v1"', b'{"schema":"tick-frame.v1"}'),
        b'{"schema":"pressure.v1","ts_base":"1","columns":{"ts_recv":[1]}}',
        b'{"schema":"tick-frame.v1","ts_base":1,"columns":{"ts_recv":[1]}}',
        b'{"schema":"tick-frame.v1","ts_base":"one","columns":{"ts_recv":[1]}}',
        b'{"schema":"tick-frame.v1","ts_base":"1","columns":{"ts_recv":[]}}',
        b'{"schema":"tick-frame.v1","ts_base":"1","columns":{"ts_recv":["1"]}}',
    ],
)
def test_what_is_no_frame_has_none_and_does_no_harm(value: bytes) -> None:
    times = FrameTimes()
    assert times.first_ts_recv(value) is None
    assert times.first_ts_recv(encoded("mbo")) is not None
