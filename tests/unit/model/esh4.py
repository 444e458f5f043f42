"""The real ESH4 file as frames, by a numpy view of its bytes: independent of the product's own reader."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import zstandard

from tapeline.model.frames import TickFrame

FILE: Final = "databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst"
RECORD: Final = np.dtype(
    [
        ("length", "u1"),
        ("rtype", "u1"),
        ("publisher_id", "<u2"),
        ("instrument_id", "<u4"),
        ("ts_event", "<u8"),
        ("order_id", "<u8"),
        ("price", "<i8"),
        ("size", "<u4"),
        ("flags", "u1"),
        ("channel_id", "u1"),
        ("action", "u1"),
        ("side", "u1"),
        ("ts_recv", "<u8"),
        ("ts_in_delta", "<i4"),
        ("sequence", "<u4"),
    ]
)
UNDEFINED_PRICE: Final = 2**63 - 1


def records(real_data: Path) -> Any:
    """The file's 68,792 MBO records."""
    with (real_data / FILE).open("rb") as file:
        raw = zstandard.ZstdDecompressor().stream_reader(file).read()
    return np.frombuffer(raw, RECORD, offset=8 + int.from_bytes(raw[4:8], "little"))


def frame_of(chosen: Any, frame: int, **header: Any) -> TickFrame:
    """Records of the file as one frame."""
    base = int(chosen["ts_recv"][0])
    undefined = np.flatnonzero(chosen["price"] == UNDEFINED_PRICE)
    price = np.where(chosen["price"] == UNDEFINED_PRICE, 0, chosen["price"])
    columns = {name: chosen[name].astype(np.int64) for name in ("ts_in_delta", "size", "sequence", "flags")}
    columns |= {name: chosen[name].astype(np.int64) - base for name in ("ts_event", "ts_recv")}
    columns |= {name: chosen[name].copy() for name in ("action", "side", "order_id")}
    columns |= {"price": price, "symbol": np.zeros(len(chosen), dtype=np.int64)}
    identity: dict[str, Any] = {
        "source": "saved",
        "stream": "GLBX.MDP3/ESH4",
        "session": "first",
        "epoch": 1,
        "opened": base,
        "sent": base,
    }
    return TickFrame(
        **identity | header,
        dataset="GLBX.MDP3",
        publisher_id=int(chosen["publisher_id"][0]),
        kind="mbo",
        frame=frame,
        origin="saved",
        ts_base=base,
        trading_day="2023-12-26",
        symbols=("ESH4",),
        instrument_ids=(int(chosen["instrument_id"][0]),),
        classes="F",
        columns=columns,
        undefined={"price": undefined} if len(undefined) else {},
    )


def frames_of(chosen: Any, ticks: int, **header: Any) -> Iterator[TickFrame]:
    """Records of the file as frames of `ticks` each."""
    for frame, begin in enumerate(range(0, len(chosen), ticks)):
        yield frame_of(chosen[begin : begin + ticks], frame, **header)
