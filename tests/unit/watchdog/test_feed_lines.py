"""Feeds of one stream that come over connections of their own: each is judged by its own."""

from __future__ import annotations

from typing import Any, Final

import pytest
from tests.unit.watchdog.clusters import Watched, cluster, group
from tests.unit.watchdog.feeding import S, beat, by_stream, ns, row_of, told

from tapeline.ops import metrics
from tapeline_watchdog.exporter import feed_rows
from tapeline_watchdog.feed_documents import feeds_document
from tapeline_watchdog.feeds import FeedKey, FeedRow, Feeds
from tapeline_watchdog.lane import FeedState

ORDERS: Final = FeedKey("databento", "GLBX.MDP3/NQ.FUT", "mbo")
STATUS: Final = FeedKey("databento", "GLBX.MDP3/NQ.FUT", "status")


class Producer:
    """A producer that takes orders over one connection of a stream, and its status over another."""

    def __init__(self, expected: tuple[FeedKey, ...] = ()) -> None:
        self.now_ns = ns("2026-11-24 17:00")
        self.feeds = Feeds(expected, by_stream, self.now_ns)
        self.sessions = {ORDERS: "orders-1", STATUS: "status-1"}
        self.epoch = 1

    def tell(self, kind: str, key: FeedKey, session: str, **fields: Any) -> None:
        self.now_ns += S // 10
        event = told(kind, key, self.now_ns, session=session, epoch=self.epoch, **fields)
        self.feeds.take(event, self.now_ns)

    def connect(self, key: FeedKey, session: str) -> None:
        self.tell("connected", key, session)
        self.sessions[key] = session

    def lose(self, key: FeedKey) -> None:
        self.tell("disconnected", key, self.sessions[key], reason=f"{key.kind} was lost")

    def beat(self, *keys: FeedKey, seconds: int = 2) -> None:
        for _ in range(seconds):
            self.now_ns += S
            for key in keys:
                ticks = 100 if key is ORDERS else 0
                event = beat(key, self.now_ns, ticks, session=self.sessions[key], epoch=self.epoch)
                self.feeds.take(event, self.now_ns)

    def row(self, key: FeedKey) -> FeedRow:
        return row_of(self.feeds.report(self.now_ns), key)


@pytest.fixture(params=[(), (ORDERS, STATUS)], ids=["unexpected", "expected"])
def producer(request: pytest.FixtureRequest) -> Producer:
    found = Producer(request.param)
    found.connect(ORDERS, "orders-1")
    found.beat(ORDERS)
    found.connect(STATUS, "status-1")
    found.beat(ORDERS, STATUS)
    return found


def test_connections_that_are_made_are_no_reconnects(producer: Producer) -> None:
    assert [(producer.row(key).reconnects, producer.row(key).session) for key in (ORDERS, STATUS)] == [
        (0, "orders-1"),
        (0, "status-1"),
    ]


def test_one_outage_of_both_connections_is_one_reconnect_of_each(producer: Producer) -> None:
    producer.lose(ORDERS)
    producer.lose(STATUS)
    assert [producer.row(key).reason for key in (ORDERS, STATUS)] == ["mbo was lost", "status was lost"]
    producer.connect(STATUS, "status-2")
    producer.connect(ORDERS, "orders-2")
    producer.beat(ORDERS, STATUS)
    rows = [producer.row(key) for key in (ORDERS, STATUS)]
    assert [(row.reconnects, row.session, row.state) for row in rows] == [
        (1, "orders-2", FeedState.LIVE),
        (1, "status-2", FeedState.QUIET),
    ]
    exported = feed_rows(producer.feeds.report(producer.now_ns))
    assert [value for metric, _, value in exported if metric is metrics.FEED_RECONNECTS] == [1]


def test_the_loss_of_one_connection_is_no_fault_of_what_comes_over_the_other(producer: Producer) -> None:
    producer.lose(ORDERS)
    producer.beat(STATUS)
    assert (producer.row(ORDERS).state, producer.row(ORDERS).reason) == (FeedState.DISCONNECTED, "mbo was lost")
    assert producer.row(STATUS).state is FeedState.QUIET
    producer.connect(ORDERS, "orders-2")
    producer.beat(ORDERS, STATUS)
    assert [producer.row(key).reconnects for key in (ORDERS, STATUS)] == [1, 0]


def test_a_producer_that_was_killed_is_one_reconnect_of_each(producer: Producer) -> None:
    producer.epoch = 2
    producer.connect(ORDERS, "orders-2")
    producer.connect(STATUS, "status-2")
    producer.beat(ORDERS, STATUS)
    assert [producer.row(key).reconnects for key in (ORDERS, STATUS)] == [1, 1]
    producer.epoch = 1
    producer.lose(ORDERS)
    assert producer.row(ORDERS).state is FeedState.LIVE


def test_a_clock_that_is_ahead_is_told_whichever_connection_it_stamps(producer: Producer) -> None:
    for _ in range(70):
        producer.now_ns += S
        for key in (ORDERS, STATUS):
            event = beat(key, producer.now_ns + 5 * S, 0, session=producer.sessions[key])
            producer.feeds.take(event, producer.now_ns)
    assert [flag.name for flag in producer.row(STATUS).flags] == ["clock"]


def test_a_rate_is_told_before_it_is_known_what_is_usual(producer: Producer) -> None:
    assert producer.row(ORDERS).ticks_per_s is None
    producer.beat(ORDERS, STATUS, seconds=90)
    assert (producer.row(ORDERS).ticks_per_s, producer.row(STATUS).ticks_per_s) == (100.0, 0.0)
    assert (
        feeds_document(producer.feeds.report(producer.now_ns), None, is_fresh=True)["feeds"][0]["ticks_per_s"] == 100.0
    )
    producer.now_ns += 20 * S
    assert producer.row(ORDERS).ticks_per_s is None


def test_how_far_the_processor_is_behind_on_its_source_is_told_of_each_feed(producer: Producer) -> None:
    chain = FeedKey("databento", "GLBX.MDP3/NQ", "chain")
    other = FeedKey("saved", "GLBX.MDP3/NQ.FUT", "mbo")
    for key in (chain, other):
        producer.feeds.take(beat(key, producer.now_ns, 0), producer.now_ns)
    ticks = ("md.ticks.databento.v1", 0)
    lag = Watched().sample(cluster({ticks: 100}, group("tapeline-processor", {ticks: 40}))).groups["tapeline-processor"]
    report = producer.feeds.report(producer.now_ns)
    told = {
        (feed["source"], feed["kind"]): feed["processing_lag_s"]
        for feed in feeds_document(report, lag, is_fresh=True)["feeds"]
    }
    assert told == {
        ("databento", "mbo"): 59.0,
        ("databento", "status"): 59.0,
        ("databento", "chain"): None,
        ("saved", "mbo"): None,
    }
    assert feeds_document(report, None, is_fresh=True)["feeds"][0]["processing_lag_s"] is None
