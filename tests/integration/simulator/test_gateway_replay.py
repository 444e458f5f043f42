"""Replay, its seam with what is live, and snapshots: every record once, in order, as it was captured."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import databento_dbn as dbn
import numpy as np
import pytest
from databento.common.cram import get_challenge_response
from tests.integration.simulator.live import (
    DATASET,
    DEADLINE_S,
    KEY,
    NOW,
    QUICK,
    eventually,
    minute_of,
    serving,
    small_tape,
    started,
)
from tests.unit.simulator.databento.records import SECOND, START

from tapeline_simulator.databento import reading
from tapeline_simulator.databento.books import VenueBooks
from tapeline_simulator.databento.files import load_files
from tapeline_simulator.databento.tape import VendorTape
from tapeline_simulator.venue import OptionSettings, Venue

EVERYTHING = {"symbols": "ALL_SYMBOLS", "stype_in": "raw_symbol"}
HOUR = 3_600 * SECOND


async def test_a_replay_is_the_tape_from_its_start_on_by_ts_event(tmp_path: Path) -> None:
    tape = small_tape(tmp_path)
    async with serving(tape) as gateway:
        client = await started(gateway, EVERYTHING | {"schema": "mbo", "start": START + 100 * SECOND})
        await client.until(lambda: client.notices[-1:] == ["Finished mbo replay"])
        assert client.bytes_of(dbn.MBOMsg) == tape.read("mbo", 100, 600).tobytes()


async def test_replays_of_several_schemas_are_merged_in_order_of_capture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "READ_BYTES", 1_000)
    tape = small_tape(tmp_path, schemas=("mbo", "trades", "definition"))
    async with serving(tape) as gateway:
        schemas = {"mbo": 0, "trades": 50, "definition": 300}
        client = await started(
            gateway,
            *(EVERYTHING | {"schema": schema, "start": START + first * SECOND} for schema, first in schemas.items()),
        )
        await client.until(lambda: len([each for each in client.notices if "replay" in each]) == 3)
        received = [record.ts_recv for record in client.data()]
        assert received == sorted(received)
        for schema, kind in (("mbo", dbn.MBOMsg), ("trades", dbn.TradeMsg), ("definition", dbn.InstrumentDefMsg)):
            assert client.bytes_of(kind) == tape.read(schema, schemas[schema], 600).tobytes()


@pytest.mark.parametrize("read_bytes", [56, 5_600, 1 << 20])
async def test_there_is_neither_hole_nor_duplicate_where_a_replay_meets_what_is_live(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_bytes: int
) -> None:
    """The tape grows while it is replayed; a third of the records are of instruments that nobody asked for."""
    monkeypatch.setattr(reading, "READ_BYTES", read_bytes)
    tape = small_tape(tmp_path)
    async with serving(tape) as gateway:
        client = await started(gateway, {"schema": "mbo", "start": START + 30 * SECOND}, {"schema": "trades"})
        for first in range(600, 1_200, 20):
            tape.append("mbo", minute_of("mbo", first, 20))
            tape.append("trades", minute_of("trades", first, 20))
            await asyncio.sleep(0)
        wanted = minute_of("mbo", 30, 1_170)
        wanted = wanted[wanted["instrument_id"] != 3]
        await client.until(lambda: len(client.of(dbn.MBOMsg)) >= len(wanted) and len(client.of(dbn.TradeMsg)) >= 400)
        assert [record.order_id for record in client.of(dbn.MBOMsg)] == wanted["order_id"].tolist()
        live = minute_of("trades", 600, 600)
        assert [record.ts_event for record in client.of(dbn.TradeMsg)] == live["ts_event"][
            live["instrument_id"] != 3
        ].tolist()
        await client.until(lambda: "Finished mbo replay" in client.notices)
        assert client.notices.count("Finished mbo replay") == 1
        (session,) = gateway.sessions
        await eventually(lambda: session.ledger.counts()["mbo"] == {1: 390, 2: 390})
        assert b"".join(part.tobytes() for part in session.ledger.sent("mbo")) == client.bytes_of(dbn.MBOMsg)


async def test_a_subscription_without_start_beside_one_that_is_replayed_has_no_past(tmp_path: Path) -> None:
    tape = small_tape(tmp_path)
    async with serving(tape) as gateway:
        client = await started(
            gateway,
            {"schema": "mbo", "symbols": ["NQZ6"], "stype_in": "raw_symbol", "start": 0},
            {"schema": "mbo", "symbols": ["NQH7"], "stype_in": "raw_symbol"},
        )
        await client.until(lambda: client.notices[-1:] == ["Finished mbo replay"])
        tape.append("mbo", minute_of("mbo", 600, 3))
        await client.until(lambda: len(client.data()) == 202)
        assert [record.instrument_id for record in client.data()] == [1] * 201 + [2]


async def test_a_replay_from_before_what_is_kept_is_refused_with_error_8(tmp_path: Path) -> None:
    now = START + 25 * HOUR  # a Tuesday
    async with serving(small_tape(tmp_path), clock_ns=lambda: now) as gateway:
        client = await started(gateway, EVERYTHING | {"schema": "mbo", "start": START})
        await client.until(lambda: len(client.of(dbn.MBOMsg)) == 600)
        client = await started(gateway, EVERYTHING | {"schema": "trades", "start": START})
        await client.closed()
        assert client.errors == [(8, "Replay data aged out for trades")]
        assert client.data() == []
        client = await started(gateway, EVERYTHING | {"schema": "trades", "start": 0})
        await client.until(lambda: "Finished trades replay" in client.notices)
        assert client.data() == []


async def test_the_same_tape_clock_and_challenge_make_the_same_bytes(tmp_path: Path) -> None:
    lines = [
        "schema=mbo|stype_in=parent|symbols=NQ.FUT|start=0|id=1|is_last=1",
        "schema=trades|stype_in=raw_symbol|symbols=NQZ6,GONE|id=2|is_last=1",
        "start_session",
    ]

    async def session(folder: Path) -> bytes:
        async with serving(
            small_tape(folder), settings=dataclasses.replace(QUICK, heartbeat_interval_s=60), challenge=lambda: "c" * 32
        ) as gateway:
            reader, writer = await asyncio.open_connection(gateway.host, gateway.port)
            assert await reader.readline() == b"lsg_version=0.9.4\n"
            assert await reader.readline() == b"cram=" + b"c" * 32 + b"\n"
            auth = f"auth={get_challenge_response('c' * 32, KEY)}|dataset={DATASET}|encoding=dbn|ts_out=1"
            writer.write("\n".join([auth, *lines, ""]).encode())
            said = await asyncio.wait_for(reader.readuntil(b"Finished mbo replay"), DEADLINE_S)
            gateway.faults.start("fin")
            said += await asyncio.wait_for(reader.read(), DEADLINE_S)
            writer.close()
            return said

    first, second = await session(tmp_path / "first"), await session(tmp_path / "second")
    assert len(first) > 400 * 64
    assert first == second


# -- snapshots -------------------------------------------------------------------------------------------------------


def book_of(records: np.ndarray) -> dict[int, tuple[str, int, int]]:
    """Resting orders as simply as they can be kept: order id -> side, price, size."""
    orders: dict[int, tuple[str, int, int]] = {}
    for record in records:
        action, number = chr(record["action"]), int(record["order_id"])
        if action == "R":
            orders.clear()
        elif action in "AM":
            orders[number] = (chr(record["side"]), int(record["price"]), int(record["size"]))
        elif action == "C":
            orders.pop(number, None)
    return orders


def told(client_records: list[dbn.MBOMsg]) -> dict[int, tuple[str, int, int]]:
    return {each.order_id: (str(each.side), each.price, each.size) for each in client_records[1:]}


async def test_a_snapshot_is_the_book_of_the_file_then_what_is_live(tmp_path: Path, real_data: Path) -> None:
    tape = VendorTape(DATASET, tmp_path)
    load_files(tape, [real_data / "databento" / "esh4-glbx-mdp3-20231225.mbo.dbn.zst"], shift_to_ns=NOW - HOUR)
    async with serving(tape) as gateway:
        client = await started(gateway, {"schema": "mbo", "symbols": ["ES.FUT"], "snapshot": True})
        await client.until(lambda: client.data() and int(client.data()[-1].flags) == 168)
        snapshot = client.data()
        everything = tape.read("mbo", 0, tape.end("mbo"))
        assert told(snapshot) == book_of(everything)
        assert len(snapshot) > 5_000
        assert str(snapshot[0].action) == "R"
        assert {str(each.action) for each in snapshot[1:]} == {"A"}
        assert [int(each.flags) for each in snapshot] == [40] * (len(snapshot) - 1) + [168]
        new = everything[-3:].copy()
        new["order_id"] = (71, 72, 73)
        tape.append("mbo", new)
        await client.until(lambda: len(client.data()) == len(snapshot) + 3)
        assert [each.order_id for each in client.data()[-3:]] == [71, 72, 73]


async def test_a_snapshot_of_the_synthetic_market_is_the_venues(tmp_path: Path) -> None:
    tape = VendorTape(DATASET, tmp_path)
    venue = Venue(
        tape, seed=3, start_ns=NOW, records_per_s=2_000, futures=["NQZ6", "NQH7"], options=OptionSettings(expiries=1)
    )
    venue.advance(NOW + SECOND)
    async with serving(tape, books=VenueBooks(venue), clock_ns=lambda: NOW + SECOND) as gateway:
        client = await started(
            gateway, {"schema": "mbo", "symbols": ["NQZ6"], "stype_in": "raw_symbol", "snapshot": True}
        )
        await client.until(lambda: client.data() and int(client.data()[-1].flags) == 168)
        everything = tape.read("mbo", 0, tape.end("mbo"))
        number = client.of(dbn.SymbolMappingMsg)[0].instrument_id
        assert told(client.data()) == book_of(everything[everything["instrument_id"] == number])
        assert client.bytes_of(dbn.MBOMsg) == venue.snapshot(number).tobytes()


async def test_an_option_has_no_book_and_its_snapshot_says_so(tmp_path: Path) -> None:
    tape = VendorTape(DATASET, tmp_path)
    venue = Venue(tape, seed=3, start_ns=NOW, records_per_s=2_000, futures=["NQZ6"], options=OptionSettings(expiries=1))
    option = next(
        each for each in tape.listings.resolve("raw_symbol", "ALL_SYMBOLS", NOW) if each.instrument_class == "C"
    )
    async with serving(tape, books=VenueBooks(venue)) as gateway:
        client = await started(
            gateway,
            {"schema": "mbo", "symbols": [option.raw_symbol, "NQZ6"], "stype_in": "raw_symbol", "snapshot": True},
        )
        await client.until(lambda: [int(each.flags) for each in client.data()].count(168) == 2)
        assert [each.instrument_id for each in client.data()].count(option.instrument_id) == 1


async def test_what_has_no_book_has_a_snapshot_of_one_record(tmp_path: Path) -> None:
    tape = small_tape(tmp_path, schemas=("trades",))
    async with serving(tape) as gateway:
        client = await started(
            gateway, {"schema": "mbo", "symbols": ["NQZ6"], "stype_in": "raw_symbol", "snapshot": True}
        )
        await client.until(client.data)
        (clear,) = client.data()
        assert (str(clear.action), int(clear.flags), clear.order_id, clear.price) == ("R", 168, 0, dbn.UNDEF_PRICE)
