"""What people and gaps ask for more than once."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import DEVNULL
from datetime import UTC, datetime

from tests.chaos.desk import Desk
from tests.chaos.gateways import lasts
from tests.chaos.verdict import KIND, gaps_of

_S = 1_000_000_000


async def overlapping(desk: Desk) -> None:
    """Ask for a gap that is asked for anyhow, twice by hand, and for windows that reach beyond it."""
    await lasts("outage")(desk)
    [gap] = gaps_of(await asyncio.to_thread(desk.tape.live))
    assert gap.ts_event_from is not None
    assert gap.ts_event_to is not None
    begin, end = gap.ts_event_from, gap.ts_event_to + 1
    windows = [(begin, end), (begin, end), (begin - 2 * _S, end - _S), (begin + _S, end + _S), (begin - _S, end + _S)]
    for window in windows:
        await _ask(desk, *window)


async def two_gaps(desk: Desk) -> None:
    """Leave two gaps a few seconds apart, so that what is computed anew for one reaches into the other."""
    for _ in range(2):
        await lasts("outage")(desk)


async def _ask(desk: Desk, begin_ns: int, end_ns: int) -> None:
    asked = ["request", "databento", desk.vendor.stream, KIND, "--from", _iso(begin_ns), "--to", _iso(end_ns)]
    command = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tapeline_cli", "backfill", *asked),
        env=desk.command_environment(),
        cwd=desk.folder,
        stdout=DEVNULL,
    )
    assert await command.wait() == 0


def _iso(at_ns: int) -> str:
    seconds, rest = divmod(at_ns, _S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
