"""Which records a historical query means: symbols by day, midnight's books, limits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from tests.unit.simulator.databento.records import SECOND, records_of

from tapeline.feed.dbn_records import Array
from tapeline_simulator.databento.history.query import RangeQuery, SymbolQuery
from tapeline_simulator.databento.history.records import chunks, dbn_file
from tapeline_simulator.databento.history.refusals import Refusal
from tapeline_simulator.databento.history.symbology import Interval, Resolution, answer, resolve, resolve_some
from tapeline_simulator.databento.history.times import DAY_NS, begin_of, day_after_last, day_of
from tapeline_simulator.databento.tape import VendorTape
from tapeline_simulator.listings import ALL_SYMBOLS, Listing, Listings

MONDAY, TUESDAY, WEDNESDAY, THURSDAY = (date(2026, 9, day) for day in range(21, 25))
NOON = DAY_NS // 2


def listing(number: int, symbol: str, first: date, end: date, *, parent: str = "NQ.FUT", cut_ns: int = 0) -> Listing:
    return Listing(number, symbol, parent, "F", begin_of(first) + cut_ns, begin_of(end), b"")


@pytest.fixture
def listings() -> Listings:
    """NQU6 for two days and NQZ6 for all; number 7 is one spread on Monday and another on Wednesday from noon on."""
    listed = Listings()
    listed.add(listing(1, "NQU6", MONDAY, WEDNESDAY))
    listed.add(listing(2, "NQZ6", date(2026, 1, 1), date(2026, 12, 18)))
    listed.add(listing(7, "UD:A", MONDAY, TUESDAY))
    listed.add(listing(7, "UD:B", WEDNESDAY, THURSDAY, cut_ns=NOON))
    return listed


def symbols(*names: str, stype_in: str = "raw_symbol", stype_out: str = "instrument_id") -> SymbolQuery:
    return SymbolQuery("GLBX.MDP3", names, stype_in, stype_out)


def test_a_symbol_means_an_instrument_on_whole_days(listings: Listings) -> None:
    found = resolve(listings, symbols("NQZ6", "NQU6", "UD:B", "NOPE"), MONDAY, THURSDAY)
    assert found.intervals == {
        "NQZ6": [Interval(MONDAY, THURSDAY, "2")],
        "NQU6": [Interval(MONDAY, WEDNESDAY, "1")],
        "UD:B": [Interval(WEDNESDAY, THURSDAY, "7")],
    }
    assert found.partial == ["NQU6", "UD:B"]
    assert found.not_found == ["NOPE"]


def test_a_parent_is_mapped_under_the_raw_symbols_of_its_children(listings: Listings) -> None:
    found = resolve(listings, symbols("NQ.FUT", stype_in="parent", stype_out="raw_symbol"), MONDAY, THURSDAY)
    assert set(found.intervals) == {"NQU6", "NQZ6", "UD:A", "UD:B"}
    assert found.intervals["NQU6"] == [Interval(MONDAY, WEDNESDAY, "NQU6")]


def test_a_continuous_contract_rolls_between_days(listings: Listings) -> None:
    found = resolve(listings, symbols("NQ.c.0", stype_in="continuous"), TUESDAY, THURSDAY)
    assert [interval.symbol for interval in found.intervals["NQ.c.0"]] == ["1", "2"]


def test_the_answer_names_every_symbol_and_is_a_success_in_any_case(listings: Listings) -> None:
    query = symbols("NQZ6", "NOPE")
    said = answer(query, resolve(listings, query, MONDAY, TUESDAY))
    assert said["result"] == {"NQZ6": [{"d0": "2026-09-21", "d1": "2026-09-22", "s": "2"}], "NOPE": []}
    assert (said["status"], said["message"]) == (1, "Partially resolved")
    lost = symbols("NOPE")
    assert answer(lost, resolve(listings, lost, MONDAY, TUESDAY))["status"] == 2
    assert answer(symbols("NQZ6"), resolve(listings, symbols("NQZ6"), MONDAY, TUESDAY))["status"] == 0


def test_data_of_symbols_that_mean_nothing_are_refused(listings: Listings) -> None:
    with pytest.raises(Refusal, match="None of the symbols could be resolved"):
        resolve_some(listings, symbols("NOPE", "NEITHER"), MONDAY, TUESDAY)
    with pytest.raises(Refusal, match=r"Could not resolve smart symbols: ED\.FUT"):
        resolve_some(listings, symbols("ED.FUT", stype_in="parent"), MONDAY, TUESDAY)
    assert resolve_some(listings, symbols("NOPE", "NQZ6"), MONDAY, TUESDAY).not_found == ["NOPE"]
    assert resolve_some(Listings(), symbols(ALL_SYMBOLS), MONDAY, TUESDAY).intervals == {}


def test_instrument_numbers_hold_for_a_day(listings: Listings) -> None:
    found = resolve(listings, symbols("UD:A", "NQZ6"), MONDAY, THURSDAY)
    start_ns, end_ns = begin_of(MONDAY) + 5, begin_of(THURSDAY) - 5
    spans = [(begin, end, None if ids is None else ids.tolist()) for begin, end, ids in found.spans(start_ns, end_ns)]
    assert spans == [(start_ns, begin_of(TUESDAY), [2, 7]), (begin_of(TUESDAY), end_ns, [2])]


# -- records ---------------------------------------------------------------------------------------------------------


def query_of(
    names: SymbolQuery, start_ns: int, end_ns: int, schema: str = "mbo", limit: int | None = None
) -> RangeQuery:
    return RangeQuery(names, schema, start_ns, end_ns, limit)


def select(
    tape: VendorTape, listings: Listings, query: RangeQuery, snapshots: VendorTape | None = None
) -> list[tuple[int, int]]:
    """Return (instrument id, size) of what a query finds: `size` numbers the records of these tests."""
    found = resolve(listings, query.symbols, day_of(query.start_ns), day_after_last(query.end_ns))
    arrays = list(chunks(tape, snapshots, query, found))
    return [(int(row["instrument_id"]), int(row["size"])) for array in arrays for row in array]


def numbered(records: Array, first: int = 0) -> Array:
    records["size"] = np.arange(first, first + len(records))
    return records


@pytest.fixture
def tape(tmp_path: Path) -> VendorTape:
    """Every six hours a record of 2 and one of 7, received 100 ns later, from Monday's midnight on."""
    tape = VendorTape("GLBX.MDP3", tmp_path)
    times = [begin_of(MONDAY) + hour * 3_600 * SECOND for hour in range(0, 72, 6) for _ in range(2)]
    tape.append("mbo", numbered(records_of("mbo", times, instrument_ids=(2, 7))))
    return tape


def test_records_are_taken_by_their_capture_and_the_end_is_exclusive(tape: VendorTape, listings: Listings) -> None:
    at = begin_of(MONDAY) + 6 * 3_600 * SECOND
    nq = symbols("NQZ6")
    assert select(tape, listings, query_of(nq, at + 100, at + 101)) == [(2, 2)]
    assert select(tape, listings, query_of(nq, at, at + 100)) == []
    assert select(tape, listings, query_of(nq, at + 101, at + 6 * 3_600 * SECOND)) == []


def test_a_number_that_is_used_again_is_another_instrument(tape: VendorTape, listings: Listings) -> None:
    whole = (begin_of(MONDAY), begin_of(THURSDAY))
    assert [size for _, size in select(tape, listings, query_of(symbols("UD:A"), *whole))] == [1, 3, 5, 7]
    assert [size for _, size in select(tape, listings, query_of(symbols("UD:B"), *whole))] == [17, 19, 21, 23]
    assert len(select(tape, listings, query_of(symbols(ALL_SYMBOLS), *whole))) == 24


def test_the_limit_takes_the_first(tape: VendorTape, listings: Listings) -> None:
    query = query_of(symbols(ALL_SYMBOLS), begin_of(MONDAY), begin_of(THURSDAY), limit=5)
    assert [size for _, size in select(tape, listings, query)] == [0, 1, 2, 3, 4]


@pytest.fixture
def snapshots(tmp_path: Path) -> VendorTape:
    """Books of 2 and 7 at Tuesday's and Wednesday's midnights, numbered from 100 and 200."""
    (tmp_path / "snapshots").mkdir()
    tape = VendorTape("GLBX.MDP3", tmp_path / "snapshots")
    for day, first in ((TUESDAY, 100), (WEDNESDAY, 200)):
        records = records_of("mbo", [begin_of(day) - SECOND] * 4, instrument_ids=(2, 2, 7, 7), latency_ns=SECOND)
        tape.append("mbo", numbered(records, first))
    return tape


@pytest.mark.parametrize(
    ("from_ns", "until_ns", "sizes"),
    [
        (begin_of(TUESDAY), begin_of(TUESDAY) + 1, [100, 101]),
        (begin_of(TUESDAY) + 1, begin_of(TUESDAY) + 101, [8]),
        (begin_of(TUESDAY) - 1, begin_of(TUESDAY), []),
        (begin_of(MONDAY), begin_of(THURSDAY), [0, 2, 4, 6, 100, 101, 8, 10, 12, 14, 200, 201, 16, 18, 20, 22]),
    ],
    ids=["that instant alone", "just after it", "just before it", "three days"],
)
def test_history_holds_the_books_of_each_midnight(
    tape: VendorTape, snapshots: VendorTape, listings: Listings, from_ns: int, until_ns: int, sizes: list[int]
) -> None:
    found = select(tape, listings, query_of(symbols("NQZ6"), from_ns, until_ns), snapshots)
    assert [size for _, size in found] == sizes


def test_only_orders_have_books_at_midnight(tape: VendorTape, snapshots: VendorTape, listings: Listings) -> None:
    tape.append("trades", numbered(records_of("trades", [begin_of(TUESDAY)], instrument_ids=(2,)), 50))
    query = query_of(symbols("NQZ6"), begin_of(MONDAY), begin_of(THURSDAY), schema="trades")
    assert select(tape, listings, query, snapshots) == [(2, 50)]


@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_is_made_no_faster_than_it_is_read(compressed: bool) -> None:
    made: list[int] = []

    def records() -> Iterator[Array]:
        for number in range(100):
            made.append(number)
            array = records_of("mbo", [0] * 10_000)
            array["order_id"] = np.random.default_rng(number).integers(0, 2**62, len(array))
            yield array

    pieces = dbn_file(b"head", records(), compressed=compressed)
    assert sum(len(next(pieces)) for _ in range(3)) > 4
    assert len(made) < 5


def test_spans_of_a_resolution_without_numbers_is_the_whole_range() -> None:
    everything = Resolution(MONDAY, TUESDAY, {}, [], [], None)
    assert list(everything.spans(3, 9)) == [(3, 9, None)]
