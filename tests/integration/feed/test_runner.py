"""The runner on a scripted source: what it puts on the tape, and when it ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
from tests.integration.saved.tape import SavedTape
from tests.unit.feed.test_framer import BASE_NS, DIRECTORY, ticks_of

from tapeline.errors import Misconfigured
from tapeline.feed.framer import Ticks
from tapeline.feed.resume import TapeEnd
from tapeline.feed.runner import Runner
from tapeline.feed.source import FeedSettings, Item, Line, Pair, Session, VendorClock
from tapeline.feed.writer import Totals
from tapeline.model.columns import F_LAST
from tapeline.model.frames import Origin

STREAM, DATASET = "GLBX.MDP3/NQ.FUT", "GLBX.MDP3"
DEADLINE_S = 20.0
S = 1_000_000_000


class ScriptedSettings(FeedSettings):
    service: ClassVar[str] = "saved"


@dataclass
class ScriptedSession:
    """Gives what `script` yields, never waiting of itself."""

    script: Callable[[], AsyncIterator[Item]]
    resumes: AbstractSet[Pair] = frozenset()

    def items(self) -> AsyncIterator[Item]:
        return self.script()

    def close(self) -> None:
        pass


@dataclass
class ScriptedLine:
    """Has these sessions, one after the other."""

    sessions: Sequence[ScriptedSession]
    name: str = "scripted"
    origin: Origin = "live"
    pairs: AbstractSet[Pair] = frozenset()

    def __post_init__(self) -> None:
        self._coming = iter(self.sessions)
        self._next: ScriptedSession | None = None

    async def prepare(self) -> Mapping[str, str] | None:
        self._next = next(self._coming, None)
        return None if self._next is None else {STREAM: DATASET}

    async def connect(self, ends: Mapping[Pair, TapeEnd]) -> Session:
        assert self._next is not None
        return self._next


class ScriptedSource:
    """Has these lines."""

    name: ClassVar[str] = "saved"  # whose topics are there
    settings_class: ClassVar[type[FeedSettings]] = ScriptedSettings

    def __init__(self, *lines: Line) -> None:
        self._lines = lines

    def lines(self) -> Sequence[Line]:
        return self._lines


def runner(
    tape: SavedTape,
    tmp_path: Path,
    *sessions: ScriptedSession,
    clock_ns: Callable[[], int] = time.time_ns,
    origin: Origin = "live",
) -> tuple[Runner, Totals]:
    totals = Totals()
    settings = ScriptedSettings.load({}, dotenv=tmp_path / "no.env")
    source = ScriptedSource(ScriptedLine(sessions, origin=origin))
    return Runner(source, settings, tape.servers, totals, clock_ns=clock_ns), totals  # type: ignore[arg-type]


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "the condition never held"
        await asyncio.sleep(0.001)


def some(n: int, first: int = 0) -> Ticks:
    """Return `n` ticks 1 ms apart, from `first` ms after the base on."""
    assert set(DIRECTORY) >= {7}
    return ticks_of([(first + i) * 1_000_000 for i in range(n)], [F_LAST] * n)


async def test_a_source_with_always_more_at_hand_is_stopped_all_the_same(tape: SavedTape, tmp_path: Path) -> None:
    async def endless() -> AsyncIterator[Item]:
        first = 0
        while True:
            yield some(50, first)
            first += 50

    subject, totals = runner(tape, tmp_path, ScriptedSession(endless))
    running = asyncio.create_task(subject.run())
    async with asyncio.timeout(DEADLINE_S):
        await until(lambda: totals.ticks[STREAM] >= 40_000)
        subject.stop()
        await running
    assert tape.ticks() == totals.ticks[STREAM]
    assert tape.events()[-1].reason == "stopped"


async def test_a_source_with_more_at_hand_fills_its_frames_whatever_their_age(tape: SavedTape, tmp_path: Path) -> None:
    async def slow_to_take() -> AsyncIterator[Item]:
        for item in range(160):
            time.sleep(0.001)  # noqa: ASYNC251  the loop is busy, so that ages pass
            yield some(50, item * 50)

    subject, totals = runner(tape, tmp_path, ScriptedSession(slow_to_take))
    await subject.run()
    assert totals.ticks[STREAM] == 8_000
    # By the age limit of 5 ms alone there would be more than 30.
    assert totals.frames[STREAM] <= 10


async def test_an_idle_source_s_ticks_are_closed_by_age(tape: SavedTape, tmp_path: Path) -> None:
    release = asyncio.Event()

    async def pauses() -> AsyncIterator[Item]:
        yield some(3)
        await release.wait()
        yield some(3, 10)

    subject, totals = runner(tape, tmp_path, ScriptedSession(pauses))
    running = asyncio.create_task(subject.run())
    async with asyncio.timeout(DEADLINE_S):
        await until(lambda: totals.ticks[STREAM] == 3)
        release.set()
        await running
    first, second = tape.frames()
    assert (len(first), len(second)) == (3, 3)
    assert 5_000_000 <= first.sent - first.opened < S


async def test_vendor_times_become_clocks_that_are_a_second_behind_and_250_ms_apart(
    tape: SavedTape, tmp_path: Path
) -> None:
    now = [BASE_NS]

    async def quiet() -> AsyncIterator[Item]:
        yield some(1)
        # While it waits for its frame, it is too early for a clock.
        yield VendorClock(STREAM, BASE_NS + 2 * S)
        now[0] += 10_000_000
        await until(lambda: totals.ticks[STREAM] == 1)
        for after_ms in (500, 1_000, 1_001, 1_100, 1_251, 1_400, 1_501):
            now[0] = BASE_NS + after_ms * 1_000_000
            yield VendorClock(STREAM, now[0])

    subject, totals = runner(tape, tmp_path, ScriptedSession(quiet), clock_ns=lambda: now[0])
    await subject.run()
    clocks = tape.marks("clock")
    assert [(clock.clock or {})["mbo"] - BASE_NS for clock in clocks] == [1_000_000, 251_000_000, 501_000_000]
    assert [placed.frame.kind for placed in tape.placed()] == ["claim", "mbo", "clock", "clock", "clock"]


@pytest.mark.parametrize(("origin", "clocks"), [("saved", 1), ("live", 0)])
async def test_only_a_saved_pass_ends_with_a_clock(
    tape: SavedTape, tmp_path: Path, origin: Origin, clocks: int
) -> None:
    async def brief() -> AsyncIterator[Item]:
        yield some(1)

    subject, _ = runner(tape, tmp_path, ScriptedSession(brief), origin=origin)
    await subject.run()
    assert len(tape.marks("clock")) == clocks


async def test_an_error_without_words_still_has_a_reason(tape: SavedTape, tmp_path: Path) -> None:
    async def breaks() -> AsyncIterator[Item]:
        yield some(2)
        raise Misconfigured

    subject, _ = runner(tape, tmp_path, ScriptedSession(breaks))
    with pytest.raises(Misconfigured):
        await subject.run()
    assert tape.ticks() == 2
    assert [(event.type, event.reason) for event in tape.events()[-2:]] == [
        ("disconnected", "Misconfigured()"),
        ("stopped", "Misconfigured()"),
    ]


async def test_what_is_stopped_before_it_runs_leaves_nothing_on_the_tape(tape: SavedTape, tmp_path: Path) -> None:
    async def brief() -> AsyncIterator[Item]:
        yield some(2)

    subject, _ = runner(tape, tmp_path, ScriptedSession(brief))
    subject.stop()
    await subject.run()
    assert tape.placed() == []
