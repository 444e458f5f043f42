"""The path under which the watchdog tells of gaps and coverage: /v1/gaps."""

from __future__ import annotations

from aiohttp import web

from tapeline.ops.health import json_answer
from tapeline_watchdog.gap_documents import Document, gaps_document
from tapeline_watchdog.gap_watching import GapWatch


class GapPages:
    """Answers from the last report."""

    def __init__(self, watch: GapWatch) -> None:
        self._watch = watch

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, for a server to add."""
        return [web.get("/v1/gaps", self._gaps)]

    def document(self) -> Document | None:
        """Return the document of /v1/gaps, None before the topics have been read."""
        report = self._watch.report
        return None if report is None else gaps_document(report, is_fresh=self._watch.is_fresh())

    async def _gaps(self, _: web.Request) -> web.Response:
        document = self.document()
        if document is None:
            return json_answer({"error": "gaps and requests have not been read yet"}, status=503)
        return json_answer(document)
