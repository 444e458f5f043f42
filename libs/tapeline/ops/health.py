"""The health endpoint of a service: /livez, /readyz and /metrics on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Final, Self

import orjson
from aiohttp import web
from aiohttp.typedefs import Middleware
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from tapeline.errors import Misconfigured
from tapeline.ops.metrics import EVENT_LOOP_DELAY_SECONDS

Status = Callable[[], Mapping[str, object]]
"""Returns the facts of /readyz; `ready` (bool) among them decides between 200 and 503."""

_BEAT_S: Final = 0.1


class HealthEndpoint:
    """Serve a service's health for as long as the `async with` block lasts.

    `port` 0 takes any free one; `url` tells which; `routes` are what else the service answers there, and `middlewares`
    see every request first. /livez answers 503 once the event loop was late by more than `stalled_after_s`: an endpoint
    that cannot answer at all says the same by silence.
    """

    def __init__(
        self,
        status: Status,
        *,
        port: int,
        host: str = "127.0.0.1",
        stalled_after_s: float = 10.0,
        routes: Iterable[web.AbstractRouteDef] = (),
        middlewares: Iterable[Middleware] = (),
    ) -> None:
        self._status = status
        self._routes = routes
        self._middlewares = middlewares
        self._host = host
        self._port = port
        self._stalled_after_s = stalled_after_s
        self._runner: web.AppRunner | None = None
        self._beat: asyncio.Task[None] | None = None
        self.event_loop_delay_s = 0.0
        self.url = ""

    async def __aenter__(self) -> Self:
        application = web.Application(middlewares=self._middlewares)
        application.add_routes(self._routes)
        application.add_routes(
            [web.get("/livez", self._livez), web.get("/readyz", self._readyz), web.get("/metrics", self._metrics)]
        )
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise Misconfigured(
                f"health endpoint: cannot listen on {self._host}:{self._port}: {error.strerror} (set another port)"
            ) from None
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        self._beat = asyncio.create_task(self._measure_event_loop_delay())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._beat is not None:
            self._beat.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._beat
        if self._runner is not None:
            await self._runner.cleanup()

    async def _measure_event_loop_delay(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(_BEAT_S)
            self.event_loop_delay_s = max(0.0, time.monotonic() - before - _BEAT_S)
            EVENT_LOOP_DELAY_SECONDS.observe(self.event_loop_delay_s)

    async def _livez(self, _: web.Request) -> web.Response:
        live = self.event_loop_delay_s < self._stalled_after_s
        return _facts({"live": live, "event_loop_delay_s": round(self.event_loop_delay_s, 6)}, good=live)

    async def _readyz(self, _: web.Request) -> web.Response:
        facts = {**self._status(), "event_loop_delay_s": round(self.event_loop_delay_s, 6)}
        return _facts(facts, good=bool(facts.get("ready")))

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def json_answer(value: object, status: int = 200) -> web.Response:
    """Return an answer that is JSON."""
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")


def _facts(facts: Mapping[str, object], *, good: bool) -> web.Response:
    return json_answer(facts, 200 if good else 503)
