"""The gateway and the official protocol class: who is let in, what is subscribed to, what is told about it."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import databento_dbn as dbn
import pytest
from databento.common.error import BentoError
from tests.integration.simulator.live import (
    DEADLINE_S,
    KEY,
    NOW,
    QUICK,
    authenticated,
    connected,
    eventually,
    listing,
    minute_of,
    serving,
    small_tape,
    started,
)

from tapeline_simulator.databento.gateway import Gateway


async def test_a_key_that_is_known_is_let_in_and_sessions_have_ids(tmp_path: Path) -> None:
    async with serving(small_tape(tmp_path)) as gateway:
        first, second = await authenticated(gateway), await authenticated(gateway)
        assert (first.authenticated.result(), second.authenticated.result()) == ("1", "2")
        asked = gateway.sessions[0].authentication
        assert asked is not None
        assert (asked.dataset, asked.skips, asked.ts_out) == ("GLBX.MDP3", True, False)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"key": "db-" + "x" * 29}, "Authentication failed"),
        ({"key": KEY[:-5] + "aaaaa"}, "Authentication failed"),
        ({"key": "db-xxx" + KEY[6:]}, "Authentication failed"),
        ({"dataset": "XNAS.ITCH"}, "A live data license is required to access XNAS.ITCH."),
        ({"heartbeat_interval_s": 4}, "heartbeat_interval_s must be between 5 and 1800"),
        ({"heartbeat_interval_s": 1801}, "heartbeat_interval_s must be between 5 and 1800"),
        ({"slow_reader_behavior": "stop"}, "slow_reader_behavior: must be skip or warn"),
    ],
)
async def test_who_is_turned_away_is_told_why(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    strict = dataclasses.replace(QUICK, least_heartbeat_interval_s=5.0)
    async with serving(small_tape(tmp_path), settings=strict) as gateway:
        client = await connected(gateway, **options)
        with pytest.raises(BentoError, match=f"^{said}$"):
            await asyncio.wait_for(client.authenticated, DEADLINE_S)
        assert await client.closed() is None
        await eventually(lambda: gateway.sessions[0].state == "closed")
        assert gateway.sessions[0].ended == "refused"


async def test_keys_may_change_while_the_gateway_runs(tmp_path: Path) -> None:
    keys = [KEY]
    async with Gateway(small_tape(tmp_path), keys=keys) as gateway:
        await authenticated(gateway)
        keys[:] = ["db-" + "n" * 29]
        with pytest.raises(BentoError, match="Authentication failed"):
            await authenticated(gateway)


async def test_a_session_begins_with_metadata_then_each_subscription_in_turn(tmp_path: Path) -> None:
    async with serving(small_tape(tmp_path)) as gateway:
        client = await started(
            gateway, {"schema": "mbo"}, {"schema": "trades", "symbols": ["NQZ6", "GONE"], "stype_in": "raw_symbol"}
        )
        await client.until(lambda: len(client.records) >= 6)
        metadata = client.metadata_received.result()
        assert (metadata.version, metadata.dataset, metadata.schema, metadata.start) == (3, "GLBX.MDP3", None, NOW)
        said = [
            getattr(each, "msg", None) or getattr(each, "err", None) or each.stype_out_symbol for each in client.records
        ]
        assert said[:6] == [
            "Subscription request 1 for mbo data succeeded",
            "NQZ6",
            "NQH7",
            "Subscription request 2 for trades data succeeded",
            "NQZ6",
            "Failed to resolve symbol GONE",
        ]
        assert client.errors == [(4, "Failed to resolve symbol GONE")]


@pytest.mark.parametrize(
    ("stype_in", "asked", "numbers"),
    [
        ("raw_symbol", "NQH7", [2]),
        ("instrument_id", "3", [3]),
        ("parent", "NQ.FUT", [1, 2]),
        ("continuous", "NQ.c.1", [2]),
        ("raw_symbol", "ALL_SYMBOLS", [1, 2, 3]),
    ],
)
async def test_instruments_are_those_asked_for_in_any_symbology(
    tmp_path: Path, stype_in: str, asked: str, numbers: list[int]
) -> None:
    tape = small_tape(tmp_path)
    async with serving(tape) as gateway:
        client = await started(gateway, {"schema": "mbo", "symbols": [asked], "stype_in": stype_in, "start": 0})
        await client.until(lambda: "Finished mbo replay" in client.notices)
        mappings = client.of(dbn.SymbolMappingMsg)
        assert [(each.instrument_id, each.stype_in_symbol, str(each.stype_in)) for each in mappings] == [
            (number, asked, stype_in) for number in numbers
        ]
        everything = tape.read("mbo", 0, 600)
        wanted = b"".join(record.tobytes() for record in everything if record["instrument_id"] in numbers)
        assert client.bytes_of(dbn.MBOMsg) == wanted
        assert gateway.sessions[0].ledger.counts() == {"mbo": dict.fromkeys(numbers, 200)}


async def test_subscriptions_of_more_symbols_than_a_line_takes_are_put_together(tmp_path: Path) -> None:
    tape = small_tape(tmp_path)
    symbols = [f"Q{number}" for number in range(1_200)]
    for number, symbol in enumerate(symbols, 10_000):
        tape.listings.add(listing(number, symbol))
    async with serving(tape) as gateway:
        client = await started(gateway, {"schema": "mbo", "symbols": symbols, "stype_in": "raw_symbol"})
        await client.until(lambda: len(client.of(dbn.SymbolMappingMsg)) == 1_200)
        assert client.notices == ["Subscription request 1 for mbo data succeeded"]
        (subscription,) = gateway.sessions[0].subscriptions
        assert subscription.symbols == tuple(symbols)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("schema=mbo-2|stype_in=parent|symbols=NQ.FUT", "schema: 'mbo-2' is not known"),
        ("schema=mbo|stype_in=isin|symbols=NQ.FUT", "stype_in: 'isin' is not known"),
        ("schema=mbo|stype_in=parent|symbols=", "symbols: must name at least one"),
        ("schema=mbo|stype_in=parent|symbols=NQ.FUT|start=noon", "start: 'noon' is no time in ns"),
        ("schema=mbo|stype_in=parent|symbols=NQ.FUT|start=1|snapshot=1", "snapshot: excludes start"),
        ("schema=trades|stype_in=parent|symbols=NQ.FUT|snapshot=1", "snapshot: there is none of trades"),
        ("schema=mbo|stype_in=parent|symbols=NQ.FUT|is_last=maybe", "is_last: 'maybe' is neither 0 nor 1"),
        ("hello", "control line: must be a subscription or start_session"),
    ],
)
async def test_a_subscription_that_makes_no_sense_ends_the_session_with_error_5(
    tmp_path: Path, line: str, said: str
) -> None:
    async with serving(small_tape(tmp_path)) as gateway:
        client = await authenticated(gateway)
        client.transport.write(f"{line}\n".encode())
        error = await client.closed()
        assert client.errors == [(5, f"Invalid subscription: {said}")]
        assert isinstance(error, BentoError)
        assert gateway.sessions[0].ended == "fin"


async def test_the_last_words_arrive_even_where_the_client_talks_on(tmp_path: Path) -> None:
    """What the gateway leaves unread would turn its FIN into an RST, and that takes the error record with it."""
    async with serving(small_tape(tmp_path)) as gateway:
        client = await authenticated(gateway)
        async with asyncio.timeout(DEADLINE_S):
            while not client.disconnected.done():
                client.transport.write(b"hello\n" * 1_000)
                await asyncio.sleep(0)
        assert [code for code, _ in client.errors] == [5]
        assert client.lost is None


async def test_a_subscription_during_the_session_is_live_from_then_on_and_has_no_replay(tmp_path: Path) -> None:
    tape = small_tape(tmp_path)
    async with serving(tape) as gateway:
        client = await started(gateway, {"schema": "mbo"})
        client.subscribe("trades", ["ESZ6"], "raw_symbol", start=0, subscription_id=7)
        await client.until(lambda: "Subscription request 7 for trades data succeeded" in client.notices)
        assert client.of(dbn.SymbolMappingMsg)[-1].stype_in_symbol == "ESZ6"
        tape.append("trades", minute_of("trades", 600, 3))
        await client.until(lambda: client.of(dbn.TradeMsg))
        assert [record.ts_event for record in client.of(dbn.TradeMsg)] == [minute_of("trades", 600, 3)[2]["ts_event"]]
        assert not client.of(dbn.MBOMsg)
        assert "Finished trades replay" not in client.notices


async def test_instruments_listed_during_the_day_are_mapped_and_sent_where_a_parent_was_asked_for(
    tmp_path: Path,
) -> None:
    tape = small_tape(tmp_path)
    async with serving(tape) as gateway:
        client = await started(gateway, {"schema": "mbo"})
        records = minute_of("mbo", 600, 7)
        records["instrument_id"] = (1, 4, 2, 3, 4, 1, 4)
        tape.append("mbo", records[:3])
        await client.until(lambda: len(client.of(dbn.MBOMsg)) == 2)
        tape.listings.add(listing(4, "NQM7"))
        tape.append("mbo", records[3:])
        await client.until(lambda: len(client.of(dbn.MBOMsg)) == 5)
        told = [each.instrument_id for each in client.records if isinstance(each, dbn.SymbolMappingMsg | dbn.MBOMsg)]
        assert told == [1, 2, 1, 2, 4, 4, 1, 4]
        (session,) = gateway.sessions
        await eventually(lambda: session.ledger.counts() == {"mbo": {1: 2, 2: 1, 4: 2}})


async def test_two_subscriptions_to_the_same_records_get_them_once(tmp_path: Path) -> None:
    tape = small_tape(tmp_path)
    async with serving(tape) as gateway:
        await_all = [{"schema": "mbo"}, {"schema": "mbo", "symbols": ["NQZ6", "ESZ6"], "stype_in": "raw_symbol"}]
        client = await started(gateway, *await_all)
        tape.append("mbo", minute_of("mbo", 600, 30))
        await client.until(lambda: len(client.of(dbn.MBOMsg)) == 30)
        assert client.bytes_of(dbn.MBOMsg) == minute_of("mbo", 600, 30).tobytes()


async def test_ts_out_is_the_time_of_sending(tmp_path: Path) -> None:
    async with serving(small_tape(tmp_path)) as gateway:
        client = await started(gateway, {"schema": "mbo", "start": 0}, {"schema": "trades", "start": 0}, ts_out=True)
        await client.until(lambda: len(client.notices) == 4)
        assert client.metadata_received.result().ts_out
        assert len(client.data()) == 800
        assert {record.ts_out for record in client.records} == {NOW}


async def test_zstd_carries_the_same_records(tmp_path: Path) -> None:
    tape = small_tape(tmp_path)
    async with serving(tape) as gateway:
        client = await started(
            gateway,
            {"schema": "mbo", "symbols": "ALL_SYMBOLS", "stype_in": "raw_symbol", "start": 0},
            compression=dbn.Compression.ZSTD,
        )
        await client.until(lambda: client.notices[-1:] == ["Finished mbo replay"])
        assert client.bytes_of(dbn.MBOMsg) == tape.read("mbo", 0, 600).tobytes()
        assert gateway.sessions[0].connection.bytes_sent < 600 * 56
        gateway.faults.start("fin")
        assert await client.closed() is None


async def test_metadata_are_equal_across_reconnects_but_for_their_start(tmp_path: Path) -> None:
    now = [NOW]
    async with serving(small_tape(tmp_path), clock_ns=lambda: now[0]) as gateway:
        heads = []
        for _ in range(2):
            client = await started(gateway, {"schema": "mbo"})
            heads.append(client.metadata_received.result())
            gateway.faults.start("rst")
            await client.closed()
            now[0] += 1
        fields = (
            "version",
            "dataset",
            "schema",
            "limit",
            "stype_in",
            "stype_out",
            "ts_out",
            "symbols",
            "partial",
            "not_found",
            "mappings",
        )
        assert [getattr(heads[0], name) for name in fields] == [getattr(heads[1], name) for name in fields]
        assert heads[1].start == heads[0].start + 1


async def test_sessions_beyond_the_limit_are_turned_away_until_one_ends(tmp_path: Path) -> None:
    few = dataclasses.replace(QUICK, most_sessions=2)
    async with serving(small_tape(tmp_path), settings=few) as gateway:
        first = await authenticated(gateway)
        await authenticated(gateway)
        with pytest.raises(BentoError, match=r"^User has reached their open connection limit$"):
            await authenticated(gateway)
        first.transport.close()
        await eventually(lambda: gateway.sessions[0].ended == "client")
        await authenticated(gateway)


async def test_connections_beyond_the_limit_per_second_are_closed_at_once(tmp_path: Path) -> None:
    few = dataclasses.replace(QUICK, connections_per_s=3)
    async with serving(small_tape(tmp_path), settings=few) as gateway:
        clients = [await connected(gateway) for _ in range(5)]
        assert await clients[4].closed() is None
        assert [client.authenticated.done() for client in clients[3:]] == [False, False]
        assert gateway.connections_refused == 2
        await asyncio.wait_for(clients[2].authenticated, DEADLINE_S)


async def test_heartbeats_come_only_when_nothing_else_does(tmp_path: Path) -> None:
    tape = small_tape(tmp_path)
    async with serving(tape, settings=dataclasses.replace(QUICK, heartbeat_interval_s=0.2)) as gateway:
        client = await started(gateway, {"schema": "mbo", "symbols": "ALL_SYMBOLS", "stype_in": "raw_symbol"})
        loop = asyncio.get_running_loop()
        began_s, sent = loop.time(), 0
        while loop.time() < began_s + 0.6:
            tape.append("mbo", minute_of("mbo", 600 + sent, 1))
            sent += 1
            await client.until(lambda count=sent: len(client.of(dbn.MBOMsg)) == count)
            await asyncio.sleep(0.02)
        assert client.heartbeats == 0
        quiet_s = loop.time()
        await client.until(lambda: client.heartbeats == 2)
        assert loop.time() - quiet_s > 0.3


async def test_a_client_may_ask_for_its_own_heartbeat_interval(tmp_path: Path) -> None:
    async with serving(small_tape(tmp_path), settings=dataclasses.replace(QUICK, heartbeat_interval_s=100)) as gateway:
        client = await started(gateway, {"schema": "mbo"}, heartbeat_interval_s=1)
        await client.until(lambda: client.heartbeats)
