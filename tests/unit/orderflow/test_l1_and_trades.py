"""Pressure from quotes and from trades alone."""

from __future__ import annotations

from typing import Any

from tests.unit.orderflow.builders import LAST, MS, T0, l1_frame, trade_frame
from tests.unit.orderflow.reading import always, closed, value

BAD = 4
BOOK_METRICS = (
    *("order_flow_imbalance", "order_flow_imbalance_normalized", "queue_imbalance", "queue_imbalance_time_weighted"),
    *("weighted_mid", "spread_time_weighted", "depth_imbalance_5", "cancel_to_add"),
    *(f"{flow}_{side}" for flow in ("added", "cancelled", "replaced", "filled") for side in ("bid", "ask")),
)
ORDER_METRICS = BOOK_METRICS[6:]


def quote(
    ts: int, bid: int | None, bid_size: int, ask: int | None, ask_size: int, flags: int = LAST, action: str = "M"
) -> tuple[Any, ...]:
    return ts, action, "N", 0, 0, bid, bid_size, ask, ask_size, flags


def trade(ts: int, side: str, price: int, size: int, flags: int = 0) -> tuple[Any, ...]:
    return ts, "T", side, price, size, 1, 1, 999, 1, flags


def test_quotes_give_order_flow_imbalance_and_no_order_metrics() -> None:
    rows = [quote(T0, 100, 5, 102, 5), quote(T0 + 1, 101, 3, 102, 4), quote(T0 + 2, 101, 2, 103, 9)]
    (row,) = closed(always(), [l1_frame(rows)])
    assert row["order_flow_imbalance"] == (3 + 1) + (-1 + 4)
    assert [row[name] for name in ORDER_METRICS] == [None] * len(ORDER_METRICS)
    assert value(row, "weighted_mid", "queue_imbalance") == (101, round(-7 / 11, 9))
    assert value(row, "book_valid", "trade_valid", "reasons") == (True, True, [])


def test_rows_of_one_event_count_at_its_end() -> None:
    rows = [quote(T0, 100, 5, 102, 5), quote(T0 + 1, 150, 3, 160, 4, flags=0), quote(T0 + 1, 100, 6, 102, 5)]
    (row,) = closed(always(), [l1_frame(rows)])
    assert row["order_flow_imbalance"] == 1


def test_a_trade_row_gives_volume_and_not_the_top_it_carries() -> None:
    rows = [quote(T0, 100, 5, 102, 5), trade(T0 + 1, "B", 102, 2), quote(T0 + 1, 100, 5, 102, 3)]
    (row,) = closed(always(), [l1_frame(rows)])
    assert value(row, "order_flow_imbalance", "buy_volume", "weighted_mid") == (2, 2, 101)


def test_trades_without_any_quote_leave_the_book_warming() -> None:
    (row,) = closed(always(), [l1_frame([trade(T0, "B", 102, 2), trade(T0 + 1, "A", 101, 5)])])
    assert value(row, "buy_volume", "sell_volume", "trade_imbalance") == (2, 5, round(-3 / 7, 9))
    assert value(row, "book_valid", "trade_valid", "reasons") == (False, True, ["warming"])
    assert [row[name] for name in BOOK_METRICS] == [None] * len(BOOK_METRICS)


def test_an_empty_side() -> None:
    rows = [quote(T0, 100, 5, 102, 5), quote(T0 + 1, None, 0, 102, 5), quote(T0 + 2, 100, 4, 102, 5)]
    (row,) = closed(always(), [l1_frame(rows)])
    assert value(row, "order_flow_imbalance", "reasons") == (-5 + 4, ["one_sided"])
    (row,) = closed(always(), [l1_frame(rows[:2])])
    assert value(row, "queue_imbalance", "weighted_mid") == (None, None)


def test_a_bad_flag_lasts_until_the_next_quote() -> None:
    rows = [quote(T0, 100, 5, 102, 5), quote(T0 + 1, 100, 9, 102, 5, LAST | BAD)]
    rows += [quote(T0 + 200 * MS, 100, 6, 102, 5), quote(T0 + 201 * MS, 100, 8, 102, 5)]
    bad, good = closed(always(), [l1_frame(rows)])
    assert value(bad, "book_valid", "reasons", "order_flow_imbalance") == (False, ["bad_book"], None)
    assert value(good, "book_valid", "reasons", "order_flow_imbalance") == (True, [], 2)


def test_runs_of_trades_stand_for_aggressors() -> None:
    rows = [
        *(trade(T0, "B", price, 1) for price in (100, 100, 101, 102)),
        *(trade(T0, "A", price, 10) for price in (100, 99)),
        *(trade(T0, "B", price, 100) for price in (100, 100)),
        *(trade(T0, "N", price, 1000) for price in (100, 101)),
        trade(T0 + 1, "N", 102, 1000),
        trade(T0 + 1, "B", 105, 1),
        trade(T0 + 2, "B", 106, 1),
    ]
    for frame in (l1_frame(rows), trade_frame([(ts, side, price, size) for ts, _, side, price, size, *_ in rows])):
        (row,) = closed(always(), [frame])
        assert value(row, "sweeps_buy", "sweeps_sell", "sweep_volume") == (1, 1, 4 + 20)


def test_trades_alone_have_no_book() -> None:
    rows = [(T0, "B", 100, 3), (T0, "A", 100, 1), (T0, "N", 100, 7), (T0 + 150 * MS, "B", 100, None)]
    first, second = closed(always(), [trade_frame(rows)])
    assert value(first, "buy_volume", "sell_volume", "unsigned_volume", "cumulative_volume_delta") == (3, 1, 7, 2)
    assert value(first, "book_valid", "trade_valid", "reasons") == (False, True, [])
    assert [first[name] for name in BOOK_METRICS] == [None] * len(BOOK_METRICS)
    assert value(second, "buy_volume", "trade_imbalance", "cumulative_volume_delta") == (0, None, 2)


def test_each_trade_is_an_event() -> None:
    """A late row is one event, though its time is that of the row before."""
    rows = [(T0 + 150 * MS, "B", 100, 1), (T0, "B", 100, 1), (T0, "B", 100, 1)]
    (row,) = closed(always(), [trade_frame(rows)])
    assert value(row, "late_count", "buy_volume") == (2, 1)


def test_kinds_of_a_stream_do_not_mix() -> None:
    frames = [l1_frame([trade(T0, "B", 100, 1)]), trade_frame([(T0, "B", 100, 2)])]
    rows = closed(always(), frames)
    assert [row["buy_volume"] for row in rows] == [1, 2]
