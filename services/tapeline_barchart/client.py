"""All HTTP of the Barchart producer: every call is counted before it is made, and every failure has a name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import unquote, urljoin, urlsplit

import aiohttp
import stamina
from stamina.instrumentation import RetryDetails, set_on_retry_hooks
from yarl import URL

from tapeline.ops.logs import get_logger
from tapeline_barchart.authentication import Credentials, TakeCall
from tapeline_barchart.errors import CutAnswer, FetchFailed, SiteAway, UnexpectedStatus
from tapeline_barchart.replies import Answer, Check, redirected_to
from tapeline_barchart.settings import BarchartSettings

XSRF_COOKIE: Final = "XSRF-TOKEN"
XSRF_HEADER: Final = "x-xsrf-token"
PAGE_HEADERS: Final = {
    "Accept": "text/html,application/xhtml+xml",
    "sec-fetch-site": "none",
    "sec-fetch-mode": "navigate",
    "sec-fetch-dest": "document",
}
API_HEADERS: Final = {
    "Accept": "application/json",
    "sec-fetch-site": "same-origin",
    "sec-fetch-mode": "cors",
    "sec-fetch-dest": "empty",
}
"""What a browser sends with a page's own calls; the site looks at it."""
_MOST_REDIRECTS: Final = 3
_CHUNK_BYTES: Final = 65_536

log = get_logger("barchart.client")


class HttpClient:
    """One client of one host: its cookies, and the calls that it may make.

    `take_call` waits until one more call may be made; `clock_ns` gives the time in ns since the epoch. Make it inside
    the event loop.
    """

    def __init__(self, settings: BarchartSettings, take_call: TakeCall, clock_ns: Callable[[], int]) -> None:
        self._settings = settings
        self._take_call = take_call
        self._clock_ns = clock_ns
        self._jar = aiohttp.CookieJar(unsafe=True, quote_cookie=False)
        self._session: aiohttp.ClientSession | None = None
        self.bytes = 0
        """How many bytes of answers came."""
        # The library's own hooks would bring metrics of their own.
        set_on_retry_hooks([_tell_retry])

    def adopt(self, credentials: Credentials, url: str) -> None:
        """Forget every cookie, and take those of a session that was begun with `url`: they are for the whole site."""
        self._jar.clear()
        self._jar.update_cookies(credentials.cookies, URL(url).origin())

    def xsrf_header(self, url: str) -> dict[str, str]:
        """Return the XSRF header as the newest cookie wants it: the site changes the cookie as it likes."""
        cookie = self._jar.filter_cookies(URL(url)).get(XSRF_COOKIE)
        return {} if cookie is None else {XSRF_HEADER: unquote(cookie.value)}

    def cookies(self, url: str) -> dict[str, str]:
        """Return the cookies that a call of `url` has, by name."""
        return {name: cookie.value for name, cookie in self._jar.filter_cookies(URL(url)).items()}

    async def get(
        self,
        url: str,
        check: Check,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Return an answer that passes `check`; one that does not come is asked for again, a few times.

        Raises FetchFailed or what `check` raises, HeldOff where no call may be made.
        """
        async for attempt in stamina.retry_context(
            on=(SiteAway, CutAnswer),
            attempts=self._settings.attempts,
            timeout=None,
            wait_initial=0.5,
            wait_max=10.0,
            wait_jitter=1.0,
        ):
            with attempt:
                answer = await self._follow(url, params or {}, headers or {})
                check(answer)
        return answer

    async def close(self) -> None:
        """Close all connections. May be called again."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _follow(self, url: str, params: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        host = urlsplit(url).netloc
        for _ in range(_MOST_REDIRECTS + 1):
            answer = await self._call(url, params, headers)
            location = redirected_to(answer)
            if location is None:
                return answer
            url, params = urljoin(answer.url, location), {}
            if urlsplit(url).netloc != host:
                raise UnexpectedStatus(f"{answer.path} sent to another host, {urlsplit(url).netloc}")
        raise UnexpectedStatus(f"{answer.path} sent from one page to the next without an end")

    async def _call(self, url: str, params: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        path = urlsplit(url).path
        await self._take_call()
        all_headers = {**headers, **self.xsrf_header(url)}
        try:
            # Every call counts, so that none is made by following alone.
            async with self._open().get(
                url, params=params or None, headers=all_headers, allow_redirects=False
            ) as response:
                body = await self._read(response, path)
        except TimeoutError:
            raise SiteAway(f"{path}: no whole answer within {self._settings.timeout_s:g} s") from None
        except aiohttp.ClientPayloadError:
            raise CutAnswer(f"{path}: the connection ended inside the answer, or it cannot be unpacked") from None
        except (aiohttp.ClientConnectionError, ConnectionError) as error:
            raise SiteAway(f"{path}: {_words(error)}") from None
        except aiohttp.ClientError as error:
            # Not its text, which may hold the address, and with it a key.
            raise FetchFailed(f"{path}: {type(error).__name__}") from None
        self.bytes += len(body)
        names = {name.lower(): value for name, value in response.headers.items()}
        return Answer(str(response.url), response.status, names, body, self._clock_ns())

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            settings = self._settings
            self._session = aiohttp.ClientSession(
                cookie_jar=self._jar,
                headers={"User-Agent": settings.user_agent, "Accept-Language": "en-US,en;q=0.9"},
                timeout=aiohttp.ClientTimeout(total=settings.timeout_s, sock_connect=settings.connect_timeout_s),
                trust_env=True,
            )
        return self._session

    async def _read(self, response: aiohttp.ClientResponse, path: str) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            body += chunk
            if len(body) > self._settings.answer_bytes:
                raise FetchFailed(f"{path}: the answer has more than {self._settings.answer_bytes:,} bytes")
        return bytes(body)


def _words(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no connection: {error.os_error.strerror or type(error.os_error).__name__}"
    return f"the connection ended: {type(error).__name__}"


def _tell_retry(details: RetryDetails) -> None:
    log.info("asking again", reason=str(details.caused_by), in_s=round(details.wait_for, 3))
