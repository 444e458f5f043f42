"""An absence of Kafka is one incident, whatever nobody could do meanwhile, and hides nothing that outlasts it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import pytest
from tests.unit.watchdog.clusters import TICKS, Watched, cluster, group, member
from tests.unit.watchdog.feeding import beat, by_stream, ns, row_of, told
from tests.unit.watchdog.troubles import BEGIN, MINUTE, S, Topic, Watcher, report, row

from tapeline_watchdog.broker_findings import BROKER_AWAY, BrokerLooks
from tapeline_watchdog.feed_findings import FeedHolds, feed_findings
from tapeline_watchdog.feeds import FeedKey, Feeds
from tapeline_watchdog.findings import Judged
from tapeline_watchdog.group_findings import GroupJudge, LagLimits
from tapeline_watchdog.lane import FeedState
from tapeline_watchdog.workers import stuck_workers

LIMIT_NS: Final = 10 * S
LOOK_NS: Final = 6 * S
LIVE: Final = FeedKey("databento", "GLBX.MDP3/NQ.FUT", "mbo")


def away(looks: BrokerLooks, begin_ns: int, seconds: int) -> int:
    """Let the broker be away from just after `begin_ns`, when it answered; return when it is back."""
    looks.answered(begin_ns)
    end_ns = begin_ns + seconds * S
    for at_ns in range(begin_ns + S, end_ns, LOOK_NS + S):
        looks.failed(at_ns, "no answer")
    return end_ns


def step(watcher: Watcher, looks: BrokerLooks, now_ns: int, *others: Judged) -> None:
    looks.answered(now_ns)
    watcher.step([looks.judge(now_ns), *others], now_ns)
    looks.was_written()


def said(watcher: Watcher) -> list[tuple[str, str]]:
    return [(each.type, each.state) for each in watcher.turns]


def test_a_long_absence_is_written_when_it_is_over_from_when_it_began_and_then_closes() -> None:
    looks, watcher = BrokerLooks(LIMIT_NS), Watcher(Topic())
    back_ns = away(looks, BEGIN, 31)
    lasting = looks.finding(back_ns)
    assert lasting is not None
    assert lasting.summary == "Kafka has not answered for 31 s: nothing can be written or read"
    foreseen = watcher.incidents.opening(lasting, back_ns)
    looks.answered(back_ns)
    # The write fails, and is tried again.
    assert looks.judge(back_ns + 9 * S).findings != ()
    step(watcher, looks, back_ns + 20 * S)
    [incident] = watcher.topic.incidents()
    assert (incident.type, incident.subject, incident.severity) == ("broker_away", "kafka", "critical")
    assert (incident.opened_at, incident.state) == (BEGIN, "open")
    assert incident.summary == "Kafka did not answer for 31 s: nothing could be written or read"
    assert incident.evidence == ("away: for 31 s, 5 looks in vain", "reason: no answer")
    # What people were told before it could be written is this one.
    assert foreseen is not None
    assert (foreseen.id, foreseen.state, foreseen.flaps) == (incident.id, "open", 0)
    for second in range(21, 120):
        step(watcher, looks, back_ns + second * S)
    [incident] = watcher.topic.incidents()
    assert (incident.state, incident.flaps, incident.closed_at) == ("closed", 0, back_ns + 21 * S)
    assert said(watcher) == [("broker_away", "open"), ("broker_away", "closed")]


@pytest.mark.parametrize("seconds", [3, 9])
def test_a_short_absence_is_none(seconds: int) -> None:
    looks, watcher, at_ns = BrokerLooks(LIMIT_NS), Watcher(Topic()), BEGIN
    for _ in range(20):
        at_ns = away(looks, at_ns, seconds)
        step(watcher, looks, at_ns)
    assert watcher.topic.records == []


def test_a_watchdog_that_was_suspended_in_a_look_says_nothing_of_kafka() -> None:
    looks = BrokerLooks(LIMIT_NS)
    looks.answered(BEGIN)
    looks.failed(BEGIN + S, "no answer")
    assert looks.finding(BEGIN + 3_600 * S) is None
    looks.answered(BEGIN + 3_601 * S)
    assert looks.judge(BEGIN + 3_601 * S).findings == ()


def test_of_one_that_was_there_before_the_watchdog_it_is_told_since_it_looked() -> None:
    looks = BrokerLooks(LIMIT_NS)
    for number in range(3):
        looks.failed(BEGIN + number * LOOK_NS, "no answer")
    found = looks.finding(BEGIN + 3 * LOOK_NS)
    assert found is not None
    assert found.since_ns == BEGIN


@pytest.mark.parametrize("seconds", [5, 30, 200])
def test_late_heartbeats_after_it_are_no_fault_of_any_feed(seconds: int) -> None:
    looks, watcher, now_ns = BrokerLooks(LIMIT_NS), Watcher(Topic()), ns("2026-11-25 15:00")
    feeds = Feeds((LIVE,), by_stream, now_ns)
    feeds.take(told("connected", LIVE, now_ns), now_ns)
    states: set[FeedState] = set()

    def judge() -> None:
        seen = feeds.report(now_ns)
        states.add(row_of(seen, LIVE).state)
        step(watcher, looks, now_ns, feed_findings(seen, FeedHolds(degraded_ns=0)))

    def live(begin_s: int, end_s: int) -> None:
        nonlocal now_ns
        for _ in range(begin_s, end_s):
            now_ns += S
            feeds.take(beat(LIVE, now_ns - 10_000_000, 50), now_ns)
            judge()

    live(0, 900)
    left_ns, now_ns = now_ns, away(looks, now_ns, seconds)
    if seconds > 10:
        feeds.listen_anew(now_ns)
    judge()
    # The producer is there a moment later than the watchdog, and hands over all that has waited.
    now_ns += 2 * S
    judge()
    for at_ns in range(left_ns + S, now_ns, S):
        feeds.take(beat(LIVE, at_ns, 50), now_ns)
        judge()
    live(0, 300)
    assert states <= {FeedState.LIVE, FeedState.QUIET, FeedState.DEGRADED}
    assert said(watcher) == ([("broker_away", "open"), ("broker_away", "closed")] if seconds > 10 else [])


def test_a_feed_that_does_not_come_back_with_it_is_an_incident_and_a_vendors_cut_at_once() -> None:
    looks, watcher = BrokerLooks(LIMIT_NS), Watcher(Topic())
    back_ns = away(looks, BEGIN, 30)
    lost_ns = back_ns + 10 * S
    dead = row("D/ES.FUT", "mbo", FeedState.DISCONNECTED, "no heartbeat", since_ns=lost_ns, is_beating=False)
    cut = row("D/NQ.FUT", "mbo", FeedState.DISCONNECTED, "reset by peer", since_ns=lost_ns)
    live = row("D/NQ.OPT", "l1", FeedState.LIVE)
    opened: dict[str, int] = {}
    for second in range(120):
        now_ns = back_ns + second * S
        rows = (dead, cut, live) if now_ns >= lost_ns else (live,)
        step(watcher, looks, now_ns, feed_findings(report(*rows, at_ns=now_ns), FeedHolds()))
        opened |= {each.subject: second for each in watcher.turns if each.subject not in opened}
    assert opened == {"kafka": 0, "databento/D/NQ.FUT": 25, "databento/D/ES.FUT": 62}


def test_a_source_all_of_whose_streams_are_unheard_is_a_part_of_it() -> None:
    rows = [row(stream, "mbo", FeedState.DISCONNECTED, "none", is_beating=False) for stream in ("D/NQ.FUT", "D/ES.FUT")]
    for finding in feed_findings(report(*rows), FeedHolds()).findings:
        assert BROKER_AWAY in finding.explained_by
    rows[0] = row("D/NQ.FUT", "mbo", FeedState.DISCONNECTED, "reset by peer")
    [whole] = [each for each in feed_findings(report(*rows), FeedHolds()).findings if each.subject == "databento"]
    assert whole.explained_by == ()


class Consumer:
    """A group that is sampled every ten seconds; a record is a second."""

    def __init__(self, topic: Topic) -> None:
        self.watcher = Watcher(topic)
        self.looks = BrokerLooks(LIMIT_NS)
        self.watched = Watched()
        self.judge = GroupJudge(LagLimits())
        self.committed = 100_000
        self.end = 100_000

    @property
    def now_ns(self) -> int:
        return self.watched.at_ms * 1_000_000

    def sample(self, reads: int, writes: int = 10) -> None:
        self.committed, self.end = min(self.committed + reads, self.end + writes), self.end + writes
        state = cluster(
            {(TICKS, 0): self.end},
            group("g", {(TICKS, 0): self.committed}, member("w", (TICKS, 0))),
        )
        seen = self.watched.sample(state)
        step(self.watcher, self.looks, self.now_ns, self.judge.judge(seen, stuck_workers(seen, ())))

    def lose_broker(self, seconds: int) -> None:
        """Let it be away; what is written meanwhile comes at once afterwards."""
        away(self.looks, self.now_ns, seconds)
        self.watched.at_ms += seconds * 1_000
        self.end += seconds

    def run(self, reads: Iterable[int]) -> list[tuple[str, str]]:
        for each in reads:
            self.sample(each)
        return said(self.watcher)


OUTAGE: Final = [("broker_away", "open"), ("broker_away", "closed")]


def test_a_lag_that_drains_after_it_is_a_part_of_it_however_long_that_takes() -> None:
    consumer = Consumer(Topic())
    assert consumer.run([10] * 20) == []
    consumer.lose_broker(1_800)
    assert consumer.run([0, 0]) == OUTAGE[:1]
    # Twice as quick as what comes: it is half an hour behind, and takes as long for it.
    assert consumer.run([20] * 200) == OUTAGE
    [incident] = consumer.watcher.topic.incidents()
    assert incident.evidence[2].startswith("g: ")
    assert consumer.committed == consumer.end
    # Later on it is behind for another reason.
    consumer.end += 500
    assert consumer.run([10] * 20)[2:] == [("consumer_lag", "open")]


def test_a_group_that_does_not_go_on_after_it_is_an_incident_of_its_own() -> None:
    consumer = Consumer(Topic())
    consumer.run([10] * 20)
    consumer.lose_broker(60)
    begun_ns = consumer.now_ns
    while len(consumer.watcher.turns) < 3 and consumer.now_ns - begun_ns < 10 * MINUTE:
        consumer.sample(0)
    assert [each.type for each in consumer.watcher.turns] == ["broker_away", "broker_away", "stuck_worker"]
    assert consumer.now_ns - begun_ns <= 150 * S


def test_nor_does_it_hide_a_group_that_goes_on_and_does_not_catch_up() -> None:
    consumer = Consumer(Topic())
    consumer.run([10] * 20)
    consumer.lose_broker(600)
    assert consumer.run([10] * 15) == [*OUTAGE, ("consumer_lag", "open")]
