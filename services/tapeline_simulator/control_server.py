"""What every control API is made of: a server on loopback, JSON in and out, and faults of several parts of a vendor."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from types import TracebackType
from typing import Any, Final, Protocol, Self

import orjson
from aiohttp import web

from tapeline.errors import BadData, Misconfigured
from tapeline.ops.health import json_answer

_STOP_S: Final = 0.1


class FaultDesk(Protocol):
    """Where faults of one part of a simulator are asked for, by names that no other part has."""

    @property
    def names(self) -> Collection[str]: ...

    def start(self, name: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """Let a fault begin and describe it. Raises BadData for what cannot be."""

    def active(self) -> list[dict[str, Any]]:
        """Describe what goes wrong now."""

    def clear(self) -> None:
        """End them all."""

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add what else there is to ask."""


class ControlServer:
    """Serve a control API for as long as the `async with` block lasts; `port` 0 takes any free one.

    Raises Misconfigured where it cannot listen.
    """

    def __init__(self, *, port: int = 0, host: str = "127.0.0.1") -> None:
        self.host = host
        self.port = port
        self._runner: web.AppRunner | None = None

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add what the API answers."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        application = web.Application(middlewares=[_as_json])
        self.add_routes(application.router)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=_STOP_S)
        await runner.setup()
        try:
            await web.TCPSite(runner, self.host, self.port).start()
        except OSError as error:
            await runner.cleanup()
            raise Misconfigured(
                f"control API: cannot listen on {self.host}:{self.port}: {error.strerror} (set another --control-port)"
            ) from None
        self._runner = runner
        self.port = runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()


async def asked_fault(request: web.Request) -> tuple[str, dict[str, Any]]:
    """Return name and parameters of the fault that a request asks for. Raises BadData where it asks for none."""
    try:
        asked = orjson.loads(await request.read())
    except orjson.JSONDecodeError as error:
        raise BadData("body", f"must be JSON: {error}") from None
    if not isinstance(asked, dict) or not isinstance(asked.get("name"), str):
        raise BadData("body", 'must be an object with a name, {"name": "hang"}')
    return asked["name"], {key: value for key, value in asked.items() if key != "name"}


@web.middleware
async def _as_json(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except BadData as error:
        return json_answer({"error": str(error)}, status=400)
    except web.HTTPException as error:
        return json_answer({"error": f"{request.method} {request.path}: {error.reason}"}, status=error.status)
