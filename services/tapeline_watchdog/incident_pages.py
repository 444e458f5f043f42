"""The path under which the watchdog tells of incidents: /v1/incidents."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from tapeline.ops.health import json_answer
from tapeline_watchdog import incident_messages
from tapeline_watchdog.incident_watching import IncidentWatch


class IncidentPages:
    """Answers with what the topic of incidents holds: those that are open first, then the one that changed last."""

    def __init__(self, watch: IncidentWatch) -> None:
        self._watch = watch

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, for a server to add."""
        return [web.get("/v1/incidents", self._incidents)]

    def document(self) -> dict[str, Any] | None:
        """Return all incidents, None before the topic was read; times are decimal texts of ns since the epoch."""
        if self._watch.read_ns is None:
            return None
        incidents = [incident_messages.document(incident) for incident in self._watch.incidents]
        return {"at": str(self._watch.read_ns), "fresh": self._watch.is_fresh(), "incidents": incidents}

    async def _incidents(self, _: web.Request) -> web.Response:
        document = self.document()
        if document is None:
            return json_answer({"error": "the topic of incidents has not been read yet"}, status=503)
        return json_answer(document)
