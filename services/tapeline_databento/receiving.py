"""Bytes on their way from a socket to the decoder: a bound on what was received and not yet decoded. Pure."""

from __future__ import annotations

import numpy as np

from tapeline.feed.dbn_records import Array


class ReceiveBuffer:
    """Two buffers of `limit_bytes`: one is filled by the socket while the other is decoded.

    What was taken and not used up is put before what is taken next, so that a record may arrive in pieces; such a rest
    has at most `rest_bytes`.
    """

    def __init__(self, limit_bytes: int, rest_bytes: int) -> None:
        self._begin = rest_bytes
        self._filling = memoryview(bytearray(rest_bytes + limit_bytes))
        self._spare = memoryview(bytearray(rest_bytes + limit_bytes))
        self._filled = self._begin
        self._taken: memoryview = self._spare[:0]

    @property
    def is_full(self) -> bool:
        """Whether nothing more may be received before `take`."""
        return self._filled == len(self._filling)

    @property
    def rest(self) -> Array:
        """The bytes (uint8) that were taken and not used yet; valid until the next `take`."""
        return np.frombuffer(self._taken, dtype=np.uint8)

    def __len__(self) -> int:
        """Number of bytes received since the last `take`."""
        return self._filled - self._begin

    def room(self) -> memoryview:
        """Return where the next bytes belong; empty where the buffer is full."""
        return self._filling[self._filled :]

    def received(self, count: int) -> None:
        """Note that the first `count` bytes of `room` are there."""
        self._filled += count

    def use(self, count: int) -> None:
        """Note that the first `count` bytes of `rest` are done with."""
        self._taken = self._taken[count:]

    def take(self) -> None:
        """Put all that was received behind the rest. Raises BufferError where the rest is longer than it may be."""
        begin = self._begin - len(self._taken)
        if begin < 0:
            raise BufferError(f"a rest of {len(self._taken)} bytes is more than {self._begin}")
        self._filling[begin : self._begin] = self._taken
        self._taken = self._filling[begin : self._filled]
        self._filling, self._spare = self._spare, self._filling
        self._filled = self._begin
