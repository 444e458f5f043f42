"""`/v1/stream`: the present state as server-sent events, then what changed, at most once a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Final

from aiohttp import web

from tapeline.ops.metrics import PAGE_CLIENTS_REFUSED, SLOW_PAGE_CLIENTS
from tapeline_watchdog.web.audience import Audience
from tapeline_watchdog.web.guard import HEADERS
from tapeline_watchdog.web.hub import Hub
from tapeline_watchdog.web.parts import NAMES, PartDocuments

_RETRY_MS: Final = 1_000
"""After so long a browser that lost the stream asks for it again."""
_MOST_ROWS: Final = 2_000
"""Of an event. All charts have many more."""
_PIECE_BYTES: Final = 500_000
"""So much is written at once, or little more: on a slow line all that is new may take longer than `patience_s`."""


class Stream:
    """Answers `/v1/stream`. A client that takes nothing for `patience_s` is cut off; it may come again."""

    def __init__(
        self,
        hub: Hub,
        parts: PartDocuments,
        audience: Audience,
        *,
        pause_s: float = 1.0,
        patience_s: float = 15.0,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._hub = hub
        self._parts = parts
        self._audience = audience
        self._pause_s = pause_s
        self._patience_s = patience_s
        self._now_ns = now_ns

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Send events until the client goes, or the watchdog ends."""
        if self._audience.is_full or self._audience.has_ended:
            PAGE_CLIENTS_REFUSED.inc()
            return web.Response(status=503, text="too many look at the page already\n", headers={"Retry-After": "10"})
        headers = {**HEADERS, "Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        response = web.StreamResponse(headers=headers)
        with self._audience.client():
            try:
                await response.prepare(request)
                await self._send(response)
            except TimeoutError:
                SLOW_PAGE_CLIENTS.inc()
                if request.transport is not None:
                    request.transport.abort()
            except ConnectionResetError:
                pass
        return response

    async def _send(self, response: web.StreamResponse) -> None:
        begin = [b"retry: %d\n" % _RETRY_MS + _event("begin", self._now())]
        seen = 0
        while not self._audience.has_ended:
            self._parts.refresh()
            seen, news = self._hub.since(seen)
            for piece in pieces(chain(begin, events(news), [_event("beat", self._now())])):
                async with asyncio.timeout(self._patience_s):
                    await response.write(piece)
            begin = []
            await self._audience.ends_within(self._pause_s)

    def _now(self) -> bytes:
        return b'{"at":"%d"}' % self._now_ns()


def events(news: Mapping[str, Sequence[bytes]]) -> Iterator[bytes]:
    """Yield server-sent events: a document as its path gives it, all else as ``{"rows": […]}``, so many in each."""
    for event, values in news.items():
        if event in NAMES:
            yield _event(event, values[-1])
            continue
        for at in range(0, len(values), _MOST_ROWS):
            yield _event(event, b'{"rows":[' + b",".join(values[at : at + _MOST_ROWS]) + b"]}")


def pieces(events: Iterable[bytes]) -> Iterator[bytes]:
    """Yield events one after the other, put together to what is written at once."""
    piece = bytearray()
    for event in events:
        piece += event
        if len(piece) >= _PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


def _event(event: str, document: bytes) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (event.encode(), document)
