"""Incidents over days of the market, with a half-day and a weekend: what people are told, and when they are not."""

from __future__ import annotations

from typing import Final

import pytest
from tests.unit.watchdog.feeding import BEAT_S, LIMITS, Feed, Market, S, by_stream, ns, told
from tests.unit.watchdog.troubles import Topic, Watcher

from tapeline_watchdog.feed_findings import FeedHolds, feed_findings
from tapeline_watchdog.feeds import FeedKey, Feeds

ORDERS: Final = FeedKey("databento", "GLBX.MDP3/NQ.FUT", "mbo")
TRADES: Final = FeedKey("databento", "GLBX.MDP3/NQ.OPT", "trade")
HOLDS: Final = FeedHolds(restart_ns=300 * S)


class Days:
    """A market's days, the watchdog that keeps incidents of them, and its successors after restarts."""

    def __init__(self, begin: str) -> None:
        feeds = [Feed(ORDERS, lambda _: 50.0), Feed(TRADES, lambda _: 0.001)]
        self.market = Market(Feeds((ORDERS, TRADES), by_stream, ns(begin), LIMITS), feeds, ns(begin))
        for key in (ORDERS, TRADES):
            self.event("connected", key)
        self.watcher = Watcher(Topic())

    def event(self, kind: str, key: FeedKey, **fields: str) -> None:
        self.market.feeds.take(told(kind, key, self.market.now_ns, **fields), self.market.now_ns)

    def run(self, end: str) -> None:
        for report in self.market.run(ns(end), 30):
            self.watcher.step([feed_findings(report, HOLDS)], report.at_ns)

    def run_s(self, duration_s: int) -> None:
        for report in self.market.run(self.market.now_ns + duration_s * S, 1, 1):
            self.watcher.step([feed_findings(report, HOLDS)], report.at_ns)

    def said(self) -> list[tuple[str, str, str]]:
        return [(each.type, each.subject, each.state) for each in self.watcher.turns]


@pytest.fixture
def days() -> Days:
    """Return the days from the Wednesday before Thanksgiving on."""
    return Days("2026-11-25 12:00")


def test_nobody_is_woken_by_quiet_nights_a_half_day_a_weekend_and_planned_restarts(days: Days) -> None:
    days.run("2026-11-25 15:00")
    for key in (ORDERS, TRADES):
        days.event("stopped", key, reason="stopped")
    days.market.is_up = False
    days.run("2026-11-25 15:04")
    for key in (ORDERS, TRADES):
        days.event("connected", key, session="t")
    for feed in days.market.sources:
        feed.fields = {"session": "t"}
    days.market.is_up = True
    # Down while the market is closed: on the holiday's afternoon, and over most of the weekend.
    days.run("2026-11-26 18:05")
    days.market.is_up = False
    days.run("2026-11-26 22:58")
    days.market.is_up = True
    days.run("2026-11-28 12:00")
    days.market.is_up = False
    days.run("2026-11-29 22:50")
    days.market.is_up = True
    days.run("2026-11-30 12:00")
    assert days.said() == []


def test_a_producer_that_dies_and_is_not_missed_before_the_open_is_told_once_then(days: Days) -> None:
    days.run("2026-11-28 12:00")
    days.market.is_up = False
    days.run("2026-11-29 23:30")
    opened = [("feed_disconnected", "databento", "open")]
    assert days.said() == opened
    [incident] = days.watcher.topic.incidents()
    assert ns("2026-11-29 23:00") <= incident.opened_at <= ns("2026-11-29 23:02")
    assert "does not reach Kafka" in incident.summary
    days.market.is_up = True
    days.run("2026-11-30 03:00")
    assert days.said() == [*opened, ("feed_disconnected", "databento", "closed")]


def test_a_vendor_that_comes_and_goes_for_an_hour_is_one_incident(days: Days) -> None:
    days.run("2026-11-25 15:00")
    session = "s"
    for minute in range(0, 60, 4):
        days.event("disconnected", ORDERS, reason="reset by peer", session=session)
        days.run(f"2026-11-25 15:{minute + 2:02}")
        session = f"s{minute}"
        days.event("connected", ORDERS, session=session)
        days.market.sources[0].fields = {"session": session}
        days.run(f"2026-11-25 15:{minute + 3:02}")
    days.run("2026-11-25 18:00")
    kinds = [(kind, state) for kind, _, state in days.said() if kind == "feed_disconnected"]
    assert kinds == [("feed_disconnected", "open"), ("feed_disconnected", "closed")]
    [incident] = [each for each in days.watcher.topic.incidents() if each.type == "feed_disconnected"]
    assert incident.subject == "databento/GLBX.MDP3/NQ.FUT"
    assert incident.flaps >= 10


@pytest.mark.parametrize(("up_s", "down_s"), [(70, 4), (110, 10), (20, 10)])
def test_a_vendor_that_is_never_gone_for_long_and_never_back_for_long_is_one_incident(
    days: Days, up_s: int, down_s: int
) -> None:
    days.run("2026-11-25 15:00")
    session = "s"
    end_ns = ns("2026-11-25 16:00")
    while days.market.now_ns < end_ns:
        days.event("disconnected", ORDERS, reason="reset by peer", session=session)
        days.market.is_up = False
        days.run_s(down_s)
        days.market.is_up = True
        session = f"s{days.market.now_ns}"
        days.event("connected", ORDERS, session=session)
        days.market.sources[0].fields = {"session": session}
        days.run_s(up_s)
    days.run_s(-(days.market.now_ns // S) % BEAT_S)
    days.run("2026-11-25 18:00")
    subject = "databento/GLBX.MDP3/NQ.FUT"
    assert days.said() == [("feed_degraded", subject, "open"), ("feed_degraded", subject, "closed")]
    [incident] = days.watcher.topic.incidents()
    assert incident.opened_at < ns("2026-11-25 15:10")
    assert "reconnects within ten minutes" in incident.summary
    assert incident.flaps > 10
