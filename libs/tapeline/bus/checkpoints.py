"""A checkpoint as messages: one compressed state cut into parts; the complete one with the highest offset wins. Pure.

Every part carries the headers `next` (offset of the first input message that the state does not cover), `id` (of the
checkpoint), `part` (from 0) and `parts` (their number), all as ASCII. Parts of several checkpoints may be interleaved,
and a killed writer leaves an incomplete set behind, which readers ignore.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import zstandard

from tapeline.errors import BadData

FIRST_DEPTH: Final = 16
"""Messages from the end of a checkpoint partition that a reader looks at first."""

DEEPEN: Final = 4
"""Factor by which it goes deeper as long as it finds no complete checkpoint."""

MAX_STATE_BYTES: Final = 1 << 30
"""Largest state that is decompressed; anything above is damage."""

_LEVEL: Final = 1

Headers = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Part:
    """One message of a checkpoint."""

    value: bytes
    headers: Headers


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A complete checkpoint; `data` is compressed, `next` the first input offset that it does not cover."""

    next: int
    id: str
    data: bytes


def compress(state: bytes) -> bytes:
    """Return `state` compressed, with a checksum; safe in any thread, and it releases the interpreter's lock."""
    return zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(state)


def decompress(data: bytes) -> bytes:
    """Return what `compress` was given. Raises BadData where the data or its checksum is wrong."""
    try:
        size = zstandard.frame_content_size(data)
        if not 0 <= size <= MAX_STATE_BYTES:
            raise BadData("checkpoint", f"must declare a size within [0, {MAX_STATE_BYTES}]")
        return zstandard.ZstdDecompressor().decompress(data)
    except zstandard.ZstdError as error:
        raise BadData("checkpoint", f"must be a whole zstd frame: {error}") from None


def split(checkpoint: Checkpoint, part_bytes: int) -> list[Part]:
    """Return the checkpoint as messages of at most `part_bytes` each, in the order in which to send them."""
    data = checkpoint.data
    parts = max(1, math.ceil(len(data) / part_bytes))
    return [
        Part(
            value=data[part * part_bytes : (part + 1) * part_bytes],
            headers=(
                ("next", b"%d" % checkpoint.next),
                ("id", checkpoint.id.encode("ascii")),
                ("part", b"%d" % part),
                ("parts", b"%d" % parts),
            ),
        )
        for part in range(parts)
    ]


def complete(messages: Iterable[Part]) -> list[Checkpoint]:
    """Return the complete checkpoints among `messages`, best first: highest `next`, then last written.

    `next` decides and not the order of writing, as a worker that was stopped for a while and woke up writes an older
    state after a newer one. Messages without readable headers are passed over.
    """
    sets: dict[tuple[int, str, int], dict[int, bytes]] = {}
    written: dict[tuple[int, str, int], int] = {}
    for order, message in enumerate(messages):
        try:
            headers = dict(message.headers)
            key = (int(headers["next"]), headers["id"].decode("ascii"), int(headers["parts"]))
            part = int(headers["part"])
        except (KeyError, ValueError):
            continue
        sets.setdefault(key, {})[part] = message.value
        written[key] = order
    whole = [key for key, values in sets.items() if values.keys() == set(range(key[2]))]
    whole.sort(key=lambda key: (key[0], written[key]), reverse=True)
    return [
        Checkpoint(next=key[0], id=key[1], data=b"".join(sets[key][part] for part in range(key[2]))) for key in whole
    ]
