"""What a page looks like at a failure, taken without a secret: forms are emptied and covered before the screenshot."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final, TypeVar

from playwright.async_api import Error, Frame, Locator, Page, Response

from tapeline_barchart.captures import Evidence
from tapeline_barchart.redaction import Redaction

MASK_COLOR: Final = "#7f7f7f"
STEP_TIMEOUT_S: Final = 5.0
"""A page that hangs may take so long (s) for each thing that is asked of it; what does not come is left out."""

_FIELDS: Final = "input:not([type=submit i]):not([type=button i]):not([type=hidden i]), textarea, [contenteditable]"
_EMPTY_FORMS: Final = """
() => {
  for (const field of document.querySelectorAll("input, textarea")) {
    field.value = "";
    field.defaultValue = "";
  }
  return [...document.querySelectorAll("input, textarea")].every(field => !field.value);
}
"""

Answer = TypeVar("Answer")


async def look(page: Page, response: Response | None, redaction: Redaction, reason: str, error: str) -> Evidence:
    """Return what can be seen of `page`, whose newest answer is `response`, after `error`.

    The screenshot shows no field's value and no text that `redaction` knows; where the fields cannot be emptied there
    is none. The rest is not yet redacted.
    """
    await _within(_stop(page))  # a page that waits for its answer would not say anything
    emptied = [await _within(frame.evaluate(_EMPTY_FORMS)) for frame in page.frames]
    screenshot = await _within(_screenshot(page, redaction)) if all(emptied) else None
    html = await _within(page.content())
    if html is None and response is not None:
        html = await _within(response.text())
    return Evidence(
        reason=reason,
        error=error,
        url=page.url,
        status=None if response is None else response.status,
        headers={} if response is None else (await _within(response.all_headers()) or response.headers),
        title=await _within(page.title()) or "",
        html=html,
        screenshot=screenshot,
    )


async def _stop(page: Page) -> None:
    session = await page.context.new_cdp_session(page)
    await session.send("Page.stopLoading")


def _screenshot(page: Page, redaction: Redaction) -> Awaitable[bytes]:
    return page.screenshot(
        mask=[cover for frame in page.frames for cover in _covers(frame, redaction)],
        mask_color=MASK_COLOR,
        animations="disabled",
        caret="hide",
        timeout=STEP_TIMEOUT_S * 1e3,
    )


def _covers(frame: Frame, redaction: Redaction) -> list[Locator]:
    covers = [frame.locator(_FIELDS)]
    if redaction.visible is not None:
        covers.append(frame.get_by_text(redaction.visible))
    return covers


async def _within(call: Awaitable[Answer]) -> Answer | None:
    """Return what a call gives, None where it fails or hangs: half the evidence is better than none."""
    try:
        async with asyncio.timeout(STEP_TIMEOUT_S):
            return await call
    except (Error, TimeoutError):
        return None
