"""The login form, filled in as a person would."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from playwright.async_api import Error, Page
from pydantic import SecretStr

from tapeline_barchart.errors import FetchFailed, LoginRefused
from tapeline_barchart.replies import LOGIN_PATH

FORM_TIMEOUT_S: Final = 5.0
"""After the page has loaded, its form may take so long (s) to be there."""

_EMAIL: Final = "input[name=email]"
_PASSWORD: Final = "input[name=password]"  # noqa: S105
_SUBMIT: Final = f"form:has({_PASSWORD}) button[type=submit]"


def is_login(url: str) -> bool:
    """Return whether an address is that of the login page."""
    return urlsplit(url).path.rstrip("/") == LOGIN_PATH


async def submit_login(page: Page, email: SecretStr, password: SecretStr) -> None:
    """Fill in the form of `page` and wait for the page that follows. Raises FetchFailed where there is no form."""
    try:
        await page.locator(_PASSWORD).first.wait_for(timeout=FORM_TIMEOUT_S * 1e3)
    except Error:
        raise FetchFailed(
            f"the page {LOGIN_PATH} has no login form: the site has changed, or is being mended"
        ) from None
    await page.locator(_EMAIL).first.fill(email.get_secret_value())
    await page.locator(_PASSWORD).first.fill(password.get_secret_value())
    async with page.expect_navigation(wait_until="domcontentloaded"):
        await page.locator(_SUBMIT).first.click(no_wait_after=True)


def check_let_in(url: str, site: str) -> None:
    """Raise LoginRefused where the page after the form, at `url`, is the login page again."""
    if is_login(url):
        raise LoginRefused(
            f"{site} does not accept the e-mail address and the password: it leads back to {LOGIN_PATH}; log in with"
            " them in your own browser, and correct TAPELINE_BARCHART_EMAIL and TAPELINE_BARCHART_PASSWORD, or what"
            " …_FILE names; it is not tried again, so that the account is not locked"
        )
