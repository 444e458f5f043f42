"""`/v1/stream`: the present state as server-sent events, then what changed, at most once a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from aiohttp import web

from tapeline.ops.metrics import PAGE_CLIENTS_REFUSED, SLOW_PAGE_CLIENTS
from tapeline_watchdog.web.audience import Audience
from tapeline_watchdog.web.guard import HEADERS
from tapeline_watchdog.web.hub import Hub
from tapeline_watchdog.web.parts import NAMES, PartDocuments

_RETRY_MS: Final = 1_000
"""After so long a browser that lost the stream asks for it again."""


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
        begin = f"retry: {_RETRY_MS}\nevent: begin\ndata: {{}}\n\n".encode()
        seen = 0
        while not self._audience.has_ended:
            self._parts.refresh()
            seen, news = self._hub.since(seen)
            beat = _event("beat", b'{"at":"%d"}' % self._now_ns())
            async with asyncio.timeout(self._patience_s):
                await response.write(begin + b"".join(events(news)) + beat)
            begin = b""
            await self._audience.ends_within(self._pause_s)


def events(news: Mapping[str, Sequence[bytes]]) -> Iterator[bytes]:
    """Yield one server-sent event per type: a document as its path gives it, all else as ``{"rows": […]}``."""
    for event, values in news.items():
        yield _event(event, values[-1] if event in NAMES else b'{"rows":[' + b",".join(values) + b"]}")


def _event(event: str, document: bytes) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (event.encode(), document)
