"""The venue's tape, judged by Databento's own decoder and by a plain book."""

from __future__ import annotations

from collections import Counter, defaultdict

import databento_dbn as dbn
import pytest
from tests.unit.simulator.venue_reading import (
    SCHEMAS,
    SECOND,
    START,
    UNDEFINED,
    Day,
    Make,
    PlainBook,
    decoded,
    raw,
    shown,
    told,
)

from tapeline.errors import Misconfigured
from tapeline.model.columns import F_LAST
from tapeline_simulator.listings import ALL_SYMBOLS
from tapeline_simulator.option_quotes import SLICE_NS
from tapeline_simulator.venue import OptionSettings


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
