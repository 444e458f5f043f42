"""What a command's words mean, and how a query is split; nothing is asked for twice, and nothing left out."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeline.errors import Misconfigured
from tapeline_databento.history.query import (
    DAY_NS,
    HistoryQuery,
    history_query,
    parse_time,
    say_time,
    split_by_day,
    vendor_time,
)

MONDAY = 1_767_571_200_000_000_000  # 2026-01-05T00:00:00Z


def asked(
    schema: str = "mbo", symbols: str = "NQ.FUT", start: str = "2026-01-05", end: str | None = None
) -> HistoryQuery:
    return history_query("GLBX.MDP3", schema, symbols, start, end)


def test_a_date_is_its_whole_day() -> None:
    assert asked() == HistoryQuery("GLBX.MDP3", "mbo", ("NQ.FUT",), "parent", MONDAY, MONDAY + DAY_NS)


def test_times_may_be_of_any_zone() -> None:
    query = asked(start="2026-01-05T09:30-05:00", end="2026-01-05T15:00:00.000001Z")
    assert query.start_ns == MONDAY + 14 * 3_600 * 10**9 + 30 * 60 * 10**9
    assert query.end_ns == MONDAY + 15 * 3_600 * 10**9 + 1_000


@pytest.mark.parametrize(
    ("symbols", "meant"),
    [
        ("nq.fut, ES.FUT ,NQ.FUT", (("ES.FUT", "NQ.FUT"), "parent")),
        ("NQ.C.0", (("NQ.c.0",), "continuous")),
        ("nqz6,ESZ6", (("ESZ6", "NQZ6"), "raw_symbol")),
        ("E1AQ5 C5125", (("E1AQ5 C5125",), "raw_symbol")),
    ],
)
def test_symbols_are_told_by_their_form(symbols: str, meant: tuple[tuple[str, ...], str]) -> None:
    query = asked(symbols=symbols)
    assert (query.symbols, query.stype_in) == meant


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"schema": "level-9"}, "--schema: there is no schema 'level-9'; take one of bbo-1m"),
        ({"symbols": " , "}, "--symbols names no symbol"),
        ({"symbols": "NQ.FUT,NQZ6"}, "--symbols mixes parent and raw_symbol"),
        ({"symbols": "NQ.FUTURES"}, "--symbols: 'NQ.FUTURES' is no symbol"),
        ({"symbols": ",".join(f"A{n}" for n in range(2_001))}, "--symbols names 2,001; the vendor takes 2,000"),
        ({"start": "tomorrow"}, "--start must be a date or a time in ISO 8601"),
        ({"end": "2026-13-01"}, "--end must be a date or a time in ISO 8601"),
        ({"start": "2026-01-05T10:00"}, "--end is needed"),
        ({"end": "2026-01-05"}, "--end (2026-01-05T00:00:00Z) must be after --start (2026-01-05T00:00:00Z)"),
    ],
)
def test_a_mistake_is_told_with_the_word_and_the_rule(words: dict[str, str], told: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        asked(**words)
    assert told in str(refused.value)


@given(st.integers(0, 2**62))
def test_a_time_that_is_said_is_read(at_ns: int) -> None:
    assert vendor_time(say_time(at_ns)) == at_ns
    assert parse_time("", say_time(at_ns // 1_000 * 1_000)) == at_ns // 1_000 * 1_000


def test_the_vendors_times_are_read_to_the_nanosecond() -> None:
    assert vendor_time("2026-01-05T00:00:00.000000001Z") == MONDAY + 1
    assert vendor_time("2026-01-05T00:00:00+00:00") == MONDAY


@given(st.integers(0, 4 * DAY_NS), st.integers(1, 4 * DAY_NS), st.booleans())
def test_a_split_covers_the_range_once(start_ns: int, length_ns: int, with_snapshots: bool) -> None:
    end_ns = start_ns + length_ns
    ranges = split_by_day(start_ns, end_ns, with_snapshots=with_snapshots)
    assert all(begin < end for begin, end in ranges)
    assert all(begin // DAY_NS == (end - 1) // DAY_NS for begin, end in ranges)
    if ranges:
        assert ranges[0][0] == start_ns
    gaps = {(before[1], after[0]) for before, after in pairwise(ranges)} - {(at, at) for at, _ in ranges}
    if not with_snapshots:
        assert ranges[-1][1] == end_ns
        assert not gaps
    # The only thing left out is the first nanosecond of later days, where only snapshots are.
    assert all(begin % DAY_NS == 0 and end == begin + 1 for begin, end in gaps)


def test_orders_begin_with_the_snapshot_and_leave_out_the_later_ones() -> None:
    ranges = [(request.start_ns - MONDAY, request.end_ns - MONDAY) for request in asked(end="2026-01-07").requests()]
    assert ranges == [(0, 1), (1, DAY_NS), (DAY_NS + 1, 2 * DAY_NS)]


def test_what_has_no_snapshots_is_split_at_midnights() -> None:
    requests = asked("trades", start="2026-01-05T12:00", end="2026-01-06T12:00").requests()
    half = DAY_NS // 2
    assert [(request.start_ns - MONDAY, request.end_ns - MONDAY) for request in requests] == [
        (half, DAY_NS),
        (DAY_NS, DAY_NS + half),
    ]


def test_the_same_day_is_the_same_file_whatever_the_query() -> None:
    alone = asked(start="2026-01-05T00:00:00.000001", end="2026-01-07").requests()[-1]
    assert alone == asked(end="2026-01-08").requests()[2]
