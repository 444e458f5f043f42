"""The control API of the site: what was asked of it, and what is to go wrong.

GET    /barchart/status     the site and its market, in numbers
GET    /barchart/requests   the last requests, oldest first: time, kind, method, path, query, status
GET    /faults              what goes wrong now or will
POST   /faults              {"name": ..., <parameters>}: let a fault happen (faults.py lists them)
DELETE /faults              end them all
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

from aiohttp import web

from tapeline.ops.health import json_answer
from tapeline_simulator.barchart.faults import FAULT_NAMES
from tapeline_simulator.barchart.site import BarchartSite
from tapeline_simulator.control_server import ControlServer, asked_fault


class SiteDesk:
    """The part of a control API that is about `site`."""

    names = FAULT_NAMES

    def __init__(self, site: BarchartSite) -> None:
        self._site = site

    def start(self, name: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """Let a fault happen and describe it. Raises BadData for what cannot be."""
        return self._site.faults.start(name, **parameters).describe()

    def active(self) -> list[dict[str, Any]]:
        """Describe what goes wrong now or will."""
        return [fault.describe() for fault in self._site.faults.active()]

    def clear(self) -> None:
        """End all faults of the site."""
        self._site.faults.clear()

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add what there is to know of the site."""
        router.add_get("/barchart/status", self._status)
        router.add_get("/barchart/requests", self._requests)

    async def _status(self, _request: web.Request) -> web.Response:
        view = self._site.market.view()
        kinds = Counter(request.kind for request in self._site.requests)
        return json_answer(
            {
                "url": self._site.url,
                "at_ns": str(view.at_ns),
                "series": [each.symbol for each in view.series],
                "futures": [each.symbol for each in view.futures],
                "requests": dict(kinds),
                "faults": self.active(),
            }
        )

    async def _requests(self, _request: web.Request) -> web.Response:
        return json_answer([asdict(each) | {"at_ns": str(each.at_ns)} for each in self._site.requests])


class SiteControl(ControlServer):
    """The control API of a site that runs alone."""

    def __init__(self, site: BarchartSite, *, port: int = 0, host: str = "127.0.0.1") -> None:
        super().__init__(port=port, host=host)
        self._desk = SiteDesk(site)

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add what the API answers."""
        router.add_get("/faults", self._faults)
        router.add_post("/faults", self._start)
        router.add_delete("/faults", self._clear)
        self._desk.add_routes(router)

    async def _faults(self, _request: web.Request) -> web.Response:
        return json_answer(self._desk.active())

    async def _start(self, request: web.Request) -> web.Response:
        name, parameters = await asked_fault(request)
        return json_answer(self._desk.start(name, parameters), status=201)

    async def _clear(self, request: web.Request) -> web.Response:
        self._desk.clear()
        return await self._faults(request)
