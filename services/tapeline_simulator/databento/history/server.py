"""The Historical API over HTTPS: who asks, may they, what goes wrong, and the answer."""

from __future__ import annotations

import base64
import binascii
import ssl
import time
import uuid
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from hmac import compare_digest
from types import TracebackType
from typing import Any, Final, Self

import orjson
from aiohttp import web

from tapeline.errors import BadData, Misconfigured
from tapeline_simulator.databento.history.bodies import Body, send_body
from tapeline_simulator.databento.history.faults import EVERY_METHOD, HistoryFault, HistoryFaults, named_fault
from tapeline_simulator.databento.history.methods import METHODS, Holdings
from tapeline_simulator.databento.history.rates import REQUESTS_PER_S, RateLimit
from tapeline_simulator.databento.history.refusals import (
    Refusal,
    no_such_method,
    not_authenticated,
    not_simulated,
    too_many_requests,
)

REQUESTS_REMEMBERED: Final = 1_000
_STOP_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it was answered: the method's name, its parameters and the HTTP status."""

    method: str
    parameters: Mapping[str, str]
    status: int


class HistoryServer:
    """Serve the Historical API for as long as the `async with` block lasts.

    `keys` are the API keys that are good; they are looked up at each request, so their owner may change them. `context`
    is what certificates.Certificates gives. `port` 0 takes any free one; `url` is what the official client takes as its
    gateway. `faults` lets things go wrong, and `requests` remembers the last REQUESTS_REMEMBERED. Raises Misconfigured
    where it cannot listen.
    """

    def __init__(
        self,
        holdings: Holdings,
        *,
        keys: Collection[str],
        context: ssl.SSLContext,
        port: int = 0,
        host: str = "127.0.0.1",
        requests_per_s: Mapping[str, int] = REQUESTS_PER_S,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.faults = HistoryFaults()
        self.requests: deque[Request] = deque(maxlen=REQUESTS_REMEMBERED)
        self.url = ""
        self._holdings = holdings
        self._keys = keys
        self._context = context
        self._host = host
        self._port = port
        self._rates = RateLimit(requests_per_s)
        self._monotonic_ns = monotonic_ns
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_route("*", "/v0/{method}", self._handle)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=_STOP_S)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port, ssl_context=self._context).start()
        except OSError as error:
            await runner.cleanup()
            raise Misconfigured(
                f"historical API: cannot listen on {self._host}:{self._port}: {error.strerror} (set another port)"
            ) from None
        self._runner = runner
        self.url = f"https://{self._host}:{runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def start_fault(self, name: str, /, **parameters: Any) -> HistoryFault:
        """Let a fault of faults.FAULT_NAMES happen, as a command asks for it. Raises BadData for what cannot be."""
        fault = named_fault(name, parameters)
        methods = [EVERY_METHOD, *(method for _, method in METHODS)]
        if fault.method not in methods:
            raise BadData("method", f"must be one of {', '.join(methods)}, is {fault.method!r}")
        self.faults.add(fault)
        return fault

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        parameters = dict(request.query)
        headers = {"request-id": uuid.uuid4().hex}
        try:
            parameters.update({name: str(value) for name, value in (await request.post()).items()})
            key = self._authenticate(request)
            fault = self.faults.take(method)
            if fault is not None:
                await self._befall(fault)
            body = await self._answer(request.method, method, key, parameters, fault)
        except Refusal as refusal:
            self.requests.append(Request(method, parameters, refusal.status))
            return web.json_response(
                refusal.body, status=refusal.status, headers=headers | refusal.headers, dumps=_dumps
            )
        self.requests.append(Request(method, parameters, 200))
        return await send_body(request, body, headers, fault)

    def _authenticate(self, request: web.Request) -> str:
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        try:
            key, colon, password = base64.b64decode(credentials, validate=True).decode("ascii").partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise not_authenticated() from None
        good = [known for known in self._keys if compare_digest(known.encode(), key.encode())]
        if scheme.lower() != "basic" or not colon or password or not good:
            raise not_authenticated()
        return key

    async def _befall(self, fault: HistoryFault) -> None:
        if fault.kind == "hang":
            await self.faults.wait_until_cleared()
        if fault.kind == "refuse":
            refusal = Refusal(fault.status, "simulated_fault", "This was asked to go wrong.")
            if fault.retry_after_s is not None:
                refusal.headers["Retry-After"] = str(fault.retry_after_s)
            raise refusal

    async def _answer(
        self, verb: str, method: str, key: str, parameters: Mapping[str, str], fault: HistoryFault | None
    ) -> Body:
        family = method.partition(".")[0]
        wait_s = self._rates.wait_s(key, family, self._monotonic_ns())
        if wait_s:
            raise too_many_requests(wait_s)
        if family == "batch":
            raise not_simulated(method)
        call = METHODS.get((verb, method))
        if call is None:
            raise no_such_method(f"{verb} {method}")
        body = await call(self._holdings, parameters)
        if fault is not None and fault.kind == "count" and method == "metadata.get_record_count":
            count = orjson.loads(b"".join(body.pieces)) + fault.difference
            return Body(iter([orjson.dumps(count)]), body.content_type, body.headers)
        return body


def _dumps(value: object) -> str:
    return orjson.dumps(value).decode()
