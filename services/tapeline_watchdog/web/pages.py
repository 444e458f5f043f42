"""The page: its files, and the stream of what it shows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any, Final

from aiohttp import web

from tapeline_watchdog.settings import WatchdogSettings
from tapeline_watchdog.web.audience import Audience
from tapeline_watchdog.web.hub import Hub, Shelf
from tapeline_watchdog.web.market import CHART_WINDOWS
from tapeline_watchdog.web.market_watching import MOST_SYMBOLS, MarketWatch
from tapeline_watchdog.web.parts import AVAILABILITY, NAMES, PartDocuments, Parts
from tapeline_watchdog.web.stream import Stream

_TYPES: Final = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_SHELVES: Final = {
    AVAILABILITY: Shelf(keys=16),
    **{name: Shelf(keys=1) for name in NAMES},
    "pressure": Shelf(keys=MOST_SYMBOLS, depth=CHART_WINDOWS),
    "chain": Shelf(keys=60),
    "flow": Shelf(keys=180),
}


class Page:
    """Serves the page. `parts` are the documents that it shares with the paths of the same name.

    `hub` holds what is shown: the newest of each type of event and key.
    """

    def __init__(self, parts: Parts, settings: WatchdogSettings, servers: str) -> None:
        self.hub: Final = Hub(_SHELVES)
        self._audience = Audience(settings.page_clients)
        self._market = MarketWatch(self.hub, self._audience, servers, timeout_s=settings.timeout_s)
        self._stream = Stream(self.hub, PartDocuments(self.hub, parts), self._audience)

    async def run(self) -> None:
        """Read what the page shows while somebody looks at it, until `stop`."""
        await self._market.run()

    def stop(self) -> None:
        """End `run` and every stream soon."""
        self._audience.end()

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, for a server to add."""
        return [
            web.get("/v1/stream", self._stream.answer, allow_head=False),
            *(web.get(path, _answer(content, kind)) for path, (content, kind) in static_files().items()),
        ]


def static_files() -> Mapping[str, tuple[bytes, str]]:
    """Return content and type of each of the page's files by its path; ``/`` is the page itself."""
    folder = resources.files("tapeline_watchdog.web") / "static"
    found = {}
    for file in folder.iterdir():
        kind = _TYPES.get("." + file.name.rpartition(".")[2])
        if kind is not None:
            path = "/" if file.name == "index.html" else f"/static/{file.name}"
            found[path] = file.read_bytes(), kind
    return found


def _answer(content: bytes, kind: str) -> Callable[[web.Request], Any]:
    tag = hashlib.sha256(content).hexdigest()[:16]

    async def answer(request: web.Request) -> web.Response:
        # Asked for each time, as a newer watchdog has newer files; what is the same is not sent again.
        headers = {"Cache-Control": "no-cache", "ETag": f'"{tag}"'}
        if any(each.value == tag for each in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        return web.Response(body=content, content_type=kind, charset="utf-8", headers=headers)

    return answer
