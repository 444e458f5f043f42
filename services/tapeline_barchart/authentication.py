"""How to be let in by Barchart: one strategy each, chosen by a setting, none of them hard-wired."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from tapeline.errors import MissingExtra
from tapeline_barchart.settings import BarchartSettings

TakeCall = Callable[[], Awaitable[None]]
"""Waits until one more request may be sent to the site. Raises HeldOff where none may for long."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What calls of the vendor's API need. All of it is secret, and none of it is in the repr.

    `cookies` and `headers` go with every call, except that the XSRF header is always made from the newest cookie.
    `page` is the HTML of the quote page that was loaded on the way, ``""`` if none was.
    """

    cookies: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    page: str = field(default="", repr=False)


class Authentication(Protocol):
    """A way to be let in. One session at a time; `begin` makes a new one, whatever became of the last."""

    @property
    def name(self) -> str:
        """What logs and errors call it."""

    async def begin(self, page_url: str) -> Credentials:
        """Return what calls need from now on; `page_url` is a quote page, which it may load.

        Raises FetchFailed where another attempt may help, Refused where none will, MissingExtra or Misconfigured where
        something must be installed or set.
        """

    async def close(self) -> None:
        """Give up what is open. May be called again."""


def in_the_browser(settings: BarchartSettings, take_call: TakeCall) -> Authentication:
    """Return the strategy of a real Chromium, which loads the page and, with `login`, logs in before.

    It takes a call before every request that it lets Chromium make of the site's pages and API. Raises MissingExtra
    where Playwright is not installed.
    """
    # Loads Playwright, so not before it is asked for.
    try:
        from tapeline_barchart.browser import BrowserAuthentication
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"authentication={settings.authentication} needs the package {error.name}: pip install 'tapeline[barchart]'"
        ) from None
    return BrowserAuthentication(settings, take_call)
