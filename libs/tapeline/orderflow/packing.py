"""Pack the state of a partition into bytes and back: a versioned header, then the arrays as they are. No pickle."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson

from tapeline.errors import BadData

MAGIC: Final = b"TLOF"
"""What every packed state begins with."""

_VERSION: Final = 1
_PREFIX: Final = struct.Struct("<4sIII")  # magic, version, CRC-32 of what follows, length of the header


@dataclass(frozen=True, slots=True)
class PartitionCopy:
    """A partition's state at one moment. `header`: JSON; `arrays`: int64 or float64, in the order of the header."""

    header: bytes
    arrays: list[npt.NDArray[Any]]


def pack(copy: PartitionCopy) -> bytes:
    """Return the copy as bytes, not compressed; touches nothing else, so any thread may run it."""
    parts: list[Any] = [copy.header, *copy.arrays]
    checksum = 0
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    return b"".join([_PREFIX.pack(MAGIC, _VERSION, checksum, len(copy.header)), *parts])


class Unpacker:
    """Reads what `pack` wrote. Raises BadData on a foreign version and on damaged bytes."""

    def __init__(self, data: bytes) -> None:
        if len(data) < _PREFIX.size:
            raise BadData("checkpoint", "is cut short")
        magic, version, checksum, header_bytes = _PREFIX.unpack_from(data)
        if magic != MAGIC:
            raise BadData("checkpoint", "is not a packed pressure state")
        if version != _VERSION:
            raise BadData("checkpoint.version", f"must be {_VERSION}, is {version}", "start from the log without it")
        body = memoryview(data)[_PREFIX.size :]
        if zlib.crc32(body) != checksum:
            raise BadData("checkpoint", "is damaged: its checksum does not match")
        self.header: dict[str, Any] = orjson.loads(body[:header_bytes])
        self._body = body
        self._at = header_bytes

    def array(self, dtype: type[np.int64] | type[np.float64], shape: tuple[int, ...]) -> npt.NDArray[Any]:
        """Return the next array (a read-only view)."""
        count = int(np.prod(shape))
        out = np.frombuffer(self._body, dtype=dtype, count=count, offset=self._at) if count else np.zeros(0, dtype)
        self._at += count * 8
        return out.reshape(shape)
