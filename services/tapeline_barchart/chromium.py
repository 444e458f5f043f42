"""A real Chromium: found on this computer, started without a window, and ended with all its processes.

It dies with us, however we end: Playwright's driver ends when the pipe to it closes, and Chromium when its own does.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil
from playwright.async_api import Browser, Error, Playwright, async_playwright

from tapeline.errors import Misconfigured
from tapeline_barchart.errors import FetchFailed

PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""How Chromium is called where it is installed, best first."""
INSTALL: Final = (
    "install it with `sh deploy/install-system-packages.sh chromium`, or `playwright install --with-deps chromium`, or"
    " name its program in TAPELINE_BARCHART_CHROMIUM_PATH"
)
CLOSE_TIMEOUT_S: Final = 5.0
"""Chromium may take so long (s) to close its pages, and again to end."""

_VERSION_TIMEOUT_S: Final = 20.0
_MAC_PROGRAMS: Final = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
_DOWNLOADED: Final = ("chromium-*/chrome-linux*/chrome", "chromium-*/chrome-mac*/*.app/Contents/MacOS/*")
_OURS: Final = ("TAPELINE_", "KAFKA_")


def find_chromium(path: Path | None, environment: Mapping[str, str] = os.environ) -> Path:
    """Return Chromium's program: the one at `path` if that is given, else the system's, else the one Playwright loaded.

    Raises Misconfigured with the remedy where there is none.
    """
    if path is not None:
        if not os.access(path, os.X_OK) or path.is_dir():
            raise Misconfigured(
                f"TAPELINE_BARCHART_CHROMIUM_PATH: {path} is not a program that can be run: correct it, or unset it so"
                " that Chromium is searched for"
            )
        return path
    for name in PROGRAMS:
        if found := shutil.which(name, path=environment.get("PATH", "")):
            return Path(found)
    others = [Path(program) for program in _MAC_PROGRAMS] if sys.platform == "darwin" else []
    for program in others + _downloaded(environment):
        if os.access(program, os.X_OK):
            return program
    raise Misconfigured(f"there is no Chromium ({', '.join(PROGRAMS)}) on this computer: {INSTALL}")


def chromium_version(program: Path) -> str:
    """Return what a Chromium calls itself, such as ``Chromium 156.0``. Blocks. Raises Misconfigured if it does not run.

    What Ubuntu has at the place of Chromium only says so, and does not run.
    """
    try:
        done = subprocess.run(
            [program, "--version"],
            env=chromium_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_VERSION_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Misconfigured(f"{program} does not run ({type(error).__name__}): {INSTALL}") from None
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        snap = "; Ubuntu's is a snap, which is not there" if "snap" in done.stderr + done.stdout else ""
        raise Misconfigured(f"{program} does not run (it ends with {done.returncode}{snap}): {INSTALL}")
    return lines[-1].strip()


def chromium_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return what Chromium may know of our environment: nothing of our settings, some of which are secrets."""
    return {name: value for name, value in environment.items() if not name.startswith(_OURS)}


class Chromium:
    """One Chromium, started when it is first needed, and again where it has ended. It keeps nothing over its end.

    `path` as for `find_chromium`; a start may take `timeout_s`, and each of the two steps of its end `close_timeout_s`,
    after which it is killed.
    """

    def __init__(self, path: Path | None, timeout_s: float, close_timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._close_timeout_s = close_timeout_s
        self._playwright: Playwright | None = None
        self._browser: Browser | None = None
        self._driver: psutil.Process | None = None

    async def browser(self) -> Browser:
        """Return the browser that runs. Raises Misconfigured where there is none, FetchFailed where it does not start.

        It is in a sandbox unless we are root, whom Chromium refuses to sandbox.
        """
        if self._browser is not None and self._browser.is_connected():
            return self._browser
        await self.close()
        program = find_chromium(self._path)
        try:
            async with asyncio.timeout(self._timeout_s):
                self._playwright, self._driver = await _start_driver()
                self._browser = await self._playwright.chromium.launch(
                    executable_path=program,
                    headless=True,
                    chromium_sandbox=os.geteuid() != 0,
                    env=dict(chromium_environment()),
                    # signals are ours to take: the service closes what it opened
                    handle_sigint=False,
                    handle_sigterm=False,
                    handle_sighup=False,
                )
        except Exception as error:  # Playwright raises plain ones too
            await self.close()
            said = (str(error).strip().splitlines() or [f"not within {self._timeout_s:g} s"])[0]
            raise FetchFailed(f"Chromium ({program}) does not start: {said}") from None
        except asyncio.CancelledError:
            await self.close()
            raise
        return self._browser

    async def close(self) -> None:
        """End Chromium and what drives it; what does not end in time is killed. May be called again."""
        browser, playwright, driver = self._browser, self._playwright, self._driver
        self._browser = self._playwright = self._driver = None
        if browser is not None:
            await self._within(browser.close())
        if playwright is None:
            return
        stopping = asyncio.ensure_future(playwright.stop())
        try:
            await self._within(asyncio.shield(stopping))
        finally:
            if driver is not None:
                _kill(driver)
        await self._within(stopping)

    async def _within(self, call: Awaitable[None]) -> None:
        # a browser that is gone, or hangs, cannot be closed any better
        with suppress(Error, TimeoutError, OSError):
            async with asyncio.timeout(self._close_timeout_s):
                await call


async def _start_driver() -> tuple[Playwright, psutil.Process | None]:
    """Return Playwright and the process that it has started, which it does not tell itself."""
    before = set(psutil.Process().children())
    playwright = await async_playwright().start()
    new = [child for child in psutil.Process().children() if child not in before and _is_driver(child)]
    return playwright, new[0] if len(new) == 1 else None


def _is_driver(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return "run-driver" in process.cmdline()
    return False


def _kill(driver: psutil.Process) -> None:
    """Kill what is left of the driver and of its Chromium."""
    with suppress(psutil.Error):
        for process in (*driver.children(recursive=True), driver):
            with suppress(psutil.Error):
                process.kill()


def _downloaded(environment: Mapping[str, str]) -> list[Path]:
    """Return what `playwright install` has loaded, newest first."""
    home = Path(environment.get("HOME") or "/nonexistent")
    named = environment.get("PLAYWRIGHT_BROWSERS_PATH")
    folders = [Path(named)] if named else [home / ".cache/ms-playwright", home / "Library/Caches/ms-playwright"]
    return sorted((path for folder in folders for each in _DOWNLOADED for path in folder.glob(each)), reverse=True)
