"""Epochs, sessions, losses, gaps, halts: what the tape says beside its ticks."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.orderflow.builders import (
    LAST,
    MS,
    STREAM,
    T0,
    S,
    claim_frame,
    clock_frame,
    gap_frame,
    mbo_frame,
    status_frame,
    trade_frame,
)
from tests.unit.orderflow.reading import Row, always, closed, rows_of, session, value

from tapeline.orderflow.partition import PartitionState

BAD = 4
SNAPSHOT = 32
HOUR = 3_600 * S


def snapshot(ts: int = T0, *, clears: bool = True) -> list[tuple[Any, ...]]:
    """Bid 10 at 100, ask 10 at 200, in one event."""
    head = [(ts, "R", "N", None, 0, 0, SNAPSHOT)] if clears else []
    return [*head, (ts, "A", "B", 100, 10, 1, SNAPSHOT), (ts, "A", "A", 200, 10, 2, SNAPSHOT | LAST)]


def add(ts: int, order_id: int, size: int = 1, flags: int = LAST) -> tuple[Any, ...]:
    return ts, "A", "B", 100, size, order_id, flags


def buy(ts: int, size: int = 1) -> tuple[Any, ...]:
    return ts, "T", "B", 200, size, 0, LAST


def clear(ts: int) -> tuple[Any, ...]:
    return ts, "R", "N", None, 0, 0, LAST


def clock(ts: int) -> Any:
    return clock_frame({"mbo": ts})


def validity(row: Row) -> Any:
    return value(row, "book_valid", "trade_valid", "reasons")


GOOD = (True, True, [])
WARMING = (False, True, ["warming"])
TOUCHED = (False, False, ["gap"])
HURT = (False, True, ["gap"])


# -- epochs ------------------------------------------------------------------------------------------------------------


def test_frames_of_a_lower_epoch_are_passed_over_after_a_claim() -> None:
    state = always()
    frames = [
        mbo_frame([buy(T0)], epoch=3),
        claim_frame(4),
        mbo_frame([buy(T0 + 1, 100)], epoch=3, frame=1),
        gap_frame(epoch=3),
        clock_frame({"mbo": T0 + 100 * S}, epoch=3),
        mbo_frame([buy(T0 + 2, 5)], epoch=4, session="s2", resumes=("s1", 0)),
    ]
    (row,) = closed(state, frames, epoch=4)
    assert value(row, "buy_volume", "trade_valid") == (6, True)
    assert (state.frames_of_lower_epoch, state.ticks) == (3, 2)


def test_epochs_are_those_of_a_stream() -> None:
    state = always()
    assert rows_of(state, [claim_frame(9, stream="XNAS.ITCH/AAPL")]) == []
    assert len(closed(state, [mbo_frame([buy(T0)])])) == 1


# -- sessions and losses -----------------------------------------------------------------------------------------------


def test_a_repeated_frame_is_passed_over() -> None:
    state = always()
    frames = [mbo_frame([buy(T0)]), mbo_frame([buy(T0)]), mbo_frame([buy(T0 + 1)], frame=1), mbo_frame([buy(T0)])]
    (row,) = closed(state, frames)
    assert (row["buy_volume"], state.frames_repeated, state.ticks) == (2, 2, 2)


def test_a_session_that_resumes_goes_on() -> None:
    state = always()
    frames = [
        mbo_frame([*snapshot(), add(T0, 3), add(T0 + 1, 4, flags=0)]),
        mbo_frame([(T0 + 1, "C", "B", 100, 10, 1, LAST)], session="s2", resumes=("s1", 0)),
        mbo_frame([add(T0 + 2, 5)], session="s2", frame=1),
    ]
    (row,) = closed(state, frames)
    assert (*validity(row), row["order_flow_imbalance"], state.losses) == (*GOOD, 1 - 10 + 1, 0)


@pytest.mark.parametrize("resumes", [("s1", 1), ("s0", 0)])
def test_a_session_that_resumes_from_elsewhere_has_lost_something(resumes: tuple[str, int]) -> None:
    state = always()
    frames = [mbo_frame([*snapshot(), add(T0, 3)]), mbo_frame([add(T0 + 1, 4)], session="s2", resumes=resumes)]
    (row,) = closed(state, frames)
    assert (*validity(row), state.losses) == (*TOUCHED, 1)


def test_a_session_that_begins_anew_closes_what_was_open_and_forgets() -> None:
    state = always()
    rows = rows_of(state, [mbo_frame([*snapshot(), buy(T0 + 50 * S)])], None)
    assert rows == []
    rows = rows_of(state, [mbo_frame([buy(T0 + 3 * S, 7)], session="s2")], None)
    assert [(row["window_ms"], *validity(row)) for row in rows] == [(w, *TOUCHED) for w in (100, 1_000, 10_000, 60_000)]
    rows = rows_of(state, [clock(T0 + 200 * S)], None)
    assert {(row["buy_volume"], row["late_count"], row["cumulative_volume_delta"]) for row in rows} == {(7, 0, 7)}
    assert {validity(row)[2][0] for row in rows} == {"warming"}


def test_the_first_frame_ever_seen_loses_nothing() -> None:
    (row,) = closed(always(), [mbo_frame([*snapshot(), add(T0, 3)], frame=412)])
    assert validity(row) == GOOD


def test_a_new_session_without_its_first_frame_has_lost_something() -> None:
    state = always()
    frames = [mbo_frame([buy(T0)]), clock(T0 + 100 * S), mbo_frame([buy(T0 + 200 * S)], session="s2", frame=1)]
    rows = closed(state, frames)
    assert [row["trade_valid"] for row in rows] == [True, False]


def test_a_jump_hurts_until_a_new_snapshot() -> None:
    """Touched: what was open, and what holds the first event after it. The book needs a snapshot that begins with R."""
    state = always()
    frames = [
        mbo_frame([*snapshot(), add(T0, 3)]),
        mbo_frame([add(T0 + 150 * MS, 4)], frame=2),
        mbo_frame([add(T0 + 250 * MS, 5), clear(T0 + 350 * MS)], frame=3),
        mbo_frame([*snapshot(T0, clears=False), add(T0 + 450 * MS, 6)], frame=4),
        mbo_frame([*snapshot(T0), add(T0 + 550 * MS, 7), add(T0 + 560 * MS, 8)], frame=5),
    ]
    rows = closed(state, frames)
    assert [validity(row) for row in rows] == [TOUCHED, TOUCHED, HURT, HURT, HURT, GOOD]
    assert rows[-1]["order_flow_imbalance"] == 1
    assert {row["cumulative_volume_delta"] for row in rows} == {None}
    assert state.losses == 1


def test_a_jump_in_the_middle_of_an_event_drops_it() -> None:
    frames = [
        mbo_frame([*snapshot(), add(T0, 3), add(T0 + 120 * MS, 4, 50, flags=0)]),
        mbo_frame([add(T0 + 120 * MS, 5, flags=LAST)], frame=2),
        mbo_frame([*snapshot(), add(T0 + 220 * MS, 4, 7)], frame=3),
    ]
    rows = closed(always(), frames)
    assert [validity(row) for row in rows] == [GOOD, TOUCHED, GOOD]
    assert value(rows[-1], "added_bid", "cancelled_bid") == (7, 0)


def test_a_loss_in_one_kind_leaves_the_other_alone() -> None:
    frames = [
        mbo_frame([*snapshot(), add(T0, 3)]),
        trade_frame([(T0, "B", 100, 1)]),
        mbo_frame([add(T0 + 1, 4)], frame=5),
        trade_frame([(T0 + 1, "B", 100, 1)], frame=1),
    ]
    mbo, trade = closed(always(), frames)
    assert (mbo["trade_valid"], trade["trade_valid"]) == (False, True)


# -- gaps --------------------------------------------------------------------------------------------------------------


def test_a_gap_touches_what_overlaps_it() -> None:
    frames = [
        mbo_frame([*snapshot(), add(T0, 3), add(T0 + 120 * MS, 4)]),
        gap_frame(ts_event_from=T0 + 120 * MS),
        mbo_frame([add(T0 + 210 * MS, 5)], frame=1),
        gap_frame("bounded", ts_event_from=T0 + 120 * MS, ts_event_to=T0 + 330 * MS),
        mbo_frame([*snapshot(), add(T0 + 330 * MS, 6), add(T0 + 410 * MS, 7)], frame=2),
    ]
    rows = closed(always(), frames)
    assert [validity(row) for row in rows] == [GOOD, TOUCHED, TOUCHED, TOUCHED, GOOD]
    assert [row["cumulative_volume_delta"] for row in rows] == [0, None, None, None, None]


def test_a_gap_without_bounds_lasts_to_the_first_event_after_it() -> None:
    frames = [
        mbo_frame([buy(T0)]),
        gap_frame(),
        gap_frame("bounded"),
        mbo_frame([buy(T0 + 310 * MS), buy(T0 + 410 * MS)], frame=1),
    ]
    assert [row["trade_valid"] for row in closed(always(), frames)] == [False, False, True]


def test_a_gap_names_symbols_and_kinds() -> None:
    symbols = ("ESH4", "ESM4")
    both = [(*buy(T0), 0, 0), (*buy(T0), 0, 1)]
    frames = [mbo_frame(both, symbols=symbols), trade_frame([(T0, "B", 100, 1)]), gap_frame(gap_symbols=("ESM4",))]
    rows = closed(always(), frames)
    assert [(row["symbol"], row["trade_valid"]) for row in rows] == [("ESH4", True), ("ESM4", False), ("ESH4", True)]


def test_a_gap_counts_for_symbols_that_come_later() -> None:
    symbols = ("ESH4", "ESM4")
    frames = [
        gap_frame(gap_symbols=("ESM4",)),
        mbo_frame([(*buy(T0), 0, 0), (*buy(T0), 0, 1)], symbols=symbols),
        mbo_frame([(*buy(T0 + S), 0, 1)], symbols=symbols, session="s2"),
    ]
    rows = closed(always(), frames)
    assert [value(row, "symbol", "trade_valid") for row in rows] == [("ESH4", False), ("ESM4", False), ("ESM4", False)]
    frames.append(gap_frame("bounded", gap_symbols=("ESM4",), ts_event_to=T0 + 2 * S))
    frames.append(mbo_frame([(*buy(T0 + 2 * S), 0, 1)], symbols=symbols, session="s3"))
    assert closed(always(), frames)[-1]["trade_valid"] is True


def test_a_gap_does_not_end_while_another_is_open() -> None:
    frames = [
        mbo_frame([buy(T0)]),
        gap_frame(gap_id="a"),
        gap_frame(gap_id="b"),
        gap_frame("bounded", gap_id="a", ts_event_to=T0 + 200 * MS),
        mbo_frame([buy(T0 + 300 * MS)], frame=1),
        gap_frame("bounded", gap_id="b", ts_event_to=T0 + 400 * MS),
        mbo_frame([buy(T0 + 500 * MS)], frame=2),
    ]
    assert [row["trade_valid"] for row in closed(always(), frames)] == [False, False, True]


def test_a_gap_opened_twice_does_not_hurt_a_healed_book() -> None:
    frames = [
        mbo_frame([*snapshot(), add(T0, 3)]),
        gap_frame(ts_event_to=T0 + 100 * MS),
        mbo_frame(snapshot(), frame=1),
        gap_frame("bounded", ts_event_to=T0 + 100 * MS),
        gap_frame(),
        mbo_frame([add(T0 + 200 * MS, 4), add(T0 + 201 * MS, 5)], frame=2),
    ]
    assert [validity(row) for row in closed(always(), frames)] == [TOUCHED, GOOD]


# -- validity of the book ----------------------------------------------------------------------------------------------


def test_a_book_warms_until_a_snapshot_or_a_clear() -> None:
    rows = [add(T0, 3), *snapshot(), add(T0 + 100 * MS, 4)]
    assert [validity(row) for row in closed(always(), [mbo_frame(rows)])] == [
        WARMING,
        GOOD,
    ]
    rows = [add(T0, 3), clear(T0 + 100 * MS), add(T0 + 200 * MS, 4), (T0 + 200 * MS, "A", "A", 200, 1, 5, LAST)]
    assert [row["book_valid"] for row in closed(always(), [mbo_frame(rows)])] == [False, True, True]


def test_a_window_in_which_the_book_was_invalid_has_no_sums_but_a_close() -> None:
    (row,) = closed(always(), [mbo_frame([add(T0, 3), *snapshot(), add(T0 + 1, 4), add(T0 + 2, 5)])])
    assert validity(row) == WARMING
    assert value(row, "order_flow_imbalance", "added_bid", "spread_time_weighted") == (None, None, None)
    assert row["queue_imbalance"] == round(2 / 22, 9)


def test_a_bad_book_is_healed_by_a_snapshot_only() -> None:
    rows = [*snapshot(), add(T0, 3), add(T0 + 100 * MS, 4, flags=LAST | BAD), add(T0 + 200 * MS, 5)]
    rows += [clear(T0 + 300 * MS), *snapshot(), add(T0 + 400 * MS, 6)]
    bad = (False, True, ["bad_book"])
    assert [validity(row) for row in closed(always(), [mbo_frame(rows)])] == [GOOD, bad, bad, bad, GOOD]


def test_a_window_that_closes_within_a_snapshot_is_warming() -> None:
    frames = [
        mbo_frame([*snapshot(), add(T0, 3)]),
        mbo_frame(snapshot()[:2], frame=1),
        clock(T0 + S),
        mbo_frame([*snapshot()[2:], add(T0 + 1_100 * MS, 4), add(T0 + 1_200 * MS, 5)], frame=2),
    ]
    assert [validity(row) for row in closed(always(), frames)] == [WARMING, GOOD, GOOD]


# -- trading -----------------------------------------------------------------------------------------------------------


def test_only_events_of_a_session_contribute() -> None:
    state = PartitionState(session((T0, T0 + S), (T0 + 2 * S, T0 + 3 * S)))
    times = [T0 - 1, T0, T0 + 1, T0 + S - 1, T0 + S, T0 + 2 * S, T0 + 2 * S + 1]
    rows = closed(state, [mbo_frame([*snapshot(), *(add(ts, 10 + i) for i, ts in enumerate(times))])])
    got = [value(row, "order_flow_imbalance", "reasons", "added_bid") for row in rows]
    assert got == [(None, ["not_trading"], 1), (1, [], 2), (1, [], 1), (None, ["not_trading"], 1), (1, [], 2)]


def test_the_days_delta_starts_anew_with_the_day_and_runs_through_its_breaks() -> None:
    first, second, third = (T0, T0 + S), (T0 + 2 * S, T0 + 3 * S), (T0 + 4 * S, T0 + 5 * S)
    state = PartitionState(session(first, second, third, days=(20231226, 20231226, 20231227)))
    times = [T0, T0 + S, T0 + 2 * S, T0 + 4 * S, T0 + 3 * S - 1, T0 + 4 * S + 200 * MS]
    rows = closed(state, [mbo_frame([buy(ts) for ts in times])])
    assert [row["cumulative_volume_delta"] for row in rows] == [1, 2, 3, 1, 2]


def test_the_days_delta_is_unknown_from_a_gap_to_the_end_of_the_day() -> None:
    state = PartitionState(session((T0, T0 + S), (T0 + 2 * S, T0 + 3 * S)))
    frames = [
        mbo_frame([buy(T0)]),
        mbo_frame([buy(T0 + 200 * MS), buy(T0 + 400 * MS), buy(T0 + 2 * S), buy(T0 + 2 * S + 200 * MS)], frame=2),
    ]
    assert [row["cumulative_volume_delta"] for row in closed(state, frames)] == [None, None, None, 1, 2]


def test_a_halt_overrules_the_calendar_until_its_session_ends() -> None:
    state = PartitionState(session((T0, T0 + S), (T0 + S, T0 + 2 * S)))
    frames = [
        mbo_frame([*snapshot(), add(T0, 10), add(T0 + 1, 11)]),
        status_frame([(T0 + 50 * MS, "N")]),
        mbo_frame([add(T0 + 100 * MS, 12), add(T0 + 999 * MS, 13), add(T0 + S, 14), add(T0 + S + 1, 15)], frame=1),
    ]
    rows = closed(state, frames)
    assert [value(row, "order_flow_imbalance", "reasons") for row in rows] == [
        (1, []),
        (None, ["not_trading"]),
        (None, ["not_trading"]),
        (1, []),
    ]


def test_the_first_event_after_a_halt_only_sets_the_previous_top() -> None:
    frames = [
        mbo_frame([*snapshot(), add(T0, 10), add(T0 + 1, 11)]),
        status_frame([(T0 + 2, "N"), (T0 + 3, "~"), (T0 + 4, "Y")]),
        mbo_frame([add(T0 + 5, 12, 50), add(T0 + 6, 13)], frame=1),
    ]
    (row,) = closed(always(), frames)
    assert value(row, "order_flow_imbalance", "reasons") == (2, [])


def test_a_halt_counts_from_the_next_event_within_the_window() -> None:
    frames = [
        mbo_frame([*snapshot(), add(T0, 10)]),
        status_frame([(T0 + 1, "N")]),
        mbo_frame([add(T0 + 2, 11)], frame=1),
    ]
    (row,) = closed(always(), frames)
    assert value(row, "reasons", "order_flow_imbalance") == (["not_trading"], 0)


def test_time_does_not_count_in_a_halt() -> None:
    frames = [
        mbo_frame([*snapshot(), add(T0, 10, 20)]),
        status_frame([(T0 + 30 * MS, "N")]),
        status_frame([(T0 + 40 * MS, "Y")], frame=1),
        mbo_frame([(T0 + 40 * MS, "C", "B", 100, 20, 10, LAST)], frame=1),
    ]
    (row,) = closed(always(), frames)
    assert row["queue_imbalance_time_weighted"] == pytest.approx(0.5 * 30 / 90, abs=1e-9)


def test_trading_may_go_on_outside_the_calendar_until_the_next_open() -> None:
    state = PartitionState(session((T0 + S, T0 + 2 * S), (T0 + 3 * S, T0 + 4 * S)))
    frames = [
        mbo_frame([*snapshot(), add(T0, 10)]),
        status_frame([(T0 + 1, "Y")]),
        mbo_frame([add(T0 + 100 * MS, 11), add(T0 + S, 12), add(T0 + 2 * S, 13)], frame=1),
    ]
    assert [row["reasons"] for row in closed(state, frames)] == [["not_trading"], [], [], ["not_trading"]]


def test_a_status_counts_for_every_kind_for_symbols_that_come_later_and_within_scope() -> None:
    symbols = ("ESH4", "ESM4 P5250")
    frames = [
        status_frame([(T0, "N", 0), (T0, "N", 1)], symbols=symbols, classes="FP"),
        mbo_frame([*snapshot(), add(T0 + 1, 10)]),
        trade_frame([(T0 + 1, "B", 100, 1)]),
        trade_frame([(T0 + 1, "B", 100, 1)], stream="other"),
    ]
    rows = closed(always(), frames, stream=STREAM) + closed(always(), frames[:1] + frames[3:], stream="other")
    assert [row["reasons"] for row in rows] == [["not_trading"], ["not_trading"], []]
