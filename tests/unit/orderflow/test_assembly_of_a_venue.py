"""Chains assembled from a synthetic venue's records show what the venue showed last, field by field."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import databento_dbn as dbn
import numpy as np
import pytest

from tapeline.feed.calendar import always_open
from tapeline.feed.dbn_decoder import DbnBatch, DbnDecoder, DbnMetadata
from tapeline.feed.definitions import DefinitionDecoder
from tapeline.feed.framer import FrameLimits, Framer, Instrument, SessionIdentity, Ticks
from tapeline.model.chain_codec import decode_chain, encode_chain
from tapeline.model.chains import ABSENT, ABSENT_CODE, NULL, Chain, UnderlyingPrice
from tapeline.model.frames import TickFrame
from tapeline.orderflow.assembly import ChainAssembler
from tapeline.orderflow.contracts import ContractBook
from tapeline_simulator.databento.schemas import record_of
from tapeline_simulator.databento.tape import VendorTape
from tapeline_simulator.listings import ALL_SYMBOLS, Listing
from tapeline_simulator.venue import OptionSettings, Venue

DATASET = "TAPELINE.SIM"
SECOND = 10**9
START = int(datetime(2026, 11, 23, 15, 0, tzinfo=UTC).timestamp()) * SECOND
DAY = "2026-11-23"
SCHEMAS = {"mbp-1": "l1", "trades": "trade", "statistics": "statistics", "status": "status"}
UNDEFINED = 2**63 - 1


@dataclass
class Market:
    """What a venue has told, decoded twice: by Databento's decoder, and into frames."""

    listings: list[Listing]
    records: dict[str, list[Any]]
    frames: list[TickFrame]
    book: ContractBook


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    tape = VendorTape(DATASET, tmp_path_factory.mktemp("tape"))
    options = OptionSettings(expiries=2, quotes_per_s=2_000, trades_per_s=60, new_strike_after_s=1.0)
    venue = Venue(tape, seed=3, start_ns=START, records_per_s=500, futures=("NQZ6", "NQH7"), options=options)
    venue.advance(START + 3 * SECOND)
    listings = tape.listings.resolve("raw_symbol", ALL_SYMBOLS, START + 3 * SECOND)
    book = ContractBook()
    raw = np.frombuffer(_bytes(tape, "definition"), dtype=record_of("definition"))
    for instrument in DefinitionDecoder("databento", DATASET).decode(raw, DAY):
        book.define(instrument)
    frames = [frame for schema in SCHEMAS for frame in _frames(tape, schema, listings)]
    yield Market(listings, {schema: _official(tape, schema) for schema in SCHEMAS}, frames, book)
    tape.close()


def _bytes(tape: VendorTape, schema: str) -> bytes:
    return tape.read(schema, 0, tape.end(schema)).tobytes()


def _official(tape: VendorTape, schema: str) -> list[Any]:
    decoder = dbn.DBNDecoder(has_metadata=False, input_version=3)
    decoder.write(_bytes(tape, schema))
    return list(decoder.decode())


def _frames(tape: VendorTape, schema: str, listings: list[Listing]) -> Iterator[TickFrame]:
    decoder = DbnDecoder(DbnMetadata(3, DATASET, schema, (), START, ts_out=False), schema, 0)
    framer = Framer(SessionIdentity("databento", "s1", 1, "live"), FrameLimits(ticks=500), always_open())
    directory = {each.instrument_id: Instrument(each.raw_symbol, each.instrument_class) for each in listings}
    for batch in decoder.decode(np.frombuffer(_bytes(tape, schema), dtype=np.uint8)):
        assert isinstance(batch, DbnBatch)
        yield from framer.add(
            Ticks(
                stream=f"{DATASET}/ALL",
                dataset=DATASET,
                publisher_id=batch.publisher_id,
                kind=batch.kind,
                instrument_ids=batch.instrument_id.astype(np.int64),
                columns=batch.columns,
                undefined=batch.undefined,
                directory=directory,
                origin="live",
            ),
            START,
        )
    yield from framer.finish(START)


def _chains(market: Market) -> list[Chain]:
    assembler = ChainAssembler(market.book)
    for frame in market.frames:
        assembler.apply(frame)
    return assembler.due(START + 4 * SECOND, {("databento", "NQZ6"): UnderlyingPrice(25_000 * SECOND, "quote", START)})


def test_every_listed_contract_is_there_with_its_last_quote(market: Market) -> None:
    options = {each.instrument_id: each for each in market.listings if each.instrument_class in "CP"}
    quotes: dict[str, Any] = {}
    for row in market.records["mbp-1"]:
        if row.instrument_id in options and str(row.action) != "T":
            quotes[options[row.instrument_id].raw_symbol] = row
    chains = _chains(market)
    assert len(chains) == 3, "two weeklies and the quarterly"
    told = {}
    for chain in chains:
        assert (chain.mode, chain.delay_s, chain.flags, chain.complete) == ("live", 0.0, (), True)
        assert chain.expected == len(chain.contracts) > 100
        assert chain.published_at == START + 4 * SECOND
        assert chain.underlying_price == UnderlyingPrice(25_000 * SECOND, "quote", START)
        assert not chain.contracts.flags.any()
        columns = {name: column.tolist() for name, column in chain.contracts.columns.items()}
        for row, symbol in enumerate(chain.contracts.vendor_symbols):
            told[symbol] = {name: column[row] for name, column in columns.items()}
        of_chain = [quotes[symbol] for symbol in chain.contracts.vendor_symbols if symbol in quotes]
        assert chain.as_of == max(each.ts_event for each in of_chain)
        assert chain.fetched_at >= max(each.ts_recv for each in of_chain)
    assert told.keys() == {each.raw_symbol for each in options.values()}
    assert len(quotes) < len(told), "some contracts never quote"
    for symbol, shown in told.items():
        if symbol not in quotes:
            assert {shown[name] for name in ("bid", "ask", "bid_size", "ask_size", "quote_at")} == {ABSENT}
            continue
        level = quotes[symbol].levels[0]
        for side in ("bid", "ask"):
            price, size = getattr(level, f"{side}_px"), getattr(level, f"{side}_sz")
            expected = (NULL, NULL) if price == UNDEFINED else (price, size)
            assert (shown[side], shown[f"{side}_size"]) == expected, symbol
        assert shown["quote_at"] == quotes[symbol].ts_event


def test_last_trades_and_yesterdays_statistics_are_there(market: Market) -> None:
    options = {each.instrument_id: each.raw_symbol for each in market.listings if each.instrument_class in "CP"}
    trades = {options[row.instrument_id]: row for row in market.records["trades"] if row.instrument_id in options}
    statistics: dict[tuple[str, int], Any] = {}
    for row in market.records["statistics"]:
        if row.instrument_id in options:
            statistics[options[row.instrument_id], int(row.stat_type)] = row
    assert len(trades) > 50
    for chain in _chains(market):
        columns = chain.contracts.columns
        for row, symbol in enumerate(chain.contracts.vendor_symbols):
            trade = trades.get(symbol)
            last = (columns["last"][row], columns["trade_at"][row])
            assert last == ((ABSENT, ABSENT) if trade is None else (trade.price, trade.ts_event))
            for name, stat, value in (
                ("settlement", dbn.StatType.SETTLEMENT_PRICE, "price"),
                ("open_interest", dbn.StatType.OPEN_INTEREST, "quantity"),
                ("volume", dbn.StatType.CLEARED_VOLUME, "quantity"),
            ):
                record = statistics.get((symbol, int(stat)))
                assert columns[name][row] == (ABSENT if record is None else getattr(record, value))
                if name == "volume":
                    assert columns["volume_is_stale"][row] == (ABSENT_CODE if record is None else 1)
                else:
                    assert columns[f"{name}_at"][row] == (ABSENT if record is None else record.ts_ref)


def test_chains_say_what_the_venue_lists_and_survive_their_message(market: Market) -> None:
    for chain in _chains(market):
        assert chain.vendor == "databento"
        assert chain.underlying == "NQZ6"
        assert chain.multiplier == 20 * SECOND
        assert chain.series is not None
        assert chain.style == ("american" if chain.series == "NQ" else "european")
        assert chain.vendor_series is not None
        assert chain.vendor_series.startswith(chain.series)
        again = decode_chain(encode_chain(chain))
        for name, column in chain.contracts.columns.items():
            if not (column == ABSENT).all():
                assert np.array_equal(again.contracts.columns[name], column), name
