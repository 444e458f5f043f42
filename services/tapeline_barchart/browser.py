"""Being let in as a person is: by a real Chromium, which loads a quote page and, where that is wanted, logs in before.

networkidle never comes on these pages, which go on asking; so a page is ready once its document is there, its own
first call of the API is answered, and its CSRF token stands in its head.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, cast
from urllib.parse import unquote

from playwright.async_api import BrowserContext, Error, Page, Response, StorageState

from tapeline.ops.logs import get_logger
from tapeline.ops.state import state_folder
from tapeline_barchart.authentication import Credentials, TakeCall
from tapeline_barchart.captures import Captures
from tapeline_barchart.chromium import CLOSE_TIMEOUT_S, Chromium
from tapeline_barchart.deadline import Deadline
from tapeline_barchart.errors import Challenged, CutAnswer, FetchFailed, HeldOff, LoginRefused, SessionInvalid, SiteAway
from tapeline_barchart.evidence import look
from tapeline_barchart.kept_session import KeptSession
from tapeline_barchart.login import check_let_in, is_login, submit_login
from tapeline_barchart.redaction import Redaction
from tapeline_barchart.replies import LOGIN_PATH, Answer, check_json, check_page
from tapeline_barchart.settings import BarchartSettings
from tapeline_barchart.traffic import Traffic

XSRF_COOKIE: Final = "XSRF-TOKEN"

_CSRF: Final = 'meta[name="csrf-token"]'
_SHORTEST_SECRET: Final = 8
"""Cookies with shorter values, such as the chosen market, hold no secret."""

log = get_logger("barchart.browser")


@dataclass(frozen=True, slots=True)
class Patience:
    """For how long (s) something is waited for that may never come."""

    csrf_s: float = 5.0
    """The token in the page's head, which a script may put there late."""
    api_s: float = 5.0
    """That the page begins to call the API."""
    challenge_s: float = 10.0
    """That Chromium passes the firewall's challenge, and the page itself follows."""


class BrowserAuthentication:
    """The strategies `browser` and `login`. Chromium starts with the first session and ends with `close`.

    The first session continues the one that was kept at the last, if any; each one after it begins anew, as whoever
    asks again was not let in. `take_call` gives each call of the site; `clock_ns` is the time in ns since the epoch.
    """

    def __init__(
        self,
        settings: BarchartSettings,
        take_call: TakeCall,
        *,
        clock_ns: Callable[[], int] = time.time_ns,
        patience: Patience | None = None,
        chromium: Chromium | None = None,
    ) -> None:
        self._settings = settings
        self._take_call = take_call
        self._clock_ns = clock_ns
        self._patience = patience or Patience()
        self._logs_in = settings.authentication == "login"
        account = settings.email.get_secret_value() if self._logs_in else ""
        self._kept = KeptSession(state_folder() / "barchart" / "browser", settings.site, account)
        self._captures = Captures(
            settings.captures_path, most_captures=settings.captures_count, most_bytes=settings.captures_bytes
        )
        self._chromium = chromium or Chromium(settings.chromium_path, settings.browser_timeout_s)
        self._typed = Redaction([settings.email.get_secret_value(), settings.password.get_secret_value()])
        self._has_begun = False

    @property
    def name(self) -> str:
        """What logs and errors call it."""
        return self._settings.authentication

    async def begin(self, page_url: str) -> Credentials:
        """Return what calls need from now on, and the page of `page_url`.

        Raises FetchFailed and LoginRefused, which name the captures of what was seen; Misconfigured where there is no
        Chromium; and what `take_call` raises.
        """
        kept = None if self._has_begun else await asyncio.to_thread(self._kept.load)
        self._has_begun = True
        browser = await self._chromium.browser()
        try:
            context = await browser.new_context(storage_state=cast(StorageState | None, kept), service_workers="block")
        except (Error, TypeError, ValueError) as error:
            raise FetchFailed(f"Chromium begins no session: {self._first_line(error)}") from None
        try:
            return await self._visit(context, page_url)
        finally:
            try:
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await context.close()
            except (Error, TimeoutError):
                await self._chromium.close()

    async def close(self) -> None:
        """End Chromium. May be called again."""
        await self._chromium.close()

    async def _visit(self, context: BrowserContext, page_url: str) -> Credentials:
        deadline = Deadline(self._settings.browser_timeout_s)
        traffic = Traffic(self._settings.site, self._take_call, deadline.paused)
        context.set_default_timeout(0)  # one deadline is enough
        page: Page | None = None
        failure: FetchFailed | LoginRefused
        try:
            async with deadline:
                await traffic.guard(context)
                page = await context.new_page()
                if self._logs_in:
                    await self._log_in(page, traffic)
                credentials = await self._load(page, traffic, page_url)
                state = await context.storage_state()
            await traffic.settle()
        except HeldOff:
            raise
        except (FetchFailed, LoginRefused) as error:
            failure = error
        except TimeoutError:
            failure = SiteAway(f"the page was not ready within {deadline.timeout_s:g} s")
        except Error as error:
            failure = SiteAway(f"the page did not load: {self._first_line(error)}")
        else:
            await asyncio.to_thread(self._kept.save, state)
            return credentials
        failure.captures = await self._capture(context, page, traffic, failure)
        if page is not None:
            with suppress(Error):
                await _leave(page)
        log.warning("the browser was not let in", error=type(failure).__name__, captures=failure.captures)
        raise failure from None

    async def _log_in(self, page: Page, traffic: Traffic) -> None:
        settings = self._settings
        await traffic.unbroken(page.goto(f"{settings.site}{LOGIN_PATH}", wait_until="domcontentloaded"))
        await self._pass_firewall(page, traffic)
        if is_login(page.url):  # else the session that was kept is logged in still
            await traffic.unbroken(submit_login(page, settings.email, settings.password))
            await self._pass_firewall(page, traffic)
            check_let_in(page.url, settings.site)

    async def _load(self, page: Page, traffic: Traffic, page_url: str) -> Credentials:
        await traffic.unbroken(page.goto(page_url, wait_until="domcontentloaded"))
        await self._pass_firewall(page, traffic)
        if is_login(page.url):
            raise SessionInvalid(f"the page sent to {LOGIN_PATH}: the site wants a login (authentication=login)")
        await self._prove(traffic)
        csrf_token = await self._csrf_token(page)
        html, user_agent = await page.content(), await page.evaluate("navigator.userAgent")
        await _leave(page)  # what it still asks would change the cookies
        cookies = {each["name"]: each["value"] for each in await page.context.cookies(page_url)}
        headers = {"user-agent": str(user_agent)}
        if XSRF_COOKIE in cookies:
            headers["x-xsrf-token"] = unquote(cookies[XSRF_COOKIE])
        elif csrf_token:
            headers["x-csrf-token"] = csrf_token
        else:
            raise SessionInvalid(f"the page gave neither a cookie {XSRF_COOKIE} nor a CSRF token")
        return Credentials(cookies, headers, html)

    async def _pass_firewall(self, page: Page, traffic: Traffic) -> None:
        """Return once the site itself has answered the last navigation. Raises FetchFailed for any other answer."""
        while True:
            following = asyncio.ensure_future(traffic.next_page())
            try:
                check_page(await self._answer(page, traffic.page))
                return
            except Challenged:
                # Chromium may pass it by itself, and then the page comes
                if not await self._came(following):
                    raise Challenged(
                        "the site's firewall answered with a challenge that Chromium did not pass within"
                        f" {self._patience.challenge_s:g} s; it may want a person, or rest from this address"
                    ) from None
                await page.wait_for_load_state("domcontentloaded")
            finally:
                following.cancel()

    async def _came(self, following: asyncio.Future[None]) -> bool:
        done, _ = await asyncio.wait({following}, timeout=self._patience.challenge_s)
        return bool(done)

    async def _answer(self, page: Page, response: Response | None) -> Answer:
        if response is None:
            raise SiteAway("the navigation had no answer")
        html = (await page.content()).encode()
        return Answer(response.url, response.status, response.headers, html, self._clock_ns())

    async def _prove(self, traffic: Traffic) -> None:
        """Raise where the page's own call of the API shows that the session does not hold. A page may make none."""
        try:
            async with asyncio.timeout(self._patience.api_s):
                await traffic.api_asked.wait()
        except TimeoutError:
            log.info("the page has not called the API")
            return
        response = await traffic.api_answered
        if response is None and traffic.refused is not None:
            raise traffic.refused
        if response is None:
            raise SiteAway("the connection ended at the page's own call of the API")
        try:
            body = await response.body()
        except Error:
            raise CutAnswer("the answer to the page's own call of the API is not whole") from None
        check_json(Answer(response.url, response.status, response.headers, body, self._clock_ns()))

    async def _csrf_token(self, page: Page) -> str | None:
        meta = page.locator(_CSRF).first
        try:
            await meta.wait_for(state="attached", timeout=self._patience.csrf_s * 1e3)
        except Error:
            return None
        return await meta.get_attribute("content")

    async def _capture(
        self, context: BrowserContext, page: Page | None, traffic: Traffic, failure: Exception
    ) -> tuple[str, ...]:
        """Return the names of the files that show what was seen; nothing that is secret is in them."""
        if page is None:
            return ()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                cookies = [each["value"] for each in await context.cookies()]
        except (Error, TimeoutError):
            cookies = []
        redaction = self._typed.also(value for value in cookies if len(value) >= _SHORTEST_SECRET)
        evidence = await look(page, traffic.page, redaction, type(failure).__name__, str(failure))
        return await asyncio.to_thread(self._captures.save, evidence, redaction, self._clock_ns())

    def _first_line(self, error: Exception) -> str:
        """Return what an error of Playwright says, without the log of its steps, which repeats what was typed."""
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return self._typed.text(lines[0])


async def _leave(page: Page) -> None:
    """Close a page. What of its requests is held back would go out while it closes, so they end with the page first."""
    await page.goto("about:blank", timeout=CLOSE_TIMEOUT_S * 1e3)
    await page.close()
