"""Chromium ends when it should, whoever hangs or is killed, and shows nobody what was typed."""

from __future__ import annotations

import asyncio
import base64
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tapeline_barchart.chromium import Chromium
from tapeline_barchart.evidence import MASK_COLOR, look
from tapeline_barchart.redaction import Redaction

DEADLINE_S = 30.0
START = """
import asyncio, sys
from pathlib import Path
from tapeline_barchart.chromium import Chromium

async def main():
    browser = await Chromium(Path(sys.argv[1]), 30.0).browser()
    await (await browser.new_page()).goto("about:blank")
    print("started", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def until(is_so: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.02)


@pytest_asyncio.fixture
async def running(chromium: Path) -> AsyncIterator[Chromium]:
    running = Chromium(chromium, DEADLINE_S, close_timeout_s=0.5)
    yield running
    await running.close()


def offspring(parent: int | None = None) -> list[psutil.Process]:
    return [each for each in psutil.Process(parent).children(recursive=True) if is_alive(each)]


def ours() -> list[psutil.Process]:
    found = [each for each in offspring() if "chrom" in each.name() or "run-driver" in each.cmdline()]
    assert found
    return found


async def test_it_dies_with_a_process_that_is_killed(chromium: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", START, str(chromium), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), DEADLINE_S) == b"started\n"
        children = offspring(process.pid)
        assert any("chrom" in each.name() for each in children)
    finally:
        process.kill()
        await process.wait()
    await until(lambda: not any(is_alive(each) for each in children))


async def test_one_that_hangs_is_killed_at_the_end(running: Chromium) -> None:
    await running.browser()
    processes = ours()
    for each in processes:
        each.send_signal(signal.SIGSTOP)
    await asyncio.wait_for(running.close(), DEADLINE_S)
    await until(lambda: not any(is_alive(each) for each in processes))


async def test_one_that_crashed_is_started_again(running: Chromium) -> None:
    first = await running.browser()
    for each in ours():
        if "chrom" in each.name():
            each.kill()
    await until(lambda: not first.is_connected())
    second = await running.browser()
    assert second.is_connected()
    assert await running.browser() is second


async def test_it_knows_nothing_of_our_settings(running: Chromium, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAPELINE_BARCHART_PASSWORD", "SEKRET")
    await running.browser()
    processes = [each for each in ours() if "chrom" in each.name()]
    assert processes
    for each in processes:
        assert "SEKRET" not in each.environ().values()


PAGE = """<title>{email}</title><h1>Log in</h1><p>Not known: {email}</p><form>
<input name="email" value="{email}"><input type="password" name="password"><textarea>{email}</textarea>
<input type="checkbox" checked><button type="submit">Log in</button></form>"""


async def test_a_screenshot_is_the_same_whatever_was_typed(running: Chromium) -> None:
    browser = await running.browser()
    pictures = [
        await _picture(browser, email, password, Redaction([email, password]))
        for email, password in (("trader@example.com", "long enough to be seen"), ("nobody@example.net", "x"))
    ]
    assert pictures[0] == pictures[1]


async def test_fields_are_covered_on_a_screenshot(running: Chromium) -> None:
    picture = await _picture(await running.browser(), "trader@example.com", "long enough", Redaction())
    assert picture


async def _picture(browser: Browser, email: str, password: str, redaction: Redaction) -> bytes:
    page = await browser.new_page(viewport={"width": 640, "height": 480})
    await page.set_content(PAGE.format(email=email))
    await page.locator("input[name=password]").fill(password)
    evidence = await look(page, None, redaction, "LoginRefused", "")
    values = "[...document.querySelectorAll('input, textarea')].map(each => each.value).join('')"
    assert await page.evaluate(values) == ""
    assert evidence.screenshot is not None
    assert await _has_colour(browser, evidence.screenshot, MASK_COLOR)
    await page.close()
    return evidence.screenshot


async def _has_colour(browser: Browser, picture: bytes, colour: str) -> bool:
    """Return whether a picture has many pixels of a colour, as Chromium itself reads it."""
    page = await browser.new_page()
    count = await page.evaluate(
        """async ([address, colour]) => {
          const image = new Image();
          image.src = address;
          await image.decode();
          const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
          canvas.drawImage(image, 0, 0);
          const bytes = canvas.getImageData(0, 0, image.width, image.height).data;
          const [red, green, blue] = [1, 3, 5].map(at => parseInt(colour.slice(at, at + 2), 16));
          let count = 0;
          for (let at = 0; at < bytes.length; at += 4) {
            count += bytes[at] === red && bytes[at + 1] === green && bytes[at + 2] === blue;
          }
          return count;
        }""",
        [f"data:image/png;base64,{base64.b64encode(picture).decode()}", colour],
    )
    await page.close()
    return bool(count > 1_000)
