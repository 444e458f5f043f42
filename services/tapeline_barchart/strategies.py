"""Ways to be let in without a browser, and the choice between all of them."""

from __future__ import annotations

from tapeline_barchart.authentication import Authentication, Credentials, TakeCall, in_the_browser
from tapeline_barchart.client import PAGE_HEADERS, HttpClient
from tapeline_barchart.errors import SessionInvalid
from tapeline_barchart.replies import check_page
from tapeline_barchart.settings import BarchartSettings


class HeadersAlone:
    """Asks for nothing beforehand: the site may take calls that look like its own page's."""

    name = "headers"

    async def begin(self, page_url: str) -> Credentials:
        """Return nothing: every call has the headers of a page's call anyway."""
        return Credentials()

    async def close(self) -> None:
        """Do nothing."""


class PageSession:
    """Loads the page as a browser does, for its cookies, but without one: its scripts do not run."""

    name = "session"

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    async def begin(self, page_url: str) -> Credentials:
        """Load the page; return its cookies. Raises FetchFailed, and SessionInvalid where it gives none."""
        self._client.adopt(Credentials(), page_url)
        answer = await self._client.get(page_url, check_page, headers=PAGE_HEADERS)
        cookies = self._client.cookies(page_url)
        if not cookies:
            raise SessionInvalid(f"{answer.path} gave no session: it has no cookies (a browser may get one)")
        return Credentials(cookies=cookies, page=answer.body.decode(errors="replace"))

    async def close(self) -> None:
        """Do nothing: the client is its owner's."""


def authentication_of(settings: BarchartSettings, client: HttpClient, take_call: TakeCall) -> Authentication:
    """Return the strategy that the settings name. Raises MissingExtra where it needs what is not installed."""
    if settings.authentication == "headers":
        return HeadersAlone()
    if settings.authentication == "session":
        return PageSession(client)
    return in_the_browser(settings, take_call)
