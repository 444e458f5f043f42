"""Feeds over whole weeks of the market, with half-days and a change of the clocks: no false alarm, each fault named."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any, Final

import pytest
from tests.unit.watchdog.feeding import BEAT_S, LIMITS, Feed, Market, S, by_stream, faults, ns, row_of, told

from tapeline.model.frames import Gap
from tapeline_watchdog.feeds import FeedKey, Feeds
from tapeline_watchdog.lane import FeedState

FUTURES: Final = "GLBX.MDP3/NQ.FUT"
ORDERS: Final = FeedKey("databento", FUTURES, "mbo")
STEADY: Final = FeedKey("databento", FUTURES, "l1")
TRADES: Final = FeedKey("databento", "GLBX.MDP3/NQ.OPT", "trade")
STATISTICS: Final = FeedKey("databento", FUTURES, "statistics")
ALL: Final = (ORDERS, STEADY, TRADES, STATISTICS)


def of_the_day(hours: float) -> float:
    """Return the shape of a trading day: nights are thirty times quieter than the hours of the cash market."""
    return 1.0 + 30.0 * math.exp(-(((hours - 18.5) / 3.0) ** 2)) if hours < 22.0 else 0.3


def feeds() -> list[Feed]:
    return [
        Feed(ORDERS, lambda hours: 40 * of_the_day(hours), day_spread=0.25, slot_spread=0.15),
        Feed(STEADY, lambda hours: 10 * of_the_day(hours), slot_spread=0.02),
        Feed(TRADES, lambda hours: of_the_day(hours) / 1_000, day_spread=0.3, slot_spread=0.3),
        Feed(STATISTICS, lambda _: 1 / 7_200),
    ]


def begun(at_ns: int) -> Market:
    found = Market(Feeds(ALL, by_stream, at_ns, LIMITS), feeds(), at_ns)
    found.feeds.take(told("connected", ORDERS, at_ns), at_ns)
    found.feeds.take(told("connected", TRADES, at_ns), at_ns)
    return found


@pytest.fixture(scope="module")
def usual_week() -> Market:
    """Return the market on the evening before Thanksgiving's week, which ends with half-days; nothing was wrong."""
    market = begun(ns("2026-11-15 20:00"))
    assert faults(market.run(ns("2026-11-22 20:00"))) == []
    return market


@pytest.fixture(scope="module")
def usual_tuesday(usual_week: Market) -> Market:
    market = copy.deepcopy(usual_week)
    assert faults(market.run(ns("2026-11-24 17:00"))) == []
    return market


@pytest.fixture
def sunday(usual_week: Market) -> Market:
    return copy.deepcopy(usual_week)


@pytest.fixture
def market(usual_tuesday: Market) -> Market:
    return copy.deepcopy(usual_tuesday)


@pytest.mark.parametrize(
    ("begin", "end"),
    [("2026-10-25 20:00", "2026-11-03 23:30"), ("2024-03-03 20:00", "2024-03-12 23:30")],
    ids=["autumn", "spring"],
)
def test_a_change_of_the_clocks_is_no_fault(begin: str, end: str) -> None:
    assert faults(begun(ns(begin)).run(ns(end))) == []


def test_a_week_with_half_days_has_no_fault_and_is_closed_when_the_market_is(sunday: Market) -> None:
    market = sunday
    thin = market.sources[0]
    reports = market.run(ns("2026-11-26 00:00"))
    # Holidays have a session of their own, with little in it, that ends early.
    thin.share = market.sources[1].share = 0.3
    reports += market.run(ns("2026-11-29 22:00"))
    assert faults(reports) == []
    states = {report.at_ns: row_of(report, STEADY).state for report in reports}
    for moment, state in {
        "2026-11-22 22:55": FeedState.CLOSED,
        "2026-11-22 23:05": FeedState.LIVE,
        "2026-11-26 17:55": FeedState.LIVE,
        "2026-11-26 18:05": FeedState.CLOSED,
        "2026-11-26 23:05": FeedState.LIVE,
        "2026-11-27 18:10": FeedState.LIVE,
        "2026-11-27 18:20": FeedState.CLOSED,
        "2026-11-29 20:00": FeedState.CLOSED,
    }.items():
        assert states[ns(moment)] is state, moment
    assert {row_of(report, STATISTICS).state for report in reports} == {
        FeedState.QUIET,
        FeedState.LIVE,
        FeedState.CLOSED,
    }


def silent(key: FeedKey) -> Callable[[Market], None]:
    """Return the fault that a feed gives nothing while its producer beats."""

    def plant(market: Market) -> None:
        [feed] = [feed for feed in market.sources if feed.key == key]
        feed.share = 0.0

    return plant


def slower(share: float) -> Callable[[Market], None]:
    def plant(market: Market) -> None:
        market.sources[1].share = share

    return plant


def beats_with(**fields: Any) -> Callable[[Market], None]:
    def plant(market: Market) -> None:
        market.sources[1].fields = fields

    return plant


def event(kind: str, **fields: Any) -> Callable[[Market], None]:
    def plant(market: Market) -> None:
        market.feeds.take(told(kind, STEADY, market.now_ns, **fields), market.now_ns)

    return plant


def service_down(market: Market) -> None:
    market.is_up = False


def flapping(market: Market) -> None:
    for number in range(4):
        market.run(market.now_ns + BEAT_S * S)
        event("disconnected", reason="reset by peer", session=f"s{number}" if number else "s")(market)
        event("connected", session=f"s{number + 1}")(market)
        market.sources[1].fields = {"session": f"s{number + 1}"}


LATE: Final = {"latency_p50_ns": 3 * S, "latency_p99_ns": 4 * S, "ts_in_delta_p50_ns": 20_000, "ts_in_delta_p99_ns": 1}
GAP: Final = Gap("g", "open", ("l1",), ("*",), "the vendor skipped records")


@pytest.mark.parametrize(
    ("plant", "key", "state", "words", "within_s"),
    [
        (silent(STEADY), STEADY, FeedState.SILENT, "nothing came for", 120),
        (silent(ORDERS), ORDERS, FeedState.SILENT, "nothing came for", 120),
        (service_down, ORDERS, FeedState.DISCONNECTED, "no heartbeat for", 90),
        (service_down, TRADES, FeedState.DISCONNECTED, "does not reach Kafka", 90),
        (event("disconnected", reason="reset by peer"), STEADY, FeedState.DISCONNECTED, "reset by peer", 30),
        (event("stopped", reason="no entitlement"), STEADY, FeedState.DISCONNECTED, "no entitlement", 30),
        (slower(0.8), STEADY, FeedState.DEGRADED, "% of what usually comes", 900),
        (slower(0.3), STEADY, FeedState.DEGRADED, "3", 900),
        (beats_with(**LATE), STEADY, FeedState.DEGRADED, "ticks come 3 s late, usually 0.02 s", 150),
        (beats_with(queue_fill=0.95), STEADY, FeedState.DEGRADED, "Kafka takes less than comes", 90),
        (event("gap_opened", gap=GAP), STEADY, FeedState.DEGRADED, "a gap has not ended: the vendor skipped", 30),
        (flapping, STEADY, FeedState.DEGRADED, "4 reconnects within ten minutes", 30),
    ],
)
def test_a_fault_is_named_in_time(
    market: Market, plant: Callable[[Market], None], key: FeedKey, state: FeedState, words: str, within_s: float
) -> None:
    assert row_of(market.feeds.report(market.now_ns), key).state in (FeedState.LIVE, FeedState.QUIET)
    plant(market)
    row = market.until(key, lambda row: row.state is state, within_s)
    assert words in row.reason
    assert market.now_ns >= row.since_ns


def test_a_feed_that_is_connected_again_is_not_blamed_for_heartbeats_that_could_not_come(market: Market) -> None:
    event("disconnected", reason="reset by peer")(market)
    market.now_ns += 200 * S
    event("connected")(market)
    row = row_of(market.feeds.report(market.now_ns), STEADY)
    assert (row.state, row.reason) == (FeedState.QUIET, "")
    market.now_ns += 71 * S
    assert "no heartbeat for 271 s" in row_of(market.feeds.report(market.now_ns), STEADY).reason


def test_a_feed_at_four_fifths_is_told_with_figures_and_recovers(market: Market) -> None:
    market.sources[1].share = 0.8
    row = market.until(STEADY, lambda row: bool(row.flags), 900)
    assert [flag.name for flag in row.flags] == ["rate"]
    assert row.rate is not None
    assert row.rate.ratio == pytest.approx(0.8, abs=0.03)
    # It does not become usual by lasting.
    assert {row_of(report, STEADY).state for report in market.run(market.now_ns + 2 * 3600 * S)} == {FeedState.DEGRADED}
    market.sources[1].share = 1.0
    market.until(STEADY, lambda row: row.state is FeedState.LIVE, 1_500)


def test_a_quiet_instrument_is_quiet_at_four_fifths_and_for_an_hour(market: Market) -> None:
    market.run(ns("2026-11-25 02:00"))
    market.sources[2].share = 0.8
    reports = market.run(ns("2026-11-25 12:00"))
    market.sources[2].share = 0.0
    reports += market.run(ns("2026-11-25 13:00"))
    assert faults(reports) == []
    assert {row_of(report, TRADES).state for report in reports} == {FeedState.QUIET, FeedState.LIVE}


def test_a_service_that_is_down_over_the_weekend_is_named_at_the_open(market: Market) -> None:
    market.run(ns("2026-11-28 12:00"))
    market.is_up = False
    reports = market.run(ns("2026-11-29 22:59"))
    assert faults(reports) == []
    assert {row_of(report, ORDERS).is_beating for report in reports[10:]} == {False}
    row = market.until(ORDERS, lambda row: row.state is FeedState.DISCONNECTED, 90)
    assert row.since_ns <= ns("2026-11-29 23:01")
