"""Rows depend on the tape alone: not on how ticks are framed, nor on where a state was packed and taken up again."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.unit.orderflow.builders import T0, S, clock_frame, reframe, replay_dbn
from tests.unit.orderflow.market import market
from tests.unit.orderflow.reading import session

from tapeline.errors import BadData
from tapeline.model.codec import decode, encode
from tapeline.model.frames import TickFrame
from tapeline.orderflow.partition import PartitionState, pack, unpack
from tapeline.orderflow.pressure import take_l1, take_mbo, take_trades

SESSIONS = session((T0, T0 + 20 * S), (T0 + 25 * S, T0 + 60 * S))


def row_bytes(messages: Iterable[bytes]) -> dict[bytes, bytes]:
    """Return the rows, byte for byte, by the message head (kind and stream)."""
    out: dict[bytes, bytes] = {}
    for message in messages:
        head, rows = message.split(b'"rows":[', 1)
        out[head] = out.get(head, b"") + rows.removesuffix(b"]}") + b","
    return out


def run(state: PartitionState, frames: Iterable[TickFrame]) -> list[bytes]:
    return [message.value for frame in frames for message in state.apply(frame)]


@pytest.mark.parametrize("seed", range(25))
def test_framing_does_not_matter(seed: int) -> None:
    frames = market(seed)
    expected = row_bytes(run(PartitionState(SESSIONS), frames))
    assert sum(map(len, expected.values())) > 10_000
    for largest in (1, 7, 1_000):
        cut = reframe(frames, random.Random(seed), largest)
        assert row_bytes(run(PartitionState(SESSIONS), cut)) == expected


@pytest.mark.parametrize("seed", range(25))
def test_packing_anywhere_does_not_matter(seed: int) -> None:
    frames = reframe(market(seed), random.Random(seed), 9)
    expected = run(PartitionState(SESSIONS), frames)
    state = PartitionState(SESSIONS)
    messages = []
    for frame in frames:
        state = unpack(pack(state.copy()), SESSIONS)
        messages += run(state, [frame])
    assert messages == expected


def test_real_flow_packed_between_frames(real_data: Path) -> None:
    path = real_data / "databento" / "esh4-glbx-mdp3-20231225.mbo.dbn.zst"
    end = [clock_frame({"mbo": T0 + 3_700 * S})]
    expected = run(PartitionState(SESSIONS), [*replay_dbn(path), *end])
    state = PartitionState(SESSIONS)
    messages = []
    for frame in [*replay_dbn(path, 1_777), *end]:
        state = unpack(pack(state.copy()), SESSIONS)
        messages += run(state, [frame])
    assert row_bytes(messages) == row_bytes(expected)


def test_a_copy_stays_as_it_was() -> None:
    frames = market(1)
    state = PartitionState(SESSIONS)
    run(state, frames[:15])
    copy = state.copy()
    before = pack(copy)
    rest = run(state, frames[15:])
    assert pack(copy) == before
    assert run(unpack(before, SESSIONS), frames[15:]) == rest
    assert pack(unpack(before, SESSIONS).copy()) == before


@pytest.mark.parametrize("largest", [1, 50])
def test_each_kernel_is_compiled_once_however_columns_come(largest: int) -> None:
    """Read-only or not, aligned or not, with undefined values or without."""
    frames = reframe(market(4), random.Random(4), largest)
    expected = run(PartitionState(SESSIONS), frames)
    odd = [replace(frame, columns=strange(frame)) for frame in frames]
    assert run(PartitionState(SESSIONS), [decode(encode(frame)) for frame in frames]) == expected
    assert run(PartitionState(SESSIONS), odd) == expected
    assert [len(kernel.signatures) for kernel in (take_mbo, take_l1, take_trades)] == [1, 1, 1]  # type: ignore[attr-defined]


def strange(frame: TickFrame) -> dict[str, npt.NDArray[Any]]:
    """Return the columns as views of every second value, off their alignment."""
    out = {}
    for name, values in frame.columns.items():
        memory = np.zeros(2 * values.nbytes + 1, dtype=np.uint8)
        spread = memory[1:].view(values.dtype)[::2]
        spread[:] = values
        out[name] = spread
    return out


def test_the_counts_are_packed() -> None:
    state = PartitionState(SESSIONS)
    frames = market(2)
    run(state, [*frames, *frames])
    again = unpack(pack(state.copy()), SESSIONS)
    assert again.frames_repeated == state.frames_repeated > 0
    assert again.ticks == state.ticks > 0


def test_foreign_and_damaged_bytes_are_refused() -> None:
    state = PartitionState(SESSIONS)
    run(state, market(3)[:10])
    data = pack(state.copy())
    with pytest.raises(BadData, match="version"):
        unpack(data[:4] + b"\xff\0\0\0" + data[8:], SESSIONS)
    with pytest.raises(BadData, match="not a packed"):
        unpack(b"PK" + data[2:], SESSIONS)
    with pytest.raises(BadData, match="cut short"):
        unpack(data[:10], SESSIONS)
    for at in (20, len(data) // 2, len(data) - 1):
        damaged = bytearray(data)
        damaged[at] ^= 1
        with pytest.raises(BadData, match="damaged"):
            unpack(bytes(damaged), SESSIONS)
    with pytest.raises(BadData, match="damaged"):
        unpack(data[:-8], SESSIONS)
