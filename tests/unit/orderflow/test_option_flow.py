"""Option flow, worked by hand: what each trade adds, which windows close when, and what is null."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.unit.orderflow.builders import S, claim_frame, clock_frame, gap_frame
from tests.unit.orderflow.options import (
    C25000,
    C25100,
    E9,
    FRIDAY,
    P25000,
    P25100,
    SPREAD,
    STREAM,
    T0,
    THURSDAY,
    THURSDAYS,
    option,
    option_frame,
    prints,
    quotes,
    spread,
    valued_chain,
)

from tapeline.model.frames import TickFrame
from tapeline.model.instruments import Instrument
from tapeline.ops.resources import resource
from tapeline.orderflow.contracts import ContractBook
from tapeline.orderflow.option_flow import OptionFlow
from tapeline.orderflow.partition import MESSAGE_BYTES

MS = 1_000_000
GREEKS = {C25000: (0.55, 3.5), P25000: (-0.45, 3.5), C25100: (0.5, 3.25), P25100: (-0.5, 3.25)}
HEAD = {"source": "databento", "stream": STREAM}
END = T0 + 60 * S + 250 * MS
"""When all windows that begin at T0 have closed."""


def book(*more: Instrument) -> ContractBook:
    contracts = ContractBook()
    for instrument in (*map(option, THURSDAYS), *more):
        contracts.define(instrument)
    return contracts


def rows_of(flow: OptionFlow, frames: Iterable[TickFrame], window_ms: int | None = None) -> list[dict[str, Any]]:
    rows = []
    for frame in frames:
        for message in flow.apply(frame):
            document = json.loads(message.value)
            assert message.key == document["key"]
            assert message.rows == len(document["rows"])
            head = {name: document[name] for name in ("source", "stream", "kind", "underlying", "expiry")}
            rows += [{**head, **row} for row in document["rows"] if window_ms in (None, row["window_ms"])]
    return rows


def packed(flow: OptionFlow) -> dict[str, Any]:
    header: dict[str, Any] = json.loads(flow.copy().header)
    return header


def clock(ts: int, kind: str = "trade") -> TickFrame:
    return clock_frame({kind: ts}, **HEAD)


def test_the_golden_row_message() -> None:
    """Two calls bought at 120.50, three puts sold at 80, one call without a side, a put bought before any chain."""
    flow = OptionFlow(book(spread(underlying="NQZ6", expiry=THURSDAY)))
    flow.take_chain(valued_chain(T0 + 100 * MS, GREEKS))
    rows = [
        (T0 + 50 * MS, 1, "B", 79_500_000_000, 4),
        (T0 + 150 * MS, 0, "B", 120_500_000_000, 2),
        (T0 + 160 * MS, 1, "A", 80_000_000_000, 3),
        (T0 + 170 * MS, 2, "N", 70_000_000_000, 1),
        (T0 + 180 * MS, 4, "B", 50_000_000_000, 7),
    ]
    symbols = (*THURSDAYS, SPREAD)
    assert flow.apply(prints(rows, symbols)) == []
    (message,) = flow.apply(clock(END))
    golden = json.loads(resource("schemas", "golden", "option-flow.v1.json").read_bytes())
    assert json.loads(message.value) == golden
    Draft202012Validator(json.loads(resource("schemas", "option-flow.v1.json").read_bytes())).validate(golden)
    assert message.key == "NQZ6/2026-11-26T21:00:00Z"
    second, *longer = golden["rows"]
    assert [row["window_ms"] for row in golden["rows"]] == [1_000, 10_000, 60_000]
    assert all({**row, "window_ms": 1_000} == second for row in longer)
    assert second["premium_call"] == 120.5 * 2 * 20
    assert second["premium_put"] == (79.5 * 4 - 80 * 3) * 20
    assert second["delta_flow"] == 2 * 0.55 + 3 * 0.45
    assert second["vega_flow"] == 2 * 3.5 - 3 * 3.5
    assert second["delta_missing_volume"] == 4
    assert (second["call_buy_volume"], second["put_sell_volume"], second["call_unsigned_volume"]) == (2, 3, 1)
    assert second["user_defined_volume"] == 7


def test_windows_close_at_the_next_trade_past_their_end_or_by_the_watermark() -> None:
    flow = OptionFlow(book())
    assert rows_of(flow, [prints([(T0, 0, "B", E9, 1), (T0 + S - 1, 0, "B", E9, 1)])]) == []
    (row,) = rows_of(flow, [prints([(T0 + S, 0, "B", E9, 1)], frame=1)])
    assert (row["window_start"], row["window_ms"], row["call_buy_volume"]) == (str(T0), 1_000, 2)
    assert rows_of(flow, [clock(T0 + 2 * S + 250 * MS - 1)]) == []
    (row,) = rows_of(flow, [clock(T0 + 2 * S + 250 * MS)])
    assert (row["window_start"], row["call_buy_volume"]) == (str(T0 + S), 1)
    rows = rows_of(flow, [clock(END)])
    assert [(row["window_ms"], row["call_buy_volume"]) for row in rows] == [(10_000, 3), (60_000, 3)]


def test_quotes_raise_the_watermark_row_by_row() -> None:
    """The trade comes before the quote that closes its window in one frame, and after it in the other."""
    quote, trade = (T0 + 1_250 * MS, "A", 0, E9, 1, 2 * E9, 1), (T0 + 999 * MS, "T", 0, E9, 1, 2 * E9, 1, "B", E9, 5)
    before = rows_of(OptionFlow(book()), [quotes([trade, quote]), clock(END, "l1")], 1_000)
    assert [(row["call_buy_volume"], row["late_count"]) for row in before] == [(5, 0)]
    flow = OptionFlow(book())
    later = (T0 + 1_300 * MS, "T", 0, E9, 1, 2 * E9, 1, "B", E9, 7)
    after = rows_of(flow, [quotes([quote, trade, later]), clock(END, "l1")])
    assert [(row["window_ms"], row["call_buy_volume"], row["late_count"], row["reasons"]) for row in after] == [
        (1_000, 7, 1, ["late"]),
        (10_000, 12, 0, []),
        (60_000, 12, 0, []),
    ]


def test_a_trade_before_the_latest_ones_window_is_late_at_once() -> None:
    rows = rows_of(OptionFlow(book()), [prints([(T0 + S, 0, "B", E9, 1), (T0 + S - 1, 0, "B", E9, 2)]), clock(END)])
    assert [(row["call_buy_volume"], row["late_count"]) for row in rows] == [(1, 1), (3, 0), (3, 0)]


def test_snapshots_raise_no_watermark_and_are_no_trades() -> None:
    flow = OptionFlow(book())
    snapshot = (T0 + 90 * S, "T", 0, E9, 1, 2 * E9, 1, "B", E9, 9, 32)
    trade = (T0, "T", 0, E9, 1, 2 * E9, 1, "B", E9, 5, 128)
    rows = rows_of(flow, [quotes([trade, snapshot]), clock(T0 + 1_250 * MS, "l1")])
    assert [row["call_buy_volume"] for row in rows] == [5]


def test_each_kind_and_expiry_has_rows_of_its_own() -> None:
    friday = option("Q4EX6 C25000", expiry=FRIDAY)
    flow = OptionFlow(book(friday))
    told_twice = quotes([(T0, "T", 0, E9, 1, 2 * E9, 1, "B", E9, 5)]), prints([(T0, 0, "B", E9, 5)])
    other = prints([(T0 + 1, 0, "A", E9, 2)], [friday.raw_symbol], frame=1)
    both = clock_frame({"l1": END, "trade": END}, **HEAD)
    rows = rows_of(flow, [*told_twice, other, both], 1_000)
    assert [(row["kind"], row["expiry"], row["call_buy_volume"], row["call_sell_volume"]) for row in rows] == [
        ("l1", str(THURSDAY), 5, 0),
        ("trade", str(THURSDAY), 5, 0),
        ("trade", str(FRIDAY), 0, 2),
    ]


def test_only_trades_count_and_only_those_of_options() -> None:
    quote = (T0, "A", 0, E9, 1, 2 * E9, 1, "B", E9, 5)
    fill = (T0, "F", 0, E9, 1, 2 * E9, 1, "B", E9, 5)
    future = (T0, "T", 1, E9, 1, 2 * E9, 1, "B", E9, 5)
    nothing = (T0, "T", 0, E9, 1, 2 * E9, 1, "B", E9, None)
    flow = OptionFlow(book())
    assert rows_of(flow, [quotes([quote, fill, future, nothing], [C25000, "NQZ6"]), clock(END, "l1")]) == []
    assert packed(flow)["waiting"] == [], "a future's definition is not waited for"


@pytest.mark.parametrize(
    ("as_of", "missing"),
    [(T0 - 60 * S, 0), (T0 - 60 * S - 1, 3), (T0, 0), (T0 + 1, 3)],
    ids=["sixty seconds old", "too old", "of the same moment", "after the trade"],
)
def test_a_trade_is_valued_with_the_last_chain_before_it(as_of: int, missing: int) -> None:
    flow = OptionFlow(book())
    flow.take_chain(valued_chain(as_of, GREEKS))
    (row,) = rows_of(flow, [prints([(T0, 0, "B", E9, 3)]), clock(END)], 1_000)
    assert row["delta_missing_volume"] == missing
    if missing:
        assert [row[name] for name in ("delta_flow", "vega_flow", "chain_as_of", "underlying_price")] == [None] * 4
    else:
        assert row["delta_flow"] == pytest.approx(3 * 0.55)
        assert (row["chain_as_of"], row["underlying_price"]) == (str(as_of), 25_040)


def test_the_last_of_several_chains_counts_whatever_the_order_in_which_they_come() -> None:
    flow = OptionFlow(book())
    for seconds, delta in ((3, 0.3), (1, 0.1), (2, 0.2)):
        flow.take_chain(valued_chain(T0 + seconds * S, {C25000: (delta, 1.0)}))
    trades = [(T0 + S, 0, "B", E9, 1), (T0 + 2 * S + 1, 0, "A", E9, 1), (T0 + 9 * S, 0, "B", E9, 1)]
    rows = rows_of(flow, [prints(trades), clock(END)], 1_000)
    assert [row["delta_flow"] for row in rows] == [0.1, -0.2, 0.3]
    assert [row["chain_as_of"] for row in rows] == [str(T0 + seconds * S) for seconds in (1, 2, 3)]


def test_a_row_names_the_newest_chain_that_its_trades_were_valued_by() -> None:
    flow = OptionFlow(book())
    for seconds in (1, 2):
        flow.take_chain(valued_chain(T0 + seconds * S, GREEKS, price=seconds * E9))
    rows = rows_of(flow, [prints([(T0 + 3 * S, 0, "B", E9, 1), (T0 + 2 * S - 1, 0, "B", E9, 1)]), clock(END)], 10_000)
    assert [(row["chain_as_of"], row["underlying_price"]) for row in rows] == [(str(T0 + 2 * S), 2)]


def test_few_chains_are_kept_and_one_of_the_same_moment_replaces_another() -> None:
    flow = OptionFlow(book())
    for number in range(9):
        flow.take_chain(valued_chain(T0 + number, {C25000: (number / 10, 1.0)}))
    flow.take_chain(valued_chain(T0 + 8, {C25000: (-1.0, 1.0)}))
    trades = [(T0, 0, "B", E9, 5), (T0 + 1, 0, "B", E9, 1), (T0 + 8, 0, "B", E9, 1)]
    (row,) = rows_of(flow, [prints(trades), clock(END)], 1_000)
    assert (row["delta_missing_volume"], row["delta_flow"]) == (5, pytest.approx(0.1 - 1.0))


def test_no_greek_is_made_up() -> None:
    """A contract that the chain has not, or whose volatility could not be told, has no delta."""
    flow = OptionFlow(book())
    flow.take_chain(valued_chain(T0, {C25000: (float("nan"), 1.0), P25000: (-0.4, 1.0)}, price=None))
    trades = [(T0, 0, "B", E9, 1), (T0, 1, "B", E9, 2), (T0, 2, "A", E9, 4), (T0, 3, "N", E9, 8)]
    (row,) = rows_of(flow, [prints(trades), clock(END)], 1_000)
    assert (row["delta_missing_volume"], row["delta_flow"], row["underlying_price"]) == (5, -0.8, None)


def test_what_is_not_defined_is_null() -> None:
    unknown = option("Q4DX6 C25200", multiplier=None)
    flow = OptionFlow(book(unknown))
    trades = [(T0, 0, "N", E9, 1), (T0 + S, 0, "B", E9, 1), (T0 + S, 4, "B", E9, 1), (T0 + S, 1, "A", None, 1)]
    rows = rows_of(flow, [prints(trades, (*THURSDAYS, unknown.raw_symbol)), clock(END)], 1_000)
    names = ("premium_call", "premium_put", "delta_flow", "vega_flow", "chain_as_of", "underlying_price")
    assert [rows[0][name] for name in names] == [None] * 6
    assert [rows[1][name] for name in names] == [None] * 6
    assert (rows[0]["call_unsigned_volume"], rows[0]["delta_missing_volume"], rows[1]["put_sell_volume"]) == (1, 0, 1)


def test_a_spread_without_an_expiry_counts_where_its_first_option_does() -> None:
    flow = OptionFlow(book(spread()))
    (row,) = rows_of(flow, [prints([(T0, 0, "B", E9, 6)], [SPREAD]), clock(END)], 1_000)
    assert (row["user_defined_volume"], row["strikes"], row["call_buy_volume"]) == (6, [], 0)
    assert (row["expiry"], row["premium_call"], row["delta_missing_volume"]) == (str(THURSDAY), None, 0)


def test_an_exchanges_own_spread_counts_nowhere() -> None:
    listed = spread("Q4D:BF X6", underlying="NQZ6", expiry=THURSDAY, user_defined=False)
    flow = OptionFlow(book(listed))
    assert rows_of(flow, [prints([(T0, 0, "B", E9, 6)], [listed.raw_symbol], classes="T"), clock(END)]) == []


def test_a_trade_waits_for_its_definition() -> None:
    contracts = ContractBook()
    flow = OptionFlow(contracts)
    assert rows_of(flow, [prints([(T0, 0, "B", E9, 1)])]) == []
    contracts.define(option(C25000))
    rows = rows_of(flow, [clock(END)])
    assert [row["call_buy_volume"] for row in rows] == [1, 1, 1]


def test_a_trade_that_waited_too_long_is_late() -> None:
    contracts = ContractBook()
    flow = OptionFlow(contracts)
    rows_of(flow, [prints([(T0, 0, "B", E9, 1)]), clock(T0 + 5 * S)])
    contracts.define(option(C25000))
    rows = rows_of(flow, [prints([(T0 + 6 * S, 0, "B", E9, 2)], frame=1), clock(END)])
    assert [(row["window_ms"], row["call_buy_volume"], row["late_count"]) for row in rows] == [
        (1_000, 2, 1),
        (10_000, 3, 0),
        (60_000, 3, 0),
    ]


def test_a_gap_makes_the_windows_that_it_touches_null() -> None:
    flow = OptionFlow(book())
    gap = {"kinds": ("trade",), "ts_event_from": T0 + 1_500 * MS, **HEAD}
    frames = [
        prints([(T0, 0, "B", E9, 1), (T0 + S, 0, "B", E9, 1)]),
        gap_frame("open", **gap),
        gap_frame("bounded", ts_event_to=T0 + 2_500 * MS, **gap),
        prints([(T0 + 2_800 * MS, 0, "B", E9, 1), (T0 + 3 * S, 0, "B", E9, 1)], frame=1),
        clock(END),
    ]
    rows = rows_of(flow, frames)
    told = [(row["window_ms"], int(row["window_start"]) - T0, row["call_buy_volume"], row["reasons"]) for row in rows]
    assert told == [
        (1_000, 0, 1, []),
        (1_000, S, None, ["gap"]),
        (1_000, 2 * S, None, ["gap"]),
        (1_000, 3 * S, 1, []),
        (10_000, 0, None, ["gap"]),
        (60_000, 0, None, ["gap"]),
    ]
    assert [row["trade_valid"] for row in rows] == [True, False, False, True, False, False]
    assert rows[1]["strikes"] is None


def test_what_lies_before_a_gap_or_after_it_is_whole() -> None:
    gap = {"kinds": ("trade",), "ts_event_from": T0 + 1_500 * MS, **HEAD}
    told_again = [
        gap_frame("open", **gap),
        gap_frame("bounded", ts_event_to=T0 + 1_600 * MS, **gap),
        gap_frame("open", **gap),
    ]
    trades = prints([(T0 + 100 * MS, 0, "B", E9, 1), (T0 + 2 * S, 0, "B", E9, 1)])
    rows = rows_of(OptionFlow(book()), [*told_again, trades, clock(END)], 1_000)
    assert [row["reasons"] for row in rows] == [[], []]


def test_a_gap_whose_end_is_not_told_ends_with_the_next_record() -> None:
    gap = {"kinds": ("trade",), "ts_event_from": T0 - S, **HEAD}
    frames = [
        gap_frame("open", **gap),
        gap_frame("bounded", **gap),
        prints([(T0 + S, 1, "B", E9, 1), (T0 + 2 * S, 0, "B", E9, 1)]),
        clock(END),
    ]
    assert [row["reasons"] for row in rows_of(OptionFlow(book()), frames, 1_000)] == [["gap"], []]


def test_a_gap_of_other_symbols_or_kinds_touches_nothing() -> None:
    flow = OptionFlow(book(option("Q4EX6 C25000", expiry=FRIDAY)))
    gaps = [
        gap_frame("open", kinds=("trade",), gap_symbols=("Q4EX6 C25000",), gap_id="g1", **HEAD),
        gap_frame("open", kinds=("l1",), gap_id="g2", **HEAD),
    ]
    (row,) = rows_of(flow, [*gaps, prints([(T0, 0, "B", E9, 1)]), clock(END)], 1_000)
    assert row["call_buy_volume"] == 1
    named = gap_frame("open", kinds=("trade",), gap_symbols=(P25100,), gap_id="g3", **HEAD)
    (row,) = rows_of(flow, [named, prints([(T0 + 70 * S, 0, "B", E9, 1)], frame=1), clock(END + 60 * S)], 1_000)
    assert row["reasons"] == ["gap"]


def test_frames_that_are_missing_make_a_gap_up_to_the_next_record() -> None:
    flow = OptionFlow(book())
    frames = [
        prints([(T0, 0, "B", E9, 1)]),
        prints([(T0 + S, 0, "B", E9, 1), (T0 + 2 * S, 0, "B", E9, 1)], frame=2),
        clock(END),
    ]
    assert [row["reasons"] for row in rows_of(flow, frames, 1_000)] == [["gap"], ["gap"], []]


def test_a_session_that_begins_anew_closes_what_is_open() -> None:
    flow = OptionFlow(book())
    rows = rows_of(flow, [prints([(T0 + 30 * S, 0, "B", E9, 1)]), prints([(T0, 0, "B", E9, 2)], session="s2")])
    assert [(row["window_ms"], row["reasons"]) for row in rows] == [
        (1_000, ["gap"]),
        (10_000, ["gap"]),
        (60_000, ["gap"]),
    ]
    rows = rows_of(flow, [clock(END)])
    assert [(row["call_buy_volume"], row["late_count"], row["reasons"]) for row in rows] == [(2, 0, [])] * 3


def test_a_new_session_whose_first_frames_are_missing_begins_with_a_gap() -> None:
    trades = prints([(T0 + S, 0, "B", E9, 1), (T0 + 2 * S, 0, "B", E9, 1)], session="s2", frame=1)
    rows = rows_of(OptionFlow(book()), [prints([(T0, 0, "B", E9, 1)]), trades, clock(END)], 1_000)
    assert [row["reasons"] for row in rows] == [["gap"], ["gap"], []]


def test_trades_that_wait_are_given_up_with_their_session() -> None:
    contracts = ContractBook()
    flow = OptionFlow(contracts)
    rows_of(flow, [prints([(T0, 0, "B", E9, 1)]), prints([(T0, 1, "B", E9, 2)], session="s2")])
    contracts.define(option(C25000))
    contracts.define(option(P25000))
    (row,) = rows_of(flow, [clock(END)], 1_000)
    assert (row["call_buy_volume"], row["put_buy_volume"], flow.trades_undefined) == (0, 2, 1)


def test_only_so_many_trades_wait_and_only_so_many_gaps_are_remembered() -> None:
    flow = OptionFlow(ContractBook())
    flow.apply(prints([(T0 + i, 0, "B", E9, 1) for i in range(10_003)]))
    assert (len(packed(flow)["waiting"]), flow.trades_undefined) == (10_000, 3)
    for i in range(70):
        gap = {"kinds": ("trade",), "gap_id": f"g{i}", "ts_event_from": T0 + i, **HEAD}
        flow.apply(gap_frame("open", **gap))
        flow.apply(gap_frame("bounded", ts_event_to=T0 + i + 1, **gap))
    missing = packed(flow)["flows"][0][-1]["missing"]
    assert [gap[0] for gap in missing] == [f"g{i}" for i in range(6, 70)]


def test_messages_are_cut_before_they_grow_too_long() -> None:
    flow = OptionFlow(book())
    trades = [(T0 + i * S, 0, "B", E9, i + 1) for i in range(1_800)]
    messages = flow.apply(prints(trades))
    assert len(messages) == 3
    assert all(len(message.value) <= MESSAGE_BYTES for message in messages)
    assert len(messages[0].value) > MESSAGE_BYTES - 1_000
    rows = [row for message in messages for row in json.loads(message.value)["rows"] if row["window_ms"] == 1_000]
    assert [row["call_buy_volume"] for row in rows] == list(range(1, 1_800))
    assert sum(message.rows for message in messages) == 1_799 + 179 + 29


def test_a_session_that_resumes_goes_on_and_repeated_frames_count_once() -> None:
    flow = OptionFlow(book())
    first = prints([(T0, 0, "B", E9, 1)])
    frames = [first, first, prints([(T0 + 1, 0, "B", E9, 2)], session="s2", resumes=("s1", 0)), clock(END)]
    assert [row["call_buy_volume"] for row in rows_of(flow, frames)] == [3, 3, 3]


def test_a_producer_that_was_replaced_counts_no_more() -> None:
    flow = OptionFlow(book())
    old = prints([(T0, 0, "B", E9, 100)], epoch=1, session="s0")
    frames = [
        prints([(T0, 0, "B", E9, 1)], epoch=2),
        claim_frame(3, **HEAD),
        old,
        clock_frame({"trade": END}, epoch=3, **HEAD),
    ]
    assert [row["call_buy_volume"] for row in rows_of(flow, frames)] == [1, 1, 1]


def test_trades_of_orders_count_as_well() -> None:
    fields = ("ts_event", "symbol", "action", "side", "price", "size")
    rows = [(T0, 0, "T", "B", E9, 2), (T0, 0, "F", "A", E9, 2), (T0, 0, "C", "A", E9, 2)]
    flow = OptionFlow(book())
    told = rows_of(flow, [option_frame("mbo", fields, rows, THURSDAYS), clock(END, "mbo")], 1_000)
    assert [row["call_buy_volume"] for row in told] == [2]
