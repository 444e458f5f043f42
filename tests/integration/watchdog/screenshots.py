"""Takes the pictures of the page that the README shows, of a scripted day."""

from __future__ import annotations

import asyncio
import base64
import sys
import time
from pathlib import Path
from typing import Final

from playwright.async_api import Browser, async_playwright

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.integration.watchdog.scripted_page import (
    S,
    ScriptedPage,
    chain_document,
    documents,
    flow_message,
    pressure_message,
)

from tapeline_barchart.chromium import find_chromium

FOLDER: Final = Path(__file__).parents[3] / "deploy" / "docs" / "page"
MOST_BYTES: Final = 200_000
PICTURES: Final = (
    ("desk-light", "light", 1360, 1000, 1.0),
    ("desk-dark", "dark", 1360, 1000, 1.0),
    ("phone-dark", "dark", 390, 844, 2.0),
)


def fill(page: ScriptedPage, at_ns: int) -> None:
    """Give the page a market."""
    for symbol, middle in (("NQZ6", 25_012.25), ("NQH7", 25_241.0), ("ESZ6", 6_871.5), ("ESH7", 6_934.75)):
        page.pressure(pressure_message(symbol, at_ns, middle))
    for hours in (7, 31):
        chain = chain_document("NQZ6", at_ns, (at_ns // (3_600 * S) + hours) * 3_600 * S, 25_012.5)
        page.chain(chain)
        page.flow(flow_message(chain, at_ns))


async def take(browser: Browser, url: str, name: str, scheme: str, width: int, height: int, scale: float) -> Path:
    """Take one picture."""
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
        device_scale_factor=scale,
        reduced_motion="reduce",
    )
    page = await context.new_page()
    await page.goto(url)
    await page.locator("[data-link=live]").wait_for()
    await page.locator("#pressure article").first.wait_for()
    path = FOLDER / f"{name}.webp"
    chromium = await context.new_cdp_session(page)
    taken = await chromium.send("Page.captureScreenshot", {"format": "webp", "quality": 82})
    path.write_bytes(base64.b64decode(taken["data"]))
    await context.close()
    if path.stat().st_size > MOST_BYTES:
        raise SystemExit(f"{path} has more than {MOST_BYTES:,} bytes")
    return path


async def main() -> None:
    """Take all pictures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    at_ns = time.time_ns()
    async with ScriptedPage(documents(at_ns)) as scripted, async_playwright() as playwright:
        fill(scripted, at_ns)
        browser = await playwright.chromium.launch(executable_path=find_chromium(None), args=["--no-sandbox"])
        for picture in PICTURES:
            sys.stdout.write(f"{await take(browser, scripted.url, *picture)}\n")
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
