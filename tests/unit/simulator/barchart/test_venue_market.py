"""What the site shows is what the other vendor sends, and is worth what the surface says."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any

import numpy as np
from tests.unit.simulator.conftest import Make
from tests.unit.simulator.venue_reading import SECOND, START, UNDEFINED, decoded, shown

from tapeline_simulator.barchart.market import OptionRow
from tapeline_simulator.barchart.payload import Question, chain_answer
from tapeline_simulator.barchart.venue_market import VenueMarket
from tapeline_simulator.option_quotes import SLICE_NS
from tapeline_simulator.surface import option_values
from tapeline_simulator.venue import OptionSettings

YEAR_NS = 365 * 86_400 * SECOND


def test_rows_are_what_the_tape_says(make: Make) -> None:
    tape, venue = make(options=OptionSettings(expiries=2, trades_per_s=300.0))
    venue.advance(START + 4 * SECOND)
    view = VenueMarket(venue).view()
    told_until = START + ((view.at_ns - START) // SLICE_NS + 1) * SLICE_NS
    venue.advance(START + 6 * SECOND)
    definitions = {each.instrument_id: each for each in decoded(tape, "definition")}
    tops: dict[int, tuple[int, ...]] = {}
    for row in decoded(tape, "mbp-1"):
        if row.ts_event < told_until:
            tops[row.instrument_id] = shown(row)
    trades: dict[int, list[Any]] = defaultdict(list)
    for trade in decoded(tape, "trades"):
        if trade.ts_event < told_until:
            trades[trade.instrument_id].append(trade)
    statistics = {(each.instrument_id, each.stat_type): each for each in decoded(tape, "statistics")}
    by_name = {definition.raw_symbol: number for number, definition in definitions.items()}
    roots = {"MC9X26": "Q4AX6", "MM4X26": "Q4BX6", "NQZ26": "NQZ6"}
    traded = quoted = 0
    assert [each.symbol for each in view.series] == list(roots)
    for series in view.series:
        for row in view.rows(series.symbol):
            right = "C" if row.is_call else "P"
            number = by_name[f"{roots[series.symbol]} {right}{row.strike_points}"]
            bid, ask, *_ = tops.get(number, (UNDEFINED, UNDEFINED))
            assert (row.quote.bid, row.quote.ask) == (points(bid), points(ask))
            quoted += row.quote.bid is not None
            if trades[number]:
                traded += 1
                prices = [trade.price for trade in trades[number]]
                assert (row.quote.open, row.quote.high, row.quote.low, row.quote.last) == tuple(
                    points(price) for price in (prices[0], max(prices), min(prices), prices[-1])
                )
                assert row.quote.volume == sum(trade.size for trade in trades[number])
                assert row.quote.traded_s == trades[number][-1].ts_event // SECOND
                assert not row.quote.is_settlement
            else:
                assert row.quote.last == points(statistics[number, 3].price)
                assert row.quote.trade_time == "11/20/26", "the last day that was settled"
            assert (row.quote.open_interest or 0) == statistics[number, 9].quantity
    assert traded > 200
    assert quoted > 300


def test_futures_show_their_books_and_their_trades(make: Make) -> None:
    tape, venue = make(options=None)
    venue.advance(START + 3 * SECOND)
    view = VenueMarket(venue).view()
    near, _ = view.futures
    venue.advance(START + 4 * SECOND)
    (future,) = (each for each in decoded(tape, "definition") if each.raw_symbol == "NQZ6")
    rows = [row for row in decoded(tape, "mbp-1") if row.instrument_id == future.instrument_id]
    bid, ask, *_ = shown([row for row in rows if row.ts_event <= view.at_ns][-1])
    trades = [each for each in decoded(tape, "trades") if each.instrument_id == future.instrument_id]
    trades = [trade for trade in trades if trade.ts_event <= view.at_ns]
    assert (near.symbol, near.quote.bid, near.quote.ask) == ("NQZ26", points(bid), points(ask))
    assert near.quote.last == points(trades[-1].price)
    assert near.quote.high == points(max(trade.price for trade in trades))
    assert near.quote.low == points(min(trade.price for trade in trades))
    assert near.quote.volume == sum(trade.size for trade in trades)
    assert view.series == []


def test_quotes_are_worth_what_the_surface_says(make: Make) -> None:
    _, venue = make(rate=50, options=OptionSettings(expiries=2, quotes_per_s=20_000.0, trades_per_s=0.0))
    venue.advance(START + 2 * SECOND)
    view = VenueMarket(venue).view()
    near, _ = view.futures
    middle = float((near.quote.bid or 0) + (near.quote.ask or 0)) / 2
    for series in view.series:
        answer = chain_answer(view.rows(series.symbol), Question(with_raw=True))
        raws = [row["raw"] for row in answer["data"] if row["raw"]["bidPrice"]]
        strikes = np.array([raw["strike"] for raw in raws], dtype=np.float64)
        values, _ = option_values(
            np.full(len(raws), middle),
            strikes,
            np.full(len(raws), (series.expires_ns - view.at_ns) / YEAR_NS),
            np.array([raw["optionType"] == "Call" for raw in raws]),
        )
        bids, asks = (np.array([raw[name] for raw in raws]) for name in ("bidPrice", "askPrice"))
        assert len(raws) > 60
        assert np.all(np.abs((bids + asks) / 2 - values) <= (asks - bids) / 2), series.symbol


def test_an_expired_series_shows_no_quotes_and_is_not_listed(make: Make) -> None:
    _, venue = make(start_ns=START + 6 * 3_600 * SECOND - 2 * SECOND, rate=50, options=OptionSettings(expiries=2))
    market = VenueMarket(venue)
    venue.advance(START + 6 * 3_600 * SECOND - SECOND)
    assert market.view().series[0].symbol == "MC9X26"
    assert any(row.quote.bid for row in market.view().rows("MC9X26"))
    venue.advance(START + 6 * 3_600 * SECOND + SECOND)
    view = market.view()
    assert "MC9X26" not in [each.symbol for each in view.series]
    rows = view.rows("MC9X26")
    assert len(rows) > 50
    assert [row for row in rows if row.quote.bid is not None or row.quote.ask is not None] == []
    assert view.rows("MC8X26") == []


def test_a_view_stays_as_it_was(make: Make) -> None:
    _, venue = make(options=OptionSettings(expiries=1, quotes_per_s=4_000.0))
    venue.advance(START + SECOND)
    market = VenueMarket(venue)
    view = market.view()
    before: list[OptionRow] = view.rows("MC9X26")
    venue.advance(START + 4 * SECOND)
    assert view.rows("MC9X26") == before
    assert market.view().rows("MC9X26") != before
    assert market.view().at_ns == view.at_ns + 3 * SECOND


def points(price_e9: int) -> Decimal | None:
    return None if price_e9 == UNDEFINED else Decimal(price_e9).scaleb(-9)


def test_a_strike_that_is_listed_later_has_no_data_until_it_is_quoted(make: Make) -> None:
    _, venue = make(options=OptionSettings(expiries=1, new_strike_after_s=1.0, trades_per_s=0.0))
    market = VenueMarket(venue)
    venue.advance(START + SECOND // 2)
    before = {row.symbol for row in market.view().rows("MC9X26")}
    venue.advance(START + 2 * SECOND)
    new = [row for row in market.view().rows("MC9X26") if row.symbol not in before]
    assert len(new) == 2
    for row in new:
        assert row.quote.last is None
        assert row.quote.open_interest is None


def test_before_the_first_quotes_settlements_are_shown(make: Make) -> None:
    _, venue = make(options=OptionSettings(expiries=1))
    rows = VenueMarket(venue).view().rows("MC9X26")
    assert {row.quote.ask for row in rows} == {None}
    assert all(row.quote.last is not None for row in rows)
    assert [row.is_call for row in rows] == sorted((row.is_call for row in rows), reverse=True)
