"""How a body goes out: whole and chunked as from the vendor, or slowly, or cut short in each of HTTP's framings."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from tapeline_simulator.databento.history.faults import Framing, HistoryFault

_PIECE_BYTES: Final = 65_536
_SPOOL_BYTES: Final = 8_388_608
_SLOW_STEPS_PER_S: Final = 20


@dataclass(frozen=True, slots=True)
class Body:
    """What a successful answer carries: its pieces (made one by one, on a thread), their type and headers."""

    pieces: Iterator[bytes]
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


class _UnframedResponse(web.StreamResponse):
    """A response whose body ends where the connection does."""

    _length_check = False


async def send_body(
    request: web.Request, body: Body, headers: Mapping[str, str], fault: HistoryFault | None
) -> web.StreamResponse:
    """Send a body as the answer to `request`; a client that goes away ends it quietly.

    The memory that is needed does not depend on the length of the body.
    """
    headers = {**headers, **body.headers, "Content-Type": body.content_type}
    with suppress(ConnectionError):
        if fault is not None and fault.kind == "cut":
            return await _send_cut(request, body, headers, fault)
        response = await _open(request, headers, "chunked", 0)
        bytes_per_s = fault.bytes_per_s if fault is not None and fault.kind == "slow" else None
        async for piece in _pieces(body.pieces):
            await _write(response, piece, bytes_per_s)
        await response.write_eof()
        return response
    return web.Response()


async def _pieces(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece


async def _open(
    request: web.Request, headers: Mapping[str, str], framing: Framing, length_bytes: int
) -> web.StreamResponse:
    response: web.StreamResponse
    if framing == "close":
        response = _UnframedResponse(headers=headers)
        response.force_close()
    else:
        response = web.StreamResponse(headers=headers)
        if framing == "length":
            response.content_length = length_bytes
        else:
            response.enable_chunked_encoding()
    await response.prepare(request)
    return response


async def _write(response: web.StreamResponse, data: bytes, bytes_per_s: int | None) -> None:
    if bytes_per_s is None:
        await response.write(data)
        return
    step = max(1, bytes_per_s // _SLOW_STEPS_PER_S)
    for begin in range(0, len(data), step):
        await response.write(data[begin : begin + step])
        await asyncio.sleep(step / bytes_per_s)


async def _send_cut(
    request: web.Request, body: Body, headers: Mapping[str, str], fault: HistoryFault
) -> web.StreamResponse:
    with tempfile.SpooledTemporaryFile(_SPOOL_BYTES) as spool:
        async for piece in _pieces(body.pieces):
            spool.write(piece)
        length_bytes = spool.tell()
        left = int(length_bytes * fault.share)
        spool.seek(0)
        response = await _open(request, headers, fault.framing, length_bytes)
        while left:
            piece = spool.read(min(left, _PIECE_BYTES))
            await response.write(piece)
            left -= len(piece)
    if fault.share < 1 and fault.framing != "close" and request.transport is not None:
        # What was written still goes out; the rest, and the end of a chunked body, do not.
        request.transport.close()
        return response
    await response.write_eof()
    return response
