"""The path under which the watchdog tells of feeds: /v1/feeds."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from tapeline.bus.bootstrap import namespaced
from tapeline.ops.health import json_answer
from tapeline_watchdog.feed_documents import Document, feeds_document
from tapeline_watchdog.feed_watching import FeedWatch
from tapeline_watchdog.lag import LagReport
from tapeline_watchdog.watching import PROCESSOR_GROUP


class FeedPages:
    """Answers from the last report, and with how far the processor is behind on each source."""

    def __init__(self, watch: FeedWatch, lag: Callable[[], LagReport | None]) -> None:
        self._watch = watch
        self._lag = lag

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, for a server to add."""
        return [web.get("/v1/feeds", self._feeds)]

    def document(self) -> Document | None:
        """Return the document of /v1/feeds, None before the feed events have been read."""
        report = self._watch.report
        if report is None:
            return None
        lag = self._lag()
        processor = None if lag is None else lag.groups.get(namespaced(PROCESSOR_GROUP))
        return feeds_document(report, processor, is_fresh=self._watch.is_fresh())

    async def _feeds(self, _: web.Request) -> web.Response:
        document = self.document()
        if document is None:
            return json_answer({"error": "the feed events have not been read yet"}, status=503)
        return json_answer(document)
