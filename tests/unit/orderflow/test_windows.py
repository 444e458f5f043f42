"""When windows open and close, and what is late."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.orderflow.builders import LAST, MS, T0, S, clock_frame, mbo_frame
from tests.unit.orderflow.reading import Row, always, closed, rows_of, session, value

from tapeline.errors import Bug
from tapeline.orderflow.packing import pack
from tapeline.orderflow.partition import PartitionState, unpack
from tapeline.orderflow.sessions import Sessions

CLOSE_AFTER = 250 * MS
EVERY_LENGTH = (100, 1_000, 10_000, 60_000)


def buy(ts: int, size: int = 1, *, flags: int = LAST, symbol: int = 0) -> tuple[Any, ...]:
    return ts, "T", "B", 100, size, 0, flags, 0, symbol


def clock(ts: int) -> list[Any]:
    return [clock_frame({"mbo": ts})]


def test_the_next_event_closes_what_it_is_past() -> None:
    state = always()
    assert rows_of(state, [mbo_frame([buy(T0), buy(T0 + 100 * MS - 1)])], None) == []
    rows = rows_of(state, [mbo_frame([buy(T0 + 1_000 * MS, 5)], frame=1)], None)
    assert [(row["window_ms"], row["window_start"], row["buy_volume"]) for row in rows] == [
        (100, str(T0), 2),
        (1_000, str(T0), 2),
    ]


def test_the_watermark_closes_250_ms_after_the_end() -> None:
    state = always()
    assert rows_of(state, [mbo_frame([buy(T0)])], None) == []
    assert rows_of(state, clock(T0 + 100 * MS + CLOSE_AFTER - 1), None) == []
    assert [row["window_ms"] for row in rows_of(state, clock(T0 + 100 * MS + CLOSE_AFTER), None)] == [100]
    assert [row["window_ms"] for row in rows_of(state, clock(T0 + 60 * S + CLOSE_AFTER), None)] == [
        1_000,
        10_000,
        60_000,
    ]
    assert rows_of(state, clock(T0 + 100 * S), None) == []


def test_a_clock_never_turns_back_and_only_counts_for_its_kind() -> None:
    state = always()
    rows_of(state, [clock_frame({"mbo": T0 + 2 * S, "l1": T0 + 60 * S}), clock_frame({"mbo": T0})])
    rows = rows_of(state, [mbo_frame([buy(T0 + S)]), clock_frame({"mbo": T0 + 61 * S})], None)
    assert [(row["window_ms"], row["late_count"]) for row in rows] == [(1_000, 0), (10_000, 0), (60_000, 0)]


def test_the_watermark_of_one_symbol_closes_windows_of_another() -> None:
    symbols = ("ESH4", "ESM4")
    state = always()
    rows = rows_of(state, [mbo_frame([buy(T0), buy(T0 + 100 * MS + CLOSE_AFTER, symbol=1)], symbols=symbols)])
    assert [(row["symbol"], row["window_start"]) for row in rows] == [("ESH4", str(T0))]


def test_snapshots_open_no_window_and_are_no_time() -> None:
    state = always()
    old = T0 - 60 * 60 * S
    snapshot = [(old + i, "A", "B", 100 + i, 1, 1 + i, 40) for i in range(5)]
    future = [(T0 + 10 * S, "A", "B", 100, 1, 99, 40 | LAST)]
    assert rows_of(state, [mbo_frame([*snapshot, buy(T0), *future])], None) == []
    assert len(rows_of(state, clock(T0 + 61 * S), None)) == 4


def test_an_event_late_for_one_window_still_belongs_to_a_longer_one() -> None:
    rows = closed(
        always(),
        [mbo_frame([buy(T0 + 10 * MS, 1), buy(T0 + 510 * MS, 2), buy(T0 + 20 * MS, 4), buy(T0 + 610 * MS, 8)])],
        None,
    )
    volume = {(row["window_ms"], int(row["window_start"]) - T0): value(row, "buy_volume", "late_count") for row in rows}
    assert volume == {
        (100, 0): (1, 0),
        (100, 500 * MS): (2, 1),
        (100, 600 * MS): (8, 0),
        (1_000, 0): (15, 0),
        (10_000, 0): (15, 0),
        (60_000, 0): (15, 0),
    }
    assert [row["reasons"] for row in rows if row["late_count"]] == [["warming", "late"]]


def test_an_event_late_for_every_window_changes_the_book_and_the_days_delta_alone() -> None:
    state = always()
    snapshot = [(T0, "A", "B", 100, 1, 1, 40), (T0, "A", "A", 200, 1, 2, 40 | LAST)]
    late = [(T0 - S, "A", "B", 150, 7, 3, 0), buy(T0 - S, 5)]
    rows_of(state, [mbo_frame([*snapshot, buy(T0 + 120 * S), *late, buy(T0 + 120 * S + 1)])])
    rows = rows_of(state, clock(T0 + 200 * S), None)
    assert [value(row, "buy_volume", "late_count", "added_bid") for row in rows] == [(2, 1, 0)] * 4
    assert {row["cumulative_volume_delta"] for row in rows} == {7}
    assert {row["weighted_mid"] for row in rows} == {150 + round(50 * 7 / 8)}


def test_late_events_are_counted_in_the_next_row_and_only_there() -> None:
    rows = closed(always(), [mbo_frame([buy(T0 + 500 * MS), buy(T0), buy(T0 + 600 * MS), buy(T0 + 700 * MS)])])
    assert [row["late_count"] for row in rows] == [1, 0, 0]


def test_rows_of_one_record_come_shortest_window_first() -> None:
    rows = closed(always(), [mbo_frame([buy(T0)])], None)
    assert [row["window_ms"] for row in rows] == list(EVERY_LENGTH)


def test_longer_windows_are_the_sum_of_shorter_ones() -> None:
    records = [buy(T0 + i * 37 * MS, i % 5) for i in range(2_000)]
    rows = closed(always(), [mbo_frame(records)], None)
    by_length: dict[int, list[Row]] = {}
    for row in rows:
        by_length.setdefault(row["window_ms"], []).append(row)
    assert [sum(row["buy_volume"] for row in by_length[length]) for length in EVERY_LENGTH] == [4_000] * 4
    assert [len(by_length[length]) for length in EVERY_LENGTH] == [740, 74, 8, 2]


def test_what_is_counted_in_short_windows_is_counted_in_long_ones() -> None:
    records = [(T0 + i * 40 * MS, "M", "AB"[i % 2], 100 + i, 1 + i, i, LAST) for i in range(100)]
    records += [(T0 + 4 * S + i * 40 * MS, "M", "AB"[i % 2], 100 + i % 7, 9, i, LAST) for i in range(100)]
    records += [
        (T0 + 8 * S + i * 40 * MS, "CFTTM"[i % 5], "AB"[i % 2], 150 + i % 3, 2, i, LAST * (i % 2)) for i in range(400)
    ]
    rows = closed(always(), [mbo_frame([(T0, "R", "N", None, 0, 0, LAST), *records])], None)
    names = [f"{flow}_{side}" for flow in ("added", "cancelled", "replaced", "filled") for side in ("bid", "ask")]
    names += ["buy_volume", "sell_volume", "sweeps_buy", "sweeps_sell", "sweep_volume", "modify_unknown_count"]
    sums = [
        {name: sum(row[name] for row in rows if row["window_ms"] == length) for name in names}
        for length in EVERY_LENGTH
    ]
    assert sums[1:] == sums[:1] * 3
    assert all(sums[0][name] > 0 for name in names if not name.startswith("sweep"))


def test_time_counts_for_the_window_that_it_falls_into() -> None:
    """A queue of 3:1 from 0 to 950 ms, then 1:3."""
    book = [(T0, "A", "B", 100, 3, 1, 32), (T0, "A", "A", 110, 1, 2, 32 | LAST), (T0, "N", "N", None, 0, 0, LAST)]
    turn = [(T0 + 950 * MS, "C", "B", 100, 2, 1, 0), (T0 + 950 * MS, "A", "A", 110, 2, 3, LAST)]
    rows = closed(always(), [mbo_frame([*book, *turn])], None)
    assert [(row["window_ms"], row["queue_imbalance_time_weighted"]) for row in rows] == [
        (100, 0.5),
        (100, 0),
        (1_000, 0.45),
        (10_000, round((0.5 * 950 - 0.5 * 9_050) / 10_000, 9)),
        (60_000, round((0.5 * 950 - 0.5 * 59_050) / 60_000, 9)),
    ]


def test_an_unfinished_event_ends_when_the_watermark_closes_its_window() -> None:
    symbols = ("ESH4", "ESM4")
    frame = mbo_frame([buy(T0, 3, flags=0), buy(T0 + S, symbol=1), buy(T0, 4)], symbols=symbols)
    state = always()
    rows = [row for row in closed(state, [frame], None) if row["symbol"] == "ESH4"]
    assert [(row["window_ms"], row["buy_volume"], row["late_count"]) for row in rows] == [
        (100, 3, 0),
        (1_000, 7, 0),
        (10_000, 7, 0),
        (60_000, 7, 0),
    ]


def test_windows_before_the_epoch() -> None:
    (row,) = closed(always(), [mbo_frame([buy(-1)])])
    assert row["window_start"] == str(-100 * MS)


def test_windows_of_other_lengths() -> None:
    state = PartitionState(Sessions.always(), (500, 2_000))
    rows = closed(state, [mbo_frame([buy(T0), buy(T0 + 700 * MS)])], None)
    assert [(row["window_ms"], int(row["window_start"]) - T0) for row in rows] == [
        (500, 0),
        (500, 500 * MS),
        (2_000, 0),
    ]
    with pytest.raises(Bug, match="divide"):
        PartitionState(Sessions.always(), (100, 250))


def test_no_event_no_row() -> None:
    rows = closed(always(), [mbo_frame([buy(T0), buy(T0 + 30 * S)])])
    assert [int(row["window_start"]) - T0 for row in rows] == [0, 30 * S]


@pytest.mark.parametrize(("dataset", "is_closed"), [("GLBX.MDP3", True), ("TAPELINE.SIM", False)])
def test_only_the_dataset_that_keeps_the_sessions_closes(dataset: str, is_closed: bool) -> None:
    hours = replace(session((T0 + 60 * S, T0 + 120 * S)), dataset="GLBX.MDP3")
    state = PartitionState(hours)
    frames = [replace(frame, dataset=dataset) for frame in [mbo_frame([buy(T0)]), *clock(T0 + S)]]
    (row,) = rows_of(state, frames)
    assert ("not_trading" in row["reasons"]) is is_closed
    # The state that was packed keeps to the same sessions.
    again = unpack(pack(state.copy()), hours)
    (row,) = rows_of(again, [replace(mbo_frame([buy(T0 + S)], frame=1), dataset=dataset), *clock(T0 + 2 * S)])
    assert ("not_trading" in row["reasons"]) is is_closed
