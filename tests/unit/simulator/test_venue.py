"""The venue's tape, judged by Databento's own decoder, by a plain book, and by what no market allows."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import databento_dbn as dbn
import numpy as np
import pytest

from tapeline.errors import Misconfigured
from tapeline.model.columns import F_LAST
from tapeline_simulator.databento.tape import VendorTape
from tapeline_simulator.exchange import MAX_LATENCY_NS
from tapeline_simulator.listings import ALL_SYMBOLS, Listing
from tapeline_simulator.market import front_contracts
from tapeline_simulator.option_quotes import SLICE_NS, never_quotes
from tapeline_simulator.surface import INTEREST_RATE
from tapeline_simulator.venue import OptionSettings, Venue

START = int(datetime(2026, 11, 23, 15, 0, tzinfo=UTC).timestamp()) * 10**9
QUARTERLY_WEEK = int(datetime(2026, 12, 14, 15, 0, tzinfo=UTC).timestamp()) * 10**9
SECOND = 10**9
FUTURES = ("NQZ6", "NQH7")
UNDEFINED = 2**63 - 1
NICKEL, QUARTER, FIVE = 50_000_000, 250_000_000, 5 * SECOND
SCHEMAS = {
    "mbo": dbn.MBOMsg,
    "mbp-1": dbn.MBP1Msg,
    "trades": dbn.TradeMsg,
    "statistics": dbn.StatMsg,
    "status": dbn.StatusMsg,
    "definition": dbn.InstrumentDefMsg,
}
Make = Callable[..., tuple[VendorTape, Venue]]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Make]:
    """Make a tape and the venue that fills it."""
    tapes = []

    def make(
        *,
        start_ns: int = START,
        seed: int = 7,
        rate: float = 2_000,
        futures: Sequence[str] = FUTURES,
        options: OptionSettings | None = None,
        dataset: str = "TAPELINE.SIM",
    ) -> tuple[VendorTape, Venue]:
        tape = VendorTape(dataset, tmp_path_factory.mktemp("tape"))
        tapes.append(tape)
        return tape, Venue(tape, seed=seed, start_ns=start_ns, records_per_s=rate, futures=futures, options=options)

    yield make
    for tape in tapes:
        tape.close()


def raw(tape: VendorTape, schema: str) -> bytes:
    return tape.read(schema, 0, tape.end(schema)).tobytes()


def decoded(tape: VendorTape, schema: str) -> list[Any]:
    decoder = dbn.DBNDecoder(has_metadata=False, input_version=3)
    decoder.write(raw(tape, schema))
    records = list(decoder.decode())
    assert decoder.buffer() == b""
    return records


@dataclass
class Day:
    """Some seconds of a venue, decoded."""

    tape: VendorTape
    venue: Venue
    records: dict[str, list[Any]]
    listed: dict[int, Listing]
    definitions: dict[int, dbn.InstrumentDefMsg]


@pytest.fixture(scope="module")
def day(make: Make) -> Day:
    tape, venue = make(options=OptionSettings(new_strike_after_s=5.0, trades_per_s=40.0))
    venue.advance(START + 15 * SECOND)
    records = {schema: decoded(tape, schema) for schema in SCHEMAS}
    listed = {
        each.instrument_id: each for each in tape.listings.resolve("raw_symbol", ALL_SYMBOLS, START + 15 * SECOND)
    }
    return Day(tape, venue, records, listed, {each.instrument_id: each for each in records["definition"]})


def of_options(day: Day, schema: str) -> list[Any]:
    return [each for each in day.records[schema] if day.listed[each.instrument_id].instrument_class in "CP"]


def is_on_grid(price: int) -> bool:
    return price % (NICKEL if price <= FIVE else QUARTER) == 0


# -- on the wire -----------------------------------------------------------------------------------------------------


def test_every_schema_is_what_the_official_decoder_says_and_in_order_of_capture(day: Day) -> None:
    for schema, kind in SCHEMAS.items():
        records = day.records[schema]
        assert len(records) == day.tape.end(schema) > 0
        assert {type(record) for record in records} == {kind}
        assert {record.publisher_id for record in records} == {1}
        received = [record.ts_recv for record in records]
        assert received == sorted(received), schema
        assert all(record.ts_recv > record.ts_event for record in records)
        assert {record.instrument_id for record in records} <= day.listed.keys()
        assert max(received) <= START + 15 * SECOND


@pytest.mark.parametrize("options", [None, OptionSettings(new_strike_after_s=0.3)])
def test_a_seed_gives_the_same_bytes_however_the_time_is_cut(make: Make, options: OptionSettings | None) -> None:
    whole, venue = make(options=options)
    venue.advance(START + 2 * SECOND)
    pieces, venue = make(options=options)
    for cut in (
        0,
        1,
        17,
        1_000,
        999_999,
        1_000_000,
        1_000_001,
        SLICE_NS,
        SLICE_NS + 1_000_000,
        *range(0, 2 * SECOND, 7_777_777),
    ):
        venue.advance(START + cut)
    venue.advance(START + 2 * SECOND)
    assert whole.schemas == pieces.schemas
    for schema in whole.schemas:
        assert raw(whole, schema) == raw(pieces, schema), schema
    other, venue = make(options=options, seed=8)
    venue.advance(START + 2 * SECOND)
    assert raw(other, "mbo") != raw(whole, "mbo")
    assert raw(other, "mbp-1") != raw(whole, "mbp-1")


def test_the_dataset_is_only_a_name(make: Make) -> None:
    real, venue = make(dataset="GLBX.MDP3")
    venue.advance(START + SECOND)
    simulated, venue = make()
    venue.advance(START + SECOND)
    assert raw(real, "mbo") == raw(simulated, "mbo")


def test_without_options_there_are_futures_alone(make: Make) -> None:
    tape, venue = make(futures=("NQZ6",))
    venue.advance(START + SECOND)
    assert [each.raw_symbol for each in tape.listings.resolve("parent", ALL_SYMBOLS, START)] == ["NQZ6"]
    assert len({record.instrument_id for record in decoded(tape, "mbp-1")}) == 1


# -- what follows from the book --------------------------------------------------------------------------------------


class PlainBook:
    """Price levels as two dictionaries of orders; as simple as it can be."""

    def __init__(self) -> None:
        self.orders: dict[int, tuple[str, int, int]] = {}
        self.levels: dict[str, dict[int, dict[int, int]]] = {"B": defaultdict(dict), "A": defaultdict(dict)}

    def apply(self, record: dbn.MBOMsg) -> None:
        action = str(record.action)
        if action == "R":
            self.__init__()  # type: ignore[misc]
        if action in "CM":
            side, price, _ = self.orders.pop(record.order_id)
            del self.levels[side][price][record.order_id]
            if not self.levels[side][price]:
                del self.levels[side][price]
        if action in "AM":
            self.orders[record.order_id] = (str(record.side), record.price, record.size)
            self.levels[str(record.side)][record.price][record.order_id] = record.size

    def top(self) -> tuple[int, ...]:
        bid, ask = max(self.levels["B"], default=UNDEFINED), min(self.levels["A"], default=UNDEFINED)
        bids, asks = (dict(self.levels[side].get(price, {})) for side, price in (("B", bid), ("A", ask)))
        return bid, ask, sum(bids.values()), sum(asks.values()), len(bids), len(asks)


def shown(row: dbn.MBP1Msg) -> tuple[int, ...]:
    level = row.levels[0]
    return level.bid_px, level.ask_px, level.bid_sz, level.ask_sz, level.bid_ct, level.ask_ct


def told(record: Any) -> tuple[Any, ...]:
    return (
        record.instrument_id,
        record.ts_event,
        record.ts_recv,
        record.ts_in_delta,
        record.sequence,
        str(record.action),
        str(record.side),
        record.price,
        record.size,
    )


def test_the_top_of_book_is_the_one_of_a_plain_book(day: Day) -> None:
    books: dict[int, PlainBook] = defaultdict(PlainBook)
    tops: dict[int, tuple[int, ...]] = {}
    traded: dict[int, bool] = {}
    expected = []
    for record in day.records["mbo"]:
        number = record.instrument_id
        before = tops.get(number, (UNDEFINED, UNDEFINED, 0, 0, 0, 0))
        books[number].apply(record)
        if str(record.action) == "T":
            expected.append((*told(record), 0, *before))
            traded[number] = True
        if record.flags & F_LAST:
            after = tops[number] = books[number].top()
            if after != before or traded.get(number):
                expected.append((*told(record), F_LAST, *after))
            traded[number] = False
    rows = [
        (*told(row), row.flags, *shown(row))
        for row in day.records["mbp-1"]
        if day.listed[row.instrument_id].instrument_class == "F"
    ]
    # The last rows wait until nothing earlier can come; the orders of the book do not.
    assert len(expected) - 20 < len(rows) <= len(expected)
    assert rows == expected[: len(rows)]
    assert len(rows) > 3_000
    assert {row.depth for row in day.records["mbp-1"]} == {0}


def test_trades_are_the_trades_of_the_top_of_book(day: Day) -> None:
    trades = day.records["trades"]
    assert [told(each) for each in trades] == [told(each) for each in day.records["mbp-1"] if str(each.action) == "T"]
    assert {each.flags for each in trades} == {0}
    classes = Counter(day.listed[each.instrument_id].instrument_class for each in trades)
    assert classes.keys() == {"F", "C", "P", "T"}


def test_the_opening_builds_the_books_from_nothing(day: Day) -> None:
    for number in {record.instrument_id for record in day.records["mbo"]}:
        first, *others = [each for each in day.records["mbo"] if each.instrument_id == number][:1_000]
        assert (str(first.action), str(first.side), first.price, first.order_id) == ("R", "N", UNDEFINED, 0)
        assert {(str(each.action), int(each.flags)) for each in others} == {("A", F_LAST)}
        assert START - 7_200 * SECOND < first.ts_event < START - 3_500 * SECOND


def test_a_snapshot_goes_on_as_the_tape_does(make: Make) -> None:
    tape, venue = make(rate=20_000)
    venue.advance(START + SECOND)
    end = tape.end("mbo")
    (listing,) = tape.listings.resolve("continuous", "NQ.c.0", START)
    decoder = dbn.DBNDecoder(has_metadata=False, input_version=3)
    decoder.write(venue.snapshot(listing.instrument_id).tobytes())
    snapshot = decoder.decode()
    assert [int(each.flags) for each in snapshot] == [40] * (len(snapshot) - 1) + [168]
    assert [str(each.action) for each in snapshot] == ["R"] + ["A"] * (len(snapshot) - 1)
    assert {each.instrument_id for each in snapshot} == {listing.instrument_id}
    venue.advance(START + 2 * SECOND)
    whole, late = PlainBook(), PlainBook()
    for record in snapshot:
        late.apply(record)
    for position, record in enumerate(decoded(tape, "mbo")):
        if record.instrument_id == listing.instrument_id:
            whole.apply(record)
            if position >= end:
                late.apply(record)
    assert len(whole.orders) > 1_000
    assert late.orders == whole.orders
    with pytest.raises(Misconfigured, match="has no book: only NQZ6, NQH7 have"):
        venue.snapshot(1)


def test_the_session_s_extremes_are_told_as_they_happen(day: Day) -> None:
    known: dict[tuple[int, int], int] = {}
    expected = []
    futures = {number for number, each in day.listed.items() if each.instrument_class == "F"}
    for trade in day.records["trades"]:
        for kind, sign in ((5, 1), (4, -1)):
            key = (trade.instrument_id, kind)
            if trade.instrument_id in futures and (key not in known or sign * trade.price > sign * known[key]):
                known[key] = trade.price
                expected.append((*key, trade.price, trade.ts_event, trade.ts_recv, trade.sequence))
    found = [each for each in day.records["statistics"] if int(each.stat_type) in (4, 5)]
    key = [(s.instrument_id, int(s.stat_type), s.price, s.ts_event, s.ts_recv, s.sequence) for s in found]
    assert sorted(key) == sorted(expected)
    assert {(s.quantity, s.ts_ref, int(s.stat_flags)) for s in found} == {(2**63 - 1, 2**64 - 1, 255)}


# -- who is listed ---------------------------------------------------------------------------------------------------


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


def test_exactly_the_silent_contracts_never_quote(day: Day) -> None:
    listed = {number for number, each in day.listed.items() if each.instrument_class in "CP"}
    quoted = {each.instrument_id for each in of_options(day, "mbp-1")}
    silent = {number for number in listed if never_quotes(day.listed[number].raw_symbol)}
    assert listed - quoted == silent
    assert 10 < len(silent) < 60


# -- status and statistics -------------------------------------------------------------------------------------------


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


# -- what options are worth ------------------------------------------------------------------------------------------


def test_option_quotes_are_on_the_grid_and_never_crossed(day: Day) -> None:
    widths = []
    for row in of_options(day, "mbp-1"):
        bid, ask, bid_size, ask_size, bids, asks = shown(row)
        assert is_on_grid(ask)
        assert 0 < asks <= ask_size
        if bid == UNDEFINED:
            assert (bid_size, bids) == (0, 0)
        else:
            assert 0 < bid < ask
            assert is_on_grid(bid)
            assert 0 < bids <= bid_size
            widths.append((ask - bid) / SECOND)
        if str(row.action) != "T":
            assert (row.price, row.size) == ((bid, bid_size) if str(row.side) == "B" else (ask, ask_size))
            assert row.flags == F_LAST
    assert 0.1 < np.median(widths) < 5


def test_option_trades_take_what_was_shown_and_a_quote_follows(day: Day) -> None:
    last: dict[int, tuple[int, ...]] = {}
    pending: dict[int, Any] = {}
    sides: Counter[str] = Counter()
    for row in of_options(day, "mbp-1"):
        number = row.instrument_id
        if str(row.action) == "T":
            bid, ask, bid_size, ask_size, _, _ = shown(row)
            assert shown(row) == last[number], "the top before the trade"
            side = str(row.side)
            sides[side] += 1
            assert row.price == (ask if side == "B" else bid)
            assert 0 < row.size <= (ask_size if side == "B" else bid_size)
            pending[number] = row
        elif number in pending:
            trade = pending.pop(number)
            assert (row.ts_event, row.ts_recv, row.sequence) == (trade.ts_event, trade.ts_recv, trade.sequence)
            assert str(row.side) != str(trade.side)
            before = shown(trade)[3 if str(trade.side) == "B" else 2]
            if str(row.action) == "M":
                assert row.size == before - trade.size
            else:
                assert before == trade.size
        last[number] = shown(row)
    assert not pending
    assert min(sides["A"], sides["B"]) > 50


def test_calls_and_puts_are_in_parity_within_their_quotes(day: Day) -> None:
    """The first quotes are all made from one price of the future: its plain book's middle at the start."""
    books: dict[int, PlainBook] = defaultdict(PlainBook)
    for record in day.records["mbo"]:
        if record.ts_event <= START:
            books[record.instrument_id].apply(record)
    first: dict[int, tuple[int, ...]] = {}
    for row in of_options(day, "mbp-1"):
        if row.ts_event < START + SLICE_NS:
            first.setdefault(row.instrument_id, shown(row))
    pairs: dict[tuple[str, int], dict[str, tuple[int, ...]]] = defaultdict(dict)
    for number, top in first.items():
        definition = day.definitions[number]
        pairs[definition.asset, definition.strike_price][str(definition.instrument_class)] = top
    checked = 0
    for number, definition in day.definitions.items():
        pair = pairs.get((definition.asset, definition.strike_price), {})
        if str(definition.instrument_class) != "C" or len(pair) != 2 or number not in first:
            continue
        future_bid, future_ask, *_ = books[definition.underlying_id].top()
        years = (definition.expiration - START) / (365 * 86_400 * SECOND)
        parity = math.exp(-INTEREST_RATE * years) * ((future_bid + future_ask) / 2 - definition.strike_price)
        call_bid, put_bid = (0 if pair[right][0] == UNDEFINED else pair[right][0] for right in "CP")
        assert call_bid - pair["P"][1] <= parity <= pair["C"][1] - put_bid
        checked += 1
    assert checked > 600


def test_chains_are_monotonous_and_follow_the_future(make: Make) -> None:
    tape, venue = make(options=OptionSettings(expiries=1, quotes_per_s=4_000, trades_per_s=0))
    venue.advance(START + 20 * SECOND)
    definitions = {each.instrument_id: each for each in decoded(tape, "definition")}
    mids: dict[int, list[float]] = defaultdict(list)
    for row in decoded(tape, "mbp-1"):
        bid, ask, *_ = shown(row)
        if bid != UNDEFINED and row.ts_event >= START:
            mids[row.instrument_id].append((bid + ask) / 2 / SECOND)
    calls = sorted(
        (definition.strike_price, mids[number][0], mids[number])
        for number, definition in definitions.items()
        if definition.asset == "Q4A" and str(definition.instrument_class) == "C" and number in mids
    )
    first = [mid for _, mid, _ in calls]
    assert first == sorted(first, reverse=True)
    assert len(first) > 20
    future = next(number for number, each in definitions.items() if each.raw_symbol == "NQZ6")
    deepest = calls[0][2]
    assert len({round(mid) for mid in deepest}) > 2
    assert deepest[-1] - deepest[0] == pytest.approx(mids[future][-1] - mids[future][0], abs=8)


@pytest.mark.parametrize("rate", [200.0, 5_000.0])
def test_quotes_and_trades_come_at_the_rates_asked_for(make: Make, rate: float) -> None:
    tape, venue = make(rate=500, options=OptionSettings(quotes_per_s=rate, trades_per_s=rate / 20, expiries=8))
    venue.advance(START + 30 * SECOND)
    rows = tape.read("mbp-1", 0, tape.end("mbp-1"))
    futures = [each.instrument_id for each in tape.listings.resolve("parent", "NQ.FUT", START)]
    rows = rows[~np.isin(rows["instrument_id"], futures) & (rows["ts_event"] >= START + SLICE_NS)]
    trades = int((rows["action"] == ord("T")).sum())
    assert len(rows) - 2 * trades == pytest.approx(30 * rate, rel=0.1)
    assert trades == pytest.approx(30 * rate / 20, rel=0.1)


# -- halts, expiries, the calendar -----------------------------------------------------------------------------------


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
