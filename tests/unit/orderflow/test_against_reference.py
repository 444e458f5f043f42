"""Random flows: every row and field of the compiled kernels against the plain reference, and both against others."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pytest
import wickra
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.orderflow.builders import (
    L1_ROW,
    MS,
    T0,
    S,
    clock_frame,
    gap_frame,
    l1_frame,
    mbo_frame,
    reframe,
    trade_frame,
)
from tests.unit.orderflow.comparison import WHOLE_NUMBER, differences, rows_of
from tests.unit.orderflow.flows import CLASSES, MID, SESSIONS, SYMBOLS, TICK, choices, lengths, play, seeds
from tests.unit.orderflow.reference import SIDES, Book, Reference, Top, order_flow_imbalance, weighted_mid

from tapeline.model.columns import F_LAST, F_SNAPSHOT, TickKind
from tapeline.model.frames import TickFrame
from tapeline.orderflow.partition import PartitionState, pack, unpack
from tapeline.orderflow.sessions import Sessions

Row = dict[str, Any]

KINDS: Final[tuple[TickKind, ...]] = ("mbo", "l1", "trade")
ALWAYS: Final = [(0, 2**62)]

many = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
some = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def compiled_sessions(intervals: list[tuple[int, int]]) -> Sessions:
    opens, closes = np.array(intervals, dtype=np.int64).T
    return Sessions(opens, closes, np.arange(20231226, 20231226 + len(intervals), dtype=np.int32))


def by_reference(frames: list[TickFrame], intervals: list[tuple[int, int]] = ALWAYS) -> list[Row]:
    reference = Reference(intervals)
    return [row for frame in frames for row in reference.apply(frame)]


def by_kernels(frames: list[TickFrame], intervals: list[tuple[int, int]] = ALWAYS) -> list[Row]:
    state = PartitionState(compiled_sessions(intervals))
    return [row for frame in frames for row in rows_of(state, frame)]


@pytest.mark.parametrize("kind", KINDS)
@many
@given(seed=seeds, length=lengths, intervals=st.sampled_from(SESSIONS))
def test_every_frame_closes_the_rows_of_the_reference(
    kind: TickKind, seed: int, length: int, intervals: list[tuple[int, int]]
) -> None:
    reference, state = Reference(intervals), PartitionState(compiled_sessions(intervals))
    for number, frame in enumerate(play(kind, choices(kind, seed, length))):
        assert differences(reference.apply(frame), rows_of(state, frame)) == [], f"frame {number}"


@some
@given(seed=seeds, length=lengths, intervals=st.sampled_from(SESSIONS), kinds=st.permutations(KINDS))
def test_kinds_of_one_stream_do_not_mix(
    seed: int, length: int, intervals: list[tuple[int, int]], kinds: list[TickKind]
) -> None:
    flows = []
    for number, kind in enumerate(kinds):
        # A status is for every kind, and no producer sends one in mid-event.
        drawn = [choice for choice in choices(kind, seed + number, length) if choice.what != "status"]
        flows.append(play(kind, drawn))
    order = [number for number, flow in enumerate(flows) for _ in flow]
    random.Random(seed).shuffle(order)
    rest = [iter(flow) for flow in flows]
    frames = [next(rest[number]) for number in order]
    assert differences(by_reference(frames, intervals), by_kernels(frames, intervals)) == []


@pytest.mark.parametrize("kind", KINDS)
@some
@given(seed=seeds, length=lengths)
def test_rows_do_not_depend_on_the_framing(kind: TickKind, seed: int, length: int) -> None:
    drawn = [choice for choice in choices(kind, seed, length) if choice.what != "restart"]
    frames = play(kind, drawn)
    again = reframe(frames, random.Random(seed), largest=1 + seed % 40)
    assert by_kernels(frames, SESSIONS[1]) == by_kernels(again, SESSIONS[1])
    assert by_reference(frames, SESSIONS[1]) == by_reference(again, SESSIONS[1])


@pytest.mark.parametrize("kind", KINDS)
@some
@given(seed=seeds, length=lengths)
def test_a_state_that_was_packed_in_mid_flow_closes_the_same_rows(kind: TickKind, seed: int, length: int) -> None:
    frames = play(kind, choices(kind, seed, length))
    sessions = compiled_sessions(SESSIONS[1])
    reference, state = Reference(SESSIONS[1]), PartitionState(sessions)
    for frame in frames:
        assert differences(reference.apply(frame), rows_of(state, frame)) == []
        state = unpack(pack(state.copy()), sessions)


@pytest.mark.parametrize("kind", KINDS)
def test_random_flows_reach_every_field_and_reason(kind: TickKind) -> None:
    """The comparisons above prove nothing about what the flows never show."""
    defined: Counter[str] = Counter()
    undefined: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for seed in range(40):
        for row in by_reference(play(kind, choices(kind, seed, 200)), SESSIONS[seed % len(SESSIONS)]):
            reasons.update(row["reasons"])
            for name, value in row.items():
                (undefined if value is None else defined)[name] += 1
    orders_only = {"depth_imbalance_5", "cancel_to_add"} | {
        f"{flow}_{side}" for flow in ("added", "cancelled", "replaced", "filled") for side in ("bid", "ask")
    }
    quotes = {
        *("order_flow_imbalance", "order_flow_imbalance_normalized", "queue_imbalance", "weighted_mid"),
        *("queue_imbalance_time_weighted", "spread_time_weighted"),
    }
    trades = {
        *("buy_volume", "sell_volume", "unsigned_volume", "trade_imbalance", "cumulative_volume_delta"),
        *("sweeps_buy", "sweeps_sell", "sweep_volume"),
    }
    of_book = {"crossed", "locked", "one_sided", "bad_book"}
    expected = {
        "mbo": (orders_only | quotes | trades, of_book | {"warming", "unknown_order"}),
        "l1": (quotes | trades, of_book),
        "trade": (trades, set[str]()),
    }
    names, kinds_reasons = expected[kind]
    assert all(defined[name] >= 20 and undefined[name] >= 20 for name in names)
    assert all(reasons[reason] >= 10 for reason in kinds_reasons | {"gap", "late", "not_trading"})


@many
@given(seed=seeds, length=lengths)
def test_resting_sizes_balance(seed: int, length: int) -> None:
    """Per side: after = before + added − cancelled − filled, over any stretch of windows of a valid book."""
    *flow, end_of_pass = play("mbo", choices("calm", seed, length))
    ticks = [_empty_snapshot(T0), *flow]
    frames = [*(replace(frame, frame=number) for number, frame in enumerate(ticks)), end_of_pass]
    books: dict[str, Book] = {}
    for frame in flow:
        for record in frame.rows():
            books.setdefault(str(record["symbol"]), Book()).apply(record)
    for rows in (by_reference(frames), by_kernels(frames)):
        for symbol in set(books) & {"ESH4", "ESM4"}:
            for window_ms in (100, 1_000, 10_000, 60_000):
                mine = [row for row in rows if row["symbol"] == symbol and row["window_ms"] == window_ms]
                for side, name in SIDES.items():
                    balance = sum(
                        row[f"added_{name}"] - row[f"cancelled_{name}"] - row[f"filled_{name}"] for row in mine
                    )
                    assert balance == sum(books[symbol].levels[side].values())


def _empty_snapshot(at: int) -> TickFrame:
    """A complete snapshot without orders per symbol, so that the book is valid from the first record on."""
    rows = [(at, "R", "N", None, 0, 0, F_SNAPSHOT | F_LAST, 0, symbol) for symbol in range(len(SYMBOLS))]
    return mbo_frame(rows, symbols=SYMBOLS, classes=CLASSES, session="0")


# Others that define the same thing ------------------------------------------------------------------------------------

quote = st.tuples(
    st.integers(-6, 0).map(lambda ticks: MID + ticks * TICK),
    st.integers(1, 50),
    st.integers(1, 6).map(lambda ticks: MID + ticks * TICK),
    st.integers(1, 50),
)
quotes = st.lists(quote, min_size=2, max_size=40)
prints = st.lists(st.tuples(st.booleans(), st.integers(1, 50)), min_size=1, max_size=40)


def _quotes_row(drawn: list[tuple[int, int, int, int]]) -> Row:
    """The 60 s row of quotes 1 ms apart, each an event."""
    rows = [
        (T0 + number * MS, "M", "B", bid, bid_size, bid, bid_size, ask, ask_size, F_LAST)
        for number, (bid, bid_size, ask, ask_size) in enumerate(drawn)
    ]
    assert L1_ROW[5:9] == ("bid_price", "bid_size", "ask_price", "ask_size")
    frames = [l1_frame(rows), clock_frame({"l1": T0 + 120 * S})]
    (row,) = [row for row in by_kernels(frames) if row["window_ms"] == 60_000]
    assert differences([each for each in by_reference(frames) if each["window_ms"] == 60_000], [row]) == []
    return row


@some
@given(drawn=quotes)
def test_quotes_agree_with_wickra(drawn: list[tuple[int, int, int, int]]) -> None:
    """Wickra's Microprice is the weighted mid; its imbalance and order flow imbalance are ours."""
    snapshots = [([bid / 1e9], [float(b)], [ask / 1e9], [float(a)]) for bid, b, ask, a in drawn]
    row = _quotes_row(drawn)
    flow = wickra.OrderFlowImbalance(len(drawn) - 1)
    for snapshot in snapshots:
        sum_of_flow = flow.update(*snapshot)
    assert row["order_flow_imbalance"] == sum_of_flow
    microprice = wickra.Microprice().update(*snapshots[-1])
    assert microprice is not None
    assert row["weighted_mid"] / 1e9 == pytest.approx(microprice, rel=1e-12)
    assert row["queue_imbalance"] == pytest.approx(wickra.OrderBookImbalanceTop1().update(*snapshots[-1]), abs=1e-9)


@some
@given(drawn=quotes)
def test_each_step_of_order_flow_imbalance_agrees_with_wickra(drawn: list[tuple[int, int, int, int]]) -> None:
    for before, after in pairwise(drawn):
        flow = wickra.OrderFlowImbalance(1)
        for bid, bid_size, ask, ask_size in (before, after):
            step = flow.update([bid / 1e9], [bid_size], [ask / 1e9], [ask_size])
        assert order_flow_imbalance(Top(*before), Top(*after)) == step


@some
@given(drawn=prints)
def test_trades_agree_with_wickra(drawn: list[tuple[bool, int]]) -> None:
    rows = [
        (T0 + number * MS, "T", "B" if is_buy else "A", MID, size, 0, F_LAST)
        for number, (is_buy, size) in enumerate(drawn)
    ]
    frames = [mbo_frame(rows), clock_frame({"mbo": T0 + 120 * S})]
    (row,) = [row for row in by_kernels(frames) if row["window_ms"] == 60_000]
    delta, imbalance = wickra.CumulativeVolumeDelta(), wickra.TradeImbalance(len(drawn))
    signed = wickra.SignedVolume()
    total = 0.0
    for is_buy, size in drawn:
        total += signed.update(MID / 1e9, size, is_buy) or 0
        last_delta = delta.update(MID / 1e9, size, is_buy)
        last_imbalance = imbalance.update(MID / 1e9, size, is_buy)
    assert row["cumulative_volume_delta"] == last_delta == total == row["buy_volume"] - row["sell_volume"]
    assert row["trade_imbalance"] == pytest.approx(last_imbalance, abs=1e-9)


@some
@given(sizes=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=5, max_size=8))
def test_depth_imbalance_agrees_with_wickra(sizes: list[tuple[int, int]]) -> None:
    at = T0 - 10 * MS
    snapshot = [
        record
        for level, (bid_size, ask_size) in enumerate(sizes)
        for record in (
            (at, "A", "B", MID - TICK * (1 + level), bid_size, 1 + level, F_SNAPSHOT),
            (at, "A", "A", MID + TICK * (1 + level), ask_size, 101 + level, F_SNAPSHOT),
        )
    ]
    frames = [
        mbo_frame([*snapshot, (T0, "N", "N", None, 0, 0, F_LAST)]),
        clock_frame({"mbo": T0 + 120 * S}),
    ]
    (row,) = [row for row in by_kernels(frames) if row["window_ms"] == 60_000]
    bids = [(MID - TICK * (1 + level)) / 1e9 for level in range(len(sizes))]
    asks = [(MID + TICK * (1 + level)) / 1e9 for level in range(len(sizes))]
    wanted = wickra.OrderBookImbalanceTopN(5).update(bids, [b for b, _ in sizes], asks, [a for _, a in sizes])
    assert row["depth_imbalance_5"] == pytest.approx(wanted, abs=1e-9)
    assert row["weighted_mid"] == pytest.approx(
        float(weighted_mid(Top(MID - TICK, sizes[0][0], MID + TICK, sizes[0][1]))), abs=WHOLE_NUMBER
    )


# Worked by hand -------------------------------------------------------------------------------------------------------


def _worked(before: list[tuple[str, int, int, int]], event: list[tuple[str, str, int | None, int, int]]) -> Row:
    """The 60 s row of one event upon a snapshot of (side, price, size, order id), after an event that sets the top."""
    at = T0 - 10 * MS
    snapshot = [(at, "A", side, price, size, order_id, F_SNAPSHOT) for side, price, size, order_id in before]
    records = [(T0 + MS, *record, 0) for record in event]
    records[-1] = (*records[-1][:-1], F_LAST)
    frames = [
        mbo_frame([*snapshot, (T0, "N", "N", None, 0, 0, F_LAST), *records]),
        clock_frame({"mbo": T0 + 120 * S}),
    ]
    (row,) = [row for row in by_kernels(frames) if row["window_ms"] == 60_000]
    assert differences([each for each in by_reference(frames) if each["window_ms"] == 60_000], [row]) == []
    return row


def test_an_aggressor_lifts_two_prices() -> None:
    """ESH4, sequences 6008 to 6010."""
    row = _worked(
        [
            ("B", 4_800_000_000_000, 4, 1),
            ("A", 4_800_250_000_000, 2, 270),
            ("A", 4_800_500_000_000, 12, 982),
        ],
        [
            ("T", "B", 4_800_250_000_000, 2, 521),
            ("F", "A", 4_800_250_000_000, 2, 270),
            ("T", "B", 4_800_500_000_000, 1, 521),
            ("F", "A", 4_800_500_000_000, 1, 982),
            ("T", "B", 4_800_500_000_000, 1, 726),
            ("F", "A", 4_800_500_000_000, 1, 982),
            ("C", "A", 4_800_250_000_000, 2, 270),
            ("M", "A", 4_800_500_000_000, 10, 982),
        ],
    )
    assert row["order_flow_imbalance"] == 2
    assert (row["buy_volume"], row["sell_volume"]) == (4, 0)
    assert [row[f"{flow}_ask"] for flow in ("added", "cancelled", "filled", "replaced")] == [0, 0, 4, 0]
    assert [row[f"{flow}_bid"] for flow in ("added", "cancelled", "filled", "replaced")] == [0, 0, 0, 0]
    assert (row["sweeps_buy"], row["sweeps_sell"], row["sweep_volume"]) == (1, 0, 3)
    assert row["weighted_mid"] == pytest.approx((4_800_500_000_000 * 4 + 4_800_000_000_000 * 10) / 14, abs=WHOLE_NUMBER)


def test_an_iceberg_shows_its_next_slice() -> None:
    row = _worked(
        [("B", MID, 3, 450), ("A", MID + TICK, 5, 2)],
        [("T", "A", MID, 13, 9), ("F", "B", MID, 13, 450), ("M", "B", MID, 2, 450)],
    )
    assert (row["added_bid"], row["cancelled_bid"], row["filled_bid"]) == (12, 0, 13)


def test_an_order_amended_to_cross_prints_a_fill_of_its_own() -> None:
    price = 4_706_500_000_000
    row = _worked(
        [("B", price, 12, 771), ("B", price - TICK, 9, 3), ("A", price + TICK, 1, 856), ("A", price + 2 * TICK, 4, 4)],
        [
            ("T", "B", price + TICK, 1, 771),
            ("F", "B", price + TICK, 1, 771),
            ("F", "A", price + TICK, 1, 856),
            ("C", "B", price, 12, 771),
            ("C", "A", price + TICK, 1, 856),
        ],
    )
    assert row["buy_volume"] == 1
    assert (row["added_bid"], row["cancelled_bid"], row["filled_bid"]) == (0, 11, 1)
    assert (row["added_ask"], row["cancelled_ask"], row["filled_ask"]) == (0, 0, 1)


def test_an_overfilled_order_that_returns_on_the_other_side_balances_each_side() -> None:
    row = _worked(
        [("B", MID, 3, 7), ("A", MID + 4 * TICK, 5, 2)],
        [("T", "A", MID, 5, 9), ("F", "B", MID, 5, 7), ("A", "A", MID + TICK, 4, 7)],
    )
    assert (row["added_bid"], row["cancelled_bid"], row["filled_bid"], row["replaced_bid"]) == (2, 0, 5, 0)
    assert (row["added_ask"], row["cancelled_ask"], row["filled_ask"], row["replaced_ask"]) == (4, 0, 0, 0)


def test_trades_older_than_the_session_are_not_in_its_cumulative_volume_delta() -> None:
    frames = [
        trade_frame([(T0 + 61 * S, "B", MID, 5), (T0 + 59 * S, "B", MID, 7)]),
        clock_frame({"trade": T0 + 200 * S}),
    ]
    rows = by_kernels(frames, [(T0 + 60 * S, T0 + 3_600 * S)])
    assert {row["cumulative_volume_delta"] for row in rows} == {5}


def test_a_second_gap_does_not_let_the_first_one_be_forgotten() -> None:
    trades: tuple[str, ...] = ("trade",)
    gap: dict[str, Any] = {"gap_id": "first", "ts_event_from": T0 + 10 * S}
    frames = [
        trade_frame([(T0 + 5 * S, "B", MID, 5)]),
        gap_frame("open", kinds=trades, **gap),
        gap_frame("bounded", kinds=trades, **gap, ts_event_to=T0 + 20 * S),
        trade_frame([(T0 + 99 * S, "B", MID, 5)], frame=1),
        gap_frame("open", kinds=trades, gap_id="second", ts_event_from=T0 + 100 * S),
        clock_frame({"trade": T0 + 200 * S}),
    ]
    rows = by_kernels(frames, [(T0, T0 + 3_600 * S)])
    after_the_first = [row for row in rows if row["window_start"] >= T0 + 10 * S]
    assert len(after_the_first) == 4
    assert all(row["cumulative_volume_delta"] is None for row in after_the_first)
