"""The paths under which the watchdog tells of lag: those of Burrow's v3, and /v1/lag."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from aiohttp import web

from tapeline.ops.health import json_answer
from tapeline_watchdog import documents
from tapeline_watchdog.settings import WatchdogSettings
from tapeline_watchdog.watching import LagWatch

_NO_CLUSTER = "cluster not found"


class LagPages:
    """Answers from the last sample.

    Under Burrow's paths no topic or group is there before the first one, nor while it is too old to say how they are:
    those documents have no place for that, and a group that was well must not seem to be.
    """

    def __init__(self, watch: LagWatch, settings: WatchdogSettings, servers: str) -> None:
        self._watch = watch
        self._settings = settings
        self._servers = servers

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, for a server to add."""
        cluster = "/v3/kafka/{cluster}"
        group = f"{cluster}/consumer/{{group}}"
        return [
            web.get("/v1/lag", self._lag),
            web.get("/burrow/admin", self._admin),
            web.get("/burrow/admin/ready", self._ready),
            web.get("/v3/kafka", self._clusters),
            web.get(cluster, self._cluster),
            web.get(f"{cluster}/topic", self._topics),
            web.get(f"{cluster}/topic/{{topic}}", self._topic),
            web.get(f"{cluster}/topic/{{topic}}/consumers", self._topic_groups),
            web.get(f"{cluster}/consumer", self._groups),
            web.get(group, self._group),
            web.get(f"{group}/status", self._status(only_bad=True)),
            web.get(f"{group}/lag", self._status(only_bad=False)),
            web.get("/v3/{rest:.*}", self._unknown),
        ]

    def document(self) -> documents.Document | None:
        """Return the document of /v1/lag, None before the cluster has been read."""
        report = self._watch.report
        if report is None:
            return None
        return documents.lag_document(report, self._watch.stuck, is_fresh=self._watch.fresh_report() is not None)

    async def _lag(self, _: web.Request) -> web.Response:
        document = self.document()
        if document is None:
            return json_answer({"error": "the cluster has not been read yet"}, status=503)
        return json_answer(document)

    async def _admin(self, _: web.Request) -> web.Response:
        return web.Response(text="GOOD")

    async def _ready(self, _: web.Request) -> web.Response:
        is_ready = self._watch.fresh_report() is not None
        return web.Response(text="READY" if is_ready else "STARTING", status=200 if is_ready else 503)

    async def _clusters(self, request: web.Request) -> web.Response:
        return _good(request, "cluster list returned", clusters=[self._settings.cluster])

    async def _cluster(self, request: web.Request) -> web.Response:
        if not self._is_ours(request):
            return _missing(request, "cluster module not found")
        refresh_s = max(1, round(self._settings.interval_s))
        module = {
            "class-name": "kafka",
            "servers": self._servers.split(","),
            "client-profile": {
                "name": "",
                "client-id": "tapeline-watchdog",
                "kafka-version": "",
                "tls": None,
                "sasl": None,
            },
            # Whole seconds, for whoever reads them as Burrow does.
            "topic-refresh": refresh_s,
            "offset-refresh": refresh_s,
        }
        return _good(request, "cluster module detail returned", module=module)

    async def _topics(self, request: web.Request) -> web.Response:
        report = self._watch.fresh_report()
        if not self._is_ours(request) or report is None:
            return _missing(request, _NO_CLUSTER)
        return _good(request, "topic list returned", topics=documents.topics_of(report))

    async def _topic(self, request: web.Request) -> web.Response:
        report = self._watch.fresh_report()
        offsets = None if report is None else documents.topic_offsets(report, request.match_info["topic"])
        if not self._is_ours(request) or offsets is None:
            return _missing(request, "cluster or topic not found")
        return _good(request, "topic offsets returned", offsets=offsets)

    async def _topic_groups(self, request: web.Request) -> web.Response:
        report = self._watch.fresh_report()
        if not self._is_ours(request) or report is None:
            return _missing(request, _NO_CLUSTER)
        names = documents.groups_of_topic(report, request.match_info["topic"])
        return _good(request, "consumers of topic returned", consumers=names)

    async def _groups(self, request: web.Request) -> web.Response:
        report = self._watch.fresh_report()
        if not self._is_ours(request) or report is None:
            return _missing(request, _NO_CLUSTER)
        return _good(request, "consumer list returned", consumers=list(report.groups))

    async def _group(self, request: web.Request) -> web.Response:
        report = self._watch.fresh_report()
        group = None if report is None else report.groups.get(request.match_info["group"])
        if not self._is_ours(request) or group is None:
            return _missing(request, "cluster or consumer not found")
        topics = documents.group_detail_document(group, self._settings.window)
        return _good(request, "consumer detail returned", topics=topics)

    def _status(self, *, only_bad: bool) -> Callable[[web.Request], Any]:
        async def answer(request: web.Request) -> web.Response:
            report, name = self._watch.fresh_report(), request.match_info["group"]
            group = report.groups.get(name) if self._is_ours(request) and report is not None else None
            status = documents.group_status_document(
                group, name=name, cluster=request.match_info["cluster"], only_bad=only_bad
            )
            code = 404 if group is None else 200
            return _good(request, "consumer status returned", code=code, status=status)

        return answer

    async def _unknown(self, request: web.Request) -> web.Response:
        return _missing(request, "invalid request type")

    def _is_ours(self, request: web.Request) -> bool:
        return request.match_info["cluster"] == self._settings.cluster


def _good(request: web.Request, message: str, *, code: int = 200, **content: Any) -> web.Response:
    return json_answer({"error": False, "message": message, **content, "request": _asked(request)}, status=code)


def _missing(request: web.Request, message: str) -> web.Response:
    return json_answer({"error": True, "message": message, "request": _asked(request)}, status=404)


def _asked(request: web.Request) -> dict[str, str]:
    return {"url": request.path, "host": socket.gethostname()}
