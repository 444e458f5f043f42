"""The calls of one host: never more than allowed by all processes together, restarts included.

The bucket is pyrate-limiter's in an SQLite file, so that a process that starts anew finds what those before it called.
Beside it lies for how long the host wants to be left alone (`breaker.Quiet`), which outlives a process just as well.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, cast
from urllib.parse import urlsplit

from pyrate_limiter import Rate, RateItem, SQLiteBucket

from tapeline.errors import Misconfigured
from tapeline.feed.file_lock import file_lock
from tapeline.ops.state import state_folder
from tapeline_barchart.breaker import Quiet
from tapeline_barchart.errors import HeldOff
from tapeline_barchart.settings import BarchartSettings

Cause = Literal["throttled", "breaker"]

UNDER_WAY_S: Final = 5.0
"""A call may be on its way for so long: the host must not count more in any minute than we do."""
_MINUTE_S: Final = 60.0
_LOCK_WAIT_S: Final = 30.0
_TABLE: Final = "calls"
_QUIET: Final = """
CREATE TABLE IF NOT EXISTS quiet (
    cause TEXT PRIMARY KEY, until_ns INTEGER NOT NULL, strikes INTEGER NOT NULL, reason TEXT NOT NULL
)
"""


class CallLimit:
    """Lets calls of `host` pass, at most `calls_per_minute` of them within 60 s, `spacing_s` apart.

    `clock_ns` gives the time in ns since the epoch, `sleep` waits for seconds. Its file is `folder/<host>.sqlite3`.
    """

    def __init__(
        self,
        folder: Path,
        host: str,
        *,
        calls_per_minute: int,
        spacing_s: float,
        clock_ns: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._path = folder / f"{re.sub(r'[^a-z0-9.-]', '_', host.lower())}.sqlite3"
        self._host = host
        self._rates = _rates(calls_per_minute, spacing_s)
        self._clock_ns = clock_ns
        self._sleep = sleep
        self._turn = asyncio.Lock()
        self.calls = 0
        """How many passed, by this object."""

    async def take(self) -> None:
        """Wait until one call may be made, and count it.

        Raises HeldOff where the host is to be left alone, Misconfigured where the file cannot be used.
        """
        async with self._turn:
            while wait_s := await asyncio.to_thread(self._try):
                await self._sleep(wait_s)
            self.calls += 1

    async def used(self) -> int:
        """Return how many calls of the last minute, by all processes, count against the limit now."""
        return await asyncio.to_thread(self._used)

    async def quiet(self, cause: Cause) -> Quiet | None:
        """Return what is known of a cause to leave the host alone."""
        return (await asyncio.to_thread(self._read)).get(cause)

    async def keep_quiet(self, cause: Cause, quiet: Quiet) -> None:
        """Leave the host alone, in all processes, as `quiet` says."""
        await asyncio.to_thread(self._write, cause, quiet)

    async def all_is_well(self) -> None:
        """Forget why the host was left alone: a call went well. What is still to be kept to, another process knows."""
        await asyncio.to_thread(self._forget)

    def _try(self) -> float:
        """Return 0 where a call passed, else for how long (s) to wait."""
        now_ns = self._clock_ns()
        with self._open() as database:
            for quiet in _quiets(database).values():
                if rest_s := quiet.rest_s(now_ns):
                    raise HeldOff(f"{self._host} is not called for another {rest_s:,.0f} s: {quiet.reason}", rest_s)
            bucket = SQLiteBucket(self._rates, database, _TABLE)
            item = RateItem("call", now_ns // 1_000_000)
            bucket.leak(item.timestamp)
            if bucket.put(item):
                return 0.0
            return max(cast(int, bucket.waiting(item)), 1) / 1e3

    def _used(self) -> int:
        with self._open() as database:
            bucket = SQLiteBucket(self._rates, database, _TABLE)
            bucket.leak(self._clock_ns() // 1_000_000)
            return bucket.count()

    def _read(self) -> dict[str, Quiet]:
        with self._open() as database:
            return _quiets(database)

    def _write(self, cause: Cause, quiet: Quiet) -> None:
        row = (cause, quiet.until_ns, quiet.strikes, quiet.reason)
        with self._open() as database:
            database.execute("INSERT OR REPLACE INTO quiet VALUES (?, ?, ?, ?)", row)

    def _forget(self) -> None:
        with self._open() as database:
            database.execute("DELETE FROM quiet WHERE until_ns <= ?", (self._clock_ns(),))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Yield the database, held against every other process: the bucket reads before it writes."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with file_lock(self._path.with_suffix(".lock"), _LOCK_WAIT_S):
                database = SQLiteBucket.init_from_file(self._rates, _TABLE, str(self._path)).conn
                try:
                    database.execute(_QUIET)
                    yield database
                    database.commit()
                finally:
                    database.close()
        except (sqlite3.Error, OSError) as error:
            raise Misconfigured(
                f"{self._path}, which counts the calls of {self._host}, cannot be used: {error};"
                " without it nothing is called: mend it, or move it away to begin anew"
            ) from None


def call_limit(settings: BarchartSettings, clock_ns: Callable[[], int]) -> CallLimit:
    """Return the limit of the host that the settings ask: the same in every process of this computer."""
    return CallLimit(
        state_folder() / "barchart" / "calls",
        urlsplit(settings.on_demand if settings.authentication == "on-demand" else settings.site).netloc,
        calls_per_minute=settings.calls_per_minute,
        spacing_s=settings.call_spacing_s,
        clock_ns=clock_ns,
    )


def _rates(calls_per_minute: int, spacing_s: float) -> list[Rate]:
    window_s = _MINUTE_S + UNDER_WAY_S
    rates = [Rate(calls_per_minute, round(window_s * 1e3))]
    if spacing_s and calls_per_minute > 1 and spacing_s * calls_per_minute <= window_s:
        rates.insert(0, Rate(1, round(spacing_s * 1e3)))
    elif spacing_s > window_s / calls_per_minute:
        # Calls so far apart never are too many.
        rates = [Rate(1, round(spacing_s * 1e3))]
    return rates


def _quiets(database: sqlite3.Connection) -> dict[str, Quiet]:
    rows = database.execute("SELECT cause, until_ns, strikes, reason FROM quiet").fetchall()
    return {cause: Quiet(until_ns, strikes, reason) for cause, until_ns, strikes, reason in rows}
