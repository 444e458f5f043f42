"""Several packed states in one checkpoint, and checkpoints from before there were several."""

from __future__ import annotations

import numpy as np
import pytest

from tapeline.errors import BadData
from tapeline.orderflow.packing import PartitionCopy, Unpacker, pack
from tapeline.orderflow.parts import pack_parts, unpack_parts

STATE = pack(PartitionCopy(b'{"n":3}', [np.arange(3)]))


def test_parts_come_back_as_they_were() -> None:
    parts = {"pressure": STATE, "empty": b"", "other": b"\x00\xff"}
    assert unpack_parts(pack_parts(parts)) == parts
    assert Unpacker(unpack_parts(pack_parts(parts))["pressure"]).array(np.int64, (3,)).tolist() == [0, 1, 2]
    assert unpack_parts(pack_parts({})) == {}


def test_a_checkpoint_without_parts_is_the_pressure_state() -> None:
    assert unpack_parts(STATE) == {"pressure": STATE}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"TLPS",
        b"of another version",
        pack_parts({"pressure": STATE})[:-1],
        pack_parts({"pressure": STATE}) + b"x",
        pack_parts({"pressure": STATE}).replace(b'{"pressure"', b"{pressure}"),
        pack_parts({"pressure": STATE}).replace(b"\x01\x00\x00\x00", b"\x02\x00\x00\x00", 1),
    ],
)
def test_foreign_and_damaged_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(BadData, match="checkpoint"):
        unpack_parts(data)
