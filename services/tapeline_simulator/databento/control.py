"""The control API: what the gateway does, and what is to go wrong, over HTTP and JSON.

GET    /status             the gateway, its tape and its sessions, in numbers
GET    /sessions           per session: how it stands, what it subscribed to, what was sent to it
GET    /faults             what goes wrong now
POST   /faults             {"name": ..., <parameters>}: let a fault begin (faults.py and history/faults.py list them)
DELETE /faults             end them all
DELETE /faults/{number}    end one
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Final, Self

import orjson
from aiohttp import web

from tapeline.errors import BadData, Misconfigured
from tapeline_simulator.databento.faults import GatewayFault
from tapeline_simulator.databento.gateway import Gateway
from tapeline_simulator.databento.history.faults import FAULT_NAMES as HISTORY_FAULTS
from tapeline_simulator.databento.history.server import HistoryServer
from tapeline_simulator.databento.session import Session

_STOP_S: Final = 0.1


class ControlApi:
    """Serve the control API of `gateway` for as long as the `async with` block lasts; `port` 0 takes any free one.

    Raises Misconfigured where it cannot listen.
    """

    def __init__(
        self, gateway: Gateway, history: HistoryServer | None = None, *, port: int = 0, host: str = "127.0.0.1"
    ) -> None:
        self.host = host
        self.port = port
        self._gateway = gateway
        self._history = history
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        application = web.Application(middlewares=[_as_json])
        application.router.add_get("/status", self._status)
        application.router.add_get("/sessions", self._sessions)
        application.router.add_get("/faults", self._faults)
        application.router.add_post("/faults", self._start)
        application.router.add_delete("/faults", self._clear)
        application.router.add_delete(r"/faults/{number:\d+}", self._end)
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

    async def _status(self, _request: web.Request) -> web.Response:
        gateway, tape = self._gateway, self._gateway.tape
        return _json(
            {
                "dataset": tape.dataset,
                "gateway": f"{gateway.host}:{gateway.port}",
                "instruments": len(tape.listings),
                "records": {schema: tape.end(schema) for schema in tape.schemas},
                "sessions": sum(session.is_open for session in gateway.sessions),
                "connections_refused": gateway.connections_refused,
                "faults": [_fault(fault) for fault in gateway.faults.active()],
            }
        )

    async def _sessions(self, request: web.Request) -> web.Response:
        with_counts = request.query.get("counts") == "1"
        return _json([_session(session, with_counts=with_counts) for session in self._gateway.sessions])

    async def _faults(self, _request: web.Request) -> web.Response:
        return _json([_fault(fault) for fault in self._gateway.faults.active()])

    async def _start(self, request: web.Request) -> web.Response:
        try:
            asked = orjson.loads(await request.read())
        except orjson.JSONDecodeError as error:
            raise BadData("body", f"must be JSON: {error}") from None
        if not isinstance(asked, dict) or not isinstance(asked.get("name"), str):
            raise BadData("body", 'must be an object with a name, {"name": "fin"}')
        parameters = {key: value for key, value in asked.items() if key != "name"}
        if asked["name"] in HISTORY_FAULTS:
            return _json(self._start_in_history(asked["name"], parameters), status=201)
        return _json(_fault(self._gateway.faults.start(asked["name"], **parameters)), status=201)

    def _start_in_history(self, name: str, parameters: dict[str, Any]) -> dict[str, Any]:
        if self._history is None:
            raise BadData("name", f"{name} concerns history, which is not served")
        fault = self._history.start_fault(name, **parameters)
        return {"name": name, "method": fault.method, "times": fault.times}

    async def _clear(self, _request: web.Request) -> web.Response:
        self._gateway.faults.clear()
        if self._history is not None:
            self._history.faults.clear()
        return _json([])

    async def _end(self, request: web.Request) -> web.Response:
        self._gateway.faults.end(int(request.match_info["number"]))
        return await self._faults(request)


@web.middleware
async def _as_json(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except BadData as error:
        return _json({"error": str(error)}, status=400)
    except web.HTTPException as error:
        return _json({"error": f"{request.method} {request.path}: {error.reason}"}, status=error.status)


def _fault(fault: GatewayFault) -> dict[str, Any]:
    return {"number": fault.number, "name": fault.name, **fault.parameters}


def _session(session: Session, *, with_counts: bool) -> dict[str, Any]:
    asked = session.authentication
    about: dict[str, Any] = {
        "number": session.number,
        "state": session.state,
        "ended": session.ended,
        "dataset": asked.dataset if asked else "",
        "bytes_sent": session.connection.bytes_sent,
        "subscriptions": [
            {
                "id": each.number,
                "schema": each.schema,
                "stype_in": each.stype_in,
                "symbols": len(each.symbols),
                "first_symbol": each.symbols[0],
                "start_ns": None if each.start_ns is None else str(each.start_ns),
                "snapshot": each.snapshot,
            }
            for each in session.subscriptions
        ],
    }
    if with_counts:
        counts = session.ledger.counts()
        about["sent"] = {schema: {str(number): n for number, n in each.items()} for schema, each in counts.items()}
    return about


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")
