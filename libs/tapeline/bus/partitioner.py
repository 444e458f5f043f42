"""Which partition a key belongs to: Kafka's murmur2, as the Java client, aiokafka and Faust have it."""

from __future__ import annotations

_MASK = 0xFFFFFFFF
_M = 0x5BD1E995


def murmur2(data: bytes) -> int:
    """Return Kafka's 32-bit murmur2 hash of `data` (org.apache.kafka.common.utils.Utils.murmur2), unsigned."""
    h = (0x9747B28C ^ len(data)) & _MASK
    whole = len(data) & ~3
    for start in range(0, whole, 4):
        k = int.from_bytes(data[start : start + 4], "little") * _M & _MASK
        k = (k ^ (k >> 24)) * _M & _MASK
        h = (h * _M & _MASK) ^ k
    if rest := data[whole:]:
        h = (h ^ int.from_bytes(rest, "little")) * _M & _MASK
    h = (h ^ (h >> 13)) * _M & _MASK
    return h ^ (h >> 15)


def partition_of(key: str, partitions: int) -> int:
    """Return the partition, of `partitions`, in which messages with `key` are."""
    return (murmur2(key.encode()) & 0x7FFFFFFF) % partitions
