"""Option chains through real Kafka: captured, replayed, and taken in from a folder while files come into it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.integration.saved.tape import DEADLINE_S, SavedTape
from tests.unit.saved.chains import live_chain, write_answer, write_lines
from tests.unit.saved.files import head, orders, write

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.log import Log
from tapeline.bus.publisher import Publisher
from tapeline.bus.topics import apply_topics, load_topics
from tapeline.feed.runner import Runner
from tapeline.feed.writer import Totals
from tapeline.model.chain_codec import decode_chain, encode_chain
from tapeline.model.chains import Chain, chain_topic
from tapeline_saved.settings import SavedSettings
from tapeline_saved.source import SavedSource

LIVE, SAVED, DEAD = chain_topic("barchart"), chain_topic("saved"), "md.dead-letters.v1"
TICKS = "md.ticks.saved.v1"


@pytest.fixture
def chains(tape: SavedTape) -> ChainTopics:
    """The topics of chains and of dead letters, empty."""
    declared = load_topics()
    apply_topics(tape.servers, [declared[name] for name in (LIVE, SAVED, DEAD)])
    return ChainTopics(tape)


class ChainTopics:
    """Publishes live chains, and reads what became of them."""

    def __init__(self, tape: SavedTape) -> None:
        self.tape = tape

    async def publish(self, *chains: Chain) -> None:
        publisher = Publisher(self.tape.servers, "test")
        for chain in chains:
            await publisher.publish(namespaced(LIVE), chain.key, encode_chain(chain))
        assert await publisher.close(DEADLINE_S) == 0

    def saved(self) -> list[Chain]:
        return [decode_chain(value) for _, value, _ in self.messages(SAVED)]

    def messages(self, topic: str) -> list[tuple[str, bytes, dict[str, str]]]:
        """Key, value and headers of every message."""
        found = []
        with Log(self.tape.servers, "test") as log:
            name = namespaced(topic)
            for partition in range(log.partitions(name)):
                for message in log.read(name, partition, *log.bounds(name, partition)):
                    headers = {name: str(value, "utf-8") for name, value in message.headers() or []}
                    found.append(((message.key() or b"").decode(), message.value() or b"", headers))
        return found


async def test_what_is_captured_replays_to_the_same_messages_and_the_same_ticks(
    chains: ChainTopics, tmp_path: Path
) -> None:
    live = [live_chain(0), live_chain(1, strikes=(21_000, 21_010, 21_020))]
    await chains.publish(*live)
    await chains.tape.replay(write(tmp_path / "day.dbn", head(), orders(9_001)))
    frames, rows = len(chains.tape.frames()), chains.tape.rows()
    folder = tmp_path / "captured"
    arguments = ("tapeline_cli", "capture", LIVE, TICKS, "--output", str(folder), "--from-start", "--json")
    with chains.tape.command(*arguments, "--count", str(2 + frames)) as command:
        captured = command.end()
    assert captured.code == 0, captured
    files = sorted(folder.iterdir())
    assert captured.reports == [
        {"topic": LIVE, "file": str(files[0]), "messages": 2},
        {"topic": TICKS, "file": str(files[1]), "messages": frames},
    ]

    write_answer(folder, name="bad_MC2M25.json")
    with chains.tape.command("tapeline_cli", "replay", str(folder), "--json") as command:
        replayed = command.end()
    assert replayed.code == 1, replayed
    assert "must tell when it was fetched" in replayed.stderr
    assert "Traceback" not in replayed.stderr
    of_ticks, of_chains = replayed.reports
    assert of_ticks["ticks"] == 9_001
    assert (of_chains["topic"], of_chains["chains"], of_chains["dead_letters"]) == (SAVED, 2, 1)
    assert chains.tape.rows() == rows * 2
    assert {key for key, _, _ in chains.messages(SAVED)} == {live[0].key}
    found = chains.saved()
    assert [encode_chain(chain) for chain in found] == [
        encode_chain(
            replace(
                chain,
                source="saved",
                mode="saved",
                published_at=again.published_at,
                verdict=None,
                selection=None,
            )
        )
        for chain, again in zip(live, found, strict=True)
    ]


async def test_a_watched_folder_brings_chains_as_they_come_and_sets_bad_files_aside(
    chains: ChainTopics, tmp_path: Path
) -> None:
    folder = tmp_path / "watched"
    folder.mkdir()
    (folder / "20250610_barchart_api_MC3M25_090000.json").write_bytes(write_answer(tmp_path).read_bytes())
    write_lines(folder, live_chain(0), name="0.chains.ndjson")
    settings = SavedSettings.load(
        {}, dotenv=tmp_path / "no.env", overrides={"path": str(folder), "watch": True, "watch_s": 0.05, "settle_s": 0.2}
    )
    source = SavedSource(settings)
    runner = Runner(source, settings, chains.tape.servers, Totals())
    running = asyncio.create_task(runner.run())
    try:
        async with asyncio.timeout(DEADLINE_S):
            await until(running, lambda: source.chains.chains == source.chains.dead_letters == 1)
            write_answer(folder)
            await until(running, lambda: source.chains.chains == 2)
    finally:
        runner.stop()
        await running
    assert [(chain.vendor_series, chain.mode, chain.source) for chain in chains.saved()] == [
        ("MC2M25", "saved", "saved")
    ] * 2
    ((key, value, headers),) = chains.messages(DEAD)
    assert key == headers["origin_file"] == "20250610_barchart_api_MC3M25_090000.json"
    assert value == (folder / key).read_bytes()
    assert headers["field"] == "data.Call[0].symbol"


async def until(running: asyncio.Task[None], condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds; fail where the runner ends before."""
    while not condition():
        assert not running.done(), running.exception()
        await asyncio.sleep(0.02)
