"""How many records a DBN file holds, and whether it is whole; whatever is in them, as a vendor may know more than we.

An HTTP answer that ends with its connection may be cut anywhere, and nothing in it tells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import zstandard

from tapeline.errors import BadData
from tapeline.feed.dbn import HEAD_PREFIX_BYTES, head_bytes
from tapeline.feed.dbn_records import HEADER_BYTES, Array

_READ_BYTES: Final = 256 * 1024
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_WORD_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class DbnCount:
    """The whole records of a file; `fault` says why the file is not whole, and is empty where it is."""

    records: int
    fault: str = ""


def count_records(path: Path) -> DbnCount:
    """Count the records of a DBN file, plain or zstd-compressed (told by content). A damaged one is no error."""
    records = 0
    begin = 0
    data = b""
    has_head = False
    try:
        for piece in _plain(path):
            data = data[begin:] + piece
            begin = 0
            if not has_head:
                if len(data) < HEAD_PREFIX_BYTES or len(data) < (
                    begin := head_bytes(data[:HEAD_PREFIX_BYTES], path.name)
                ):
                    begin = 0
                    continue
                has_head = True
            count, used = _walk(np.frombuffer(data, dtype=np.uint8)[begin:])
            records += count
            begin += used
    except (BadData, _Damaged) as error:
        return DbnCount(records, str(error))
    if not has_head:
        return DbnCount(0, "it ends within its head")
    left = len(data) - begin
    return DbnCount(records, f"it ends after {left} bytes of a record" if left else "")


class _Damaged(Exception):
    """The bytes are not what they must be; says how."""


def _plain(path: Path) -> Iterator[bytes]:
    """Yield the bytes of the file, decompressed. Raises _Damaged where its compression is not whole."""
    with path.open("rb") as file:
        compressed = file.peek(len(_ZSTD_MAGIC)).startswith(_ZSTD_MAGIC)
        frame: zstandard.ZstdDecompressionObj | None = None
        while piece := file.read(_READ_BYTES):
            if not compressed:
                yield piece
                continue
            while piece:
                frame = frame or zstandard.ZstdDecompressor().decompressobj()
                try:
                    yield frame.decompress(piece)
                except zstandard.ZstdError as error:
                    raise _Damaged(f"its compression is damaged: {error}") from None
                if not frame.eof:
                    break
                piece = frame.unused_data
                frame = None
        if frame is not None:
            raise _Damaged("its compression ends within a frame")


def _walk(data: Array) -> tuple[int, int]:
    """Return how many whole records lie at the start of `data` (uint8), and in how many bytes."""
    count = used = 0
    while used + HEADER_BYTES <= len(data):
        size = int(data[used]) * _WORD_BYTES
        if size < HEADER_BYTES:
            raise _Damaged(f"a record of {size} bytes cannot be")
        # Records of one length follow one another, nearly always to the end.
        lengths = data[used::size][: (len(data) - used) // size]
        if not len(lengths):
            break
        differs = lengths != lengths[0]
        run = int(differs.argmax()) if differs.any() else len(lengths)
        count += run
        used += run * size
    return count, used
