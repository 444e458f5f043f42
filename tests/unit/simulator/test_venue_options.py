"""What options cost at the venue, judged by what no market allows."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pytest
from tests.unit.simulator.venue_reading import (
    SECOND,
    START,
    UNDEFINED,
    Day,
    Make,
    PlainBook,
    decoded,
    is_on_grid,
    of_options,
    shown,
)

from tapeline.model.columns import F_LAST
from tapeline_simulator.option_quotes import SLICE_NS
from tapeline_simulator.surface import INTEREST_RATE
from tapeline_simulator.venue import OptionSettings


def test_option_quotes_are_on_the_grid_and_never_crossed(day: Day) -> None:
    widths = []
    for row in of_options(day, "mbp-1"):
        bid, ask, bid_size, ask_size, bids, asks = shown(row)
        assert is_on_grid(ask)
        assert 0 < asks <= ask_size
        if bid == UNDEFINED:
            assert (bid_size, bids) == (0, 0)
        else:
            assert 0 < bid < ask
            assert is_on_grid(bid)
            assert 0 < bids <= bid_size
            widths.append((ask - bid) / SECOND)
        if str(row.action) != "T":
            assert (row.price, row.size) == ((bid, bid_size) if str(row.side) == "B" else (ask, ask_size))
            assert row.flags == F_LAST
    assert 0.1 < np.median(widths) < 5


def test_option_trades_take_what_was_shown_and_a_quote_follows(day: Day) -> None:
    last: dict[int, tuple[int, ...]] = {}
    pending: dict[int, Any] = {}
    sides: Counter[str] = Counter()
    for row in of_options(day, "mbp-1"):
        number = row.instrument_id
        if str(row.action) == "T":
            bid, ask, bid_size, ask_size, _, _ = shown(row)
            assert shown(row) == last[number], "the top before the trade"
            side = str(row.side)
            sides[side] += 1
            assert row.price == (ask if side == "B" else bid)
            assert 0 < row.size <= (ask_size if side == "B" else bid_size)
            pending[number] = row
        elif number in pending:
            trade = pending.pop(number)
            assert (row.ts_event, row.ts_recv, row.sequence) == (trade.ts_event, trade.ts_recv, trade.sequence)
            assert str(row.side) != str(trade.side)
            before = shown(trade)[3 if str(trade.side) == "B" else 2]
            if str(row.action) == "M":
                assert row.size == before - trade.size
            else:
                assert before == trade.size
        last[number] = shown(row)
    assert not pending
    assert min(sides["A"], sides["B"]) > 50


def test_calls_and_puts_are_in_parity_within_their_quotes(day: Day) -> None:
    """The first quotes are all made from one price of the future: its plain book's middle at the start."""
    books: dict[int, PlainBook] = defaultdict(PlainBook)
    for record in day.records["mbo"]:
        if record.ts_event <= START:
            books[record.instrument_id].apply(record)
    first: dict[int, tuple[int, ...]] = {}
    for row in of_options(day, "mbp-1"):
        if row.ts_event < START + SLICE_NS:
            first.setdefault(row.instrument_id, shown(row))
    pairs: dict[tuple[str, int], dict[str, tuple[int, ...]]] = defaultdict(dict)
    for number, top in first.items():
        definition = day.definitions[number]
        pairs[definition.asset, definition.strike_price][str(definition.instrument_class)] = top
    checked = 0
    for number, definition in day.definitions.items():
        pair = pairs.get((definition.asset, definition.strike_price), {})
        if str(definition.instrument_class) != "C" or len(pair) != 2 or number not in first:
            continue
        future_bid, future_ask, *_ = books[definition.underlying_id].top()
        years = (definition.expiration - START) / (365 * 86_400 * SECOND)
        parity = math.exp(-INTEREST_RATE * years) * ((future_bid + future_ask) / 2 - definition.strike_price)
        call_bid, put_bid = (0 if pair[right][0] == UNDEFINED else pair[right][0] for right in "CP")
        assert call_bid - pair["P"][1] <= parity <= pair["C"][1] - put_bid
        checked += 1
    assert checked > 600


def test_chains_are_monotonous_and_follow_the_future(make: Make) -> None:
    tape, venue = make(options=OptionSettings(expiries=1, quotes_per_s=4_000, trades_per_s=0))
    venue.advance(START + 20 * SECOND)
    definitions = {each.instrument_id: each for each in decoded(tape, "definition")}
    mids: dict[int, list[float]] = defaultdict(list)
    for row in decoded(tape, "mbp-1"):
        bid, ask, *_ = shown(row)
        if bid != UNDEFINED and row.ts_event >= START:
            mids[row.instrument_id].append((bid + ask) / 2 / SECOND)
    calls = sorted(
        (definition.strike_price, mids[number][0], mids[number])
        for number, definition in definitions.items()
        if definition.asset == "Q4A" and str(definition.instrument_class) == "C" and number in mids
    )
    first = [mid for _, mid, _ in calls]
    assert first == sorted(first, reverse=True)
    assert len(first) > 20
    future = next(number for number, each in definitions.items() if each.raw_symbol == "NQZ6")
    deepest = calls[0][2]
    assert len({round(mid) for mid in deepest}) > 2
    assert deepest[-1] - deepest[0] == pytest.approx(mids[future][-1] - mids[future][0], abs=8)


@pytest.mark.parametrize("rate", [200.0, 5_000.0])
def test_quotes_and_trades_come_at_the_rates_asked_for(make: Make, rate: float) -> None:
    tape, venue = make(rate=500, options=OptionSettings(quotes_per_s=rate, trades_per_s=rate / 20, expiries=8))
    venue.advance(START + 30 * SECOND)
    rows = tape.read("mbp-1", 0, tape.end("mbp-1"))
    futures = [each.instrument_id for each in tape.listings.resolve("parent", "NQ.FUT", START)]
    rows = rows[~np.isin(rows["instrument_id"], futures) & (rows["ts_event"] >= START + SLICE_NS)]
    trades = int((rows["action"] == ord("T")).sum())
    assert len(rows) - 2 * trades == pytest.approx(30 * rate, rel=0.1)
    assert trades == pytest.approx(30 * rate / 20, rel=0.1)
