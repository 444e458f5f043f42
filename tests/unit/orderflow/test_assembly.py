"""Live chains, worked by hand: what each frame and definition changes, and when a chain is told of."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.orderflow.builders import S, claim_frame, gap_frame
from tests.unit.orderflow.options import (
    C25000,
    C25100,
    DAY,
    E9,
    FRIDAY,
    P25000,
    P25100,
    SPREAD,
    STREAM,
    T0,
    THURSDAY,
    THURSDAYS,
    option,
    prints,
    quotes,
    spread,
    statistics,
    statuses,
)

from tapeline.model.chains import ABSENT, ABSENT_CODE, NULL, NULL_CODE, Chain, UnderlyingPrice, flag_bit
from tapeline.model.frames import TickFrame
from tapeline.model.instruments import Instrument
from tapeline.orderflow.assembly import ChainAssembler
from tapeline.orderflow.contracts import ContractBook

HEAD: dict[str, Any] = {"source": "databento", "stream": STREAM}
STALE = flag_bit("stale_quote")
SUNDAY_NS = T0 - 15 * 3_600 * S  # midnight of Monday, DAY
SETTLEMENT, CLEARED, INTEREST, OPENING = 3, 6, 9, 1


def assembler(*instruments: Instrument) -> ChainAssembler:
    made = ChainAssembler(ContractBook())
    for instrument in instruments or [option(symbol) for symbol in THURSDAYS]:
        made.contracts.define(instrument)
    return made


def chain_of(made: ChainAssembler, *frames: TickFrame, now: int = T0 + S) -> Chain:
    for frame in frames:
        made.apply(frame)
    (chain,) = made.due(now, {})
    return chain


def cells(chain: Chain, symbol: str, *names: str) -> tuple[Any, ...]:
    row = chain.contracts.vendor_symbols.index(symbol)
    return tuple(chain.contracts.columns[name][row].item() for name in names)


def stale(chain: Chain) -> list[str]:
    return [
        symbol
        for symbol, flags in zip(chain.contracts.vendor_symbols, chain.contracts.flags.tolist(), strict=True)
        if flags & STALE
    ]


TOP = ("bid", "bid_size", "ask", "ask_size", "quote_at")


# -- the chain -------------------------------------------------------------------------------------------------------


def test_a_chain_holds_every_listed_contract_and_the_last_quotes() -> None:
    rows = [
        (T0, "A", 0, 100 * E9, 3, 102 * E9, 4),
        (T0 + 1, "A", 1, 50 * E9, 1, None, 0),
        (T0 + 2, "M", 0, 101 * E9, 5, 102 * E9, 6),
    ]
    made = assembler()
    made.apply(quotes(rows))
    (chain,) = made.due(T0 + S, {("databento", "NQZ6"): UnderlyingPrice(25_040 * E9, "trade", T0)})
    assert chain.contracts.vendor_symbols == (C25000, P25000, C25100, P25100)
    assert chain.contracts.strike.tolist() == [25_000 * E9, 25_000 * E9, 25_100 * E9, 25_100 * E9]
    assert chain.contracts.is_call.tolist() == [True, False, True, False]
    assert cells(chain, C25000, *TOP) == (101 * E9, 5, 102 * E9, 6, T0 + 2)
    assert cells(chain, P25000, *TOP) == (50 * E9, 1, NULL, NULL, T0 + 1)
    assert cells(chain, C25100, *TOP) == (ABSENT,) * 5
    assert (chain.key, chain.source, chain.vendor, chain.mode) == (
        "NQZ6/2026-11-26T21:00:00Z",
        "databento",
        "databento",
        "live",
    )
    assert (chain.series, chain.vendor_series, chain.style, chain.multiplier) == ("Q4D", "Q4DX6", "european", 20 * E9)
    assert (chain.expected, chain.expected_from, chain.complete) == (4, "definitions", True)
    assert (chain.as_of, chain.fetched_at, chain.published_at, chain.delay_s) == (T0 + 2, T0 + 2, T0 + S, 0.0)
    assert chain.underlying_price == UnderlyingPrice(25_040 * E9, "trade", T0)
    assert (chain.forward, chain.rate, chain.computed, chain.flags) == (None, None, (), ())


def test_a_trade_shows_the_quote_before_it_and_a_cleared_book_is_no_quote() -> None:
    quote = (T0, "A", 0, 100 * E9, 3, 102 * E9, 4)
    trade = (T0 + 1, "T", 0, 90 * E9, 9, 91 * E9, 9, "B", 102 * E9, 2)
    chain = chain_of(assembler(), quotes([quote, trade]))
    assert cells(chain, C25000, *TOP) == (100 * E9, 3, 102 * E9, 4, T0)
    assert cells(chain, C25000, "last", "trade_at", "last_is_settlement", "trade_precision") == (102 * E9, T0 + 1, 0, 0)
    assert cells(chain, P25000, "last", "last_is_settlement", "trade_precision") == (ABSENT, ABSENT_CODE, ABSENT_CODE)
    cleared = (T0 + 2, "R", 0, 100 * E9, 3, 102 * E9, 4)
    chain = chain_of(assembler(), quotes([quote, cleared]))
    assert cells(chain, C25000, *TOP) == (NULL, NULL, NULL, NULL, T0 + 2)


def test_the_latest_trade_is_the_last_whichever_kind_tells_of_it_first() -> None:
    told_later = prints([(T0 + 1, 0, "B", 7 * E9, 1)])
    quote = (T0, "A", 0, 100 * E9, 3, 102 * E9, 4)
    l1 = quotes([quote, (T0 + 2, "T", 0, 0, 0, 0, 0, "B", 8 * E9, 2)])
    for frames in ((l1, told_later), (told_later, l1)):
        chain = chain_of(assembler(), *frames)
        assert cells(chain, C25000, "last", "trade_at") == (8 * E9, T0 + 2)


def test_statistics_keep_their_days_apart_from_quotes() -> None:
    friday, saturday = SUNDAY_NS - 3 * 86_400 * S, SUNDAY_NS - 2 * 86_400 * S
    rows = [
        (T0, 0, SETTLEMENT, 95 * E9, None, saturday, 1),
        (T0, 0, SETTLEMENT, 96 * E9, None, saturday, 1),  # the final word
        (T0, 0, SETTLEMENT, 90 * E9, None, friday, 1),
        (T0, 0, INTEREST, None, 1_200, friday, 1),
        (T0, 0, CLEARED, None, 40, friday, 1),
        (T0, 0, OPENING, 1 * E9, None, None, 1),
        (T0, 1, CLEARED, None, 30, SUNDAY_NS, 1),
        (T0, 1, INTEREST, None, 5, None, 1),
        (T0, 1, SETTLEMENT, 60 * E9, None, friday, 1),
        (T0, 1, SETTLEMENT, 60 * E9, None, friday, 2),  # taken back
        (T0, 2, CLEARED, None, 0, None, 1),
    ]
    chain = chain_of(assembler(), statistics(rows), quotes([(T0, "A", 0, E9, 1, 2 * E9, 1)]))
    names = ("settlement", "settlement_at", "open_interest", "open_interest_at", "volume", "volume_is_stale")
    assert cells(chain, C25000, *names) == (96 * E9, saturday, 1_200, friday, 40, 1)
    assert cells(chain, P25000, *names) == (NULL, friday, 5, NULL, 30, 0)
    assert cells(chain, C25100, *names) == (ABSENT, ABSENT, ABSENT, ABSENT, 0, NULL_CODE)
    assert cells(chain, P25100, *names) == (ABSENT, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT_CODE)
    assert cells(chain, C25000, "last") == (ABSENT,)


def test_statistics_that_are_replayed_while_quotes_are_live_leave_the_day_as_it_is() -> None:
    told = [(T0 - 9 * 3_600 * S, i, SETTLEMENT, i * E9, None, SUNDAY_NS, 1) for i in range(4)]
    told += [(T0 - 9 * 3_600 * S, i, kind, None, i, SUNDAY_NS, 1) for i in range(4) for kind in (INTEREST, CLEARED)]
    replayed = statistics(told, origin="replay", trading_day=DAY, classes="????")
    live = [quotes([(T0 + i, "A", i, E9, 1, 2 * E9, 1)], frame=i, trading_day="2026-11-24") for i in range(2)]
    for frames in ([live[0], replayed, live[1]], [replayed, *live]):
        for is_defined_first in (True, False):
            made = assembler() if is_defined_first else ChainAssembler(ContractBook())
            for frame in frames:
                made.apply(frame)
            for symbol in THURSDAYS:
                made.contracts.define(option(symbol))
            chain = chain_of(made)
            for i, symbol in enumerate(THURSDAYS):
                names = ("settlement", "open_interest", "volume", "volume_is_stale")
                assert cells(chain, symbol, *names) == (i * E9, i, i, 1), "of yesterday, as it is the 24th"
            assert (chain.mode, chain.fetched_at) == ("live", T0 + 1)
    made = assembler()
    made.apply(live[0])
    assert cells(chain_of(made, replayed), C25000, "volume_is_stale") == (1,)


def test_a_chain_does_not_trade_when_none_of_its_contracts_does() -> None:
    made = assembler()
    quote = quotes([(T0, "A", 0, E9, 1, 2 * E9, 1)])
    assert chain_of(made, quote, statuses([(T0, 0, "N"), (T0, 1, "Y")]), now=T0 + S).flags == ()
    assert chain_of(made, statuses([(T0 + 1, 1, "N"), (T0 + 1, 0, "~")], frame=1), now=T0 + 2 * S).flags == (
        "not_trading",
    )
    assert chain_of(made, statuses([(T0 + 2, 0, "Y")], frame=2), now=T0 + 3 * S).flags == ()


@pytest.mark.parametrize(
    ("origin", "mode"), [("live", "live"), ("replay", "live"), ("saved", "saved"), ("backfill", "saved")]
)
def test_the_mode_is_where_the_ticks_come_from(origin: Any, mode: str) -> None:
    assert chain_of(assembler(), quotes([(T0, "A", 0, E9, 1, 2 * E9, 1)], origin=origin)).mode == mode


# -- when it is told of ----------------------------------------------------------------------------------------------


def test_a_chain_is_told_of_on_change_and_at_most_once_a_second() -> None:
    made = assembler()
    assert made.due(T0, {}) == []
    made.apply(quotes([(T0, "A", 0, E9, 1, 2 * E9, 1)]))
    assert len(made.due(T0, {})) == 1
    assert made.due(T0 + 5 * S, {}) == [], "nothing changed"
    made.apply(quotes([(T0 + 5 * S, "A", 0, E9, 1, 2 * E9, 1)], frame=1))
    assert len(made.due(T0 + 5 * S, {})) == 1
    made.apply(quotes([(T0 + 6 * S, "A", 0, E9, 2, 2 * E9, 1)], frame=2))
    assert made.due(T0 + 6 * S - 1, {}) == []
    (chain,) = made.due(T0 + 6 * S, {})
    assert cells(chain, C25000, "bid_size") == (2,)


def test_there_is_no_chain_before_a_quote_and_none_after_the_expiry() -> None:
    made = assembler()
    made.apply(statistics([(T0, 0, INTEREST, None, 1, SUNDAY_NS, 1)]))
    assert made.due(T0, {}) == []
    made.apply(quotes([(THURSDAY - S, "A", 0, E9, 1, 2 * E9, 1)]))
    assert len(made.due(THURSDAY - S, {})) == 1
    made.apply(quotes([(THURSDAY - 1, "A", 0, E9, 1, 2 * E9, 1)], frame=1))
    assert made.due(THURSDAY, {}) == []
    old = assembler()
    old.apply(quotes([(THURSDAY - S, "A", 0, E9, 1, 2 * E9, 1)], origin="saved"))
    assert [chain.mode for chain in old.due(THURSDAY + 86_400 * S, {})] == ["saved"], "as it was then"


def test_only_changed_chains_are_told_of_and_each_expiry_has_its_own() -> None:
    friday, december = option("Q4EX6 C25000", expiry=FRIDAY), option("Q4DX6 P24000", underlying="NQH7")
    made = assembler(option(C25000), friday, december)
    symbols = [C25000, friday.raw_symbol, december.raw_symbol]
    for symbol in symbols:
        made.apply(quotes([(T0, "A", 0, E9, 1, 2 * E9, 1)], [symbol], frame=symbols.index(symbol)))
    assert {chain.key for chain in made.due(T0, {})} == {
        "NQZ6/2026-11-26T21:00:00Z",
        "NQZ6/2026-11-27T21:00:00Z",
        "NQH7/2026-11-26T21:00:00Z",
    }
    made.apply(quotes([(T0 + S, "A", 0, E9, 1, 2 * E9, 1)], [friday.raw_symbol], frame=3))
    assert [chain.key for chain in made.due(T0 + S, {})] == ["NQZ6/2026-11-27T21:00:00Z"]


# -- definitions -----------------------------------------------------------------------------------------------------


def test_definitions_may_come_after_the_quotes() -> None:
    made = ChainAssembler(ContractBook())
    made.apply(quotes([(T0, "A", 0, 100 * E9, 3, 102 * E9, 4)], [C25000], classes="?"))
    assert made.due(T0, {}) == []
    made.contracts.define(option(P25000))
    assert made.due(T0, {}) == [], "of another contract, which has not quoted"
    made.contracts.define(option(C25000))
    (chain,) = made.due(T0, {})
    assert cells(chain, C25000, "bid", "ask") == (100 * E9, 102 * E9)
    assert chain.expected == 2


def test_spreads_futures_and_what_was_deleted_are_left_out() -> None:
    future = option("NQZ6 C1", instrument_class="F", raw_symbol="NQZ6", strike=None)
    made = assembler(*map(option, THURSDAYS), spread(underlying="NQZ6", expiry=THURSDAY), future)
    made.contracts.define(option(P25100, update_action="D", ts_recv=T0))
    made.contracts.define(
        option(P25100),
    )
    row = (T0, "A", 0, E9, 1, 2 * E9, 1)
    chain = chain_of(made, quotes([row, (T0, "A", 1, E9, 1, 2 * E9, 1)], [SPREAD, C25000], classes="TC"))
    assert chain.contracts.vendor_symbols == (C25000, P25000, C25100)
    assert (chain.expected, chain.complete) == (3, True)
    made.contracts.define(option(C25100, update_action="D", ts_recv=T0 + 1))
    assert chain_of(made, now=T0 + 2 * S).contracts.vendor_symbols == (C25000, P25000)
    made.apply(quotes([row], [C25100], frame=1))
    assert made.due(T0 + 4 * S, {}) == [], "it is no more"
    chain = chain_of(made, quotes([row], [P25000], frame=2), now=T0 + 4 * S)
    assert (chain.expected, chain.complete) == (2, True)


def test_an_option_that_a_member_has_defined_is_left_out() -> None:
    made = assembler(option(C25000), option(P25000, user_defined=True))
    rows = [(T0, "A", i, E9, 1, 2 * E9, 1) for i in range(2)]
    assert chain_of(made, quotes(rows, [C25000, P25000])).contracts.vendor_symbols == (C25000,)


def test_a_contract_with_ticks_and_without_a_definition_makes_its_series_incomplete() -> None:
    made = assembler(option(C25000))
    chain = chain_of(made, quotes([(T0, "A", i, E9, 1, 2 * E9, 1) for i in range(2)], [C25000, P25000]))
    assert (chain.expected, chain.complete) == (1, False)
    made.contracts.define(option(P25000))
    chain = chain_of(made, now=T0 + 2 * S)
    assert (chain.expected, chain.complete) == (2, True)
    other = quotes([(T0, "A", 0, E9, 1, 2 * E9, 1), (T0, "A", 1, E9, 1, 2 * E9, 1)], [C25000, "Q4EX6 C25000"], frame=1)
    assert chain_of(made, other, now=T0 + 3 * S).complete is True


def test_a_definition_of_an_earlier_day_changes_nothing() -> None:
    made = assembler(option(C25000, trading_day="2026-11-24", style="american"))
    made.contracts.define(option(C25000))
    assert chain_of(made, quotes([(T0, "A", 0, E9, 1, 2 * E9, 1)])).style == "american"


def test_a_corrected_definition_moves_a_contract_with_its_quote() -> None:
    made = assembler(option(C25000), option(P25000))
    quoted = quotes([(T0, "A", 0, E9, 1, 2 * E9, 1), (T0, "A", 1, 3 * E9, 1, 4 * E9, 1)])
    assert chain_of(made, quoted).expected == 2
    made.contracts.define(option(P25000, underlying="NQH7", ts_recv=T0))
    chains = {chain.underlying: chain for chain in made.due(T0 + 2 * S, {})}
    assert chains["NQZ6"].contracts.vendor_symbols == (C25000,)
    assert cells(chains["NQH7"], P25000, "bid", "ask") == (3 * E9, 4 * E9)


def test_a_day_rolls_over_and_its_ids_are_used_again() -> None:
    """On Tuesday, Monday's id of a call is that of a put; names tell them apart. A chain that has expired is gone."""
    over = option("Q4CX6 C25000", expiry=T0 + 3_600 * S)
    made = assembler(over, option(C25000))
    row = (T0, "A", 0, 100 * E9, 3, 102 * E9, 4)
    made.apply(quotes([row], [over.raw_symbol]))
    assert len(made.due(T0, {})) == 1
    made.apply(quotes([row], [C25000], frame=1))
    assert len(made.due(T0, {})) == 1
    tuesday = "2026-11-24"
    swapped = option(P25000, trading_day=tuesday, instrument_id=option(C25000).instrument_id)
    made.contracts.define(swapped)
    made.contracts.define(option(C25000, trading_day=tuesday, instrument_id=77))
    next_day = T0 + 86_400 * S
    put = quotes([(next_day, "A", 0, 60 * E9, 1, 61 * E9, 1)], [P25000], frame=2, trading_day=tuesday)
    chain = chain_of(made, replace(put, instrument_ids=(swapped.instrument_id,)), now=next_day)
    assert cells(chain, C25000, "bid", "quote_at") == (100 * E9, T0)
    assert cells(chain, P25000, "bid", "quote_at") == (60 * E9, next_day)
    assert chain.as_of == next_day
    assert made.copy().arrays[0].shape[1] == 2, "the expired contract is forgotten"
    later = quotes([(next_day + S, "A", 0, 61 * E9, 1, 62 * E9, 1)], [C25000], frame=3, trading_day=tuesday)
    assert cells(chain_of(made, later, now=next_day + S), C25000, "bid") == (61 * E9,)


def test_a_chain_goes_on_after_another_has_expired() -> None:
    over = option("Q4CX6 C25000", expiry=T0 + 3_600 * S)
    made = assembler(over, option(C25000))
    for i, symbol in enumerate((over.raw_symbol, C25000)):
        made.apply(quotes([(T0, "A", 0, E9, 1, 2 * E9, 1)], [symbol], frame=i))
        made.due(T0, {})
    next_day = T0 + 86_400 * S
    for i in range(2):
        now = next_day + i * S
        row = (now, "A", 0, 7 * E9 + i, 1, 8 * E9, 1)
        chain = chain_of(made, quotes([row], [C25000], frame=2 + i, trading_day="2026-11-24"), now=now)
        assert cells(chain, C25000, "bid") == (7 * E9 + i,)


def test_contracts_without_a_definition_are_kept_for_a_day() -> None:
    made = assembler(option(C25000))
    rows = [(T0, "A", 0, E9, 1, 2 * E9, 1), (T0 + 43_200 * S, "A", 1, E9, 1, 2 * E9, 1)]
    made.apply(quotes(rows, ["Q9DX6 C1", "Q9DX6 C2"]))
    made.apply(quotes([(T0 + 86_400 * S, "A", 0, E9, 1, 2 * E9, 1)], [C25000], frame=1, trading_day="2026-11-24"))
    made.contracts.define(option("Q9DX6 C1"))
    made.contracts.define(option("Q9DX6 C2"))
    (chain,) = made.due(T0 + 86_400 * S, {})
    assert cells(chain, "Q9DX6 C1", "bid") == (ABSENT,)
    assert cells(chain, "Q9DX6 C2", "bid") == (E9,)


def test_old_contracts_are_forgotten() -> None:
    book = ContractBook()
    book.define(option(C25000, expiry=T0 - 40 * 86_400 * S, trading_day="2026-10-01"))
    book.define(option("Q3DX6 C25000", expiry=T0 - 10 * 86_400 * S, trading_day="2026-11-10"))
    book.define(option(P25000))
    assert book.find("GLBX.MDP3", C25000) is None
    assert book.find("GLBX.MDP3", "Q3DX6 C25000") is not None


# -- what is missing -------------------------------------------------------------------------------------------------


BOTH = quotes([(T0, "A", 0, E9, 1, 2 * E9, 1), (T0, "A", 1, E9, 1, 2 * E9, 1)])


def test_a_gap_is_told_at_once_and_quotes_are_doubted_until_they_come_again() -> None:
    made = assembler()
    made.apply(statistics([(T0, 2, INTEREST, None, 1, SUNDAY_NS, 1)]))
    assert chain_of(made, BOTH).flags == ()
    gap = {"kinds": ("l1",), **HEAD}
    chain = chain_of(made, gap_frame("open", **gap), now=T0 + 2 * S)
    assert chain.flags == ("gap",)
    assert stale(chain) == [C25000, P25000], "what never quoted is not stale"
    assert chain.as_of == T0
    chain = chain_of(made, gap_frame("bounded", **gap), now=T0 + 3 * S)
    assert (chain.flags, stale(chain)) == ((), [C25000, P25000])
    anew = quotes([(T0 + 3 * S, "A", 1, E9, 1, 2 * E9, 1)], session="s2")
    assert stale(chain_of(made, anew, now=T0 + 4 * S)) == [C25000]
    snapshot = quotes([(T0, "A", 0, E9, 1, 2 * E9, 1, "N", 0, 0, 32)], session="s2", frame=1)
    assert stale(chain_of(made, snapshot, now=T0 + 5 * S)) == []


def test_only_so_many_gaps_are_remembered() -> None:
    made = assembler()
    for i in range(70):
        for state in ("open", "bounded"):
            made.apply(gap_frame(state, kinds=("l1",), gap_id=f"g{i}", **HEAD))
    made.apply(gap_frame("open", kinds=("l1",), gap_id="g70", **HEAD))
    (stream,) = json.loads(made.copy().header)["streams"]
    assert list(stream["gaps"]) == [f"g{i}" for i in range(6, 71)]


def test_a_gap_of_some_symbols_and_of_other_kinds() -> None:
    made = assembler()
    chain_of(made, BOTH)
    chain = chain_of(made, gap_frame("open", kinds=("l1",), gap_symbols=(P25000, "NQZ6"), **HEAD), now=T0 + 2 * S)
    assert (chain.flags, stale(chain)) == (("gap",), [P25000])
    made = assembler()
    chain_of(made, BOTH)
    chain = chain_of(made, gap_frame("open", kinds=("statistics",), **HEAD), now=T0 + 2 * S)
    assert (chain.flags, stale(chain)) == (("gap",), [])
    other = chain_of(assembler(), gap_frame("open", kinds=("l1",), source="databento", stream="GLBX.MDP3/X.OPT"), BOTH)
    assert (other.flags, stale(other)) == ((), [])


@pytest.mark.parametrize(
    ("header", "doubted"),
    [
        ({"frame": 1}, False),
        ({"frame": 2}, True),
        ({"session": "s2", "resumes": ("s1", 0)}, False),
        ({"session": "s2", "resumes": ("s1", 1)}, True),
        ({"session": "s2"}, True),
        ({"frame": 2, "origin": "saved"}, True),
    ],
    ids=["next", "a frame is missing", "resumed", "resumed after a loss", "begun anew", "missing in a file"],
)
def test_quotes_are_doubted_where_records_were_lost(header: dict[str, Any], doubted: bool) -> None:
    made = assembler()
    chain_of(made, BOTH)
    following = quotes([(T0 + 1, "A", 2, E9, 1, 2 * E9, 1)], **header)
    assert stale(chain_of(made, following, now=T0 + 2 * S)) == ([C25000, P25000] if doubted else [])


def test_other_kinds_that_lose_frames_leave_quotes_alone() -> None:
    made = assembler()
    chain = chain_of(made, BOTH, prints([(T0, 0, "B", E9, 1)]), prints([(T0, 0, "B", E9, 1)], frame=5))
    assert stale(chain) == []


def test_a_bad_book_is_doubted_until_the_next_quote() -> None:
    made = assembler()
    assert stale(chain_of(made, quotes([(T0, "A", 0, E9, 1, 2 * E9, 1, "N", 0, 0, 4 | 128)]))) == [C25000]
    assert stale(chain_of(made, quotes([(T0 + 1, "A", 0, E9, 1, 2 * E9, 1)], frame=1), now=T0 + 2 * S)) == []


def test_a_pass_over_files_that_begins_anew_begins_from_nothing() -> None:
    made = assembler()
    later = quotes(
        [(T0 + 9 * S, "A", 0, E9, 1, 2 * E9, 1), (T0 + 9 * S, "T", 0, 0, 0, 0, 0, "B", E9, 1)], origin="saved"
    )
    chain_of(made, later, statistics([(T0, 0, INTEREST, None, 1, SUNDAY_NS, 1)], origin="saved"))
    again = quotes([(T0, "A", 1, 5 * E9, 1, 6 * E9, 1)], origin="saved", session="s2")
    chain = chain_of(made, again, now=T0 + 20 * S)
    assert cells(chain, C25000, "bid", "quote_at", "last", "open_interest") == (ABSENT, ABSENT, ABSENT, 1)
    assert (chain.as_of, stale(chain)) == (T0, [])


def test_a_producer_that_was_replaced_counts_no_more() -> None:
    made = assembler()
    made.apply(claim_frame(2, **HEAD))
    chain = chain_of(made, quotes([(T0, "A", 0, 9 * E9, 1, 10 * E9, 1)], epoch=2, session="s2"), BOTH)
    assert cells(chain, C25000, "bid") == (9 * E9,)
    assert made.frames_of_lower_epoch == 1


def test_a_frame_that_is_repeated_changes_nothing() -> None:
    made = assembler()
    newer = quotes([(T0 + 1, "A", 0, 7 * E9, 1, 8 * E9, 1)], frame=1)
    chain = chain_of(made, BOTH, newer, BOTH)
    assert (cells(chain, C25000, "bid"), made.frames_repeated) == ((7 * E9,), 1)


def test_frames_of_futures_leave_no_trace() -> None:
    made = assembler()
    made.apply(quotes([(T0, "A", 0, E9, 1, 2 * E9, 1)], ["NQZ6"], stream="GLBX.MDP3/NQ.FUT"))
    assert made.due(T0, {}) == []
    assert made.copy().arrays[0].shape[1] == 0


def test_the_trading_day_of_the_tape_judges_the_age_of_volume() -> None:
    made = assembler()
    row = (T0, 0, CLEARED, None, 3, SUNDAY_NS, 1)
    chain = chain_of(
        made,
        statistics([row], trading_day="2026-11-24"),
        quotes([(T0, "A", 0, E9, 1, 2 * E9, 1)], trading_day="2026-11-24"),
    )
    assert cells(chain, C25000, "volume", "volume_is_stale") == (3, 1)
    assert DAY == "2026-11-23"
