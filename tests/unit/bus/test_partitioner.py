"""Keys go to the same partitions whichever client writes them."""

from __future__ import annotations

from typing import Final

import pytest
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.partitioner import murmur2 as aiokafka_murmur2

from tapeline.bus.partitioner import murmur2, partition_of

KEYS: Final = [
    *(
        f"GLBX.MDP3/{root}.{kind}#{shard}"
        for root in ("NQ", "ES", "Q2D")
        for kind in ("FUT", "OPT")
        for shard in range(160)
    ),
    *("x" * length for length in range(1, 40)),
    "Ω/ключ",
]


def test_murmur2_is_that_of_faust_for_a_thousand_keys() -> None:
    assert len(KEYS) >= 1_000
    partitioner = DefaultPartitioner()
    everything = list(range(12))
    for key in KEYS:
        assert murmur2(key.encode()) == aiokafka_murmur2(key.encode()) & 0xFFFFFFFF
        assert partition_of(key, 12) == partitioner(key.encode(), everything, everything)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"21", -973_932_308),
        (b"foobar", -790_332_482),
        (b"a-little-bit-long-string", -985_981_536),
        (b"abc", 479_470_107),
    ],
)
def test_murmur2_gives_the_values_of_kafkas_own_test(data: bytes, expected: int) -> None:
    assert murmur2(data) == expected & 0xFFFFFFFF
