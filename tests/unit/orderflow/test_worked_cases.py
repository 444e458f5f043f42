"""The worked cases of the definitions, order by order."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.orderflow.builders import LAST, MS, T0, mbo_frame
from tests.unit.orderflow.reading import Row, always, closed, value

P = 1_000_000_000
TICK = 250_000_000
SNAPSHOT = 32


def price(points: float) -> int:
    return int(points * P)


def ran(before: list[tuple[Any, ...]], *events: list[tuple[Any, ...]]) -> Row:
    """Return the 100 ms row of events of (action, side, points, size, order id) that follow a snapshot of `before`.

    The first event only sets the previous top, so an empty one goes ahead.
    """
    rows: list[tuple[Any, ...]] = [(T0 - 5, "R", "N", None, 0, 0, SNAPSHOT)]
    rows += [(T0 - 5, "A", side, price(points), size, order_id, SNAPSHOT) for side, points, size, order_id in before]
    rows.append((T0, "N", "N", None, 0, 0, LAST))
    for number, event in enumerate(events):
        for i, (action, side, points, size, order_id) in enumerate(event):
            flags = LAST if i == len(event) - 1 else 0
            rows.append((T0 + MS * (number + 1), action, side, price(points), size, order_id, flags))
    (row,) = closed(always(), [mbo_frame(rows)])
    return row


SWEPT = [
    ("T", "B", 4800.25, 2, 521),
    ("F", "A", 4800.25, 2, 270),
    ("T", "B", 4800.50, 1, 521),
    ("F", "A", 4800.50, 1, 982),
    ("T", "B", 4800.50, 1, 726),
    ("F", "A", 4800.50, 1, 982),
    ("C", "A", 4800.25, 2, 270),
    ("M", "A", 4800.50, 10, 982),
]
BEFORE = [("B", 4800.00, 4, 1), ("A", 4800.25, 2, 270), ("A", 4800.50, 12, 982)]


def test_a_sweep_raises_the_ask() -> None:
    row = ran(BEFORE, SWEPT)
    assert row["order_flow_imbalance"] == 2
    assert value(row, "buy_volume", "sell_volume", "unsigned_volume") == (4, 0, 0)
    assert value(row, "added_bid", "added_ask", "cancelled_bid", "cancelled_ask") == (0, 0, 0, 0)
    assert value(row, "filled_bid", "filled_ask") == (0, 4)
    assert value(row, "sweeps_buy", "sweeps_sell", "sweep_volume") == (1, 0, 3)
    assert row["weighted_mid"] == price(4800.00) + round(price(0.50) * 4 / 14)
    assert row["queue_imbalance"] == pytest.approx((4 - 10) / 14, abs=5e-10)
    assert (row["book_valid"], row["trade_valid"], row["reasons"]) == (True, True, [])


def test_a_new_best_bid_adds_its_size() -> None:
    row = ran(BEFORE, SWEPT, [("A", "B", 4800.25, 3, 2)])
    assert row["order_flow_imbalance"] == 5
    assert value(row, "added_bid", "added_ask") == (3, 0)


def test_an_iceberg_refresh_counts_as_added() -> None:
    row = ran(
        [("B", 4800.00, 3, 450), ("A", 4801.00, 1, 7)],
        [("T", "A", 4800.00, 13, 9), ("F", "B", 4800.00, 13, 450), ("M", "B", 4800.00, 2, 450)],
    )
    assert value(row, "added_bid", "cancelled_bid", "filled_bid", "sell_volume") == (12, 0, 13, 13)


def test_an_order_amended_to_cross_is_cancelled_but_for_what_it_traded() -> None:
    row = ran(
        [("B", 4706.50, 12, 771), ("A", 4707.00, 1, 856)],
        [
            ("T", "B", 4707.00, 1, 771),
            ("F", "B", 4707.00, 1, 771),
            ("F", "A", 4707.00, 1, 856),
            ("C", "B", 4706.50, 12, 771),
            ("C", "A", 4707.00, 1, 856),
        ],
    )
    assert value(row, "buy_volume", "cancelled_bid", "cancelled_ask") == (1, 11, 0)
    assert value(row, "filled_bid", "filled_ask") == (1, 1)
    assert row["reasons"] == ["one_sided"]


def test_a_changed_price_cancels_and_adds() -> None:
    row = ran([("B", 10.00, 5, 1), ("A", 12.00, 5, 2)], [("M", "B", 10.25, 7, 1)])
    assert value(row, "cancelled_bid", "added_bid", "replaced_bid") == (5, 7, 5)
    assert row["cancel_to_add"] == 0


def test_a_changed_price_after_fills_cancels_only_the_rest() -> None:
    row = ran([("B", 10.00, 5, 1), ("A", 12.00, 5, 2)], [("F", "B", 10.00, 2, 1), ("M", "B", 10.25, 3, 1)])
    assert value(row, "cancelled_bid", "added_bid", "replaced_bid", "filled_bid") == (3, 3, 3, 2)


def test_a_partial_cancel_reduces_by_its_size() -> None:
    row = ran([("B", 10.00, 5, 1), ("A", 12.00, 5, 2)], [("C", "B", 10.00, 2, 1)])
    assert value(row, "cancelled_bid", "order_flow_imbalance") == (2, -2)
    assert row["queue_imbalance"] == -0.25


def test_orders_netted_to_nothing_within_an_event_leave_no_trace() -> None:
    row = ran(
        [("B", 10.00, 5, 1), ("A", 12.00, 5, 2)],
        [("A", "B", 10.50, 4, 3), ("C", "B", 10.50, 4, 3), ("C", "B", 10, 5, 1), ("A", "B", 10, 5, 1)],
    )
    assert value(row, "added_bid", "cancelled_bid", "replaced_bid", "order_flow_imbalance") == (0, 0, 0, 0)


def test_an_order_id_given_anew_replaces_the_order() -> None:
    row = ran([("B", 10.00, 5, 1), ("A", 12.00, 5, 2)], [("A", "A", 11.00, 3, 1), ("A", "B", 9.00, 1, 4)])
    assert value(row, "cancelled_bid", "added_ask", "added_bid", "replaced_bid", "replaced_ask") == (5, 3, 1, 0, 0)
    assert row["weighted_mid"] == price(9.00) + price(2.00) // 4


def test_an_unknown_modify_adds_and_an_unknown_cancel_is_told() -> None:
    before = [("B", 10.00, 5, 1), ("A", 12.00, 5, 2)]
    row = ran(before, [("M", "B", 10.00, 2, 9)])
    assert value(row, "added_bid", "modify_unknown_count", "reasons") == (2, 1, ["unknown_order"])
    row = ran(before, [("C", "B", 10.00, 2, 9)])
    assert value(row, "cancelled_bid", "modify_unknown_count", "reasons") == (0, 0, ["unknown_order"])
    row = ran(before, [("F", "B", 10.00, 2, 9), ("A", "B", 10.00, 1, 9)])
    assert value(row, "filled_bid", "added_bid", "reasons") == (0, 1, [])


def test_aggressors_of_one_event_are_told_apart() -> None:
    row = ran(
        BEFORE,
        [
            ("T", "B", 1.0, 1, 11),
            ("T", "B", 1.0, 1, 12),
            ("T", "B", 2.0, 1, 11),
            ("T", "A", 5.0, 7, 13),
            ("T", "A", 4.0, 2, 13),
            ("T", "A", 3.0, 1, 13),
            ("T", "N", 1.0, 50, 0),
            ("T", "N", 2.0, 50, 0),
        ],
        [("T", "B", 2.0, 1, 12)],
    )
    assert value(row, "sweeps_buy", "sweeps_sell", "sweep_volume") == (1, 1, 12)
    assert value(row, "buy_volume", "sell_volume", "unsigned_volume") == (4, 10, 100)
    assert row["trade_imbalance"] == pytest.approx(-6 / 14, abs=5e-10)


@pytest.mark.parametrize(
    ("bid", "ask", "reasons", "imbalance"),
    [(10.0, 11.0, [], 1), (11.0, 11.0, ["locked"], 1), (11.5, 11.0, ["crossed"], None)],
)
def test_shapes_of_the_top(bid: float, ask: float, reasons: list[str], imbalance: int | None) -> None:
    row = ran([("B", bid, 4, 1), ("A", ask, 6, 2)], [("A", "B", bid, 1, 3)])
    assert row["reasons"] == reasons
    assert row["order_flow_imbalance"] == imbalance
    assert row["queue_imbalance"] == round(-1 / 11, 9)
    assert (row["spread_time_weighted"] is None) == bool(reasons)


def test_depth_counts_the_five_best_levels_that_have_size() -> None:
    bids = [("B", 100 - i, 1, 10 + i) for i in range(7)]
    asks = [("A", 101 + i, 10, 30 + i) for i in range(3)]
    row = ran([*bids, *asks], [("C", "B", 100, 1, 10), ("M", "B", 98, 5, 12)])
    assert row["depth_imbalance_5"] == pytest.approx((9 - 30) / 39, abs=5e-10)


def test_time_weights() -> None:
    """Two thirds of the 90 ms from the second event at a queue of 3:1, then one third at 1:3 and twice the spread."""
    rows = [
        (T0 - 5, "A", "B", price(10), 3, 1, SNAPSHOT),
        (T0 - 5, "A", "A", price(11), 1, 2, SNAPSHOT | LAST),
        (T0 + 10 * MS, "N", "N", None, 0, 0, LAST),
        (T0 + 70 * MS, "C", "A", price(11), 1, 2, 0),
        (T0 + 70 * MS, "A", "A", price(12), 9, 3, LAST),
    ]
    (row,) = closed(always(), [mbo_frame(rows)])
    assert row["queue_imbalance_time_weighted"] == pytest.approx((0.5 * 60 - 0.5 * 30) / 90, abs=1e-9)
    assert row["spread_time_weighted"] == round((P * 60 + 2 * P * 30) / 90)
    assert row["order_flow_imbalance_normalized"] == pytest.approx(1 / ((2 * 60 + 6 * 30) / 90), abs=1e-9)
