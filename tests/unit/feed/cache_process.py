"""Processes that use one cache at once; started by test_cache.py."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from tapeline.feed.cache import Fetched, FileCache
from tapeline.feed.cache_entry import CacheRequest
from tapeline.feed.ledger import UsageLedger

DEADLINE_S = 30.0
CONTENT = b"what the vendor sent" * 1000


def request(day: int = 1, symbols: tuple[str, ...] = ("NQ.FUT",)) -> CacheRequest:
    """Return the request of one day."""
    return CacheRequest("databento", "GLBX.MDP3", "mbo", symbols, "parent", day, day + 1, "dbn.zst/3")


def cache(folder: Path, now_ns: int = 10) -> FileCache:
    """Return the cache of a test, and of its processes."""
    ledger = UsageLedger(folder / "usage.sqlite3")
    return FileCache(folder / "cache", ledger, lambda: now_ns, max_bytes=10**9, max_age_s=3600.0, wait_s=DEADLINE_S)


def fetch_together(folder: Path, number: int, processes: int) -> None:
    """Fetch one entry at the same time as the others; note every download."""

    def download(path: Path) -> Fetched:
        (folder / f"downloaded-{number}").touch()
        path.write_bytes(CONTENT)
        return Fetched(records=1000, cost_micro_usd=7, valid_until_ns=None)

    (folder / f"ready-{number}").touch()
    _wait_for(folder, "ready-*", processes)
    shared = cache(folder)
    entry, was_there = shared.fetch(request(), download)
    path = shared.use(entry) if was_there else shared.path(entry)
    assert path.read_bytes() == CONTENT


def die_while_fetching(folder: Path, after: str) -> None:
    """Be killed with nothing, a part, or the file but not its description written."""
    shared = cache(folder)

    def download(path: Path) -> Fetched:
        path.write_bytes(CONTENT[: len(CONTENT) // 2 if after == "half" else None])
        if after == "whole":
            path.replace(shared._folder.file(request()))
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("is dead")

    shared.fetch(request(), download)


def hold(folder: Path) -> None:
    """Hold the entry until killed."""

    def download(path: Path) -> Fetched:
        path.touch()
        (folder / "held").touch()
        time.sleep(2 * DEADLINE_S)
        raise AssertionError("was to be killed")

    cache(folder).fetch(request(), download)


def _wait_for(folder: Path, pattern: str, count: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while len(list(folder.glob(pattern))) < count:
        assert time.monotonic() < deadline
        time.sleep(0.005)
