"""A minute of NQ options through the gateway and onto a real broker: their definitions, and who has not quoted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

import tapeline
from tapeline.bus.topics import apply_topics, load_topics
from tapeline.feed.dbn_records import Array, to_columns
from tapeline.feed.runner import Runner
from tapeline.feed.writer import Totals
from tapeline.model.frames import TickFrame
from tapeline_databento.settings import DatabentoSettings
from tapeline_databento.source import DatabentoSource
from tapeline_simulator.databento.gateway import Gateway
from tapeline_simulator.databento.tape import VendorTape
from tapeline_simulator.listings import Listing
from tapeline_simulator.venue import OptionSettings, Venue

DEADLINE_S: Final = 60.0
KEY: Final = "db-0123456789abcdefghijklmnopqrs"
SECOND: Final = 1_000_000_000
START: Final = int(datetime(2026, 11, 23, 15, tzinfo=UTC).timestamp()) * SECOND
NEW_STRIKE_S: Final = 70
DATASET: Final = "GLBX.MDP3"


@dataclass
class Market:
    """A venue in a time of its own, which the gateway and the producer go by."""

    tape: VendorTape
    venue: Venue
    totals: Totals
    now_ns: int = START

    @property
    def options(self) -> list[Listing]:
        """What is listed and neither a future nor a spread of futures."""
        everything = self.tape.listings.resolve("raw_symbol", "ALL_SYMBOLS", self.now_ns)
        return [each for each in everything if each.parent.endswith(".OPT")]

    def streams(self) -> list[str]:
        return sorted({f"{DATASET}/{each.parent}" for each in self.options})

    def quotes(self) -> Iterator[Array]:
        """Yield the quotes of options that were captured after the start."""
        numbers = np.array([each.instrument_id for each in self.options], dtype=np.uint32)
        yield from self.tape.select("mbp-1", numbers, START + 1, None, "ts_recv")

    async def trade_until(self, second: int) -> None:
        """Let the venue trade up to a second from the start, and wait until all of it is on the tape."""
        self.now_ns = START + second * SECOND
        await asyncio.to_thread(self.venue.advance, self.now_ns)
        await until(lambda: self.published() >= sum(map(len, self.quotes())))

    def published(self) -> int:
        return sum(self.totals.ticks[stream] for stream in self.streams())

    def silent(self, stream: str) -> list[str]:
        """Return the symbols of the contracts of a stream that have never had a bid or an ask."""
        have_quoted: set[int] = set()
        for records in self.quotes():
            columns, undefined = to_columns(records, "l1")
            quoting = columns["action"] != ord("R")
            empty = np.intersect1d(undefined.get("bid_price", []), undefined.get("ask_price", []))
            quoting[empty.astype(np.int64)] = False
            have_quoted |= set(records["instrument_id"][quoting].tolist())
        return sorted(each.raw_symbol for each in self.contracts(stream) if each.instrument_id not in have_quoted)

    def contracts(self, stream: str) -> list[Listing]:
        return [each for each in self.options if f"{DATASET}/{each.parent}" == stream and each.instrument_class in "CP"]


@asynccontextmanager
async def producing(servers: str, folder: Path) -> AsyncIterator[Market]:
    """Run a producer of all options of a venue, with their definitions."""
    tape = VendorTape(DATASET, folder)
    options = OptionSettings(expiries=2, quotes_per_s=400, trades_per_s=5, new_strike_after_s=NEW_STRIKE_S)
    venue = Venue(tape, seed=5, start_ns=START, records_per_s=20, futures=["NQZ6", "NQH7"], options=options)
    market = Market(tape, venue, Totals())
    parents = ",".join(stream.partition("/")[2] for stream in market.streams())
    async with Gateway(tape, keys=(KEY,), books=venue, clock_ns=lambda: market.now_ns) as gateway:
        settings = DatabentoSettings.load(
            {},
            dotenv=folder / "no.env",
            overrides={
                "api_key": KEY,
                "gateway": "127.0.0.1",
                "port": gateway.port,
                "subscriptions": f"mbp-1={parents}; definition={parents}",
                "heartbeat_interval_s": 5,
            },
        )
        source = DatabentoSource(settings, lambda: market.now_ns)
        runner = Runner(source, settings, servers, market.totals)
        running = asyncio.create_task(runner.run())
        try:
            await until(lambda: sum(session.state == "streaming" for session in gateway.sessions) == 2)
            yield market
        finally:
            runner.stop()
            await asyncio.wait((running,))
            await asyncio.to_thread(tape.close)
    running.result()


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "the condition never held"
        await asyncio.sleep(0.05)


async def documents(topic: str) -> list[dict[str, Any]]:
    """Return what a topic holds."""

    def read() -> list[dict[str, Any]]:
        with tapeline.consume(topic, start="earliest", follow=False) as found:
            return [document for document in found if isinstance(document, dict)]

    return await asyncio.to_thread(read)


async def until_documents(topic: str, are_there: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    deadline = time.monotonic() + DEADLINE_S
    while not are_there(found := await documents(topic)):
        assert time.monotonic() < deadline, f"{topic} holds {len(found)}"
    return found


@pytest.fixture
def servers(bootstrap_servers: str, namespace: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", bootstrap_servers)
    apply_topics(bootstrap_servers, load_topics().values())
    return bootstrap_servers


async def test_options_of_a_venue_are_defined_and_those_that_do_not_quote_are_told(
    servers: str, tmp_path: Path
) -> None:
    async with producing(servers, tmp_path) as market:
        listed = market.options
        defined = await until_documents("md.instruments.v1", lambda found: len(found) >= len(listed))
        assert sorted(each["raw_symbol"] for each in defined) == sorted(each.raw_symbol for each in listed)
        assert {each["raw_symbol"] for each in defined if each["user_defined"]} == {
            each.raw_symbol for each in listed if each.raw_symbol.startswith("UD:")
        }

        await market.trade_until(59)
        market.now_ns = START + 61 * SECOND
        streams = market.streams()
        told = await until_documents("md.quality.v1", lambda found: {each["stream"] for each in found} == {*streams})
        for report in told:
            missing = market.silent(report["stream"])
            assert (report["expected"], report["missing"]) == (len(market.contracts(report["stream"])), len(missing))
            assert report["missing_symbols"] == missing[:100]
            assert report["unlisted"] == 0
        assert any(report["missing"] for report in told)

        await market.trade_until(NEW_STRIKE_S + 10)
        new = [each for each in market.options if each not in listed]
        assert len(new) == 2
        defined = await until_documents("md.instruments.v1", lambda found: len(found) >= len(listed) + len(new))
        assert {each.raw_symbol for each in new} <= {each["raw_symbol"] for each in defined}
        market.now_ns = START + 130 * SECOND
        stream = f"{DATASET}/{new[0].parent}"
        of_stream = [each for each in told if each["stream"] == stream]
        more = await until_documents(
            "md.quality.v1", lambda found: len([each for each in found if each["stream"] == stream]) > len(of_stream)
        )
        last = [each for each in more if each["stream"] == stream][-1]
        assert last["expected"] == of_stream[-1]["expected"] + len(new)

    spreads = {each["instrument_id"] for each in defined if each["user_defined"]}
    with tapeline.consume("md.ticks.databento.v1", start="earliest", follow=False, kinds=["l1"]) as frames:
        on_tape = {
            (number, letter)
            for frame in frames
            if isinstance(frame, TickFrame)
            for number, letter in zip(frame.instrument_ids, frame.classes, strict=True)
        }
    assert {letter for number, letter in on_tape if number in spreads} == {"T"}
