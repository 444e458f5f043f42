"""A DBN file of any version, plain or in zstd, as runs of records of version 3; read piece by piece."""

from __future__ import annotations

import io
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import zstandard
from databento_dbn import Compression, DBNError, Encoding, Metadata, Transcoder

from tapeline.errors import BadData, Misconfigured
from tapeline.feed.dbn_records import TS_OUT_BYTES, Array, layouts

READ_BYTES: Final = 1 << 20

_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_PREFIX_BYTES: Final = 8


class DbnFile:
    """Reads one file with the official transcoder; `metadata` are read on construction.

    Raises BadData where the file does not begin as DBN, Misconfigured where it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._out = io.BytesIO()
        self._transcoder = Transcoder(self._out, Encoding("dbn"), Compression("none"))
        self._chunks = self._read()
        try:
            head = b""
            while len(head) < _metadata_bytes(head):
                head += next(self._chunks)
            self.metadata = Metadata.decode(head)
        except StopIteration:
            raise BadData(str(path), "must begin with the head of a DBN stream") from None
        except (DBNError, zstandard.ZstdError, ValueError) as error:
            raise BadData(str(path), f"must begin as DBN: {error}") from None
        except OSError as error:
            raise Misconfigured(f"{path}: cannot be read: {error.strerror}") from None
        self._rest = head[_metadata_bytes(head) :]
        self._layouts = layouts(3, ts_out=self.metadata.ts_out)

    def runs(self) -> Iterator[Array]:
        """Yield, once, the records in their order as arrays of one record type, without `ts_out`.

        Raises BadData, once all whole records were yielded, where the file is not DBN throughout or was cut.
        """
        held = yield from self._split(self._rest)
        try:
            for chunk in self._chunks:
                held = yield from self._split(held + chunk)
        except (DBNError, zstandard.ZstdError) as error:
            raise BadData(str(self.path), f"must be DBN throughout: {error}") from None
        if held or self._transcoder.buffer():
            raise BadData(str(self.path), "must end with a whole record", "the file was cut")

    def _split(self, data: bytes) -> Generator[Array, None, bytes]:
        used = 0
        while len(data) - used > 1:
            record = self._layouts[data[used + 1]].record
            rtypes = np.frombuffer(data, np.uint8, (len(data) - used) // record.itemsize * record.itemsize, used)
            rtypes = rtypes.reshape(-1, record.itemsize)[:, 1]
            if not len(rtypes):
                break
            others = np.flatnonzero(rtypes != rtypes[0])
            size = (int(others[0]) if len(others) else len(rtypes)) * record.itemsize
            records = np.frombuffer(bytearray(data[used : used + size]), record)
            yield _without_ts_out(records) if self.metadata.ts_out else records
            used += size
        return data[used:]

    def _read(self) -> Iterator[bytes]:
        with self.path.open("rb") as raw:
            is_compressed = raw.read(len(_ZSTD_MAGIC)) == _ZSTD_MAGIC
            raw.seek(0)
            stream = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True) if is_compressed else raw
            while data := stream.read(READ_BYTES):
                self._transcoder.write(data)
                yield self._taken()
            self._transcoder.flush()
            yield self._taken()

    def _taken(self) -> bytes:
        data = self._out.getvalue()
        self._out.seek(0)
        self._out.truncate()
        return data


def _metadata_bytes(head: bytes) -> int:
    if len(head) < _PREFIX_BYTES:
        return _PREFIX_BYTES
    return _PREFIX_BYTES + int.from_bytes(head[4:_PREFIX_BYTES], "little")


def _without_ts_out(records: Array) -> Array:
    record = layouts(3, ts_out=False)[int(records["rtype"][0])].record
    shorter = np.ascontiguousarray(records.view(np.uint8).reshape(len(records), -1)[:, :-TS_OUT_BYTES]).view(record)[
        :, 0
    ]
    shorter["length"] = record.itemsize // 4
    return shorter
