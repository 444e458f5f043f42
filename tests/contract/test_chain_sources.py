"""Every source of option chains against one suite: what the runner and the readers of chains may rely on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import cast

import pytest
from tests.contract.chain_rig import CHAIN_RIGS

from tapeline.feed.claims import EVENTS_TOPIC
from tapeline.feed.source import Announcement, Item, Source, Standing
from tapeline.model.chain_codec import decode_chain
from tapeline.model.chains import MODES, chain_topic
from tapeline.model.events import decode_event

DEADLINE_S = 30.0


@pytest.fixture(params=sorted(CHAIN_RIGS))
def name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    monkeypatch.setenv("TAPELINE_STATE_DIR", str(tmp_path / "state"))
    return str(request.param)


async def _until_it_delivers(source: Source) -> list[Item]:
    """Return what comes until the source's line says that it delivers; then leave it, as the runner does."""
    (line,) = source.lines()
    assert await line.prepare() == {}, "it writes no stream of ticks"
    assert line.pairs == set()
    session = await line.connect({})
    assert session.resumes == set()
    items = []
    async with asyncio.timeout(DEADLINE_S), aclosing(cast(AsyncGenerator[Item, None], session.items())) as coming:
        async for item in coming:
            items.append(item)
            if isinstance(item, Standing) and item.delivers:
                break
    session.close()
    session.close()
    return items


async def test_chains_are_on_the_topic_of_their_source_under_their_own_key(name: str, tmp_path: Path) -> None:
    async with CHAIN_RIGS[name](tmp_path) as source:
        items = await _until_it_delivers(source)
    chains = [item for item in items if isinstance(item, Announcement) and item.topic == chain_topic(name)]
    assert chains
    for message in chains:
        chain = decode_chain(message.value)
        assert (message.key, chain.source) == (chain.key, name)
        assert chain.mode in MODES
        assert chain.as_of <= chain.fetched_at <= chain.published_at


async def test_where_chains_come_from_is_told_and_nothing_is_said_to_be_delivered_before_one_is(
    name: str, tmp_path: Path
) -> None:
    async with CHAIN_RIGS[name](tmp_path) as source:
        items = await _until_it_delivers(source)
    assert items[0] == Standing(delivers=False, reason="nothing has been asked for yet")
    told = [item for item in items if isinstance(item, Announcement) and item.topic == EVENTS_TOPIC]
    events = [decode_event(item.value) for item in told]
    assert {event.source for event in events} == {name}
    assert [event.key for event in events] == [item.key for item in told]
    assert [(event.was, event.now) for event in events if event.type == "source_changed"] == [("none", f"{name}/live")]
