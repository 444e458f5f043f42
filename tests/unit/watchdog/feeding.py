"""Simulated feeds: what producers say of themselves, beat by beat, over days of a market's sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from tapeline.feed.calendar import Calendar, calendar_of, cme_globex_equity
from tapeline.model.events import FeedEvent
from tapeline_watchdog.feeds import FeedKey, FeedReport, FeedRow, Feeds, dataset_of
from tapeline_watchdog.lane import FeedLimits
from tapeline_watchdog.sessions import SLOT_NS

S: Final = 1_000_000_000
BEAT_S: Final = 30
LIMITS: Final = FeedLimits(heartbeat_timeout_ns=70 * S)
"""For heartbeats that come each 30 s, which keeps weeks quick."""

Rates = Callable[[float], float]
"""Ticks per second by hours since the session's open."""


def ns(text: str) -> int:
    """Return a moment, given as ``2026-11-26 17:00`` in UTC, in ns since the epoch."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * S


def by_stream(stream: str) -> Calendar:
    return calendar_of(dataset_of(stream, {"barchart": "GLBX.MDP3"}))


@dataclass
class Feed:
    """One stream and kind: its rates, how much whole days differ (as a spread of logarithms), and how slots do."""

    key: FeedKey
    rates: Rates
    day_spread: float = 0.0
    slot_spread: float = 0.0
    share: float = 1.0
    """Of the usual rate, from now on."""
    fields: dict[str, Any] = field(default_factory=dict)
    """What else its heartbeats hold, from now on."""


def beat(key: FeedKey, at_ns: int, ticks: int, **fields: Any) -> FeedEvent:
    """Return a heartbeat of the session ``s`` and the epoch 1; its ticks are 20 ms late unless told otherwise."""
    late = {"latency_p50_ns": 20_000_000, "latency_p99_ns": 50_000_000} if ticks else {}
    usual: dict[str, Any] = {"session": "s", "epoch": 1, "frame": 0, "queue_fill": 0.0, **late}
    usual |= {"ts_event": at_ns - 20_000_000, "ts_recv": at_ns - 10_000_000} if ticks else {}
    return FeedEvent("heartbeat", key.source, key.stream, at=at_ns, kind=key.kind, ticks=ticks, **(usual | fields))


def told(kind: Any, key: FeedKey, at_ns: int, **fields: Any) -> FeedEvent:
    """Return an event of the stream's connection."""
    return FeedEvent(kind, key.source, key.stream, at=at_ns, **({"session": "s", "epoch": 1} | fields))


class Market:
    """Feeds that beat through a market's days, and what the watchdog says of them meanwhile."""

    def __init__(self, feeds: Feeds, sources: Sequence[Feed], begin_ns: int, seed: int = 1) -> None:
        self.feeds = feeds
        self.sources = list(sources)
        self.now_ns = begin_ns
        self.is_up = True
        self._random = np.random.default_rng(seed)
        self._calendar = cme_globex_equity()
        self._levels: dict[tuple[FeedKey, int], float] = {}

    def run(self, until_ns: int, report_every_s: int = 300, beat_s: int = BEAT_S) -> list[FeedReport]:
        """Beat until then, without ticks while the market is closed; return the reports."""
        reports = []
        while self.now_ns < until_ns:
            self.now_ns += beat_s * S
            open_ns = self._open_ns(beat_s)
            if self.is_up:
                for feed in self.sources:
                    self.feeds.take(self._beat(feed, open_ns, beat_s), self.now_ns)
            if self.now_ns // S % report_every_s == 0:
                reports.append(self.feeds.report(self.now_ns))
        return reports

    def until(self, key: FeedKey, holds: Callable[[FeedRow], bool], within_s: float) -> FeedRow:
        """Beat until the row of a feed holds; fail if it does not in time."""
        begin_ns = self.now_ns
        while self.now_ns - begin_ns < within_s * S:
            for report in self.run(self.now_ns + BEAT_S * S, BEAT_S):
                row = row_of(report, key)
                if holds(row):
                    return row
        raise AssertionError(f"not within {within_s:g} s: {row_of(self.feeds.report(self.now_ns), key)}")

    def _open_ns(self, beat_s: int) -> int | None:
        """Return when the session that trades now began."""
        at_ns = self.now_ns - beat_s * S
        return self._calendar.next_open(self._calendar.last_close(at_ns)) if self._calendar.is_open(at_ns) else None

    def _beat(self, feed: Feed, open_ns: int | None, beat_s: int) -> FeedEvent:
        at_ns, ticks = self.now_ns, 0
        if open_ns is not None:
            level = self._level(feed, open_ns, feed.day_spread) * self._level(feed, at_ns // SLOT_NS, feed.slot_spread)
            expected = feed.rates((at_ns - open_ns) / 3600e9) * feed.share * level * beat_s
            ticks = int(self._random.poisson(expected))
        return beat(feed.key, at_ns, ticks, **feed.fields)

    def _level(self, feed: Feed, of: int, spread: float) -> float:
        if not spread:
            return 1.0
        if (feed.key, of) not in self._levels:
            self._levels[feed.key, of] = float(np.exp(self._random.normal(0.0, spread)))
        return self._levels[feed.key, of]


def row_of(report: FeedReport, key: FeedKey) -> FeedRow:
    [row] = [row for row in report.rows if row.key == key]
    return row


def faults(reports: Iterable[FeedReport]) -> list[str]:
    """Return every fault that was told, in words; each while it lasts."""
    return [
        f"{datetime.fromtimestamp(report.at_ns // S, UTC):%a %m-%d %H:%M} {row.key.kind} {row.state} {row.reason}"
        for report in reports
        for row in report.rows
        if row.state.is_fault
    ]
