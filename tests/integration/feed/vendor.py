"""A vendor in a script: it goes on while nobody listens, and sends again what it is asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from tests.integration.saved.tape import SavedTape
from tests.unit.feed.test_framer import BASE_NS, ticks_of

from tapeline.errors import Retryable
from tapeline.feed.framer import Ticks
from tapeline.feed.resume import TapeEnd
from tapeline.feed.runner import Runner
from tapeline.feed.source import FeedSettings, Item, Line, LiveFeedSettings, Pair, Replayed, Session
from tapeline.feed.writer import Totals
from tapeline.model.columns import F_LAST, TickKind
from tapeline.model.frames import Origin

STREAM, DATASET = "GLBX.MDP3/NQ.FUT", "GLBX.MDP3"
KIND: TickKind = "mbo"
MS = 1_000_000


class LiveSettings(LiveFeedSettings):
    service: ClassVar[str] = "saved"  # whose topics are there


def market(n: int, seed: int = 1) -> Ticks:
    """Return `n` records of two instruments, in events of up to four, some of them identical, in some 1 ms apart."""
    random = np.random.default_rng(seed)
    event = np.sort(random.integers(0, max(1, n // 2), n))
    flags = np.where(np.append(event[1:] != event[:-1], True), F_LAST, 0)
    ticks = ticks_of((event * MS).tolist(), flags.tolist(), ids=random.choice([7, 9], n).tolist())
    ticks.columns["sequence"][:] = event // 3
    ticks.columns["size"][:] = random.integers(1, 3, n)
    return ticks


@dataclass
class Away:
    """A session ends after `delivers` live records; the market then goes on for `misses` records, and `minutes`."""

    delivers: int
    misses: int = 0
    minutes: float = 0.0
    can_replay: bool = True
    forgets: int = 0
    """Of the records that it is asked for again, the vendor leaves out the last so many that were delivered."""


@dataclass
class Vendor:
    """A line whose sessions break as the plan says; the last one ends with the market."""

    ticks: Ticks
    plan: Sequence[Away]
    name: str = "scripted"
    origin: Origin = "live"
    pairs: AbstractSet[Pair] = frozenset({(STREAM, KIND)})
    position: int = 0
    """How many records the market has had."""
    minutes: float = 0.0
    asked: list[TapeEnd | None] = field(default_factory=list)
    sessions: int = 0
    connections: int = 0
    """How many are open."""
    on_end: Callable[[], None] = lambda: None

    def clock_ns(self) -> int:
        """Return the time: that of the market's next record, and the minutes that passed without any."""
        return BASE_NS + self.position * MS + round(self.minutes * 60e9)

    async def prepare(self) -> Mapping[str, str] | None:
        return {STREAM: DATASET} if self.position < len(self.ticks) else None

    async def connect(self, ends: Mapping[Pair, TapeEnd]) -> Session:
        away = self.plan[self.sessions] if self.sessions < len(self.plan) else Away(len(self.ticks))
        self.sessions += 1
        end = ends.get((STREAM, KIND))
        self.asked.append(end)
        return _Connected(self, away, end if away.can_replay else None)


class _Connected:
    def __init__(self, vendor: Vendor, away: Away, end: TapeEnd | None) -> None:
        self._vendor = vendor
        self._away = away
        self._end = end
        self.resumes: AbstractSet[Pair] = frozenset() if end is None else frozenset({(STREAM, KIND)})
        vendor.connections += 1
        self._is_open = True

    def close(self) -> None:
        self._vendor.connections -= self._is_open
        self._is_open = False

    async def items(self) -> AsyncIterator[Item]:
        vendor, away = self._vendor, self._away
        if self._end is not None:
            again = np.flatnonzero(vendor.ticks.columns["ts_event"][: vendor.position] >= self._end.start_ns)
            begin = int(again[0]) if len(again) else vendor.position
            # Cut anywhere, as bytes on a wire are.
            for at in range(begin, vendor.position - away.forgets, 7):
                yield replace(vendor.ticks.cut(at, min(at + 7, vendor.position - away.forgets)), origin="replay")
            yield Replayed(STREAM, KIND)
        until = min(len(vendor.ticks), vendor.position + away.delivers)
        while vendor.position < until:
            at, vendor.position = vendor.position, min(until, vendor.position + 5)
            yield vendor.ticks.cut(at, vendor.position)
        if vendor.position < len(vendor.ticks):
            vendor.position = min(len(vendor.ticks), vendor.position + away.misses)
            vendor.minutes += away.minutes
            vendor.on_end()
            raise Retryable("the connection was reset")


class LiveSource:
    """Has these lines."""

    name: ClassVar[str] = "saved"
    settings_class: ClassVar[type[FeedSettings]] = LiveSettings

    def __init__(self, *lines: Line) -> None:
        self._lines = lines

    def lines(self) -> Sequence[Line]:
        return self._lines


def runner(tape: SavedTape, tmp_path: Path, *lines: Line, clock_ns: Callable[[], int], **settings: object) -> Runner:
    """Return a runner of live lines; frames are short, so that events are cut."""
    loaded = LiveSettings.load({}, dotenv=tmp_path / "no.env", overrides={"frame_ticks": 3, **settings})
    return Runner(LiveSource(*lines), loaded, tape.servers, Totals(), clock_ns=clock_ns)  # type: ignore[arg-type]
