"""When the venue trades, and what it refuses."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

import databento_dbn as dbn
import pytest
from tests.unit.simulator.venue_reading import (
    FUTURES,
    QUARTERLY_WEEK,
    SECOND,
    START,
    Make,
    PlainBook,
    decoded,
)

from tapeline.errors import Misconfigured
from tapeline_simulator.exchange import MAX_LATENCY_NS
from tapeline_simulator.market import front_contracts
from tapeline_simulator.option_quotes import SLICE_NS
from tapeline_simulator.venue import OptionSettings


def test_a_halted_future_and_its_options_are_silent(make: Make) -> None:
    tape, venue = make(start_ns=QUARTERLY_WEEK, options=OptionSettings(expiries=7, quotes_per_s=2_000))
    venue.advance(QUARTERLY_WEEK + SECOND)
    venue.halt("NQZ6", 2.0)
    halted, resumed = QUARTERLY_WEEK + SECOND - MAX_LATENCY_NS, QUARTERLY_WEEK + 3 * SECOND - MAX_LATENCY_NS
    venue.advance(QUARTERLY_WEEK + 5 * SECOND)
    definitions = {each.instrument_id: each for each in decoded(tape, "definition")}
    on_nearest = {n for n, each in definitions.items() if "NQZ6" in (each.raw_symbol, each.underlying)}
    on_next = {n for n, each in definitions.items() if each.underlying == "NQH7" or each.raw_symbol == "NQH7"}
    assert len(on_next) > 50
    for schema in ("mbo", "mbp-1", "trades"):
        within = [each for each in decoded(tape, schema) if halted + SLICE_NS < each.ts_event < resumed]
        assert within
        assert {each.instrument_id for each in within} <= on_next
        after = {each.instrument_id for each in decoded(tape, schema) if each.ts_event > resumed}
        assert after & on_nearest
        assert after & on_next
    statuses = [each for each in decoded(tape, "status") if each.ts_event >= halted]
    told = [(each.ts_event, each.action, each.is_trading) for each in statuses]
    assert set(told) == {(halted, dbn.StatusAction.HALT, False), (resumed, dbn.StatusAction.TRADING, True)}
    outrights = {n for n in on_nearest if str(definitions[n].user_defined_instrument) == "N"}
    assert {each.instrument_id for each in statuses} == outrights


def test_a_longer_halt_wins_and_the_book_survives_a_halt_of_everything(make: Make) -> None:
    tape, venue = make(futures=("NQZ6",), rate=5_000)
    venue.advance(START + SECOND)
    venue.halt("NQZ6", 1.0)
    venue.halt("NQZ6", 2.0)
    venue.halt("NQZ6", 0.5)
    venue.advance(START + 10 * SECOND)
    live = [each for each in decoded(tape, "mbo") if each.ts_event > START + SECOND - MAX_LATENCY_NS]
    assert START + 3 * SECOND - MAX_LATENCY_NS < live[0].ts_event < START + 3.1 * SECOND
    assert [each.is_trading for each in decoded(tape, "status")] == [False, True, False, True]
    book = PlainBook()
    for record in decoded(tape, "mbo"):
        book.apply(record)
    bid, ask, *_ = book.top()
    assert bid < ask
    with pytest.raises(Misconfigured, match="'NQH7' cannot be halted: it must be one of NQZ6"):
        venue.halt("NQH7", 1.0)


def test_a_series_expires_and_the_next_one_is_listed(make: Make) -> None:
    expiry = int(datetime(2026, 11, 23, 21, 0, tzinfo=UTC).timestamp()) * SECOND
    tape, venue = make(start_ns=expiry - 3 * SECOND, options=OptionSettings(expiries=2, quotes_per_s=2_000))
    codes = ["Q4A.OPT", "Q4B.OPT", "Q4C.OPT"]
    assert [bool(tape.listings.resolve("parent", code, expiry - 1)) for code in codes] == [True, True, False]
    venue.advance(expiry + 3 * SECOND)
    assert [bool(tape.listings.resolve("parent", code, expiry)) for code in codes] == [False, True, True]
    gone = {each.instrument_id for each in tape.listings.resolve("parent", "Q4A.OPT", expiry - 1)}
    come = {each.instrument_id for each in tape.listings.resolve("parent", "Q4C.OPT", expiry)}
    rows = decoded(tape, "mbp-1")
    of_gone = [each.ts_recv for each in rows if each.instrument_id in gone]
    assert expiry - SECOND < max(of_gone) < expiry
    of_come = [each.ts_event for each in rows if each.instrument_id in come]
    assert expiry <= min(of_come) < expiry + SECOND
    last = {each.instrument_id: each for each in decoded(tape, "status")}
    assert {(last[number].action, last[number].is_trading) for number in gone if number in last} == {
        (dbn.StatusAction.CLOSE, False)
    }
    assert {last[number].is_trading for number in come} == {True}


def test_a_future_trades_until_it_expires(make: Make) -> None:
    expiry = int(datetime(2026, 12, 18, 14, 30, tzinfo=UTC).timestamp()) * SECOND
    tape, venue = make(start_ns=expiry - 2 * SECOND, futures=("NQZ6", "NQH7"), rate=5_000)
    venue.advance(expiry + 2 * SECOND)
    numbers = {each.raw_symbol: each.instrument_id for each in tape.listings.resolve("parent", "NQ.FUT", expiry - 1)}
    times = defaultdict(list)
    for record in decoded(tape, "mbo"):
        times[record.instrument_id].append(record.ts_event)
    assert expiry - SECOND < max(times[numbers["NQZ6"]]) <= expiry
    assert expiry + SECOND < max(times[numbers["NQH7"]])
    last = {each.instrument_id: each.action for each in decoded(tape, "status")}
    assert last[numbers["NQZ6"]] == dbn.StatusAction.CLOSE
    assert [each.raw_symbol for each in tape.listings.resolve("continuous", "NQ.c.0", expiry)] == ["NQH7"]


def test_options_are_on_the_future_that_outlives_them(make: Make) -> None:
    start = QUARTERLY_WEEK
    tape, _ = make(start_ns=start, options=OptionSettings(expiries=7))
    underlyings = {each.asset: each.underlying for each in decoded(tape, "definition") if each.underlying}
    assert underlyings == {
        **dict.fromkeys(("Q2A", "Q3B", "Q3C", "Q3D", "NQ"), "NQZ6"),
        **dict.fromkeys(("Q3A", "Q4B"), "NQH7"),
    }
    rolled, _ = make(start_ns=start, futures=front_contracts(start, 2), options=OptionSettings(expiries=7))
    assert {each.underlying for each in decoded(rolled, "definition") if each.underlying} == {"NQH7"}


@pytest.mark.parametrize(
    ("futures", "options"),
    [
        ((), None),
        (("ESZ6",), None),
        (("NQZ6", "NQZ6"), None),
        (FUTURES, {"expiries": 0}),
        (FUTURES, {"quotes_per_s": -1.0}),
    ],
)
def test_what_makes_no_market_is_refused(make: Make, futures: tuple[str, ...], options: dict[str, Any] | None) -> None:
    with pytest.raises(Misconfigured):
        make(futures=futures, options=None if options is None else OptionSettings(**options))
