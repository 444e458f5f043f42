"""What a line makes of a session: streams, replays, gaps, clocks, books told anew, and when it gives up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping

import databento_dbn as dbn
import pytest
from tests.integration.databento.scripted_gateway import (
    START_NS,
    Conversation,
    Script,
    ScriptedGateway,
    authenticate,
    error,
    mapping,
    order,
    system,
    wait_for_end,
)
from tests.unit.feed.definition_builders import option

from tapeline.errors import Refused, TapelineError
from tapeline.feed.resume import TapeEnd
from tapeline.feed.source import Announcement, Item, Lost, Pair, Replayed, Ticks, VendorClock
from tapeline.model.columns import F_LAST, F_MAYBE_BAD_BOOK, F_SNAPSHOT
from tapeline.model.instrument_codec import decode_instrument
from tapeline_databento.errors import BooksLost, Disconnected, GatewayError, ReplayAgedOut, Silent, Undecodable
from tapeline_databento.session import LiveSession
from tapeline_databento.source import DatabentoSource, LiveLine

DEADLINE_S = 30.0
STREAM = "GLBX.MDP3/NQ.FUT"
ORDERS: Pair = (STREAM, "mbo")
BAD = F_LAST | F_MAYBE_BAD_BOOK
MS = 1_000_000
QUOTES = "mbp-1=NQ.FUT,NQ.OPT; trades=NQ.FUT"


def sends(*parts: bytes, then: Script | None = None) -> Script:
    async def script(conversation: Conversation) -> None:
        await conversation.begin()
        await conversation.send(b"".join(parts))
        if then is not None:
            await then(conversation)

    return script


def in_turn(*scripts: Script) -> Script:
    """Return a script that plays one after the other, one per connection."""
    coming = iter(scripts)

    async def script(conversation: Conversation) -> None:
        await next(coming)(conversation)

    return script


def line_of(
    gateway: ScriptedGateway,
    subscriptions: str = "mbo=NQ.FUT",
    clock_ns: Callable[[], int] = lambda: START_NS,
    **settings: object,
) -> LiveLine:
    source = DatabentoSource(gateway.settings(subscriptions=subscriptions, **settings), clock_ns)
    (line,) = source.lines()
    return line


def ends(start_ns: int, *pairs: Pair) -> Mapping[Pair, TapeEnd]:
    return {pair: TapeEnd(start_ns + 1, start_ns) for pair in pairs or (ORDERS,)}


async def take(
    session: LiveSession, tell: Callable[[list[Item]], None] = lambda _: None
) -> tuple[list[Item], TapelineError | None]:
    """Return all items, and what ended the session; `tell` is called with those so far after each."""
    taken: list[Item] = []
    try:
        async with asyncio.timeout(DEADLINE_S):
            async for item in session.items():
                taken.append(item)
                tell(taken)
    except TapelineError as end:
        return taken, end
    return taken, None


async def drain(items: AsyncGenerator[Item, None]) -> None:
    async for _ in items:
        pass


def ticks_of(items: list[Item]) -> list[Ticks]:
    return [item for item in items if isinstance(item, Ticks)]


def sequences(items: list[Item], symbol: str | None = None) -> list[int]:
    """Return the sequences of all ticks, or of one symbol's."""
    return [
        sequence
        for ticks in ticks_of(items)
        for number, sequence in zip(ticks.instrument_ids.tolist(), ticks.columns["sequence"].tolist(), strict=True)
        if symbol in (None, ticks.directory[number].symbol)
    ]


def quote(sequence: int, instrument_id: int, *, latency_ns: int = 100) -> bytes:
    level = dbn.BidAskPair(bid_px=1, ask_px=2, bid_sz=3, ask_sz=4)
    at_ns = START_NS + sequence * MS
    return bytes(
        dbn.MBP1Msg(
            1, instrument_id, at_ns, 5, 1, dbn.Action.ADD, dbn.Side.BID, 0, at_ns + latency_ns, 128, 5, sequence, level
        )
    )


def trade(sequence: int, instrument_id: int) -> bytes:
    at_ns = START_NS + sequence * MS
    return bytes(
        dbn.TradeMsg(
            1, instrument_id, at_ns, 5, 1, dbn.Action.TRADE, dbn.Side.BID, 0, ts_recv=at_ns, flags=0, sequence=sequence
        )
    )


def settlement(at_ms: int, instrument_id: int) -> bytes:
    at_ns = START_NS + at_ms * MS
    return bytes(
        dbn.StatMsg(
            publisher_id=1,
            instrument_id=instrument_id,
            ts_event=at_ns,
            ts_recv=at_ns + 100,
            ts_ref=START_NS,
            price=5,
            quantity=2**63 - 1,
            sequence=1,
            ts_in_delta=5,
            stat_type=dbn.StatType.SETTLEMENT_PRICE,
            update_action=dbn.StatUpdateAction.NEW,
            stat_flags=3,
        )
    )


# -- streams ---------------------------------------------------------------------------------------------------------


async def test_records_go_to_the_streams_of_their_symbols_also_of_instruments_that_are_listed_later() -> None:
    script = sends(
        mapping(7, "NQ.FUT", "NQZ6") + mapping(8, "NQ.OPT", "NQZ6 C21000"),
        quote(1, 7) + quote(2, 8) + trade(3, 7),
        mapping(9, "NQ.OPT", "NQZ6 P19000"),
        quote(4, 9),
    )
    async with ScriptedGateway(script) as gateway:
        line = line_of(gateway, QUOTES)
        assert await line.prepare() == {STREAM: "GLBX.MDP3", "GLBX.MDP3/NQ.OPT": "GLBX.MDP3"}
        assert line.pairs == {(STREAM, "l1"), (STREAM, "trade"), ("GLBX.MDP3/NQ.OPT", "l1")}
        session = await line.connect({})
        assert session.resumes == frozenset()
        items, end = await take(session)
    assert isinstance(end, Disconnected)
    seen = [
        (ticks.stream, ticks.kind, ticks.columns["sequence"].tolist(), ticks.directory[number].symbol)
        for ticks in ticks_of(items)
        for number in ticks.instrument_ids.tolist()
    ]
    assert seen == [
        (STREAM, "l1", [1], "NQZ6"),
        ("GLBX.MDP3/NQ.OPT", "l1", [2], "NQZ6 C21000"),
        (STREAM, "trade", [3], "NQZ6"),
        ("GLBX.MDP3/NQ.OPT", "l1", [4], "NQZ6 P19000"),
    ]
    assert {ticks.origin for ticks in ticks_of(items)} == {"live"}


async def test_an_instrument_that_nothing_maps_breaks_the_session() -> None:
    async with ScriptedGateway(sends(mapping(7, "NQ.FUT", "NQZ6") + quote(1, 7) + quote(2, 55))) as gateway:
        _, end = await take(await line_of(gateway, QUOTES).connect({}))
    assert isinstance(end, Undecodable)
    assert "quotes: instrument 55: must be mapped" in str(end)


async def test_heartbeats_and_ticks_tell_every_stream_how_late_it_is() -> None:
    heartbeat = system("Heartbeat", dbn.SystemCode.HEARTBEAT, START_NS + 900 * MS)
    script = sends(mapping(7, "NQ.FUT", "NQZ6"), quote(1, 7), quote(2, 7), quote(300, 7), heartbeat)
    async with ScriptedGateway(script) as gateway:
        items, _ = await take(await line_of(gateway, QUOTES).connect({}))
    clocks = [item for item in items if isinstance(item, VendorClock)]
    assert {clock.at_ns for clock in clocks} >= {START_NS + 900 * MS}
    last = [clock for clock in clocks if clock.at_ns == START_NS + 900 * MS]
    assert {clock.stream: clock.kinds for clock in last} == {STREAM: {"l1", "trade"}, "GLBX.MDP3/NQ.OPT": {"l1"}}
    assert len(clocks) <= 3 * 2, "not one per record"


async def test_no_clock_runs_ahead_of_ticks_that_came_with_newer_ones_of_another_kind() -> None:
    data = quote(1, 7) + trade(2, 7) + quote(3_000, 7) + trade(3_001, 7)
    async with ScriptedGateway(sends(mapping(7, "NQ.FUT", "NQZ6"), data)) as gateway:
        items, _ = await take(await line_of(gateway, QUOTES).connect({}))
    newest_ns = 0
    for item in items:
        if isinstance(item, VendorClock):
            newest_ns = max(newest_ns, item.at_ns)
        elif isinstance(item, Ticks):
            assert int(item.columns["ts_recv"].min()) >= newest_ns
    assert newest_ns == START_NS + 3_001 * MS


# -- replay ----------------------------------------------------------------------------------------------------------


async def test_a_replay_is_asked_for_from_the_tapes_end_and_told_when_it_is_complete() -> None:
    script = sends(
        mapping(7, "NQ.FUT", "NQZ6"),
        order(1) + order(2),
        system("Finished mbo replay", dbn.SystemCode.REPLAY_COMPLETED),
        order(3),
    )
    async with ScriptedGateway(script) as gateway:
        session = await line_of(gateway).connect(ends(START_NS))
        assert session.resumes == {ORDERS}
        items, _ = await take(session)
    (request,) = gateway.conversations[0].requests
    assert (request["start"], request["snapshot"]) == (str(START_NS), "0")
    told = [(item.origin, sequences([item])) if isinstance(item, Ticks) else item for item in items]
    assert [each for each in told if not isinstance(each, VendorClock)] == [
        ("replay", [1, 2]),
        Replayed(STREAM, "mbo"),
        ("live", [3]),
    ]
    assert not isinstance(told[1], VendorClock), "a replay's time is not the connection's"


async def test_streams_replayed_from_different_starts_get_what_is_theirs() -> None:
    option_stream = "GLBX.MDP3/NQ.OPT"
    script = sends(
        mapping(7, "NQ.FUT", "NQZ6") + mapping(8, "NQ.OPT", "NQZ6 C21000"),
        quote(1, 7) + quote(2, 8) + quote(5, 7) + quote(6, 8),
        system("Finished mbp-1 replay", dbn.SystemCode.REPLAY_COMPLETED),
        trade(3, 7),
    )
    starts = {
        (STREAM, "l1"): TapeEnd(0, START_NS + 5 * MS),
        (option_stream, "l1"): TapeEnd(0, START_NS + 2 * MS),
    }
    async with ScriptedGateway(script) as gateway:
        items, _ = await take(await line_of(gateway, QUOTES).connect(starts))  # type: ignore[arg-type]
    by_schema = {each["schema"]: each.get("start") for each in gateway.conversations[0].requests}
    assert by_schema == {"mbp-1": str(START_NS + 2 * MS), "trades": None}
    assert sequences([ticks for ticks in ticks_of(items) if ticks.stream == option_stream]) == [2, 6]
    assert sequences([ticks for ticks in ticks_of(items) if ticks.stream == STREAM and ticks.kind == "l1"]) == [5]
    assert [item for item in items if isinstance(item, Replayed)] == [
        Replayed(STREAM, "l1"),
        Replayed(option_stream, "l1"),
    ]
    assert {ticks.origin for ticks in ticks_of(items) if ticks.kind == "trade"} == {"live"}


async def test_statistics_begin_with_what_was_told_before_and_continue_what_is_on_the_tape() -> None:
    told_before, old_ms = (STREAM, "statistics"), -86_000_001
    script = sends(
        mapping(7, "NQ.FUT", "NQZ6"),
        settlement(old_ms, 7) + settlement(old_ms + 1, 7) + settlement(-1, 7),
        system("Finished definition replay", dbn.SystemCode.REPLAY_COMPLETED),
        settlement(0, 7),
        system("Finished statistics replay", dbn.SystemCode.REPLAY_COMPLETED),
        settlement(1, 7),
    )
    aged = sends(error("Replay data aged out", dbn.ErrorCode.REPLAY_DATA_AGED_OUT), then=wait_for_end)
    async with ScriptedGateway(in_turn(script, aged, sends(), sends())) as gateway:
        line = line_of(gateway, "statistics=NQ.FUT; definition=NQ.FUT")
        session = await line.connect({})
        assert session.resumes == frozenset(), "there is nothing that it continues"
        items, _ = await take(session)
        for pairs in ((told_before,), (told_before,), ()):
            session = await line.connect(ends(START_NS, *pairs) if pairs else {})  # type: ignore[arg-type]
            await take(session)
    told = [(ticks.origin, ((ticks.columns["ts_event"] - START_NS) // MS).tolist()) for ticks in ticks_of(items)]
    assert told == [("replay", [old_ms + 1, -1]), ("replay", [0]), ("live", [1])], "no older than the window"
    assert [item for item in items if isinstance(item, Replayed)] == [Replayed(*told_before)]  # type: ignore[arg-type]
    asked = [
        {each["schema"]: each.get("start") for each in conversation.requests} for conversation in gateway.conversations
    ]
    assert asked == [{"statistics": start, "definition": "0"} for start in ("0", str(START_NS), None, "0")], (
        "after a refusal of the tape's end, which may be on the tape, once from now on"
    )


async def test_a_replay_that_is_too_old_is_not_asked_for_again_and_once_only() -> None:
    aged = sends(error("Replay data aged out", dbn.ErrorCode.REPLAY_DATA_AGED_OUT), then=wait_for_end)
    async with ScriptedGateway(in_turn(aged, sends(), sends())) as gateway:
        line = line_of(gateway)
        _, end = await take(await line.connect(ends(START_NS)))
        assert isinstance(end, ReplayAgedOut)
        second = await line.connect(ends(START_NS))
        assert second.resumes == frozenset()
        await take(second)
        third = await line.connect(ends(START_NS))
        assert third.resumes == {ORDERS}
        await take(third)
    asked = [conversation.requests[0] for conversation in gateway.conversations]
    assert [(each.get("start"), each["snapshot"]) for each in asked] == [
        (str(START_NS), "0"),
        (None, "1"),
        (str(START_NS), "0"),
    ]


# -- errors in the stream --------------------------------------------------------------------------------------------


async def test_a_symbol_that_is_not_known_does_not_stop_the_others() -> None:
    unknown = error("Failed to resolve symbol 'Q5D.OPT'", dbn.ErrorCode.SYMBOL_RESOLUTION_FAILED)
    async with ScriptedGateway(sends(unknown, mapping(7, "NQ.FUT", "NQZ6"), quote(1, 7))) as gateway:
        items, end = await take(await line_of(gateway, "mbp-1=NQ.FUT,Q5D.OPT").connect({}))
    assert sequences(items) == [1]
    assert isinstance(end, Disconnected)


async def test_where_no_symbol_is_known_no_retry_helps() -> None:
    unknown = error("Failed to resolve symbol", dbn.ErrorCode.SYMBOL_RESOLUTION_FAILED)
    async with ScriptedGateway(sends(unknown, unknown, then=wait_for_end)) as gateway:
        _, end = await take(await line_of(gateway, "mbp-1=NQ.FUT,Q5D.OPT").connect({}))
    assert isinstance(end, Refused)
    assert "knows none of the symbols" in str(end)


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("Slow client detected for mbp-1, 17 records skipped", {(STREAM, "l1"), ("GLBX.MDP3/NQ.OPT", "l1")}),
        ("Slow client detected", {(STREAM, "l1"), ("GLBX.MDP3/NQ.OPT", "l1")}),
    ],
)
async def test_records_that_were_skipped_are_told(text: str, lost: set[Pair]) -> None:
    skipped = error(text, dbn.ErrorCode.SKIPPED_RECORDS_AFTER_SLOW_READING)
    async with ScriptedGateway(sends(mapping(7, "NQ.FUT", "NQZ6"), quote(1, 7), skipped, quote(2, 7))) as gateway:
        items, _ = await take(await line_of(gateway, QUOTES).connect({}))
    told = [item for item in items if isinstance(item, Lost)]
    assert {(each.stream, each.kind) for each in told} == lost
    assert {each.symbols for each in told} == {("*",)}
    assert all(text in each.reason for each in told)
    places = [type(item) for item in items if not isinstance(item, VendorClock)]
    assert places == [Ticks, Lost, Lost, Ticks]


@pytest.mark.parametrize(
    ("code", "end"),
    [
        (dbn.ErrorCode.INTERNAL_ERROR, GatewayError),
        (dbn.ErrorCode.CONNECTION_LIMIT_EXCEEDED, GatewayError),
        (dbn.ErrorCode.AUTH_FAILED, Refused),
        (dbn.ErrorCode.API_KEY_DEACTIVATED, Refused),
        (dbn.ErrorCode.INVALID_SUBSCRIPTION, Refused),
    ],
)
async def test_an_error_that_ends_the_session_is_told_without_waiting_for_the_close(
    code: dbn.ErrorCode, end: type[Exception]
) -> None:
    async with ScriptedGateway(sends(order(1), error("so it is", code), then=wait_for_end)) as gateway:
        items, ended = await take(await line_of(gateway).connect({}))
        assert sequences(items) == [1]
        assert isinstance(ended, end)
        assert "orders: the gateway says: so it is" in str(ended)
        async with asyncio.timeout(DEADLINE_S):
            await gateway.conversations[0].ended.wait()


# -- books -----------------------------------------------------------------------------------------------------------


def book(*sequences: int, instrument_id: int = 7) -> bytes:
    """Return a snapshot, and what follows it."""
    snapshot = F_SNAPSHOT | F_LAST
    return order(0, instrument_id=instrument_id, action=dbn.Action.CLEAR, flags=snapshot) + b"".join(
        order(sequence, instrument_id=instrument_id) for sequence in sequences
    )


MAPPINGS = mapping(7, "NQ.FUT", "NQZ6") + mapping(8, "NQ.FUT", "NQH7")


async def test_a_doubtful_book_is_told_anew_by_a_session_of_its_own() -> None:
    merged = asyncio.Event()

    async def main(conversation: Conversation) -> None:
        await conversation.begin()
        first = order(1) + order(2, instrument_id=8) + order(3, flags=BAD) + order(4, instrument_id=8) + order(5)
        await conversation.send(MAPPINGS + first)
        await merged.wait()
        await conversation.send(order(6) + order(7, instrument_id=8))

    async def side(conversation: Conversation) -> None:
        await conversation.begin()
        early = order(90)  # before the snapshot's R: of nobody
        await conversation.send(mapping(7, "NQZ6", "NQZ6") + early + book(91, 92))
        await wait_for_end(conversation)

    async with ScriptedGateway(in_turn(main, side)) as gateway:
        line = line_of(gateway)
        session = await line.connect({})
        items, end = await take(session, lambda taken: merged.set() if 92 in sequences(taken) else None)
        async with asyncio.timeout(DEADLINE_S):
            await gateway.conversations[1].ended.wait()
        assert isinstance(end, Disconnected)
        assert sequences(items, "NQH7") == [2, 4, 7]
        assert sequences(items, "NQZ6") == [1, 0, 91, 92]
        (lost,) = [item for item in items if isinstance(item, Lost)]
        assert lost == Lost(STREAM, "mbo", ("NQZ6",), "F_MAYBE_BAD_BOOK", START_NS + MS)
        before = items[: items.index(lost)]
        assert sequences(before, "NQZ6") == [1]
        assert {ticks.stream for ticks in ticks_of(items)} == {STREAM}
        (request,) = gateway.conversations[1].requests
        assert (request["symbols"], request["stype_in"], request["snapshot"]) == ("NQZ6", "raw_symbol", "1")


@pytest.mark.parametrize(
    ("told_anew", "was_told"),
    [(b"", False), (book(), False), (book(91), True)],
    ids=["nothing", "only the snapshot", "orders after it"],
)
async def test_orders_are_resumed_only_where_every_book_is_known(told_anew: bytes, was_told: bool) -> None:
    told = asyncio.Event()

    async def main(conversation: Conversation) -> None:
        await conversation.begin()
        await conversation.send(MAPPINGS + order(1) + order(2, flags=BAD))
        await told.wait()

    async def side(conversation: Conversation) -> None:
        await conversation.begin()
        if told_anew:
            await conversation.send(mapping(7, "NQZ6", "NQZ6") + told_anew)
        await wait_for_end(conversation)

    async with ScriptedGateway(in_turn(main, side, sends())) as gateway:
        line = line_of(gateway)
        items = (await line.connect({})).items()
        async with asyncio.timeout(DEADLINE_S):
            while not isinstance(await anext(items), Lost):
                pass
            if told_anew:
                while not isinstance(await anext(items), Ticks):
                    pass
            told.set()
            with pytest.raises(Disconnected):
                await drain(items)
        again = await line.connect(ends(START_NS))
        assert again.resumes == ({ORDERS} if was_told else frozenset())


async def test_a_book_whose_session_ends_is_doubtful_again_until_there_were_too_many() -> None:
    main = sends(MAPPINGS + order(1) + order(2, flags=BAD), then=wait_for_end)
    closing = sends(mapping(7, "NQZ6", "NQZ6") + book(91, 92))
    flagged = sends(mapping(7, "NQZ6", "NQZ6") + book(93) + order(94, flags=BAD), then=wait_for_end)
    async with ScriptedGateway(in_turn(main, closing, flagged, closing, sends())) as gateway:
        line = line_of(gateway)
        items, end = await take(await line.connect({}))
        assert isinstance(end, BooksLost)
        assert "the book of NQZ6 is doubtful, and 3 were mended before it" in str(end)
        assert sequences(items) == [1, 0, 91, 92, 0, 93, 0, 91, 92]
        reasons = [item.reason.partition(":")[0] for item in items if isinstance(item, Lost)]
        ended = "the session of its book ended"
        assert reasons == ["F_MAYBE_BAD_BOOK", ended, "F_MAYBE_BAD_BOOK", ended]
        froms = [item.ts_event_from for item in items if isinstance(item, Lost)]
        assert froms == [START_NS + number * MS for number in (1, 92, 93, 92)]
        assert (await line.connect(ends(START_NS))).resumes == frozenset(), "all books begin anew"


async def test_a_book_is_told_anew_once_the_gateway_lets_it_be_while_the_others_go_on() -> None:
    told = asyncio.Event()

    async def main(conversation: Conversation) -> None:
        await conversation.begin()
        await conversation.send(MAPPINGS + order(1) + order(2, flags=BAD))
        await told.wait()
        await conversation.send(order(3, instrument_id=8))
        await wait_for_end(conversation)

    async def hangs_up(conversation: Conversation) -> None:
        raise ConnectionAbortedError

    side = sends(mapping(7, "NQZ6", "NQZ6") + book(91), then=wait_for_end)
    greets = in_turn(authenticate, *[hangs_up] * 5, authenticate)
    async with ScriptedGateway(in_turn(main, side), greets) as gateway:
        items = (await line_of(gateway, doubtful_books=1).connect({})).items()
        seen: list[int] = []
        async with asyncio.timeout(DEADLINE_S):
            while 91 not in seen:
                seen += sequences([await anext(items)])
            told.set()
            while 3 not in seen:
                seen += sequences([await anext(items)])
        await items.aclose()
    assert seen == [1, 0, 91, 3]


# -- definitions -----------------------------------------------------------------------------------------------------


async def test_definitions_are_announced_and_tell_classes() -> None:
    definition = option(7)
    async with ScriptedGateway(sends(bytes(definition))) as gateway:
        items, _ = await take(await line_of(gateway, "definition=NQ.OPT,NQ.FUT").connect({}))
    (announced,) = [item for item in items if isinstance(item, Announcement)]
    assert announced.topic == "md.instruments.v1"
    assert decode_instrument(announced.value).raw_symbol == definition.raw_symbol
    (request,) = gateway.conversations[0].requests
    assert (request["symbols"], request["start"]) == ("NQ.OPT,NQ.FUT", "0")


# -- stalls and hours ------------------------------------------------------------------------------------------------


def beats(every_s: float) -> Script:
    async def script(conversation: Conversation) -> None:
        await conversation.begin()
        await conversation.send(MAPPINGS + order(1))
        while True:
            await asyncio.sleep(every_s)
            await conversation.send(system("Heartbeat", dbn.SystemCode.HEARTBEAT))

    return script


async def test_a_subscription_that_stalls_while_heartbeats_come_ends_the_session() -> None:
    async with ScriptedGateway(beats(0.1)) as gateway:
        items, end = await take(await line_of(gateway, mbo_silence_s=1.5).connect({}))
    assert sequences(items) == [1]
    assert isinstance(end, Silent)
    assert "orders: no mbo of GLBX.MDP3/NQ.FUT for " in str(end)


async def test_orders_that_come_now_and_then_are_no_stall() -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.begin()
        await conversation.send(MAPPINGS)
        for number in range(8):
            await conversation.send(order(number))
            await asyncio.sleep(0.4)

    async with ScriptedGateway(script) as gateway:
        items, end = await take(await line_of(gateway, mbo_silence_s=1.5).connect({}))
    assert sequences(items) == list(range(8))
    assert isinstance(end, Disconnected)


async def test_a_halt_that_another_line_tells_is_no_stall() -> None:
    halted = dbn.StatusMsg(
        1, 7, START_NS, START_NS, dbn.StatusAction.HALT, is_trading=dbn.TriState.NO, is_quoting=dbn.TriState.NO
    )
    async with ScriptedGateway(in_turn(beats(0.1), sends(mapping(7, "NQ.FUT", "NQZ6"), bytes(halted)))) as gateway:
        settings = gateway.settings(subscriptions="mbo=NQ.FUT; status=NQ.FUT", mbo_silence_s=0.5)
        orders, reference = DatabentoSource(settings, lambda: START_NS).lines()
        watched = await orders.connect({})
        await take(await reference.connect({}))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(drain(watched.items()), 3.0)


async def test_a_closed_market_is_no_silence_and_where_hours_are_limits_the_end() -> None:
    saturday_ns = START_NS + 5 * 86_400_000_000_000
    now_ns = START_NS

    async with ScriptedGateway(beats(0.1)) as gateway:
        line = line_of(gateway, clock_ns=lambda: now_ns, mbo_silence_s=0.5, market_hours_only=True)
        items = (await line.connect({})).items()
        now_ns = saturday_ns
        async with asyncio.timeout(DEADLINE_S):
            assert [item async for item in items] == []
        line = line_of(gateway, clock_ns=lambda: saturday_ns, mbo_silence_s=0.5)
        items = (await line.connect({})).items()
        await anext(items)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(drain(items), 3.0)


async def test_a_line_waits_for_the_markets_hours() -> None:
    saturday_ns = START_NS + 5 * 86_400_000_000_000
    now_ns, slept = saturday_ns, []

    async def sleep(seconds: float) -> None:
        nonlocal now_ns
        slept.append(seconds)
        now_ns += round(seconds * 1e9)

    async with ScriptedGateway(sends()) as gateway:
        made = line_of(gateway, clock_ns=lambda: now_ns, market_hours_only=True)
        line = LiveLine(made._plan, made._settings, made._knowledge, lambda: now_ns, sleep)
        assert await line.prepare() == {STREAM: "GLBX.MDP3"}
    assert max(slept) <= 60.0
    opened_ns = 1_790_546_100_000_000_000  # Sunday 2026-09-27T21:55, 5 minutes before the open
    assert now_ns == opened_ns
