"""Who is listed at the venue, as whom, and what is told of each before the start."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import databento_dbn as dbn
from tests.unit.simulator.venue_reading import (
    FUTURES,
    QUARTER,
    SECOND,
    START,
    UNDEFINED,
    Day,
    is_on_grid,
    of_options,
)

from tapeline_simulator.option_quotes import never_quotes


def test_the_default_chains_are_of_a_demo_s_size(day: Day) -> None:
    listed = day.listed.values()
    parents = Counter(each.parent for each in listed if each.instrument_class in "CP")
    assert parents.keys() == {
        *("Q4A.OPT", "Q4B.OPT", "Q4C.OPT", "QN4.OPT", "QNE.OPT", "Q1B.OPT", "Q1C.OPT", "Q1D.OPT", "NQ.OPT")
    }
    assert 1_000 < parents.total() < 2_500
    assert len({each.instrument_id for each in listed}) == len({each.raw_symbol for each in listed}) == len(listed)


def test_listings_hold_the_definitions_of_the_tape(day: Day) -> None:
    first = {}
    for definition in day.records["definition"]:
        first.setdefault(definition.instrument_id, definition)
    assert first.keys() == day.listed.keys()
    for number, listing in day.listed.items():
        definition = first[number]
        assert listing.definition == bytes(definition)
        assert len(listing.definition) == 520
        assert listing.raw_symbol == definition.raw_symbol
        assert listing.instrument_class == str(definition.instrument_class)
        assert listing.parent == f"{definition.asset}.{'FUT' if listing.instrument_class == 'F' else 'OPT'}"
        assert (listing.listed_ns, listing.expires_ns) == (definition.activation, definition.expiration)
        assert definition.unit_of_measure_qty == 20 * SECOND
        assert (definition.currency, definition.exchange) == ("USD", "XCME")
        assert str(definition.security_update_action) == "A"
        assert definition.contract_multiplier == 2**31 - 1


def test_futures_are_defined_as_real_ones_are(day: Day) -> None:
    definition = next(each for each in day.records["definition"] if each.raw_symbol == "NQZ6")
    assert (str(definition.instrument_class), definition.cfi, definition.security_type) == ("F", "FFIXSX", "FUT")
    assert (definition.asset, definition.group) == ("NQ", "NQ")
    assert definition.min_price_increment == QUARTER
    assert definition.min_price_increment_amount == 5 * SECOND
    assert definition.expiration == int(datetime(2026, 12, 18, 14, 30, tzinfo=UTC).timestamp()) * SECOND
    assert (definition.maturity_year, definition.maturity_month) == (2026, 12)
    assert str(definition.user_defined_instrument) == "N"
    assert (definition.underlying, definition.strike_price) == ("", UNDEFINED)
    settlement = next(
        each.price
        for each in day.records["statistics"]
        if each.instrument_id == definition.instrument_id and int(each.stat_type) == 3
    )
    assert definition.low_limit_price < settlement < definition.high_limit_price


def test_options_are_defined_as_real_ones_are(day: Day) -> None:
    numbers = {each.raw_symbol: number for number, each in day.listed.items()}
    for definition in day.definitions.values():
        letter = str(definition.instrument_class)
        if letter not in "CP":
            continue
        code, right = definition.raw_symbol.split(" ")
        assert right == f"{letter}{definition.strike_price // SECOND}"
        assert code.startswith(definition.asset)
        assert definition.cfi == f"O{letter}{'A' if definition.asset == 'NQ' else 'E'}FPS"
        assert definition.min_price_increment == UNDEFINED
        assert definition.underlying == "NQZ6"
        assert definition.underlying_id == numbers["NQZ6"]
        assert str(definition.user_defined_instrument) == "N"
        assert definition.security_type == "OOF"


def test_strikes_are_dense_at_the_money_and_the_same_for_calls_and_puts(day: Day) -> None:
    strikes: dict[tuple[str, str], set[int]] = defaultdict(set)
    for definition in day.definitions.values():
        if str(definition.instrument_class) in "CP":
            strikes[definition.asset, str(definition.instrument_class)].add(definition.strike_price // SECOND)
    for root in {root for root, _ in strikes}:
        assert strikes[root, "C"] == strikes[root, "P"]
        ladder = sorted(strikes[root, "C"])
        money = round(sum(ladder) / len(ladder) / 100) * 100
        assert {b - a for a, b in pairwise(ladder)} == {25, 50, 100}
        assert set(range(money - 200, money + 201, 25)) <= strikes[root, "C"]
        assert all(strike % 25 == 0 for strike in ladder)


def test_traders_spreads_are_marked_and_have_a_record_per_leg(day: Day) -> None:
    legs: dict[str, list[Any]] = defaultdict(list)
    for each in day.records["definition"]:
        if str(each.user_defined_instrument) == "Y":
            legs[each.raw_symbol].append(each)
    assert len(legs) == 6
    assert Counter(str(each[0].instrument_class) for each in legs.values()) == {"T": 4, "M": 2}
    for symbol, records in legs.items():
        assert symbol.startswith("UD:1V: ")
        assert [each.leg_index for each in records] == list(range(records[0].leg_count)) == [0, 1]
        for each in records:
            leg = day.listed[each.leg_instrument_id]
            assert (leg.raw_symbol, leg.instrument_class) == (each.leg_raw_symbol, str(each.leg_instrument_class))
        resolved = day.tape.listings.resolve("raw_symbol", symbol, START)
        assert [each.parent for each in resolved] == [f"{records[0].asset}.OPT"]


def test_a_strike_is_listed_during_the_day(day: Day) -> None:
    at = START + 5 * SECOND
    new = [each for each in day.listed.values() if each.listed_ns == at]
    assert [each.instrument_class for each in new] == ["C", "P"]
    parent = new[0].parent
    before = day.tape.listings.resolve("parent", parent, at - 1)
    assert {*day.tape.listings.resolve("parent", parent, at)} - {*before} == set(new)
    late = [each for each in day.records["definition"] if each.ts_event == at]
    assert [bytes(each) for each in late] == [each.definition for each in new]
    others = [
        each.strike_price
        for number, each in day.definitions.items()
        if each.asset == late[0].asset and str(each.instrument_class) == "C" and day.listed[number] in before
    ]
    assert late[0].strike_price == max(others) + 100 * SECOND
    status = [each for each in day.records["status"] if each.instrument_id == new[0].instrument_id]
    assert [(each.ts_event, each.is_trading) for each in status] == [(at, True)]
    quotes = [each for each in day.records["mbp-1"] if each.instrument_id in {one.instrument_id for one in new}]
    assert quotes
    assert all(each.ts_event >= at for each in quotes)


def test_exactly_the_silent_contracts_never_quote_and_all_near_the_money_do(day: Day) -> None:
    listed = {number for number, each in day.listed.items() if each.instrument_class in "CP"}
    quoted = {each.instrument_id for each in of_options(day, "mbp-1")}
    settlements = {s.instrument_id: s.price for s in day.records["statistics"] if int(s.stat_type) == 3}
    silent = set()
    for number in listed:
        definition = day.definitions[number]
        settlement = settlements[definition.underlying_id]
        if never_quotes(day.listed[number].raw_symbol, definition.strike_price, settlement):
            silent.add(number)
            assert abs(definition.strike_price / settlement - 1) > 0.04
    assert listed - quoted == silent
    assert 5 < len(silent) < 60


def test_all_begin_with_a_pre_opening_and_trade_from_before_the_start(day: Day) -> None:
    by_instrument: dict[int, list[Any]] = defaultdict(list)
    for each in day.records["status"]:
        if each.ts_event < START:
            by_instrument[each.instrument_id].append((each.action, each.is_trading, each.is_quoting))
    opening = [(dbn.StatusAction.PRE_OPEN, False, True), (dbn.StatusAction.TRADING, True, True)]
    outrights = {n for n, each in day.listed.items() if each.instrument_class in "FCP" and each.listed_ns < START}
    assert by_instrument == dict.fromkeys(outrights, opening)


def test_yesterday_is_told_at_the_start(day: Day) -> None:
    found: dict[int, dict[int, Any]] = defaultdict(dict)
    for each in day.records["statistics"]:
        if int(each.stat_type) in (3, 6, 9):
            assert int(each.stat_type) not in found[each.instrument_id]
            found[each.instrument_id][int(each.stat_type)] = each
            assert each.ts_ref == int(datetime(2026, 11, 22, tzinfo=UTC).timestamp()) * SECOND
            assert each.ts_event < START
    outrights = {n for n, each in day.listed.items() if each.instrument_class in "FCP" and each.listed_ns < START}
    assert found.keys() == outrights
    for number, by_kind in found.items():
        assert by_kind.keys() == {3, 6, 9}
        settlement, volume, interest = by_kind[3], by_kind[6], by_kind[9]
        is_future = day.listed[number].instrument_class == "F"
        assert settlement.price > 0
        assert settlement.price % QUARTER == 0 if is_future else is_on_grid(settlement.price)
        assert settlement.quantity == volume.price == interest.price == UNDEFINED
        assert volume.quantity >= 0
        assert interest.quantity >= 0
    opened = [each for each in day.records["statistics"] if int(each.stat_type) == 1]
    assert {day.listed[each.instrument_id].raw_symbol for each in opened} == set(FUTURES)


def test_most_is_held_out_of_the_money(day: Day) -> None:
    settlements = {s.instrument_id: s.price for s in day.records["statistics"] if int(s.stat_type) == 3}
    held: Counter[bool] = Counter()
    for each in day.records["statistics"]:
        definition = day.definitions[each.instrument_id]
        if int(each.stat_type) == 9 and str(definition.instrument_class) in "CP":
            is_above = definition.strike_price > settlements[definition.underlying_id]
            held[is_above == (str(definition.instrument_class) == "C")] += each.quantity
    assert held[True] > 1.5 * held[False] > 0
