"""How long a feed may be silent: what was heard before the watchdog began counts, and what lasts becomes usual."""

from __future__ import annotations

import copy
from typing import Final

import pytest
from tests.unit.watchdog.feeding import LIMITS, S, beat, by_stream, ns, row_of, told

from tapeline_watchdog.feeds import FeedKey, FeedRow, Feeds
from tapeline_watchdog.lane import FeedState

CHAINS: Final = FeedKey("barchart", "barchart/NQ", "chain")
BEGIN_NS: Final = ns("2026-11-24 15:00")
HOUR_S: Final = 3_600
BEAT_S: Final = 10


class Polled:
    """A feed that gives `ticks` at once every `every_s`, and nothing in between; told of when it is heard."""

    def __init__(self, started_ns: int, every_s: int, ticks: int = 40, begin_ns: int = BEGIN_NS) -> None:
        self.feeds = Feeds((CHAINS,), by_stream, started_ns, LIMITS)
        self.now_ns = begin_ns
        self.every_s = every_s
        self.ticks = ticks
        self.feeds.take(told("connected", CHAINS, begin_ns), begin_ns)

    def beat(self, for_s: int) -> None:
        """Beat, and ask for no report, as while history is read."""
        for _ in range(for_s // BEAT_S):
            self.now_ns += BEAT_S * S
            is_polled = self.every_s and self.now_ns // S % self.every_s == 0
            self.feeds.take(beat(CHAINS, self.now_ns, self.ticks if is_polled else 0), self.now_ns)

    def rows(self, for_s: int) -> list[FeedRow]:
        """Beat, and return the row after every beat."""
        rows = []
        for _ in range(for_s // BEAT_S):
            self.beat(BEAT_S)
            rows.append(row_of(self.feeds.report(self.now_ns), CHAINS))
        return rows


def silences(rows: list[FeedRow]) -> int:
    """Return how often a feed fell silent."""
    states = [row.state for row in rows]
    return sum(
        now is FeedState.SILENT and was is not FeedState.SILENT
        for was, now in zip([FeedState.QUIET, *states], states, strict=False)
    )


@pytest.mark.parametrize(("every_s", "ticks"), [(300, 40), (120, 30)])
def test_a_watchdog_that_starts_knows_from_history_how_quiet_a_feed_uses_to_be(every_s: int, ticks: int) -> None:
    started_ns = BEGIN_NS + HOUR_S * S
    polled = Polled(started_ns, every_s, ticks)
    polled.beat(HOUR_S)
    polled.feeds.listen_anew(started_ns)
    assert silences(polled.rows(2 * HOUR_S)) == 0


def test_a_history_of_three_sessions_teaches_what_is_usual_by_time_of_day() -> None:
    begin_ns = ns("2026-11-08 22:00")
    started_ns = begin_ns + 77 * HOUR_S * S
    polled = Polled(started_ns, 60, begin_ns=begin_ns)
    polled.beat(77 * HOUR_S)
    polled.feeds.listen_anew(started_ns)
    row = row_of(polled.feeds.report(started_ns), CHAINS)
    assert (row.silence_limit_ns, row.rate is not None and row.rate.usual_per_s) == (180 * S, pytest.approx(40 / 60))


@pytest.mark.parametrize(("every_s", "within_s"), [(60, 1_800), (300, 9_000)])
def test_what_falls_silent_before_anything_is_known_of_its_day_is_found(every_s: int, within_s: int) -> None:
    started_ns = BEGIN_NS + HOUR_S * S
    polled = Polled(started_ns, every_s)
    polled.beat(HOUR_S)
    polled.feeds.listen_anew(started_ns)
    assert silences(polled.rows(2 * HOUR_S)) == 0
    polled.every_s = 0
    states = [row.state for row in polled.rows(3 * HOUR_S)]
    found = states.index(FeedState.SILENT)
    assert found * BEAT_S == pytest.approx(within_s, abs=60)
    assert set(states[found:]) == {FeedState.SILENT}


def test_a_silence_of_history_that_was_strange_is_not_learned() -> None:
    started_ns = BEGIN_NS + 2 * HOUR_S * S
    polled = Polled(started_ns, 60)
    for every_s, for_s in ((60, HOUR_S), (0, 2_000), (60, 1_600)):
        polled.every_s = every_s
        polled.beat(for_s)
    polled.feeds.listen_anew(started_ns)
    polled.every_s = 0
    assert silences(polled.rows(2_000)) == 1


@pytest.fixture(scope="module")
def known() -> Polled:
    """Return a feed whose three sessions are known, four hours after a Wednesday's open."""
    begin_ns = ns("2026-11-08 22:00")
    polled = Polled(begin_ns, 60, begin_ns=begin_ns)
    assert silences(polled.rows(77 * HOUR_S)) == 0
    return polled


def test_what_is_silent_again_and_again_for_hours_becomes_usual(known: Polled) -> None:
    polled = copy.deepcopy(known)
    polled.every_s = 900
    assert 10 <= silences(polled.rows(4 * HOUR_S)) <= 14
    assert silences(polled.rows(15 * HOUR_S)) == 0
    # At hours of which nothing was learned yet it is told once more.
    assert silences(polled.rows(5 * 24 * HOUR_S)) <= 2


def test_a_fault_that_comes_twice_does_not_become_usual(known: Polled) -> None:
    polled = copy.deepcopy(known)
    rows = []
    for every_s in (0, 60, 0, 60, 0):
        polled.every_s = every_s
        rows += polled.rows(1_800)
    assert silences(rows) == 3
    assert {row.silence_limit_ns for row in rows} == {180 * S}
