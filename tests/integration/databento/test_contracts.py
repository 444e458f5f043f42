"""Definitions and quotes of NQ options over two connections: what is announced, and which contracts are missing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import databento_dbn as dbn
import pytest
from tests.integration.databento.scripted_gateway import Conversation, ScriptedGateway, mapping, system
from tests.unit.feed.definition_builders import AT, option, spread

import tapeline
from tapeline.bus.topics import apply_topics, load_topics
from tapeline.feed.runner import Runner
from tapeline.feed.source import Announcement, Item, Ticks
from tapeline.feed.writer import Totals
from tapeline.model.instrument_codec import decode_instrument
from tapeline.model.instruments import Instrument
from tapeline.model.quality import ContractCompleteness, decode_quality
from tapeline_databento.source import DatabentoSource

DEADLINE_S = 30.0
MINUTE = 60_000_000_000
PARENT = "Q4B.OPT"
STREAM = f"GLBX.MDP3/{PARENT}"
QUOTED, SILENT, SPREAD, NEW = 1, 2, 3, 4


class Market:
    """Serves one parent: definitions on one connection, quotes on the other, and says what `tell` is given at once."""

    def __init__(self) -> None:
        self._conversations: dict[str, Conversation] = {}

    async def serve(self, conversation: Conversation) -> None:
        """Play one connection; heartbeats come all the time, as if the interval were very short."""
        await conversation.begin()
        (request,) = conversation.requests
        assert (request["symbols"], request["stype_in"]) == (PARENT, "parent")
        self._conversations[request["schema"]] = conversation
        while not conversation.reader.at_eof():
            await conversation.send(system("Heartbeat", dbn.SystemCode.HEARTBEAT, AT))
            await asyncio.sleep(0.02)

    async def tell(self, schema: str, *records: bytes) -> None:
        """Send records to whoever has subscribed to `schema`."""
        await until(lambda: schema in self._conversations)
        await self._conversations[schema].send(b"".join(records))


class Producer:
    """Both lines of a source; `now_ns` is its clock."""

    def __init__(self, gateway: ScriptedGateway) -> None:
        self.now_ns = AT
        self.items: list[Item] = []
        subscriptions = f"mbp-1={PARENT}; definition={PARENT}"
        self.source = DatabentoSource(gateway.settings(subscriptions=subscriptions), lambda: self.now_ns)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as lines:
            for line in self.source.lines():
                session = await line.connect({})
                lines.create_task(self._take(session.items()))

    async def _take(self, items: AsyncIterator[Item]) -> None:
        async for item in items:
            self.items.append(item)

    def instruments(self) -> dict[int, Instrument]:
        found = [decode_instrument(each.value) for each in self._announced("md.instruments.v1")]
        assert len({each.key for each in found}) == len(found), "announced twice"
        return {each.instrument_id: each for each in found}

    def reports(self) -> list[ContractCompleteness]:
        return [decode_quality(each.value) for each in self._announced("md.quality.v1")]

    def classes_on_tape(self) -> dict[int, str]:
        """Return the instrument class of everything that is on the tape."""
        ticks = [item for item in self.items if isinstance(item, Ticks) and item.stream == STREAM]
        return {
            number: each.directory[number].instrument_class for each in ticks for number in each.instrument_ids.tolist()
        }

    def _announced(self, topic: str) -> list[Announcement]:
        return [item for item in self.items if isinstance(item, Announcement) and item.topic == topic]


@asynccontextmanager
async def producing(market: Market) -> AsyncIterator[Producer]:
    async with ScriptedGateway(market.serve) as gateway:
        producer = Producer(gateway)
        running = asyncio.create_task(producer.run())
        try:
            yield producer
        finally:
            running.cancel()
            await asyncio.wait((running,))


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "the condition never held"
        await asyncio.sleep(0.01)


def quote(instrument_id: int) -> bytes:
    level = dbn.BidAskPair(bid_px=1, ask_px=2, bid_sz=3, ask_sz=4)
    return bytes(dbn.MBP1Msg(1, instrument_id, AT, 5, 1, dbn.Action.ADD, dbn.Side.BID, 0, AT + 100, 128, 5, 1, level))


async def test_missing_contracts_new_strikes_and_user_defined_spreads() -> None:
    market = Market()
    definitions = (option(QUOTED, 25_000), option(SILENT, 25_100), *spread(SPREAD, 2))
    symbols = {QUOTED: "Q4BX6 C25000", SILENT: "Q4BX6 C25100", SPREAD: f"UD:1V: VT {SPREAD}", NEW: "Q4BX6 C26000"}
    async with producing(market) as producer:
        await market.tell("definition", *map(bytes, definitions))
        await until(lambda: producer.instruments().keys() == {QUOTED, SILENT, SPREAD})
        await market.tell("mbp-1", *(mapping(number, PARENT, symbols[number]) for number in (QUOTED, SILENT, SPREAD)))
        await market.tell("mbp-1", quote(QUOTED), quote(SPREAD))
        await until(lambda: producer.classes_on_tape() == {QUOTED: "C", SPREAD: "T"})
        spread_said = producer.instruments()[SPREAD]
        assert spread_said.user_defined
        assert [leg.side for leg in spread_said.legs or ()] == ["B", "A"]
        assert producer.reports() == []

        producer.now_ns += MINUTE
        await until(lambda: len(producer.reports()) == 1)
        (report,) = producer.reports()
        assert (report.stream, report.trading_day, report.final) == (STREAM, "2026-11-24", False)
        assert (report.expected, report.quoted, report.missing_symbols) == (2, 1, (symbols[SILENT],))
        assert (report.user_defined, report.unlisted) == (1, 0)

        await market.tell("definition", bytes(option(NEW, 26_000, ts_recv=AT + MINUTE)))
        await until(lambda: NEW in producer.instruments())
        producer.now_ns += MINUTE
        await until(lambda: len(producer.reports()) == 2)
        report = producer.reports()[1]
        assert (report.expected, report.missing_symbols) == (3, (symbols[SILENT], symbols[NEW]))

        await market.tell("mbp-1", mapping(NEW, PARENT, symbols[NEW]), quote(NEW))
        await until(lambda: NEW in producer.classes_on_tape())
        producer.now_ns += MINUTE
        await until(lambda: len(producer.reports()) == 3)
        report = producer.reports()[2]
        assert (report.expected, report.quoted, report.missing_symbols) == (3, 2, (symbols[SILENT],))


async def test_definitions_that_come_again_are_not_announced_again() -> None:
    market = Market()
    async with producing(market) as producer:
        await market.tell("definition", bytes(option(QUOTED)), *map(bytes, spread(SPREAD, 2)))
        await until(lambda: len(producer.instruments()) == 2)
        await market.tell("definition", bytes(option(QUOTED)), *map(bytes, spread(SPREAD, 2)), bytes(option(SILENT)))
        await until(lambda: SILENT in producer.instruments())
        assert producer.instruments().keys() == {QUOTED, SILENT, SPREAD}


async def test_what_is_announced_is_on_its_topics(
    bootstrap_servers: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", bootstrap_servers)
    await asyncio.to_thread(apply_topics, bootstrap_servers, load_topics().values())
    market, now_ns = Market(), AT
    async with ScriptedGateway(market.serve) as gateway:
        settings = gateway.settings(subscriptions=f"mbp-1={PARENT}; definition={PARENT}")
        source = DatabentoSource(settings, lambda: now_ns)
        runner = Runner(source, settings, bootstrap_servers, Totals(), clock_ns=lambda: now_ns)
        running = asyncio.create_task(runner.run())
        try:
            await market.tell("definition", bytes(option(QUOTED, 25_000)), bytes(option(SILENT, 25_100)))
            await market.tell("mbp-1", mapping(QUOTED, PARENT, "Q4BX6 C25000"), quote(QUOTED))
            await until(lambda: len(topic("md.instruments.v1")) == 2)
            now_ns += MINUTE
            await until(lambda: topic("md.quality.v1"))
        finally:
            runner.stop()
            await asyncio.wait((running,))
    running.result()
    assert [each["raw_symbol"] for each in topic("md.instruments.v1")] == ["Q4BX6 C25000", "Q4BX6 C25100"]
    (report,) = topic("md.quality.v1")
    assert (report["stream"], report["expected"], report["missing_symbols"]) == (STREAM, 2, ["Q4BX6 C25100"])


def topic(name: str) -> list[dict[str, Any]]:
    """Return what a topic holds."""
    with tapeline.consume(name, start="earliest", follow=False) as documents:
        return [document for document in documents if isinstance(document, dict)]
