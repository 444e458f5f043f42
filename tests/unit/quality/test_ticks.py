"""Each rule for ticks finds what it is for, and nothing else; windows, sessions and the packed state."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.unit.orderflow.builders import clock_frame, gap_frame, status_frame, tick_frame
from tests.unit.quality.tick_market import (
    DATASET,
    DAY,
    MINUTE,
    MS,
    POINT,
    PRICE,
    QUARTER,
    T0,
    Orders,
    Quotes,
    S,
    always,
    defined,
    definition,
    findings,
    judge,
    reports,
)

from tapeline.model.columns import F_BAD_TS_RECV, F_MAYBE_BAD_BOOK, F_SNAPSHOT, INT64_MAX
from tapeline.model.frames import TickFrame
from tapeline.model.instruments import TickRule, TickStep
from tapeline.model.tick_quality import TickReport
from tapeline.orderflow.partition import PartitionState
from tapeline.orderflow.sessions import Sessions
from tapeline.quality.ticks import TickQuality

SYMBOLS = ("ESH4", "ESM4")


@pytest.mark.parametrize(
    ("row", "rule", "numbers"),
    [
        ((T0, "A", -POINT), "03_not_positive", {"price": -1.0}),
        ((T0, "A", PRICE, 0), "03_not_positive", {"price": 0.0}),
        ((T0, "A", INT64_MAX), "04_undefined", {}),
        ((T0, "A", PRICE, 2**32 - 1), "04_undefined", {}),
        ((T0, "A", PRICE + 1), "05_off_grid", {"price": 4800.000000001}),
        ((T0, "A", PRICE, 1, 5, 1, 0, F_MAYBE_BAD_BOOK), "10_bad_book", {}),
    ],
)
@pytest.mark.parametrize("beside", [(), ((T0 + 1, "A", PRICE),)])
def test_a_bad_order_is_found(row: Any, rule: str, numbers: dict[str, float], beside: Any) -> None:
    found = findings(judge(definition()), Orders()(row, *beside))
    assert set(found) == {(rule, "ESH4")}
    finding = found[rule, "ESH4"]
    assert (finding.count, finding.first_at, finding.numbers) == (1, T0, numbers)


@pytest.mark.parametrize(
    "row",
    [
        (T0, "R", None, None, 0),
        (T0, "A", PRICE + POINT // 4),
        (T0, "A", -PRICE, 0, 5, 5, 0, F_SNAPSHOT),
        (T0, "A", None),
        (T0, "A", -PRICE, 0, 5, 1, 0, F_SNAPSHOT | F_MAYBE_BAD_BOOK),
    ],
)
def test_what_may_be_is_not_found(row: Any) -> None:
    assert findings(judge(definition()), Orders()(row)) == {}


def test_spreads_may_be_negative() -> None:
    assert findings(judge(), Orders(classes="S")((T0, "A", -PRICE))) == {}


@pytest.mark.parametrize(("delay_ms", "is_found"), [(-5, False), (-6, True), (1_000, False), (1_001, True)])
@pytest.mark.parametrize("kind", [Orders, Quotes])
def test_a_skewed_clock_is_found(delay_ms: int, is_found: bool, kind: Any) -> None:
    rows = ((T0, "A", PRICE),) if kind is Orders else ((T0, PRICE, PRICE + POINT),)
    frame = kind()(*rows)
    frame = replace(frame, columns={**frame.columns, "ts_recv": frame.columns["ts_recv"] + delay_ms * MS})
    found = findings(judge(), frame)
    assert set(found) == ({("07_clock_skew", "ESH4")} if is_found else set())
    if is_found:
        assert found["07_clock_skew", "ESH4"].numbers == {"worst_ms": delay_ms}
    bad = replace(frame, columns={**frame.columns, "flags": frame.columns["flags"] | F_BAD_TS_RECV})
    assert findings(judge(), bad) == {}


def test_an_undefined_time_is_that_of_receipt_and_no_skew() -> None:
    frame = Orders()((T0, "A", PRICE), (T0 + 30 * S, "A", PRICE, 0))
    times = {"ts_event": frame.columns["ts_event"] * np.array([1, 0])}
    frame = replace(frame, columns={**frame.columns, **times}, undefined={"ts_event": np.array([1])})
    found = findings(judge(), frame)
    assert {key: finding.first_at for key, finding in found.items()} == {("03_not_positive", "ESH4"): T0 + 30 * S}


def test_time_and_sequence_run_back() -> None:
    rows = ((T0 + 5 * MS, "A", PRICE, 1, 1, 7, 0), (T0 + 3 * MS, "A", PRICE, 1, 2, 6, 0))
    found = findings(judge(), Orders()(*rows))
    assert {name: finding.numbers for (name, _), finding in found.items()} == {
        "08_time_order": {"furthest_ms": 2.0},
        "08_sequence_order": {"furthest": 1.0},
    }
    assert findings(judge(), Orders(symbols=SYMBOLS)(rows[0], (*rows[1][:6], 1))) == {}


def test_time_is_measured_from_the_furthest() -> None:
    times = (T0 + 9 * MS, T0 + MS, T0 + 5 * MS)
    found = findings(judge(), Orders()(*((ts, "A", PRICE) for ts in times)))
    assert (found["08_time_order", "ESH4"].count, found["08_time_order", "ESH4"].numbers) == (2, {"furthest_ms": 8.0})


@pytest.mark.parametrize("sequences", [(7, 0, 8), (2**32 - 2, 3, 4)])
def test_a_sequence_may_be_left_out_or_begin_again(sequences: tuple[int, ...]) -> None:
    orders = Orders()
    rows = [(T0 + k, "A", PRICE, 1, k + 1, sequence) for k, sequence in enumerate(sequences)]
    assert findings(judge(), orders(*rows[:2])) == {}


def test_a_new_session_may_begin_earlier() -> None:
    quality = judge()
    quality.apply(Orders()((T0 + 5 * S, "A", PRICE, 1, 1, 7)))
    told = quality.apply(Orders("s2")((T0, "A", PRICE, 1, 1, 6)))
    assert [(report.ticks, report.findings) for report in told] == [(1, ())]
    assert quality.apply(clock_frame({"mbo": T0 + MINUTE}, session="s2")) == []


@pytest.mark.parametrize(
    ("changes", "lost"),
    [
        ({"frame": 1}, 0),
        ({"frame": 4}, 3),
        ({"session": "s2", "frame": 0, "resumes": ("s1", 0)}, 0),
        ({"session": "s2", "frame": 0, "resumes": ("s1", 2)}, 2),
        ({"session": "s2", "frame": 0, "resumes": ("s9", 5)}, 1),
    ],
)
def test_lost_frames_are_found(changes: dict[str, Any], lost: int) -> None:
    orders = Orders()
    found = findings(judge(), orders((T0, "A", PRICE)), orders((T0 + S, "A", PRICE), **changes))
    assert set(found) == ({("09_lost_frames", "*")} if lost else set())
    if lost:
        assert found["09_lost_frames", "*"].numbers == {"frames": lost}


def test_a_repeated_frame_is_passed_over() -> None:
    frame = Orders()((T0, "A", PRICE, 1, 1, 1))
    found = findings(judge(), frame, frame)
    assert set(found) == {("11_duplicate", "*")}


def test_a_zombie_is_not_heard() -> None:
    quality = judge()
    quality.apply(Orders(epoch=5)((T0, "A", PRICE)))
    quality.apply(Orders("s2", epoch=4)((T0, "A", -PRICE)))
    (report,) = quality.apply(Orders("s3", epoch=6)((T0, "A", PRICE)))
    assert (report.ticks, report.findings) == (1, ())


def test_gaps_are_told_by_their_reason() -> None:
    quality = judge()
    quality.apply(gap_frame("open", ts_event_from=T0))
    quality.apply(gap_frame("bounded", ts_event_from=T0, ts_event_to=T0 + S))
    found = findings(quality, Orders()((T0 + S, "A", PRICE)))
    assert [(each.rule, each.symbol, each.detail, each.count) for each in found.values()] == [
        ("10_gap", "*", "disconnected", 1)
    ]


def test_neighbours_that_are_alike_are_duplicates() -> None:
    same = (T0, "A", PRICE, 1, 7, 7)
    assert set(findings(judge(), Orders()(same, same))) == {("11_duplicate", "ESH4")}
    for place, other in ((1, "M"), (2, PRICE + POINT), (3, 2), (4, 8), (5, 8)):
        row = (*same[:place], other, *same[place + 1 :])
        assert findings(judge(), Orders()(same, row)) == {}, place
    quote = (T0, PRICE, PRICE + POINT, 7)
    assert set(findings(judge(), Quotes()(quote, quote))) == {("11_duplicate", "ESH4")}
    assert findings(judge(), Quotes()(quote, (T0, PRICE, PRICE + 2 * POINT, 7))) == {}


@pytest.mark.parametrize("same", [(T0, "F", PRICE, 1, 7, 7), (T0, "T", PRICE, 1, 7, 7), (T0, "A", PRICE, 1, 0, 7)])
def test_prints_and_what_has_no_id_are_none(same: Any) -> None:
    assert findings(judge(), Orders()(same, same)) == {}


def test_a_cleared_book_has_no_size() -> None:
    assert findings(judge(), Orders()((T0, "R", PRICE, 0))) == {}


# -- quotes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "bid", "ms", "severity"),
    [
        ("01_crossed", PRICE + 2 * POINT, 100, "warning"),
        ("01_crossed", PRICE + 2 * POINT, 101, "error"),
        ("02_locked", PRICE + POINT, 999, "info"),
        ("02_locked", PRICE + POINT, 1_001, "warning"),
    ],
)
def test_a_crossed_or_locked_top_counts_while_it_stands(rule: str, bid: int, ms: int, severity: str) -> None:
    healthy = (PRICE, PRICE + POINT)
    rows = ((T0, *healthy), (T0 + S, bid, PRICE + POINT), (T0 + S + ms * MS, *healthy), (T0 + 9 * S, *healthy))
    found = findings(judge(), Quotes()(*rows))
    assert set(found) == {(rule, "ESH4")}
    finding = found[rule, "ESH4"]
    assert (finding.severity, finding.first_at, finding.numbers) == (severity, T0 + S, {"longest_ms": ms})


def test_a_top_that_stays_crossed_is_reported_in_each_window() -> None:
    quotes = Quotes()
    frames = [quotes((T0 + S, PRICE + POINT, PRICE))]
    frames += [quotes((T0 + k * MINUTE, PRICE + POINT, PRICE)) for k in (1, 2)]
    frames += [quotes((T0 + 2 * MINUTE + S, PRICE, PRICE + POINT)), quotes((T0 + 3 * MINUTE, PRICE, PRICE + POINT))]
    told = reports(judge(), frames)
    assert [report.findings[0].numbers["longest_ms"] for report in told] == [59_000, 119_000, 120_000]


def test_a_top_that_was_reported_is_so_again_when_it_is_over() -> None:
    quotes = Quotes()
    frames = [quotes((T0 + 58 * S, PRICE + POINT, PRICE)), quotes((T0 + 62 * S, PRICE, PRICE + POINT))]
    quality = judge()
    reports(quality, frames)
    found = findings(quality, quotes((T0 + 63 * S, PRICE, PRICE + POINT)))
    assert found["01_crossed", "ESH4"].numbers == {"longest_ms": 4_000}
    assert found["01_crossed", "ESH4"].count == 1


def test_a_crossed_top_that_loses_a_side_is_over() -> None:
    rows = ((T0, PRICE + POINT, PRICE), (T0 + S, PRICE + POINT, None), (T0 + 30 * S, PRICE, PRICE + POINT))
    assert findings(judge(), Quotes()(*rows))["01_crossed", "ESH4"].numbers == {"longest_ms": 1_000}


def test_trades_among_quotes_are_judged_as_trades() -> None:
    frame = Quotes()((T0, PRICE, PRICE + POINT), (T0 + 1, PRICE + POINT, PRICE))
    letters = {"action": np.frombuffer(b"MT", dtype=np.uint8), "price": np.array([0, PRICE + 1])}
    found = findings(judge(definition()), replace(frame, columns={**frame.columns, **letters}))
    assert set(found) == {("05_off_grid", "ESH4")}


@pytest.mark.parametrize("kind", ["closed", "closing", "halted", "spread", "one_sided", "empty"])
def test_a_top_may_be_crossed_while_nothing_trades(kind: str) -> None:
    hours = {"closed": [(T0 + MINUTE, T0 + 2 * MINUTE)], "closing": [(T0 - S, T0 + S)]}
    quality = judge(hours=hours.get(kind, ()))
    if kind == "halted":
        quality.apply(status_frame([(T0 - S, "N", 0)]))
    bid, ask = {"one_sided": (None, PRICE), "empty": (None, None)}.get(kind, (PRICE + POINT, PRICE))
    frame = Quotes(classes="S" if kind == "spread" else "F")((T0 + S, bid, ask))
    assert findings(quality, frame) == {}


def test_quotes_are_held_to_the_grid_of_their_price() -> None:
    rule = TickRule("assumed", (TickStep(5 * POINT, POINT // 20), TickStep(None, POINT // 4)))
    quality = judge(definition(tick=rule))
    good = (
        (T0, POINT, 5 * POINT),
        (T0, 4 * POINT + POINT // 20, 5 * POINT),
        (T0 + 1, 5 * POINT + POINT // 4, 6 * POINT),
        (T0 + 2, None, POINT // 20),
    )
    assert findings(quality, Quotes(classes="C")(*good)) == {}
    bad = ((T0, 5 * POINT + POINT // 20, 6 * POINT), (T0 + 1, POINT, POINT + POINT // 40))
    found = findings(judge(definition(tick=rule)), Quotes(classes="C")(*bad))
    assert found["05_off_grid", "ESH4"].count == 2


def test_orders_are_held_to_the_grid_of_their_price() -> None:
    rule = TickRule("assumed", (TickStep(5 * POINT, POINT // 20), TickStep(None, POINT // 4)))
    rows = ((T0, "A", POINT + POINT // 20), (T0 + 1, "A", 6 * POINT + POINT // 20))
    found = findings(judge(definition(tick=rule)), Orders(classes="C")(*rows))
    assert {key: finding.first_at for key, finding in found.items()} == {("05_off_grid", "ESH4"): T0 + 1}


def test_of_more_than_two_steps_those_above_are_not_known() -> None:
    steps = (TickStep(POINT, POINT // 20), TickStep(2 * POINT, POINT // 10), TickStep(None, POINT // 4))
    rows = ((T0, "A", POINT // 40), (T0 + 1, "A", 6 * POINT + 7))
    found = findings(judge(definition(tick=TickRule("definition", steps))), Orders()(*rows))
    assert found["05_off_grid", "ESH4"].count == 1


def test_an_instrument_without_a_known_step_keeps_to_none() -> None:
    assert findings(judge(definition(tick=None)), Orders()((T0, "A", PRICE + 1))) == {}


@pytest.mark.parametrize("coarse", [0, 1])
def test_steps_that_differ_are_held_to_each_their_own(coarse: int) -> None:
    fifth = TickRule("definition", (TickStep(None, POINT // 20),))
    rules = [QUARTER, fifth] if coarse == 0 else [fifth, QUARTER]
    quality = judge(*(definition(number + 1, rule) for number, rule in enumerate(rules)))
    rows = [(T0 + k, "A", PRICE + POINT // 20, 1, k + 1, k + 1, k) for k in range(2)]
    found = findings(quality, Orders(symbols=SYMBOLS)(*rows))
    assert {key: finding.count for key, finding in found.items()} == {("05_off_grid", SYMBOLS[coarse]): 1}


# -- stale -----------------------------------------------------------------------------------------------------------


def two_symbols(silent_from_s: int, seconds: int = 1_200, every_s: float = 1.0, **header: Any) -> list[TickFrame]:
    """Two futures that tick in turn, of which the second falls silent for good."""
    quotes = Quotes(symbols=SYMBOLS, **header)
    frames = []
    for number in range(int(seconds / every_s)):
        ts = T0 + round(number * every_s * S)
        rows: list[Any] = [(ts, PRICE, PRICE + POINT)]
        if number * every_s < silent_from_s:
            rows.append((ts + 1, PRICE, PRICE + POINT, number + 1, 1))
        frames.append(quotes(*rows))
    return frames


def stale(told: list[TickReport]) -> list[tuple[str, str, float]]:
    found = [each for report in told for each in report.findings if each.rule == "06_stale"]
    return [(each.symbol, each.severity, each.numbers["longest_s"]) for each in found]


def test_a_quote_that_stops_is_stale() -> None:
    told = stale(reports(judge(), two_symbols(630, every_s=0.5)))
    assert [(symbol, severity, round(longest_s, 3)) for symbol, severity, longest_s in told[:2]] == [
        ("ESM4", "warning", 30.0),
        ("ESM4", "error", 90.0),
    ]
    assert len(told) == 9


def test_twenty_ticks_make_it_stale() -> None:
    """Both tick once a second: 38 ticks of the other are as 19 of its own, 42 as 21."""
    for seconds, is_stale in ((38, False), (42, True)):
        frames = two_symbols(600 + 60 - seconds, 661)
        assert bool(stale(reports(judge(), frames))) is is_stale


def test_seconds_of_silence_are_no_staleness() -> None:
    """Each ticks every 50 ms: 4.9 s are 98 ticks, and not told."""
    for silent_s, is_stale in ((4.9, False), (5.2, True)):
        frames = two_symbols(round(180 - silent_s, 1), 181, every_s=0.05)
        assert bool(stale(reports(judge(), frames))) is is_stale


@pytest.mark.parametrize("why", ["others_too", "closed", "halted", "reopened", "rarely"])
def test_silence_may_have_reasons(why: str) -> None:
    frames = two_symbols(630)
    hours = [(T0, T0 + 629 * S), (T0 + 700 * S, T0 + MINUTE * 60)] if why == "closed" else ()
    quality = judge(hours=hours)
    if why == "others_too":  # the stream as a whole slows down to a tick in 20 s
        quotes = Quotes(symbols=SYMBOLS)
        quotes.frame = 630
        frames = frames[:630] + [quotes((T0 + s * S, PRICE, PRICE + POINT, s)) for s in range(640, 900, 20)]
    if why == "rarely":  # one tick in 30 s is as usual
        quotes = Quotes(symbols=SYMBOLS)
        frames = []
        for s in range(1_200):
            rows = [(T0 + s * S, PRICE, PRICE + POINT, s)] + [(T0 + s * S, PRICE, PRICE + POINT, s, 1)] * (s % 30 == 0)
            frames.append(quotes(*rows))
    told = reports(quality, frames[:630])
    if why == "halted":
        told += quality.apply(status_frame([(T0 + 629 * S, "N", 0)], symbols=("ESM4",)))
    if why == "reopened":  # it may trade again, and has not yet
        told += quality.apply(status_frame([(T0 + 630 * S, "Y", 0)], symbols=("ESM4",)))
    told += reports(quality, frames[630:])
    assert stale(told) == []


def test_a_silence_that_is_over_within_its_window_is_told() -> None:
    quotes = Quotes(symbols=SYMBOLS)
    frames = []
    for number in range(7_000):
        ts = T0 + number * S // 10
        rows: list[Any] = [(ts, PRICE, PRICE + POINT)]
        if not 6_010 <= number < 6_090:
            rows.append((ts + 1, PRICE, PRICE + POINT, number + 1, 1))
        frames.append(quotes(*rows))
    assert stale(reports(judge(), frames)) == [("ESM4", "warning", pytest.approx(8.1))]


# -- trades, limits, definitions -------------------------------------------------------------------------------------


def prints(prices: list[int], **header: Any) -> TickFrame:
    return Orders(**header)(*((T0 + k * MS, "T", price) for k, price in enumerate(prices)))


def wandering(count: int) -> list[int]:
    return [PRICE + (k % 4) * POINT // 4 for k in range(count)]


def test_a_trade_far_from_those_before_is_an_outlier() -> None:
    found = findings(judge(definition()), prints([*wandering(100), PRICE + 50 * POINT, *wandering(10)]))
    assert {key: finding.count for key, finding in found.items()} == {("12_outlier", "ESH4"): 1}
    assert found["12_outlier", "ESH4"].numbers == {"price": 4850.0}


def test_a_jump_is_a_new_level() -> None:
    found = findings(judge(definition()), prints([*wandering(100), *(p + 50 * POINT for p in wandering(100))]))
    assert found["12_outlier", "ESH4"].count == 5


def test_a_trade_within_two_ticks_of_a_still_market_is_none() -> None:
    still = [PRICE] * 100
    assert findings(judge(definition()), prints([*still, PRICE + POINT // 2])) == {}
    assert findings(judge(definition()), prints([*still, PRICE + POINT * 3 // 4])) != {}


def test_outliers_apart_make_no_level() -> None:
    lonely = [PRICE + 50 * POINT, *wandering(1)] * 8
    found = findings(judge(definition()), prints([*wandering(100), *lonely]))
    assert found["12_outlier", "ESH4"].count == 8


def test_neighbours_are_within_a_minute() -> None:
    orders = Orders()
    quality = judge(definition())
    quality.apply(orders(*((T0 + k * MS, "T", price) for k, price in enumerate(wandering(100)))))
    assert findings(quality, orders((T0 + 62 * S, "T", PRICE + 50 * POINT))) == {}


def test_few_trades_and_those_of_options_have_no_neighbours() -> None:
    assert findings(judge(definition()), prints([*wandering(59), PRICE + 50 * POINT])) == {}
    assert findings(judge(definition()), prints([*wandering(100), PRICE + 50 * POINT], classes="C")) == {}


@pytest.mark.parametrize(
    ("stat_type", "price", "is_outside"), [(17, -1, True), (17, 0, False), (18, 1, True), (18, 0, False), (3, 9, False)]
)
def test_the_venue_s_limits_are_kept(stat_type: int, price: int, is_outside: bool) -> None:
    quality = judge()
    fields = ("ts_event", "stat_type", "price", "symbol")
    quality.apply(tick_frame("statistics", fields, [(T0, stat_type, PRICE + price * POINT, 0)]))
    found = findings(quality, Orders()((T0, "T", PRICE), (T0 + 1, "A", PRICE + 100 * POINT)))
    assert set(found) == ({("15_price_bands", "ESH4")} if is_outside else set())
    quality.apply(tick_frame("statistics", fields, [(T0, stat_type, None, 0)]))
    assert quality.apply(Orders("s2")((T0, "T", PRICE)))[0].errors == 0
    assert quality.apply(clock_frame({"mbo": T0 + MINUTE})) == []


def test_what_the_day_does_not_define_is_found() -> None:
    orders = Orders(symbols=SYMBOLS)
    frames = [orders((T0 + s * S, "A", PRICE), (T0 + s * S + 1, "A", PRICE, 1, 0, s, 1)) for s in range(7)]
    found = findings(judge(definition(1)), *frames)
    assert set(found) == {("17_definition", "ESM4")}
    assert findings(judge(definition(1), definition(2)), *frames) == {}


def test_what_does_not_tick_needs_no_definition() -> None:
    orders = Orders(symbols=SYMBOLS)
    frames = [orders((T0 + s * S, "A", PRICE)) for s in range(10)]
    assert findings(judge(definition(1)), *frames) == {}


def test_what_has_just_come_may_be_defined_soon() -> None:
    orders = Orders()
    for seconds, rules in ((5, set()), (6, {("17_definition", "ESH4")})):
        quality = judge(definition(7))
        orders = Orders()
        frames = [orders((T0 + 40 * S, "A", PRICE)), orders((T0 + (40 + seconds) * S, "A", PRICE))]
        assert findings(quality, *frames).keys() == rules


def test_a_definition_that_deletes_leaves_the_ticks_defined() -> None:
    orders = Orders()
    quality = judge(definition(1), definition(1, tick=None, update_action="D"))
    found = findings(quality, orders((T0, "A", PRICE)), orders((T0 + 9 * S, "A", PRICE + 1)))
    assert found.keys() == {("05_off_grid", "ESH4")}


def test_only_the_newest_days_are_remembered() -> None:
    days = [definition(1, trading_day=f"2024-01-{day:02}") for day in range(1, 9)]
    assert findings(judge(definition(1), *days), Orders()((T0, "A", PRICE + 1))) == {}
    assert findings(judge(definition(1), *days[1:]), Orders()((T0, "A", PRICE + 1))) != {}


def test_a_definition_may_come_a_little_later() -> None:
    orders = Orders()
    definitions = defined(definition(7))
    quality = TickQuality(always, definitions)
    quality.apply(orders((T0 + 58 * S, "A", PRICE)))
    assert quality.apply(orders((T0 + 61 * S, "A", PRICE))) == []
    definitions.define(definition(1))
    assert findings(quality, orders((T0 + 80 * S, "A", PRICE + 1))).keys() == {("05_off_grid", "ESH4")}


def test_a_day_without_definitions_is_not_checked_for_them() -> None:
    orders = Orders()
    quality = judge(definition(1, trading_day="2023-12-22"))
    told = reports(quality, [orders((T0 + s * S, "A", PRICE + 1)) for s in range(3_601)])
    assert [(report.findings, set(report.not_checked)) for report in told] == [((), {"05_off_grid", "17_definition"})]
    assert DATASET in told[0].not_checked["17_definition"]
    assert DAY in told[0].not_checked["17_definition"]


def test_an_id_of_another_day_is_not_defined() -> None:
    orders = Orders()
    quality = judge(definition(1), definition(2, trading_day="2023-12-27"))
    quality.apply(orders((T0, "A", PRICE)))
    next_day = [orders((T0 + MINUTE + s * S, "A", PRICE), trading_day="2023-12-27") for s in range(10)]
    assert findings(quality, *next_day).keys() == {("17_definition", "ESH4")}


# -- the book --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "rule"),
    [("crossed_book", "01_crossed"), ("locked_book", "02_locked"), ("unknown_order", "18_unknown_order")],
)
def test_what_the_book_was_like_is_told_with_its_rule(name: str, rule: str) -> None:
    quality = judge()
    orders = Orders()
    quality.apply(orders((T0, "A", PRICE)))
    quality.note_book("saved", "GLBX.MDP3/ES.FUT", [(name, "ESH4", T0, 3)])
    quality.note_book("saved", "GLBX.MDP3/NQ.FUT", [(name, "NQH4", T0, 1)])
    found = findings(quality, orders((T0 + S, "A", PRICE)))
    assert {key: (each.count, each.first_at) for key, each in found.items()} == {(rule, "ESH4"): (3, T0)}


def test_the_pressure_book_s_own_rows_are_understood() -> None:
    always_open = Sessions.always()
    pressure, quality = PartitionState(always_open), TickQuality(lambda _: always_open.table(), defined())
    orders = Orders()
    frames = [
        orders((T0, "R", None, None, 0, 1)),
        orders((T0 + S, "A", PRICE)),
        orders((T0 + 2 * S, "M", PRICE, 2, 777)),
        orders((T0 + MINUTE + S, "A", PRICE)),
        orders((T0 + 2 * MINUTE, "A", PRICE)),
    ]
    told = []
    for frame in frames:
        pressure.apply(frame)
        quality.note_book(frame.source, frame.stream, pressure.take_doubts(frame.source, frame.stream))
        told += quality.apply(frame)
    assert [(each.rule, each.count, each.first_at) for report in told for each in report.findings] == [
        ("18_unknown_order", 1, T0)
    ]
