"""Checkpoints as messages: cutting, finding the best complete one, and damage."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeline.bus.checkpoints import Checkpoint, Part, complete, compress, decompress, split
from tapeline.errors import BadData


@given(data=st.binary(max_size=200), part_bytes=st.integers(1, 50), seed=st.integers())
def test_parts_in_any_order_give_the_checkpoint_back(data: bytes, part_bytes: int, seed: int) -> None:
    checkpoint = Checkpoint(next=7, id="a", data=data)
    parts = split(checkpoint, part_bytes)
    assert all(len(part.value) <= part_bytes for part in parts)
    random.Random(seed).shuffle(parts)
    assert complete(parts) == [checkpoint]


def test_interleaved_writers_are_told_apart() -> None:
    one, other = Checkpoint(5, "a", b"aaaa"), Checkpoint(5, "b", b"bbbb")
    mixed = [part for pair in zip(split(one, 1), split(other, 1), strict=True) for part in pair]
    assert complete(mixed) == [other, one]


def test_the_highest_offset_wins_over_the_last_written() -> None:
    newer, zombie = Checkpoint(900, "worker", b"newer"), Checkpoint(100, "zombie", b"older")
    assert complete(split(newer, 2) + split(zombie, 2)) == [newer, zombie]


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_an_incomplete_set_is_ignored(lost: int) -> None:
    torn = split(Checkpoint(900, "killed", b"abcdef"), 2)
    del torn[lost]
    whole = Checkpoint(100, "before", b"xyz")
    assert complete(split(whole, 2) + torn) == [whole]


@pytest.mark.parametrize(
    "headers", [(), (("next", b"x"), ("id", b"a"), ("part", b"0"), ("parts", b"1")), (("next", b"1"), ("id", b"\xff"))]
)
def test_messages_without_readable_headers_are_passed_over(headers: tuple[tuple[str, bytes], ...]) -> None:
    whole = Checkpoint(1, "a", b"xyz")
    assert complete([Part(b"?", headers), *split(whole, 2)]) == [whole]


@given(state=st.binary(max_size=1000))
def test_compressed_states_come_back(state: bytes) -> None:
    assert decompress(compress(state)) == state


def test_damage_is_noticed() -> None:
    state = bytes(range(256)) * 4
    data = compress(state)
    for position in range(len(data)):
        damaged = data[:position] + bytes([data[position] ^ 0x55]) + data[position + 1 :]
        with pytest.raises(BadData, match="checkpoint"):
            decompress(damaged)
    with pytest.raises(BadData, match="checkpoint"):
        decompress(data[:-1])
