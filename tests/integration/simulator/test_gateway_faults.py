"""What goes wrong on request: each fault does what it says, to whom it says, and ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import databento_dbn as dbn
import pytest
from databento.common.error import BentoError
from tests.integration.simulator.live import (
    DEADLINE_S,
    QUICK,
    Client,
    authenticated,
    connected,
    eventually,
    minute_of,
    serving,
    small_tape,
    started,
)

from tapeline.errors import BadData
from tapeline_simulator.databento.faults import FAULT_NAMES


async def test_fin_ends_sessions_cleanly_after_what_was_sent(tmp_path: Path) -> None:
    tape = small_tape(tmp_path)
    async with serving(tape) as gateway:
        client, idle = await started(gateway, {"schema": "mbo", "start": 0}), await authenticated(gateway)
        gateway.faults.start("fin")
        assert await client.closed() is None
        assert await idle.closed() is None
        await eventually(lambda: [session.ended for session in gateway.sessions] == ["fin", "fin"])
        assert client._dbn_decoder.buffer() == b""
        again = await started(gateway, {"schema": "mbo"})
        await again.until(lambda: again.notices)


async def test_rst_resets_sessions_at_once(tmp_path: Path) -> None:
    async with serving(small_tape(tmp_path)) as gateway:
        client = await started(gateway, {"schema": "mbo"})
        gateway.faults.start("rst")
        assert isinstance(await client.closed(), ConnectionResetError)
        await eventually(lambda: gateway.sessions[0].ended == "rst")


@pytest.mark.parametrize("reset", [False, True])
async def test_cut_ends_sessions_inside_of_the_next_record(tmp_path: Path, reset: bool) -> None:
    tape = small_tape(tmp_path)
    async with serving(tape) as gateway:
        client = await started(gateway, {"schema": "mbo"})
        await client.until(lambda: client.notices)
        gateway.faults.start("cut", reset=reset)
        tape.append("mbo", minute_of("mbo", 600, 6))
        error = await client.closed()
        assert isinstance(error, ConnectionResetError) if reset else error is None
        assert [record.order_id for record in client.of(dbn.MBOMsg)] == [600, 601, 603]
        assert client._dbn_decoder.buffer() == minute_of("mbo", 604, 1).tobytes()[:28]
        assert gateway.sessions[0].ledger.counts() == {}


async def test_cut_takes_a_heartbeat_where_there_is_no_data(tmp_path: Path) -> None:
    async with serving(small_tape(tmp_path)) as gateway:
        client = await started(gateway, {"schema": "mbo"})
        gateway.faults.start("cut")
        assert await client.closed() is None
        assert len(client._dbn_decoder.buffer()) == 160


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (1, "Authentication failed"),
        (2, "User or API key deactivated"),
        (3, "User has reached their open connection limit"),
        (4, "Failed to resolve symbol GLBX.MDP3"),
        (5, "Invalid subscription: GLBX.MDP3"),
        (6, "Internal error"),
        (7, "Slow client detected for GLBX.MDP3. Skipped records"),
        (8, "Replay data aged out for GLBX.MDP3"),
    ],
)
async def test_error_sends_the_record_then_ends(tmp_path: Path, code: int, said: str) -> None:
    async with serving(small_tape(tmp_path)) as gateway:
        client = await started(gateway, {"schema": "mbo"})
        gateway.faults.start("error", code=code)
        error = await client.closed()
        assert client.errors == [(code, said)]
        assert str(error) == said
        assert client.of(dbn.ErrorMsg)[0].is_last


@pytest.mark.parametrize("name", ["refuse", "outage"])
async def test_connections_are_refused_until_it_is_over(tmp_path: Path, name: str) -> None:
    async with serving(small_tape(tmp_path)) as gateway:
        before = await started(gateway, {"schema": "mbo"})
        fault = gateway.faults.start(name, seconds=30)
        client = await connected(gateway)
        assert await client.closed() is None
        assert not client.authenticated.done()
        if name == "outage":
            assert isinstance(await before.closed(), ConnectionResetError)
        else:
            assert not before.disconnected.done()
        gateway.faults.end(fault.number)
        await authenticated(gateway)


async def test_faults_end_by_themselves(tmp_path: Path) -> None:
    async with serving(small_tape(tmp_path)) as gateway:
        gateway.faults.start("refuse", seconds=0.05)
        await eventually(lambda: not gateway.faults.active())
        await authenticated(gateway)


async def test_flap_resets_every_session_so_long_after_it_was_connected(tmp_path: Path) -> None:
    async with serving(small_tape(tmp_path)) as gateway:
        before = await started(gateway, {"schema": "mbo"})
        fault = gateway.faults.start("flap", every_ms=50, seconds=30)
        assert isinstance(await before.closed(), ConnectionResetError)
        streaming, greeted = await started(gateway, {"schema": "mbo"}), await connected(gateway)
        assert isinstance(await streaming.closed(), ConnectionResetError)
        assert isinstance(await greeted.closed(), ConnectionResetError)
        last = await connected(gateway)
        gateway.faults.end(fault.number)
        await asyncio.wait_for(last.authenticated, DEADLINE_S)
        last.subscribe("mbo", ["NQ.FUT"], "parent")
        last.start()
        await last.until(lambda: last.heartbeats >= 3)


async def test_a_session_may_be_reset_before_its_metadata(tmp_path: Path) -> None:
    async with serving(small_tape(tmp_path)) as gateway:
        gateway.faults.start("flap", every_ms=0.1, seconds=30)
        client = await connected(gateway)
        assert isinstance(await client.closed(), ConnectionResetError)
        assert not client.metadata_received.done()


async def test_a_black_hole_swallows_everything_and_then_all_goes_on(tmp_path: Path) -> None:
    tape = small_tape(tmp_path)
    async with serving(tape) as gateway:
        client = await started(gateway, {"schema": "mbo"})
        await client.until(lambda: client.heartbeats)
        fault = gateway.faults.start("black-hole", seconds=30)
        await asyncio.sleep(0)
        heard = len(client.records)
        tape.append("mbo", minute_of("mbo", 600, 3))
        late = await authenticated(gateway)
        late.subscribe("mbo", ["NQ.FUT"], "parent")
        late.start()
        await asyncio.sleep(4 * QUICK.heartbeat_interval_s)
        assert len(client.records) == heard
        assert not late.metadata_received.done()
        assert not client.disconnected.done()
        gateway.faults.end(fault.number)
        await client.until(lambda: len(client.of(dbn.MBOMsg)) == 2)
        await late.until(lambda: late.heartbeats)


async def test_a_black_hole_for_connections_does_not_greet(tmp_path: Path) -> None:
    async with serving(small_tape(tmp_path)) as gateway:
        fault = gateway.faults.start("black-hole", seconds=30, stage="connection")
        client = await connected(gateway)
        await eventually(lambda: len(gateway.sessions) == 1)
        await asyncio.sleep(0.05)
        assert not client.authenticated.done()
        gateway.faults.end(fault.number)
        await asyncio.wait_for(client.authenticated, DEADLINE_S)


async def test_a_stalled_schema_comes_later_while_all_else_goes_on(tmp_path: Path) -> None:
    tape = small_tape(tmp_path)
    async with serving(tape) as gateway:
        client = await started(gateway, {"schema": "mbo"}, {"schema": "trades"})
        await client.until(lambda: len(client.notices) == 2)
        fault = gateway.faults.start("stall", schema="mbo", seconds=30)
        tape.append("mbo", minute_of("mbo", 600, 30))
        tape.append("trades", minute_of("trades", 600, 30))
        await client.until(lambda: len(client.of(dbn.TradeMsg)) == 20 and client.heartbeats >= 2)
        assert client.of(dbn.MBOMsg) == []
        assert tape.end("mbo") == 630
        gateway.faults.end(fault.number)
        tape.append("mbo", minute_of("mbo", 630, 30))
        await client.until(lambda: len(client.of(dbn.MBOMsg)) == 40)
        assert [record.order_id for record in client.of(dbn.MBOMsg)] == [n for n in range(600, 660) if n % 3 != 2]


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("auth-failure", None, "Authentication failed"),
        ("revoked-key", 2, "User or API key deactivated"),
        ("connection-limit", 3, "User has reached their open connection limit"),
        ("unentitled", None, "A live data license is required to access GLBX.MDP3."),
    ],
)
async def test_new_sessions_are_turned_away_and_running_ones_end_where_it_concerns_them(
    tmp_path: Path, name: str, code: int | None, said: str
) -> None:
    async with serving(small_tape(tmp_path)) as gateway:
        running = await started(gateway, {"schema": "mbo"})
        fault = gateway.faults.start(name, seconds=30)
        with pytest.raises(BentoError, match=f"^{said}$"):
            await authenticated(gateway)
        if code is None:
            await running.until(lambda: running.heartbeats)
            assert not running.disconnected.done()
        else:
            await running.closed()
            assert running.errors == [(code, said)]
        gateway.faults.end(fault.number)
        await authenticated(gateway)


async def test_a_replay_may_lack_records_and_be_said_to_be_complete(tmp_path: Path) -> None:
    tape = small_tape(tmp_path)
    async with serving(tape) as gateway:
        gateway.faults.start("lost-replay", count=7, seconds=30)
        client = await started(gateway, {"schema": "mbo", "start": 0})
        await client.until(lambda: client.notices[-1:] == ["Finished mbo replay"])
        wanted = [number for number in range(600) if number % 3 != 2]
        received = [record.order_id for record in client.of(dbn.MBOMsg)]
        assert received == wanted[:200] + wanted[207:]
        (session,) = gateway.sessions
        await eventually(lambda: sum(session.ledger.counts()["mbo"].values()) == 393)
        gateway.faults.clear()
        whole = await started(gateway, {"schema": "mbo", "start": 0})
        await whole.until(lambda: len(whole.of(dbn.MBOMsg)) == 400)


async def test_the_next_record_of_an_instrument_is_flagged_in_every_session_and_not_on_the_tape(tmp_path: Path) -> None:
    tape = small_tape(tmp_path)
    async with serving(tape) as gateway:
        client = await started(gateway, {"schema": "mbo"})
        gateway.faults.start("bad-book", symbol="NQH7", seconds=30)
        tape.append("mbo", minute_of("mbo", 600, 9))
        await client.until(lambda: len(client.of(dbn.MBOMsg)) == 6)
        replayed = await started(gateway, {"schema": "mbo", "start": 0})
        await replayed.until(lambda: len(replayed.of(dbn.MBOMsg)) == 406)
        for each in (client, replayed):
            flagged = [(record.order_id, record.instrument_id) for record in each.of(dbn.MBOMsg) if record.flags]
            assert flagged == [(601, 2)]
        assert not tape.read("mbo", 0, 609)["flags"].any()


async def test_a_flag_that_no_record_has_taken_is_taken_back_at_the_end(tmp_path: Path) -> None:
    tape = small_tape(tmp_path)
    async with serving(tape) as gateway:
        client = await started(gateway, {"schema": "mbo"})
        gateway.faults.start("bad-book", symbol="NQH7", seconds=30)
        gateway.faults.clear()
        tape.append("mbo", minute_of("mbo", 600, 9))
        await client.until(lambda: len(client.of(dbn.MBOMsg)) == 6)
        assert not any(record.flags for record in client.of(dbn.MBOMsg))


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("fire", {}, r"name: must be one of fin, .*bad-book, is 'fire'"),
        ("fin", {"seconds": 1}, "seconds: is no parameter of fin, which takes none"),
        ("refuse", {"for": 1}, "for: is no parameter of refuse, which takes seconds"),
        ("refuse", {"seconds": 0}, "seconds: must be a number above 0, is 0"),
        ("refuse", {"seconds": "long"}, "seconds: must be a number above 0, is 'long'"),
        ("refuse", {"seconds": 3_601}, "seconds: must be at most 3600, is 3601"),
        ("refuse", {"seconds": True}, "seconds: must be a number above 0, is True"),
        ("error", {"code": 9}, "code: must be one of 1, 2, 3, 4, 5, 6, 7, 8, is 9"),
        ("error", {"code": 2.5}, "code: must be a whole number above 0, is 2.5"),
        ("cut", {"reset": "yes"}, "reset: must be true or false, is 'yes'"),
        ("stall", {"schema": "mbo-2"}, r"schema: must be one of mbo, .*, is 'mbo-2'"),
        ("bad-book", {}, "symbol: must be the raw symbol of an instrument, as in symbol=NQZ6"),
        (
            "bad-book",
            {"symbol": "NONE"},
            "symbol: must be the raw symbol of an instrument that is listed now, is 'NONE'",
        ),
    ],
)
async def test_what_makes_no_sense_is_refused_and_changes_nothing(
    tmp_path: Path, name: str, parameters: dict[str, object], said: str
) -> None:
    async with serving(small_tape(tmp_path)) as gateway:
        with pytest.raises(BadData, match=f"^{said}$"):
            gateway.faults.start(name, **parameters)
        assert gateway.faults.active() == []


async def test_every_fault_can_begin_without_a_client(tmp_path: Path) -> None:
    async with serving(small_tape(tmp_path)) as gateway:
        for name in FAULT_NAMES:
            gateway.faults.start(name, **({"symbol": "NQZ6"} if name == "bad-book" else {}))
        gateway.faults.clear()
        client: Client = await started(gateway, {"schema": "mbo"})
        await client.until(lambda: client.heartbeats)
