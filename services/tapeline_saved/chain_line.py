"""The line that puts saved option chains on their topic: pass after pass, or as files come into a watched folder."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from tapeline.feed.reading import ReadAhead
from tapeline.feed.resume import TapeEnd
from tapeline.feed.source import Announcement, Item, Pair
from tapeline.model.chains import chain_topic
from tapeline.model.frames import Origin
from tapeline.ops.logs import get_logger
from tapeline.ops.metrics import DEAD_LETTERS
from tapeline_saved.chain_files import SOURCE, Fault, SavedChain, find_chain_files, read_chains
from tapeline_saved.progress import OnProgress
from tapeline_saved.settings import SavedSettings
from tapeline_saved.watching import FolderWatch

TOPIC: Final = chain_topic(SOURCE)
DEAD_LETTER_TOPIC: Final = "md.dead-letters.v1"
_MOST_DEAD_BYTES: Final = 900_000
"""Of a dead letter; the file itself stays where it is."""


log = get_logger("saved.chains")


@dataclass(slots=True)
class ChainTotals:
    """What was handed to Kafka: chains, and what could not be read."""

    chains: int = 0
    dead_letters: int = 0


class ChainLine:
    """The passes over the chain files of a path, one after the other; one without an end where it is watched."""

    name = "chains"
    origin: Origin = "saved"
    pairs: AbstractSet[Pair] = frozenset()

    def __init__(self, settings: SavedSettings, totals: ChainTotals, on_progress: OnProgress) -> None:
        self._settings = settings
        self._totals = totals
        self._on_progress = on_progress
        self._prepared = 0

    async def prepare(self) -> Mapping[str, str] | None:
        """Return no stream, as chains have none; None after the last pass."""
        if self._settings.passes and self._prepared == self._settings.passes:
            return None
        self._prepared += 1
        return {}

    async def connect(self, ends: Mapping[Pair, TapeEnd]) -> ChainPass:
        """Begin the pass."""
        return ChainPass(self._settings, self._totals, self._on_progress)


class ChainPass:
    """One pass over all chain files, or the watch over a folder, as a session."""

    resumes: AbstractSet[Pair] = frozenset()

    def __init__(self, settings: SavedSettings, totals: ChainTotals, on_progress: OnProgress) -> None:
        self._path = Path(settings.path)
        self._watch_s = settings.watch_s if settings.watch else None
        self._settle_s = settings.settle_s
        self._speed = settings.speed
        self._zone = ZoneInfo(settings.captures_time_zone) if settings.captures_time_zone else None
        self._totals = totals
        self._on_progress = on_progress

    async def items(self) -> AsyncIterator[Item]:
        """Yield chains, and dead letters of what cannot be read. Raises Misconfigured where a file cannot be opened."""
        pace = _Pace(self._speed)
        async with aclosing(self._read()) as coming:
            async for found in coming:
                if isinstance(found, SavedChain):
                    await pace.wait(found.fetched_at)
                if isinstance(found, SavedChain):
                    yield Announcement(TOPIC, found.key, found.value)
                    self._totals.chains += 1
                else:
                    log.warning("bad_file", file=str(found.path), line=found.line, error=str(found.error))
                    yield dead_letter(found)
                    self._totals.dead_letters += 1
                    DEAD_LETTERS.labels(TOPIC).inc()

    def close(self) -> None:
        """Do nothing: files are open only while they are read."""

    async def _read(self) -> AsyncGenerator[SavedChain | Fault, None]:
        if self._watch_s is None:
            async with aclosing(aiter(ReadAhead(self._each))) as read:
                async for found in read:
                    yield found
            return
        watch = FolderWatch(self._path, self._zone, self._settle_s)
        while True:
            for found in await asyncio.to_thread(watch.look, time.time_ns(), time.monotonic()):
                yield found
            await asyncio.sleep(self._watch_s)

    def _each(self) -> Iterator[SavedChain | Fault]:
        for file in find_chain_files(self._path):
            yield from read_chains(file, published_at=time.time_ns(), zone=self._zone)
            self._on_progress(str(file), file.stat().st_size)


def dead_letter(fault: Fault) -> Announcement:
    """Return the message that sets aside what cannot be read of a file, under its name."""
    headers = {
        "error": str(fault.error),
        "field": fault.error.field,
        "rule": fault.error.rule,
        "origin_file": fault.path.name,
        "origin_line": str(fault.line),
        "service": "tapeline-saved",
    }
    encoded = tuple((name, text.encode()) for name, text in headers.items())
    return Announcement(DEAD_LETTER_TOPIC, fault.path.name, fault.value[:_MOST_DEAD_BYTES], encoded)


class _Pace:
    """Waits until a chain's turn has come, `speed` times as fast as they were fetched; not at all with speed 0."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._began_s = 0.0
        self._first_ns: int | None = None

    async def wait(self, fetched_at: int) -> None:
        if not self._speed:
            return
        if self._first_ns is None:
            self._first_ns, self._began_s = fetched_at, time.monotonic()
        due_s = self._began_s + (fetched_at - self._first_ns) / 1e9 / self._speed
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
