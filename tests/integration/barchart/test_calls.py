"""Never more calls than configured, by the site's own log, whoever makes them and however often they start."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from tests.integration.barchart.producer import DEADLINE_S, ShiftedClock, the_site

from tapeline_simulator.barchart.site import BarchartSite

CALLS_PER_MINUTE = 9


async def test_two_processes_and_a_restart_stay_within_one_limit(state: Path) -> None:
    async with the_site(ShiftedClock()) as site:
        first, second = await _start(site.url), await _start(site.url)
        # Whoever has the last call of the minute: none may make more.
        await _until_called(site)
        first.kill()
        await first.wait()
        third = await _start(site.url)
        # The new one has nothing to say within a time in which the others made all their calls.
        said = await asyncio.wait_for(_said(third, 3.0), DEADLINE_S)
        for process in (second, third):
            process.kill()
            await process.wait()
        requests = list(site.requests)
    assert said == b""
    assert len(requests) == CALLS_PER_MINUTE
    assert {request.status for request in requests} == {200}


async def _until_called(site: BarchartSite) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            if len(site.requests) >= CALLS_PER_MINUTE:
                return
            await asyncio.sleep(0.02)


async def _start(address: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.integration.barchart.calling",
        address,
        str(CALLS_PER_MINUTE),
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        stdout=asyncio.subprocess.PIPE,
    )


async def _said(process: asyncio.subprocess.Process, seconds: float) -> bytes:
    assert process.stdout is not None
    try:
        return await asyncio.wait_for(process.stdout.readline(), seconds)
    except TimeoutError:
        return b""
