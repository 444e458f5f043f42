"""Which requests of a page may go out. Those of the site's pages and its API are calls, so each takes one first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, suppress
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.async_api import BrowserContext, Error, Request, Response, Route

from tapeline_barchart.authentication import TakeCall
from tapeline_barchart.errors import SiteAway
from tapeline_barchart.replies import LOGIN_PATH

API_PATH: Final = "/proxies/core-api/"

_NOT_LOADED: Final = ("image", "media", "font")


class Traffic:
    """Guards the requests of one browser context of the site at the address `site`. Begin with `guard`.

    Of the page's own calls of the API the first goes out, as it shows whether the session holds; a page that goes on
    asking is not let. `paused` surrounds the time that is spent waiting for a call to be free.
    """

    def __init__(self, site: str, take_call: TakeCall, paused: Callable[[], AbstractContextManager[None]]) -> None:
        self._host = urlsplit(site).netloc
        self._take_call = take_call
        self._paused = paused
        self._calls_owed = 0
        self._api_call: Request | None = None
        self._arrival = asyncio.Event()
        self._broken: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.api_asked = asyncio.Event()
        """Set once the page calls the API."""
        self.api_answered: asyncio.Future[Response | None] = asyncio.get_running_loop().create_future()
        """The answer to that call; None where it broke."""
        self.page: Response | None = None
        """The newest answer to a navigation."""
        self.refused: Exception | None = None
        """What `take_call` raised: the request did not go out."""

    async def guard(self, context: BrowserContext) -> None:
        """Take over the requests of `context`."""
        context.on("request", self._on_request)
        context.on("response", self._on_response)
        context.on("requestfailed", self._on_failure)
        await context.route("**/*", self._route)

    async def next_page(self) -> None:
        """Wait for the answer to another navigation."""
        await self._arrival.wait()

    async def unbroken(self, navigation: Coroutine[Any, Any, object]) -> None:
        """Wait for a navigation. Raises SiteAway where it breaks off, what `take_call` raised where it did not go out.

        Playwright itself may wait for ever for a page whose connection ended in its middle.
        """
        loading: asyncio.Future[Any] = asyncio.ensure_future(navigation)
        try:
            await asyncio.wait({loading, self._broken}, return_when=asyncio.FIRST_COMPLETED)
            if self.refused is not None:
                raise self.refused
            if self._broken.done():
                raise SiteAway(f"the connection ended before the page was whole: {self._broken.result()}")
            await loading
        finally:
            loading.cancel()
            await asyncio.gather(loading, return_exceptions=True)

    async def settle(self) -> None:
        """Take the calls of redirects that nobody could hold back. Raises as `take_call`."""
        while self._calls_owed > 0:
            await self._take_call()
            self._calls_owed -= 1

    async def _route(self, route: Route, request: Request) -> None:
        if self._is_api(request):
            is_let = self._api_call is None
            if is_let:
                self._api_call = request
                self.api_asked.set()
        else:
            is_let = request.resource_type not in _NOT_LOADED
        with suppress(Error):  # the page is closed already
            if is_let and (not self._is_call(request) or await self._take(request)):
                await route.continue_()
            else:
                await route.abort("blockedbyclient")

    async def _take(self, request: Request) -> bool:
        """Return whether `request` may go out, once it may."""
        is_form = request.method == "POST" and urlsplit(request.url).path.rstrip("/") == LOGIN_PATH
        try:
            with self._paused():
                await self._take_call()
                if is_form:  # its answer is a redirect, which cannot be held back
                    await self._take_call()
                    self._calls_owed -= 1
        except Exception as error:  # whoever waits for the page raises it
            self.refused = error
            return False
        return True

    def _on_request(self, request: Request) -> None:
        if request.redirected_from is not None and self._is_call(request):
            self._calls_owed += 1

    def _on_response(self, response: Response) -> None:
        request = response.request
        if request == self._api_call:
            self._api_ended(response)
        elif _is_navigation(request):
            self.page = response
            arrival, self._arrival = self._arrival, asyncio.Event()
            arrival.set()

    def _on_failure(self, request: Request) -> None:
        if request == self._api_call:
            self._api_ended(None)
        elif _is_navigation(request) and not self._broken.done():
            self._broken.set_result(request.failure or "no reason")

    def _api_ended(self, response: Response | None) -> None:
        if not self.api_answered.done():
            self.api_answered.set_result(response)

    def _is_call(self, request: Request) -> bool:
        is_page = request.resource_type == "document"
        return urlsplit(request.url).netloc == self._host and (is_page or self._is_api(request))

    def _is_api(self, request: Request) -> bool:
        parts = urlsplit(request.url)
        return parts.netloc == self._host and parts.path.startswith(API_PATH)


def _is_navigation(request: Request) -> bool:
    return request.is_navigation_request() and request.frame.parent_frame is None
