"""The control API: what the gateway does, and what is to go wrong, over HTTP and JSON.

GET    /status             the gateway, its tape and its sessions, in numbers
GET    /sessions           per session: how it stands, what it subscribed to, what was sent to it
GET    /faults             what goes wrong now
POST   /faults             {"name": ..., <parameters>}: let a fault begin (faults.py and history/faults.py list them)
DELETE /faults             end them all
DELETE /faults/{number}    end one
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from tapeline.errors import BadData
from tapeline.ops.health import json_answer
from tapeline_simulator.control_server import ControlServer, FaultDesk, asked_fault
from tapeline_simulator.databento.faults import FAULT_NAMES, GatewayFault
from tapeline_simulator.databento.gateway import Gateway
from tapeline_simulator.databento.history.faults import FAULT_NAMES as HISTORY_FAULTS
from tapeline_simulator.databento.history.server import HistoryServer
from tapeline_simulator.databento.session import Session


class ControlApi(ControlServer):
    """Serve the control API of `gateway`, and of what else there is, for as long as the `async with` block lasts.

    `port` 0 takes any free one. `desks` are those of other parts of the simulator. Raises Misconfigured where it cannot
    listen.
    """

    def __init__(
        self,
        gateway: Gateway,
        history: HistoryServer | None = None,
        *,
        desks: Sequence[FaultDesk] = (),
        port: int = 0,
        host: str = "127.0.0.1",
    ) -> None:
        super().__init__(port=port, host=host)
        self._gateway = gateway
        self._history = history
        self._desks = desks

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add what the API answers."""
        router.add_get("/status", self._status)
        router.add_get("/sessions", self._sessions)
        router.add_get("/faults", self._faults)
        router.add_post("/faults", self._start)
        router.add_delete("/faults", self._clear)
        router.add_delete(r"/faults/{number:\d+}", self._end)
        for desk in self._desks:
            desk.add_routes(router)

    async def _status(self, _request: web.Request) -> web.Response:
        gateway, tape = self._gateway, self._gateway.tape
        return json_answer(
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
        return json_answer([_session(session, with_counts=with_counts) for session in self._gateway.sessions])

    async def _faults(self, _request: web.Request) -> web.Response:
        active = [_fault(fault) for fault in self._gateway.faults.active()]
        return json_answer(active + [fault for desk in self._desks for fault in desk.active()])

    async def _start(self, request: web.Request) -> web.Response:
        name, parameters = await asked_fault(request)
        for desk in self._desks:
            if name in desk.names:
                return json_answer(desk.start(name, parameters), status=201)
        if name in HISTORY_FAULTS:
            return json_answer(self._start_in_history(name, parameters), status=201)
        if name not in FAULT_NAMES:
            names = [*FAULT_NAMES, *HISTORY_FAULTS, *(name for desk in self._desks for name in desk.names)]
            raise BadData("name", f"must be one of {', '.join(names)}, is {name!r}")
        return json_answer(_fault(self._gateway.faults.start(name, **parameters)), status=201)

    def _start_in_history(self, name: str, parameters: dict[str, Any]) -> dict[str, Any]:
        if self._history is None:
            raise BadData("name", f"{name} concerns history, which is not served")
        fault = self._history.start_fault(name, **parameters)
        return {"name": name, "method": fault.method, "times": fault.times}

    async def _clear(self, _request: web.Request) -> web.Response:
        self._gateway.faults.clear()
        if self._history is not None:
            self._history.faults.clear()
        for desk in self._desks:
            desk.clear()
        return json_answer([])

    async def _end(self, request: web.Request) -> web.Response:
        self._gateway.faults.end(int(request.match_info["number"]))
        return await self._faults(request)


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
