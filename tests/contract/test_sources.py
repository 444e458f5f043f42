"""Every installed source against one suite: what the runner may rely on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest
from tests.contract.chain_rig import CHAIN_RIGS
from tests.contract.live_rig import live_rig
from tests.unit.saved.files import START_NS, head, orders, write

from tapeline.errors import BadData, Retryable
from tapeline.feed.calendar import calendar_of
from tapeline.feed.framer import FrameLimits, Framer, SessionIdentity, Ticks
from tapeline.feed.registry import GROUP, load_source
from tapeline.feed.source import Announcement, FeedSettings, Item, Line, Session, Source
from tapeline.model.codec import decode, encode
from tapeline.model.columns import COLUMNS
from tapeline.model.frames import ORIGINS, TickFrame

LIMIT_TICKS = 500


@dataclass(frozen=True)
class Rig:
    """How a source is set up for the suite: something that ends, and something that breaks.

    `given` says how many ticks come before it breaks, once it has. A live source's sessions end by an error, again and
    again: the suite takes one of each line.
    """

    settings: FeedSettings
    given: Callable[[], int]
    is_live: bool


@asynccontextmanager
async def _saved(tmp_path: Path, *, breaks: bool) -> AsyncIterator[Rig]:
    folder = tmp_path / "files"
    folder.mkdir()
    write(folder / "second.dbn", head(("NQM6",), start_ns=START_NS + 10**12), orders(40, start_ns=START_NS + 10**12))
    data = head() + orders(1_200)
    write(folder / "first.dbn", data[: len(data) - 10 * breaks])
    settings = load_source("saved").settings_class.load({}, dotenv=tmp_path / "none", overrides={"path": str(folder)})
    yield Rig(settings, lambda: 1_199, is_live=False)


@asynccontextmanager
async def _databento(tmp_path: Path, *, breaks: bool) -> AsyncIterator[Rig]:
    subscriptions = "trades=NQ.FUT" if breaks else "mbo=NQ.FUT; mbp-1=NQ.FUT; trades=NQ.FUT"
    async with live_rig(tmp_path, subscriptions, "error" if breaks else "fin") as vendor:
        yield Rig(vendor.settings, vendor.sent, is_live=True)


RIGS = {"databento": _databento, "saved": _saved}


@dataclass
class Seen:
    """One session, taken to its end as the runner does."""

    streams: dict[str, str]
    ticks: list[Ticks] = field(default_factory=list)
    frames: list[TickFrame] = field(default_factory=list)


INSTALLED = sorted(entry_point.name for entry_point in entry_points(group=GROUP))


@pytest.fixture(params=[name for name in INSTALLED if name not in CHAIN_RIGS])
def name(request: pytest.FixtureRequest) -> str:
    assert request.param in RIGS, f"the source {request.param} has no rig in this suite"
    return str(request.param)


def _source(name: str, settings: FeedSettings) -> Source:
    return load_source(name)(settings)


async def _sessions(name: str, tmp_path: Path) -> list[Seen]:
    async with RIGS[name](tmp_path, breaks=False) as rig:
        source = _source(name, rig.settings)
        return [
            await _take(source, line, streams, session, rig) async for line, streams, session in _begin(source, rig)
        ]


async def _begin(source: Source, rig: Rig) -> AsyncIterator[tuple[Line, Mapping[str, str], Session]]:
    """Yield every session of every line until none is left, each begun anew; one session of a live line."""
    for line in source.lines():
        while (streams := await line.prepare()) is not None:
            yield line, streams, await line.connect({})
            if rig.is_live:
                break


async def _take(source: Source, line: Line, streams: Mapping[str, str], session: Session, rig: Rig) -> Seen:
    seen = Seen(dict(streams))
    framers: dict[tuple[str, str], Framer] = {}
    async for item in _until_it_ends(session, rig):
        if isinstance(item, Announcement):
            continue
        assert item.stream in seen.streams, "streams are known before their first item, as they are claimed first"
        if not isinstance(item, Ticks):
            continue
        seen.ticks.append(item)
        if (item.stream, item.kind) not in framers:
            framers[item.stream, item.kind] = Framer(
                SessionIdentity(source.name, "s", 1, line.origin),
                FrameLimits(ticks=LIMIT_TICKS),
                calendar_of(item.dataset),
            )
        seen.frames += framers[item.stream, item.kind].add(item, 1)
    for framer in framers.values():
        seen.frames += framer.finish(2)
    return seen


async def _until_it_ends(session: Session, rig: Rig) -> AsyncIterator[Item]:
    try:
        async for item in session.items():
            yield item
    except Retryable:
        if not rig.is_live:
            raise


@pytest.mark.parametrize("name", INSTALLED)
async def test_is_what_its_entry_point_says(name: str) -> None:
    source = load_source(name)
    assert source.name == name
    assert source.settings_class.service == name
    assert issubclass(source.settings_class, FeedSettings)


@pytest.mark.parametrize("name", INSTALLED)
async def test_every_setting_is_explained(name: str) -> None:
    unexplained = [
        field for field, info in load_source(name).settings_class.model_fields.items() if not info.description
    ]
    assert unexplained == []


async def test_ticks_are_whole_columns_of_their_kind_with_defined_meaning(name: str, tmp_path: Path) -> None:
    sessions = await _sessions(name, tmp_path)
    assert sessions
    for seen in sessions:
        assert seen.ticks
        for ticks in seen.ticks:
            assert len(ticks) > 0
            assert seen.streams[ticks.stream] == ticks.dataset
            assert set(np.unique(ticks.instrument_ids).tolist()) <= set(ticks.directory)
            declared = {column.name: column for column in COLUMNS[ticks.kind] if column.name != "symbol"}
            assert set(ticks.columns) == set(declared)
            for column_name, values in ticks.columns.items():
                assert values.dtype == np.dtype(declared[column_name].dtype)
                assert len(values) == len(ticks)
            for column_name, rows in ticks.undefined.items():
                assert declared[column_name].can_be_undefined
                assert not ticks.columns[column_name][rows].any()


async def test_frames_of_its_ticks_pass_the_codec_and_lose_none(name: str, tmp_path: Path) -> None:
    for seen in await _sessions(name, tmp_path):
        decoded = [decode(encode(frame)) for frame in seen.frames]
        assert sum(len(frame) for frame in decoded) == sum(len(ticks) for ticks in seen.ticks)
        for stream in seen.streams:
            expected = [ticks.columns["ts_event"] for ticks in seen.ticks if ticks.stream == stream]
            read = [frame.ts_event() for frame in decoded if frame.stream == stream]
            assert np.array_equal(np.concatenate(read), np.concatenate(expected))


async def test_a_line_says_what_it_carries_and_where_it_comes_from(name: str, tmp_path: Path) -> None:
    async with RIGS[name](tmp_path, breaks=False) as rig:
        source = _source(name, rig.settings)
        assert len({line.name for line in source.lines()}) == len(source.lines())
        async for line, streams, session in _begin(source, rig):
            assert line.origin in ORIGINS
            assert streams
            for stream, dataset in streams.items():
                assert stream.startswith(f"{dataset}/")
            assert {stream for stream, _ in line.pairs} <= set(streams)
            assert session.resumes == set(), "nothing was on the tape"


async def test_what_came_before_a_fault_is_given_and_then_the_fault_told(name: str, tmp_path: Path) -> None:
    given = []

    async def take(session: Session) -> None:
        async for item in session.items():
            given.append(len(item) if isinstance(item, Ticks) else 0)  # noqa: PERF401  what came before the fault

    async with RIGS[name](tmp_path, breaks=True) as rig:
        _, _, session = await anext(_begin(_source(name, rig.settings), rig))
        with pytest.raises((BadData, Retryable), match=r"."):
            await take(session)
        assert sum(given) == rig.given() > 0
