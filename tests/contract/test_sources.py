"""Every installed source against one suite: what the runner may rely on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest
from tests.unit.saved.files import START_NS, head, orders, write

from tapeline.errors import BadData, Retryable
from tapeline.feed.calendar import calendar_of
from tapeline.feed.framer import FrameLimits, Framer, SessionIdentity, Ticks
from tapeline.feed.registry import GROUP, load_source
from tapeline.feed.source import Announcement, FeedSettings, Line, Session, Source
from tapeline.model.codec import decode, encode
from tapeline.model.columns import COLUMNS
from tapeline.model.frames import ORIGINS, TickFrame

LIMIT_TICKS = 500


@dataclass
class Rig:
    """How a source is set up for the suite: something that ends, and something that breaks after `before` ticks."""

    settings: Callable[[Path], FeedSettings]
    breaking: Callable[[Path], FeedSettings]
    before: int


def _saved(tmp_path: Path, *, cut: int = 0) -> FeedSettings:
    folder = tmp_path / "files"
    folder.mkdir()
    write(folder / "second.dbn", head(("NQM6",), start_ns=START_NS + 10**12), orders(40, start_ns=START_NS + 10**12))
    data = head() + orders(1_200)
    write(folder / "first.dbn", data[: len(data) - cut])
    return load_source("saved").settings_class.load({}, dotenv=tmp_path / "none", overrides={"path": str(folder)})


RIGS = {"saved": Rig(_saved, lambda tmp_path: _saved(tmp_path, cut=10), before=1_199)}


@dataclass
class Seen:
    """One session, taken to its end as the runner does."""

    streams: dict[str, str]
    ticks: list[Ticks] = field(default_factory=list)
    frames: list[TickFrame] = field(default_factory=list)


@pytest.fixture(params=sorted(entry_point.name for entry_point in entry_points(group=GROUP)))
def name(request: pytest.FixtureRequest) -> str:
    assert request.param in RIGS, f"the source {request.param} has no rig in this suite"
    return str(request.param)


def _source(name: str, settings: FeedSettings) -> Source:
    return load_source(name)(settings)


async def _sessions(source: Source) -> list[Seen]:
    return [await _take(source, line, streams, session) async for line, streams, session in _begin(source)]


async def _begin(source: Source) -> AsyncIterator[tuple[Line, Mapping[str, str], Session]]:
    """Yield every session of every line until none is left, each begun anew."""
    for line in source.lines():
        while (streams := await line.prepare()) is not None:
            yield line, streams, await line.connect({})


async def _take(source: Source, line: Line, streams: Mapping[str, str], session: Session) -> Seen:
    seen = Seen(dict(streams))
    framers: dict[tuple[str, str], Framer] = {}
    async for item in session.items():
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


async def test_is_what_its_entry_point_says(name: str, tmp_path: Path) -> None:
    source = load_source(name)
    assert source.name == name
    assert source.settings_class.service == name
    assert issubclass(source.settings_class, FeedSettings)


async def test_every_setting_is_explained(name: str) -> None:
    unexplained = [
        field for field, info in load_source(name).settings_class.model_fields.items() if not info.description
    ]
    assert unexplained == []


async def test_ticks_are_whole_columns_of_their_kind_with_defined_meaning(name: str, tmp_path: Path) -> None:
    sessions = await _sessions(_source(name, RIGS[name].settings(tmp_path)))
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
    for seen in await _sessions(_source(name, RIGS[name].settings(tmp_path))):
        decoded = [decode(encode(frame)) for frame in seen.frames]
        assert sum(len(frame) for frame in decoded) == sum(len(ticks) for ticks in seen.ticks)
        for stream in seen.streams:
            expected = [ticks.columns["ts_event"] for ticks in seen.ticks if ticks.stream == stream]
            read = [frame.ts_event() for frame in decoded if frame.stream == stream]
            assert np.array_equal(np.concatenate(read), np.concatenate(expected))


async def test_a_line_says_what_it_carries_and_where_it_comes_from(name: str, tmp_path: Path) -> None:
    source = _source(name, RIGS[name].settings(tmp_path))
    assert len({line.name for line in source.lines()}) == len(source.lines())
    async for line, streams, session in _begin(source):
        assert line.origin in ORIGINS
        assert streams
        for stream, dataset in streams.items():
            assert stream.startswith(f"{dataset}/")
        assert {stream for stream, _ in line.pairs} <= set(streams)
        assert session.resumes == set(), "nothing was on the tape"


async def test_what_came_before_a_fault_is_given_and_then_the_fault_told(name: str, tmp_path: Path) -> None:
    rig = RIGS[name]
    _, _, session = await anext(_begin(_source(name, rig.breaking(tmp_path))))
    given = []

    async def take() -> None:
        async for item in session.items():
            given.append(len(item) if isinstance(item, Ticks) else 0)  # noqa: PERF401  what came before the fault

    with pytest.raises((BadData, Retryable), match=r"."):
        await take()
    assert sum(given) == rig.before
