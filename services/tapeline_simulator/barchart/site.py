"""Barchart's site as one server on loopback: pages, login, the core API and OnDemand over one market."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from hmac import compare_digest
from types import TracebackType
from typing import Final, Self

from aiohttp import web

from tapeline.errors import Misconfigured
from tapeline_simulator.barchart import core_api, on_demand
from tapeline_simulator.barchart.answers import (
    Answer,
    challenge,
    html_instead,
    redirect,
    refusal,
    reset,
    retry_after_header,
    send,
    too_many,
)
from tapeline_simulator.barchart.bucket import LeakyBucket
from tapeline_simulator.barchart.faults import SiteFault, SiteFaults
from tapeline_simulator.barchart.market import ChainMarket
from tapeline_simulator.barchart.pages import CORE_API, PULSE
from tapeline_simulator.barchart.sessions import Bytes, Sessions
from tapeline_simulator.barchart.settings import SiteSettings
from tapeline_simulator.barchart.visits import Visits

REQUESTS_REMEMBERED: Final = 10_000
PULSE_S: Final = 20.0
"""So long the site keeps what the page asks without end."""
_STOP_S: Final = 0.1
_UNANSWERED: Final = 0
_SECRETS: Final = frozenset(("apikey",))


@dataclass(frozen=True, slots=True)
class SiteRequest:
    """One request as it was answered, when (ns since the epoch) and with which status; 0: it was not.

    `kind` is one of faults.KINDS, ``pulse`` or ``other``.
    """

    at_ns: int
    kind: str
    method: str
    path: str
    query: Mapping[str, str]
    status: int


Responder = Callable[[web.Request, SiteFault | None], Awaitable[Answer]]


class BarchartSite:
    """Serve `market` for as long as the `async with` block lasts.

    `port` 0 takes any free one; `url` is where the site is, OnDemand under ``/ondemand``. `faults` lets things go
    wrong, `requests` remembers the last REQUESTS_REMEMBERED. Cookies of an IP address are kept only by clients that are
    told to. Raises Misconfigured where it cannot listen.
    """

    def __init__(
        self,
        market: ChainMarket,
        *,
        settings: SiteSettings | None = None,
        port: int = 0,
        host: str = "127.0.0.1",
        clock_ns: Callable[[], int] = time.time_ns,
        monotonic_s: Callable[[], float] = time.monotonic,
        random_bytes: Bytes = secrets.token_bytes,
    ) -> None:
        self.settings = settings or SiteSettings()
        self.faults = SiteFaults(market.view)
        self.requests: deque[SiteRequest] = deque(maxlen=REQUESTS_REMEMBERED)
        self.url = ""
        self.market = market
        self._sessions = Sessions(random_bytes)
        self._bucket = LeakyBucket(self.settings.calls_per_minute)
        self._licensed_bucket = LeakyBucket(self.settings.calls_per_minute)
        self._host = host
        self._port = port
        self._clock_ns = clock_ns
        self._monotonic_s = monotonic_s
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        application = web.Application()
        add = application.router.add_route
        visits = Visits(self.settings, self._sessions, self.market)
        add("GET", "/", self._serves("other", visits.home))
        add("GET", "/login", self._serves("login-form", visits.show_login))
        add("POST", "/login", self._serves("login", visits.log_in))
        add("GET", "/logout", self._serves("other", visits.log_out))
        add("GET", "/futures/quotes/{future}/options", self._serves("page", visits.show_quotes))
        add("GET", "/futures/quotes/{future}/options/{series}", self._serves("page", visits.show_quotes))
        add("GET", CORE_API, self._serves("core-api", self._quotes))
        add("GET", f"{on_demand.PREFIX}/getFuturesOptions.json", self._serves("on-demand", self._licensed))
        add("GET", f"{on_demand.PREFIX}/getQuote.json", self._serves("on-demand", self._licensed))
        add("GET", PULSE, self._serves("pulse", self._pulse))
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=_STOP_S)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except OSError as error:
            await runner.cleanup()
            raise Misconfigured(
                f"Barchart's site: cannot listen on {self._host}:{self._port}: {error.strerror} (set another port)"
            ) from None
        self._runner = runner
        self.url = f"http://{self._host}:{runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._runner is not None:
            self.faults.clear()
            await self._runner.cleanup()

    @property
    def given(self) -> frozenset[str]:
        """Sessions and tokens that visitors were given, the newest: what must be seen nowhere else."""
        return frozenset(self._sessions.given)

    # -- every request -----------------------------------------------------------------------------------------------

    def _serves(self, kind: str, respond: Responder) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def serve(request: web.Request) -> web.StreamResponse:
            of = core_api.kind_of(request.query) if kind == "core-api" else kind
            return await self._serve(request, of, respond)

        return serve

    async def _serve(self, request: web.Request, kind: str, respond: Responder) -> web.StreamResponse:
        answer, fault = await self._answer(request, kind, respond)
        status = _UNANSWERED if answer is None else answer.status
        query = {name: value for name, value in request.query.items() if name not in _SECRETS}
        self.requests.append(SiteRequest(self._clock_ns(), kind, request.method, request.path, query, status))
        if answer is None:
            await self.faults.wait_until_cleared()
            reset(request)
            return web.StreamResponse()
        cookies = {} if answer.session is None else self._sessions.cookies(answer.session)
        return await send(request, answer, cookies, fault)

    async def _answer(
        self, request: web.Request, kind: str, respond: Responder
    ) -> tuple[Answer | None, SiteFault | None]:
        """Return the answer and what is to happen to it; None: there is none."""
        if request.path == CORE_API and (wait_s := self._bucket.wait_s(self._monotonic_s())):
            return too_many(wait_s, self.settings.retry_after, self._clock_ns()), None
        fault = self.faults.take(kind, at_the_door=True)
        if fault is not None and fault.name == "hang":
            return None, None
        if fault is not None:
            return self._instead(request, fault), None
        if request.path == CORE_API:
            refused = core_api.refuse(self.settings.auth, self._sessions.find(request.cookies), request.headers)
            if refused is not None:
                return refused, None
        fault = self.faults.take(kind, at_the_door=False)
        return await respond(request, fault), fault

    def _instead(self, request: web.Request, fault: SiteFault) -> Answer:
        """Return what is answered instead of what was asked for, whatever that is."""
        session = self._sessions.find(request.cookies)
        if fault.name == "session-expired":
            if session is not None:
                self._sessions.end(session)
            return refusal(fault["status"], "Unauthenticated.")
        if fault.name == "xsrf-rotated":
            if session is not None:
                self._sessions.rotate(session)
            return Answer(fault["status"], b'{"message":"CSRF token mismatch."}', "application/json", session)
        if fault.name == "login-rejected":
            return redirect("/login", session or self._sessions.open())
        if fault.name == "waf":
            return challenge(fault["status"])
        if fault.name == "html-instead-of-json":
            return html_instead(fault["status"])
        wait = retry_after_header(fault["seconds"], fault["retry_after"], self._clock_ns())
        return refusal(fault["status"], "Server Error" if fault["status"] >= 500 else "Refused.", wait)

    # -- what they get -----------------------------------------------------------------------------------------------

    async def _quotes(self, request: web.Request, fault: SiteFault | None) -> Answer:
        session = self._sessions.find(request.cookies)
        return core_api.answer(request.query, self.market.view(), session, fault)

    async def _licensed(self, request: web.Request, fault: SiteFault | None) -> Answer:
        key = request.query.get("apikey", "")
        if not any(compare_digest(good.encode(), key.encode()) for good in self.settings.keys):
            return on_demand.envelope(401, "Unauthorized. Please check your API key.")
        if self._licensed_bucket.wait_s(self._monotonic_s()):
            return on_demand.envelope(429, "Too many requests.")
        answer = on_demand.options if "getFuturesOptions" in request.path else on_demand.quotes
        return answer(request.query, self.market.view(), fault)

    async def _pulse(self, _request: web.Request, _fault: SiteFault | None) -> Answer:
        await asyncio.sleep(PULSE_S)
        return Answer(204, b"")
