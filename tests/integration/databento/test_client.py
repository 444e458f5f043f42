"""One connection to a gateway, from greeting to the last record: every end is told, and nothing before it is lost."""

from __future__ import annotations

import asyncio
import logging
import socket

import pytest
from tests.integration.databento.scripted_gateway import (
    KEY,
    Conversation,
    Script,
    ScriptedGateway,
    head,
    mapping,
    order,
    wait_for_end,
)

from tapeline.errors import Refused, Retryable
from tapeline.feed.dbn_decoder import DbnBatch, Decoded, OtherRecords
from tapeline_databento.client import GatewayProtocol, connect
from tapeline_databento.errors import Disconnected, GatewayAway, GatewayError, Silent, Undecodable

DEADLINE_S = 30.0
LIMIT_BYTES = 65_536


def sends(*parts: bytes, then: Script = wait_for_end) -> Script:
    async def script(conversation: Conversation) -> None:
        await conversation.begin()
        for part in parts:
            await conversation.send(part)
        await then(conversation)

    return script


async def closes(conversation: Conversation) -> None:
    """Leave it to the server to close."""


async def resets(conversation: Conversation) -> None:
    conversation.reset()


async def begun(gateway: ScriptedGateway, **settings: object) -> GatewayProtocol:
    protocol = await connect(gateway.settings(**settings), "orders")
    protocol.request("mbo", ("NQ.FUT",), "parent", start_ns=None, snapshot=True)
    protocol.start()
    return protocol


async def take(protocol: GatewayProtocol) -> tuple[list[Decoded], Retryable]:
    """Return all that comes, and what ended the session."""
    taken: list[Decoded] = []
    try:
        async with asyncio.timeout(DEADLINE_S):
            async for decoded in protocol.decoded():
                taken.append(decoded)  # noqa: PERF401  what came before the end
    except Retryable as end:
        return taken, end
    finally:
        protocol.transport.abort()
    pytest.fail("the session ended without an error")


async def to_end(gateway: ScriptedGateway, **settings: object) -> tuple[list[int], Retryable]:
    """Return the sequences of all records, and what ended the session."""
    taken, end = await take(await begun(gateway, **settings))
    return sequences_of(taken), end


def sequences_of(taken: list[Decoded]) -> list[int]:
    return [number for each in taken if isinstance(each, DbnBatch) for number in each.columns["sequence"].tolist()]


# -- beginning -------------------------------------------------------------------------------------------------------


async def test_it_says_what_it_wants_in_the_gateways_words() -> None:
    async with ScriptedGateway(sends(order(1), then=closes)) as gateway:
        protocol = await connect(gateway.settings(), "orders")
        protocol.request("mbo", ("NQ.FUT", "ES.FUT"), "parent", start_ns=None, snapshot=True)
        protocol.request("mbo", ("NQZ6",), "raw_symbol", start_ns=123, snapshot=False)
        protocol.request("definition", ("NQ.c.0",), "continuous", start_ns=0, snapshot=False)
        protocol.start()
        await take(protocol)
    (conversation,) = gateway.conversations
    assert conversation.authentication["dataset"] == "GLBX.MDP3"
    assert conversation.authentication["heartbeat_interval_s"] == "10"
    assert conversation.authentication["slow_reader_behavior"] == "warn"
    assert conversation.authentication["ts_out"] == "0"
    assert [
        (each["schema"], each["stype_in"], each["symbols"], each.get("start"), each["snapshot"], each["id"])
        for each in conversation.requests
    ] == [
        ("mbo", "parent", "NQ.FUT,ES.FUT", None, "1", "1"),
        ("mbo", "raw_symbol", "NQZ6", "123", "0", "2"),
        ("definition", "continuous", "NQ.c.0", "0", "0", "3"),
    ]


async def test_the_key_is_never_told_not_even_where_the_gateway_tells_it(caplog: pytest.LogCaptureFixture) -> None:
    async def repeats(conversation: Conversation) -> None:
        await conversation.send(b"lsg_version=0.9.4\ncram=challenge\n")
        await conversation.line()
        await conversation.send(f"success=0|error=the key {KEY} is not known\n".encode())

    caplog.set_level(logging.DEBUG)
    async with ScriptedGateway(closes, repeats) as gateway:
        with pytest.raises(
            Refused, match="the key … is not known; check the key in TAPELINE_DATABENTO_API_KEY"
        ) as told:
            await connect(gateway.settings(), "orders")
    assert told.value.__cause__ is None
    assert told.value.__suppress_context__ or told.value.__context__ is None
    assert KEY[-5:] not in caplog.text
    assert KEY not in str(told.value)


@pytest.mark.parametrize(
    ("said", "raised"),
    [
        (b"success=0|error=Authentication failed\n", Refused),
        (b"success=0|error=User or API key deactivated\n", Refused),
        (b"success=0|error=Not entitled to dataset GLBX.MDP3\n", Refused),
        (b"success=0|error=User has reached their open connection limit\n", GatewayError),
        (b"success=0|error=Internal error\n", GatewayError),
        (b"", GatewayAway),
        (b"lsg_version=0.9.4 hello\n", GatewayAway),
        (b"\xff\xfe\n", GatewayAway),
    ],
)
async def test_a_beginning_that_fails_is_told_at_once(said: bytes, raised: type[Exception]) -> None:
    async def refuses(conversation: Conversation) -> None:
        if said.startswith(b"success"):
            await conversation.send(b"lsg_version=0.9.4\ncram=challenge\n")
            await conversation.line()
        await conversation.send(said)
        conversation.writer.close()

    async with ScriptedGateway(closes, refuses) as gateway, asyncio.timeout(DEADLINE_S / 2):
        with pytest.raises(raised) as told:
            await connect(gateway.settings(), "orders")
    assert type(told.value) is raised


async def test_a_wrong_key_is_refused() -> None:
    async with ScriptedGateway(closes) as gateway:
        settings = gateway.settings().model_validate(gateway.settings().model_dump() | {"api_key": "db-wrong"})
        with pytest.raises(Refused, match="orders: the gateway refuses: Authentication failed; check the key"):
            await connect(settings, "orders")


async def test_a_gateway_that_does_not_greet_is_left_in_time() -> None:
    async with ScriptedGateway(closes, wait_for_end) as gateway:
        with pytest.raises(GatewayAway, match=r"did not authenticate within 0\.2 s"):
            await connect(gateway.settings(authentication_timeout_s=0.2), "orders")
        async with asyncio.timeout(DEADLINE_S):
            await gateway.conversations[0].ended.wait()


async def test_a_gateway_that_is_not_there_is_told_with_its_address() -> None:
    async with ScriptedGateway(closes) as gateway:
        settings = gateway.settings()
    with pytest.raises(GatewayAway, match=rf"127\.0\.0\.1:{settings.port} cannot be reached"):
        await connect(settings, "orders")


async def test_a_gateway_that_takes_no_connection_is_left_in_time() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        port = listening.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        try:
            for each in waiting:  # the queue of connections that nobody accepts is full now
                each.setblocking(False)
                each.connect_ex(("127.0.0.1", port))
            async with ScriptedGateway(closes) as gateway:
                settings = gateway.settings(port=port, connect_timeout_s=0.3)
                with pytest.raises(GatewayAway, match=r"did not take a connection within 0\.3 s"):
                    await connect(settings, "orders")
        finally:
            for each in waiting:
                each.close()


# -- ends ------------------------------------------------------------------------------------------------------------


async def test_a_clean_close_is_an_end_like_any_other() -> None:
    async with ScriptedGateway(sends(order(1) + order(2), order(3), then=closes)) as gateway:
        sequences, end = await to_end(gateway)
    assert sequences == [1, 2, 3]
    assert type(end) is Disconnected
    assert str(end) == "orders: the gateway closed the connection"


async def test_a_reset_is_told_after_what_came_before_it() -> None:
    async with ScriptedGateway(sends(order(1), then=resets)) as gateway:
        sequences, end = await to_end(gateway)
    assert sequences == [1]
    assert type(end) is Disconnected
    assert "orders: the connection was lost: " in str(end)


@pytest.mark.parametrize("cut", [1, 15, 55])
async def test_a_record_that_was_cut_is_told(cut: int) -> None:
    async with ScriptedGateway(sends(order(1) + order(2)[:cut], then=closes)) as gateway:
        sequences, end = await to_end(gateway)
    assert sequences == [1]
    assert str(end) == f"orders: the gateway closed the connection, inside a record of which {cut} bytes were there"


async def test_bytes_that_are_no_dbn_are_shown() -> None:
    async with ScriptedGateway(sends(order(1) + order(2) + b"\x0e\xee junk" + bytes(60))) as gateway:
        sequences, end = await to_end(gateway)
    assert sequences == [1, 2]
    assert type(end) is Undecodable
    assert f"orders, byte {len(head()) + 112}: must begin a record, but there is no record type 0xee" in str(end)
    assert "the bytes there: 0eee206a756e6b" in str(end)


async def test_a_head_that_is_none_is_shown() -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.line()
        await conversation.send(b"HTTP/1.1 200 OK\r\n")
        await wait_for_end(conversation)

    async with ScriptedGateway(script) as gateway:
        sequences, end = await to_end(gateway)
    assert sequences == []
    assert type(end) is Undecodable
    assert "must begin as DBN" in str(end)
    assert b"HTTP/1.1".hex() in str(end)


async def test_a_head_that_is_far_too_long_is_not_waited_for() -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.line()
        await conversation.send(head(symbols=1_000)[:100])
        await wait_for_end(conversation)

    async with ScriptedGateway(script) as gateway:
        _, end = await to_end(gateway)
    assert type(end) is Undecodable
    assert "a live head has at most 65536 bytes" in str(end)


@pytest.mark.parametrize("parts", [(), (order(1),)])
async def test_silence_is_an_end_even_when_nothing_ever_came(parts: tuple[bytes, ...]) -> None:
    async with ScriptedGateway(sends(*parts)) as gateway:
        sequences, end = await to_end(gateway, heartbeat_interval_s=0, silence_margin_s=0.3)
    assert sequences == [1] * len(parts)
    assert type(end) is Silent
    assert "orders: nothing came for " in str(end)


# -- reading ---------------------------------------------------------------------------------------------------------


async def test_what_comes_byte_by_byte_is_the_same() -> None:
    data = mapping(7, "NQ.FUT", "NQZ6") + order(1) + order(2)

    async def script(conversation: Conversation) -> None:
        await conversation.line()
        await conversation.line()
        for byte in head() + data:
            conversation.writer.write(bytes([byte]))
            await asyncio.sleep(0)

    async with ScriptedGateway(script) as gateway:
        taken, _ = await take(await begun(gateway))
    assert [each.name if isinstance(each, OtherRecords) else each.columns["sequence"].tolist() for each in taken] == [
        "symbol-mapping",
        [1],
        [2],
    ]


async def test_where_nothing_comes_for_a_second_it_is_said() -> None:
    async with ScriptedGateway(sends(order(1))) as gateway:
        protocol = await begun(gateway)
        slices = protocol.slices()
        async with asyncio.timeout(DEADLINE_S):
            lengths = [len(await anext(slices)) for _ in range(3)]
        await slices.aclose()
        protocol.transport.abort()
    assert lengths == [1, 0, 0]


async def test_who_does_not_take_stops_the_reading_and_loses_nothing() -> None:
    """The gateway cannot send what nobody takes; while reading is stopped, silence is nobody's fault."""
    block, blocks = b"".join(order(number) for number in range(1_000)), 400
    sent = 0

    async def script(conversation: Conversation) -> None:
        nonlocal sent
        await conversation.begin()
        for _ in range(blocks):
            await conversation.send(block)
            sent += 1

    async with ScriptedGateway(script) as gateway:
        protocol = await begun(gateway, receive_bytes=LIMIT_BYTES, heartbeat_interval_s=0, silence_margin_s=0.3)
        before = -1
        async with asyncio.timeout(DEADLINE_S):
            while sent != before or not sent:
                before = sent
                await asyncio.sleep(1.5)  # longer than the limit of silence
        assert sent < blocks, "the gateway was held up"
        taken, end = await take(protocol)
    assert type(end) is Disconnected
    assert sequences_of(taken) == list(range(1_000)) * blocks


async def test_after_a_pause_of_our_own_the_limit_of_silence_begins_anew() -> None:
    resumed = asyncio.Event()
    data = b"".join(order(number) for number in range(2_000))
    fits = LIMIT_BYTES - len(head())

    async def script(conversation: Conversation) -> None:
        await conversation.begin()
        await conversation.send(data[:fits])
        await resumed.wait()
        await asyncio.sleep(1.4)
        await conversation.send(data[fits:])

    async with ScriptedGateway(script) as gateway:
        protocol = await begun(gateway, receive_bytes=LIMIT_BYTES, heartbeat_interval_s=0, silence_margin_s=2.0)
        await asyncio.sleep(2.1)
        resumed.set()
        taken, end = await take(protocol)
    assert type(end) is Disconnected
    assert sequences_of(taken) == list(range(2_000))


async def test_the_event_loop_has_its_turns_while_much_is_decoded() -> None:
    runs = 20_000
    data = b"".join(order(number) + mapping(number, "NQ.FUT", "NQZ6") for number in range(runs // 2))
    async with ScriptedGateway(sends(data, then=closes)) as gateway:
        protocol = await begun(gateway)
        async with asyncio.timeout(DEADLINE_S):
            await asyncio.wait((protocol.disconnected,))
        taking, turns = asyncio.create_task(take(protocol)), 0
        while not taking.done():
            await asyncio.sleep(0)
            turns += 1
        taken, _ = await taking
    assert len(taken) == runs
    assert turns > 5, "it would be one turn of a large part of a second"
