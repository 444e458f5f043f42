"""The backfill service as a process: who works on what, and the signals that end it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from time import monotonic, time_ns
from typing import Final, get_args

from tapeline.errors import Retryable, TopicMismatch
from tapeline.feed.back_ends import BackEnd, Backfiller
from tapeline.feed.cost_settings import CostSettings
from tapeline.feed.registry import load_backfiller
from tapeline.model.backfill import BackfillEvent, BackfillRequest, EventType
from tapeline.ops.health import HealthEndpoint
from tapeline.ops.logs import get_logger
from tapeline.ops.metrics import BACKFILL_REQUESTS
from tapeline.ops.stopping import stopped_by_signals, wait_unless
from tapeline_backfill.following import Follower
from tapeline_backfill.journal import Halt
from tapeline_backfill.requests import Requests
from tapeline_backfill.settings import BackfillSettings
from tapeline_backfill.work import Recompute, Work

log = get_logger("backfill")

Load = Callable[[str], type[Backfiller]]
"""Returns what fetches the past of a source. Raises Misconfigured."""

_AWAY_S: Final = 2.0


async def run(
    settings: BackfillSettings, servers: str, *, load: Load = load_backfiller, recompute: Recompute | None = None
) -> None:
    """Do requests until SIGTERM or SIGINT; what is in hand then is left to whoever comes next."""
    service = Service(settings, servers, load, recompute)
    with stopped_by_signals(service.stop):
        async with HealthEndpoint(service.status, port=settings.health_port) as health:
            log.info("started", health=health.url, worker=settings.worker)
            await service.run()
    log.info("stopped")


class Service:
    """Works on the requests that are due, at most one of each stream at a time."""

    def __init__(self, settings: BackfillSettings, servers: str, load: Load, recompute: Recompute | None) -> None:
        self._settings = settings
        self._budgets = CostSettings.load().budgets()
        self._servers = servers
        self._load = load
        self._recompute = recompute
        self._stopped = asyncio.Event()
        self._requests = Requests(settings.worker, settings.takeover_s, recomputes=recompute is not None)
        self._ways: dict[str, Sequence[BackEnd]] = {}
        self._working: dict[asyncio.Task[None], BackfillRequest] = {}
        self._held: dict[str, int] = {}
        """What the requests in hand come to, micro-dollars."""
        self._is_following = False
        self._away = ""
        """Why requests are not heard of, in words."""

    def stop(self) -> None:
        """End `run` soon."""
        self._stopped.set()

    def status(self) -> Mapping[str, object]:
        """Return the facts of /readyz: ready while requests are heard of."""
        return {
            "ready": self._is_following and not self._stopped.is_set(),
            "worker": self._settings.worker,
            "requests": dict(self._requests.states()),
            "working_on": [request.id for request in self._working.values()],
        }

    async def run(self) -> None:
        """Follow the log and work until `stop`."""
        follower = Follower(self._servers, self._requests)
        try:
            while not self._stopped.is_set():
                await self._round(follower)
                await wait_unless(self._stopped, self._settings.poll_s)
        finally:
            self._stopped.set()
            results = await asyncio.gather(*self._working, return_exceptions=True)
            await asyncio.to_thread(follower.close)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _round(self, follower: Follower) -> None:
        for task in [task for task in self._working if task.done()]:
            del self._working[task]
            task.result()
        try:
            await asyncio.to_thread(follower.catch_up)
        except (Retryable, TopicMismatch) as error:
            if self._away != str(error):
                log.warning("Kafka is away", reason=str(error))
            self._is_following, self._away = False, str(error)
            return
        if self._away:
            log.info("Kafka is back")
        self._is_following, self._away = True, ""
        # What was in hand is heard of by now.
        in_hand = {request.id for request in self._working.values()}
        self._held = {name: micro_usd for name, micro_usd in self._held.items() if name in in_hand}
        states = self._requests.states()
        for state in get_args(EventType):
            BACKFILL_REQUESTS.labels(state).set(states[state])
        for request in self._requests.due(time_ns(), monotonic()):
            if len(self._working) < self._settings.parallel and self._is_free(request):
                rivals = self._requests.rivals(request)
                task = asyncio.create_task(self._work(request, rivals, follower.next_event))
                self._working[task] = request

    def _is_free(self, request: BackfillRequest) -> bool:
        busy = self._working.values()
        if self._requests.is_cancelled(request.id):
            # That is soon said, and touches no tape.
            return all(each.id != request.id for each in busy)
        return all((each.source, each.stream) != (request.source, request.stream) for each in busy)

    async def _work(self, request: BackfillRequest, rivals: Sequence[BackfillEvent], since: int) -> None:
        def halt() -> Halt:
            if self._stopped.is_set():
                return "stopped"
            return "cancelled" if self._requests.is_cancelled(request.id) else ""

        def spent() -> int:
            return self._requests.spent_in_month(time_ns(), request.id, self._held)

        def hold(micro_usd: int) -> None:
            self._held[request.id] = micro_usd

        outcome = await Work(
            request,
            self._servers,
            self._settings,
            lambda: self._back_ends(request.source),
            halt,
            known=self._requests.last_event(request.id),
            rivals=rivals,
            since=since,
            budgets=self._budgets,
            spent_micro_usd=spent,
            hold=hold,
            recompute=self._recompute,
        ).run()
        if outcome == "fenced":
            self._requests.leave(request.id, monotonic())
        elif outcome == "away":
            await wait_unless(self._stopped, _AWAY_S)

    def _back_ends(self, source: str) -> Sequence[BackEnd]:
        if source not in self._ways:
            backfiller = self._load(source)
            self._ways[source] = backfiller(backfiller.settings_class.load()).back_ends()
        return self._ways[source]
