"""The path under which the watchdog tells of incidents: /v1/incidents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web

from tapeline.model.incidents import Incident
from tapeline.ops.health import json_answer
from tapeline_watchdog import incident_messages
from tapeline_watchdog.incident_watching import IncidentWatch

_MOST_CLOSED: Final = 50
"""So many of those that are over are shown on the page, which is told of them each time that one of them changes."""


class IncidentPages:
    """Answers with what the topic of incidents holds: those that are open first, then the one that changed last."""

    def __init__(self, watch: IncidentWatch) -> None:
        self._watch = watch

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, for a server to add."""
        return [web.get("/v1/incidents", self._incidents)]

    def document(self) -> dict[str, Any] | None:
        """Return all incidents, None before the topic was read; times are decimal texts of ns since the epoch."""
        return self._document(0, self._watch.incidents)

    def page_document(self) -> dict[str, Any] | None:
        """Return the same of the open ones and of the last that are over; how many others there are is `left_out`."""
        shown = recent(self._watch.incidents)
        return self._document(len(self._watch.incidents) - len(shown), shown)

    def _document(self, left_out: int, incidents: Sequence[Incident]) -> dict[str, Any] | None:
        if self._watch.read_ns is None:
            return None
        return {
            "at": str(self._watch.read_ns),
            "fresh": self._watch.is_fresh(),
            "incidents": [incident_messages.document(incident) for incident in incidents],
            "left_out": left_out,
        }

    async def _incidents(self, _: web.Request) -> web.Response:
        document = self.document()
        if document is None:
            return json_answer({"error": "the topic of incidents has not been read yet"}, status=503)
        return json_answer(document)


def recent(incidents: Sequence[Incident]) -> Sequence[Incident]:
    """Return the open ones and the last that are over, of incidents in the order of `Incidents.all`."""
    opened = sum(incident.state == "open" for incident in incidents)
    return incidents[: opened + _MOST_CLOSED]
