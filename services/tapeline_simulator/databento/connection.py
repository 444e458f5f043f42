"""One client's socket: control lines in, bytes out, and the ways in which it can end."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Final

import zstandard

from tapeline.errors import BadData
from tapeline_simulator.databento.wire import LINE_BYTES

LINGER_S: Final = 1.0
"""So long the client has, after a FIN, to close its side."""

_READ_BYTES: Final = 1 << 16
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_FAST_LEVEL: Final = 1


class Gone(Exception):
    """The client has closed the connection, or it broke."""


class Connection:
    """Wraps a connected, non-blocking socket, and closes it."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._loop = asyncio.get_running_loop()
        self._received = b""
        self._compressor: zstandard.ZstdCompressionObj | None = None
        self.is_reset = False
        self.bytes_sent = 0
        self.last_sent_s = self._loop.time()
        """When something was sent last, on the clock of the event loop."""
        self.blocked_s = 0.0
        """How long the client took to make room for what was sent last."""

    def compress(self) -> None:
        """Send all that follows as one frame of zstd."""
        self._compressor = zstandard.ZstdCompressor(level=_FAST_LEVEL).compressobj()

    async def send(self, data: bytes | memoryview) -> None:
        """Return once the kernel has all of `data`. Raises Gone."""
        if self._compressor is not None:
            # Flushed, so that the client can decode at once all that was sent.
            data = self._compressor.compress(data) + self._compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        began_s = self._loop.time()
        try:
            await self._loop.sock_sendall(self._socket, data)
        except OSError as error:
            raise Gone(str(error)) from None
        self.last_sent_s = self._loop.time()
        self.blocked_s = self.last_sent_s - began_s
        self.bytes_sent += len(data)

    async def line(self) -> bytes:
        """Return the next control line, without its end. Raises Gone; BadData where a line has no end."""
        while b"\n" not in self._received:
            if len(self._received) > LINE_BYTES:
                raise BadData("control line", f"must have at most {LINE_BYTES} bytes")
            self._received += await self._read()
        line, _, self._received = self._received.partition(b"\n")
        return line

    def reset(self) -> None:
        """Let `close` end the connection with an RST."""
        self.is_reset = True

    async def close(self, *, politely: bool) -> None:
        """Close the connection: with the RST that `reset` asked for, else with a FIN.

        Politely: nothing that was sent is lost, as what the client still sends is read until it closes its side too.
        """
        try:
            if self.is_reset:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            elif politely:
                if self._compressor is not None:
                    self._socket.send(self._compressor.flush(zstandard.COMPRESSOBJ_FLUSH_FINISH))
                self._socket.shutdown(socket.SHUT_WR)
                async with asyncio.timeout(LINGER_S):
                    while True:
                        await self._read()
        except (Gone, TimeoutError, OSError):
            # The client was sooner, or does not close its side.
            return
        finally:
            self._socket.close()

    async def _read(self) -> bytes:
        try:
            data = await self._loop.sock_recv(self._socket, _READ_BYTES)
        except OSError as error:
            raise Gone(str(error)) from None
        if not data:
            raise Gone("closed by the client")
        return data
